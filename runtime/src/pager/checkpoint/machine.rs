//! A checkpoint from its first pass to the log's new beginning.

use std::sync::Arc;

use super::super::ask_for_right::{AskForRight, RightClaim, refuse_if_poisoned};
use super::super::cache::Evicted;
use super::super::latch::Wait;
use super::super::log_format::{HEADER_SPAN, LogHeader};
use super::super::readers::Obstacle;
use super::super::shared::Pager;
use super::super::transfer::Ended;
use super::super::write_right::{Claimant, Wakes};
use super::super::{CheckpointMode, CheckpointOutcome, CheckpointReport, PagerError};
use super::pass::{Copied, Pass, Scope};
use crate::{IOCompletions, IOResult, StateTransition, TransitionResult};

/// The machine behind [`Checkpoint`](super::Checkpoint).
pub(super) struct Checkpointing {
    pager: Arc<Pager>,
    mode: CheckpointMode,
    copied: Copied,
    stage: Stage,
}

/// A checkpoint, from top to bottom; with the write right it does what is in the way of its end, one thing after another. What
/// the stages hold goes with them, in the moment in which the checkpoint ends.
enum Stage {
    Begin,
    /// Holding up nobody.
    FirstPass(Running, Pass),
    AskForRight(Running, AskForRight),
    Look(Exclusive),
    AwaitCommits(Exclusive, Wait<Result<u64, PagerError>>),
    AwaitReaders(Exclusive, Wait<()>),
    LastPass(Exclusive, Pass),
    AwaitQuietLog(Exclusive, Wait<()>),
    WriteLogHeader(Exclusive, Wait<Result<(), PagerError>>),
    CutLog(Exclusive, Wait<Ended>),
    Ended,
}

/// The one checkpoint that is under way. Dropping it lets another begin.
struct Running {
    pager: Arc<Pager>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.pager.state.lock().checkpoint_running = false;
    }
}

/// With the write right: nobody adds to the log.
struct Exclusive {
    // Fields drop in this order: who waits for the right finds no checkpoint under way.
    _running: Running,
    _claim: RightClaim,
}

/// What is in the way of the checkpoint's end.
enum InTheWay {
    Nothing,
    Commits(Wait<Result<u64, PagerError>>),
    /// Those that wait for the right, and for which it would wait, have to be told.
    Readers(Wait<()>, Wakes),
    Uncopied(Scope),
    /// Of what was begun on the log, some is still under way.
    LogIo(Wait<()>),
    /// The log has just been begun anew, or somebody was interrupted after that.
    NoHeader(LogHeader, Evicted),
}

type Transition = Result<TransitionResult<CheckpointReport>, PagerError>;

impl StateTransition for Checkpointing {
    type Context = ();
    type Output = CheckpointReport;
    type Error = PagerError;

    /// Takes the stage out. When it ends, well or not, what that held goes at once, not when the caller drops the machine.
    fn step(&mut self, (): &()) -> Transition {
        match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Begin => self.begin(),
            Stage::FirstPass(running, mut pass) => match pass.advance()? {
                TransitionResult::Done(copied) => {
                    self.add(copied);
                    self.after_first_pass(running)
                }
                TransitionResult::Io(io) => self.suspend(Stage::FirstPass(running, pass), io),
                TransitionResult::Continue => self.go_on(Stage::FirstPass(running, pass)),
            },
            Stage::AskForRight(running, mut ask) => match ask.step(|_| ())? {
                IOResult::Done((claim, ())) => {
                    self.go_on(Stage::Look(Exclusive { _running: running, _claim: claim }))
                }
                IOResult::IO(io) => self.suspend(Stage::AskForRight(running, ask), io),
            },
            Stage::Look(exclusive) => self.look(exclusive),
            Stage::AwaitCommits(exclusive, mut wait) => match wait.poll() {
                // How they ended is their owners' concern; what is published is to be copied.
                Ok(IOResult::Done(_)) => self.go_on(Stage::Look(exclusive)),
                Ok(IOResult::IO(io)) => self.suspend(Stage::AwaitCommits(exclusive, wait), io),
                Err(error) => Err(self.pager.log.error("wait for a commit to", error)),
            },
            Stage::AwaitReaders(exclusive, mut wait) => match wait.poll() {
                Ok(IOResult::Done(())) => self.go_on(Stage::Look(exclusive)),
                Ok(IOResult::IO(io)) => self.suspend(Stage::AwaitReaders(exclusive, wait), io),
                Err(error) => Err(self.pager.database.error("wait for the readers of", error)),
            },
            Stage::LastPass(exclusive, mut pass) => match pass.advance()? {
                TransitionResult::Done(copied) => {
                    self.add(copied);
                    self.go_on(Stage::Look(exclusive))
                }
                TransitionResult::Io(io) => self.suspend(Stage::LastPass(exclusive, pass), io),
                TransitionResult::Continue => self.go_on(Stage::LastPass(exclusive, pass)),
            },
            Stage::AwaitQuietLog(exclusive, mut wait) => match wait.poll() {
                Ok(IOResult::Done(())) => self.go_on(Stage::Look(exclusive)),
                Ok(IOResult::IO(io)) => self.suspend(Stage::AwaitQuietLog(exclusive, wait), io),
                Err(error) => Err(self.pager.log.error("wait for a write to", error)),
            },
            Stage::WriteLogHeader(exclusive, mut wait) => match wait.poll() {
                Ok(IOResult::Done(written)) => written.and_then(|()| self.go_on(Stage::Look(exclusive))),
                Ok(IOResult::IO(io)) => self.suspend(Stage::WriteLogHeader(exclusive, wait), io),
                Err(error) => Err(self.pager.log.error("wait for the header of", error)),
            },
            Stage::CutLog(exclusive, mut wait) => match self.pager.log.ended(&mut wait, "truncate")? {
                IOResult::Done(()) => self.end(),
                IOResult::IO(io) => self.suspend(Stage::CutLog(exclusive, wait), io),
            },
            Stage::Ended => unreachable!("the driver steps no machine that has ended"),
        }
    }
}

impl Checkpointing {
    pub(super) fn new(pager: &Arc<Pager>, mode: CheckpointMode) -> Self {
        Self { pager: Arc::clone(pager), mode, copied: Copied::default(), stage: Stage::Begin }
    }

    pub(super) fn waits_for_readers(&self) -> bool {
        matches!(self.stage, Stage::AwaitReaders(..))
    }

    fn go_on(&mut self, next: Stage) -> Transition {
        self.stage = next;
        Ok(TransitionResult::Continue)
    }

    fn suspend(&mut self, stage: Stage, io: IOCompletions) -> Transition {
        self.stage = stage;
        Ok(TransitionResult::Io(io))
    }

    fn add(&mut self, Copied { frames, pages }: Copied) {
        self.copied.frames += frames;
        self.copied.pages += pages;
    }

    fn begin(&mut self) -> Transition {
        let scope = {
            let mut state = self.pager.state.lock();
            refuse_if_poisoned(&state)?;
            if state.checkpoint_running {
                let (outcome, sequence) = (CheckpointOutcome::AlreadyRunning, state.backfilled_sequence);
                return Ok(TransitionResult::Done(CheckpointReport {
                    outcome,
                    sequence,
                    frames: 0,
                    pages: 0,
                }));
            }
            state.checkpoint_running = true;
            Scope::of(&state)
        };
        let running = Running { pager: Arc::clone(&self.pager) };
        match scope {
            Some(scope) => self.go_on(Stage::FirstPass(running, Pass::new(&self.pager, scope))),
            None => self.after_first_pass(running),
        }
    }

    fn after_first_pass(&mut self, running: Running) -> Transition {
        if self.mode == CheckpointMode::Passive {
            return self.end();
        }
        let ask = AskForRight::new(&self.pager, Claimant::Newcomer);
        self.go_on(Stage::AskForRight(running, ask))
    }

    /// Sees to what is next in the way.
    fn look(&mut self, exclusive: Exclusive) -> Transition {
        let next = match self.in_the_way()? {
            InTheWay::Commits(wait) => Stage::AwaitCommits(exclusive, wait),
            InTheWay::Readers(wait, wakes) => {
                wakes.wake();
                Stage::AwaitReaders(exclusive, wait)
            }
            InTheWay::Uncopied(scope) => Stage::LastPass(exclusive, Pass::new(&self.pager, scope)),
            InTheWay::LogIo(wait) => Stage::AwaitQuietLog(exclusive, wait),
            InTheWay::NoHeader(header, evicted) => {
                drop(evicted);
                Stage::WriteLogHeader(exclusive, self.pager.write_log_header(&header))
            }
            InTheWay::Nothing
                if self.mode == CheckpointMode::Truncate && self.pager.log.len()? > HEADER_SPAN =>
            {
                Stage::CutLog(exclusive, self.pager.cut_log(HEADER_SPAN))
            }
            InTheWay::Nothing => return self.end(),
        };
        self.go_on(next)
    }

    fn in_the_way(&self) -> Result<InTheWay, PagerError> {
        let mut state = self.pager.state.lock();
        refuse_if_poisoned(&state)?;
        if let Some(wait) = state.newest_on_its_way() {
            return Ok(InTheWay::Commits(wait));
        }
        let end = state.log.end;
        if state.log.backfilled < end {
            if let Some(wait) = state.readers.wait_for(Obstacle::Before(end)) {
                return Ok(InTheWay::Readers(wait, state.right.await_readers()));
            }
            let scope = Scope::of(&state).expect("no reader is before the end, and the end is not copied");
            return Ok(InTheWay::Uncopied(scope));
        }
        let begins_anew = !state.log.is_empty() && state.log.has_next_generation();
        if self.mode == CheckpointMode::Full || !(begins_anew || state.log.is_empty()) {
            return Ok(InTheWay::Nothing);
        }
        if begins_anew && let Some(wait) = state.readers.wait_for(Obstacle::InLog) {
            return Ok(InTheWay::Readers(wait, state.right.await_readers()));
        }
        // Of an empty log, a header may still be on its way for somebody who is gone, or a cut.
        if let Some(wait) = state.log_io.wait_for_quiet() {
            return Ok(InTheWay::LogIo(wait));
        }
        let evicted = if begins_anew { self.pager.begin_log_anew(&mut state) } else { Evicted::default() };
        match state.log.header_durable {
            true => Ok(InTheWay::Nothing),
            false => Ok(InTheWay::NoHeader(state.log.header, evicted)),
        }
    }

    fn end(&self) -> Transition {
        let state = self.pager.state.lock();
        let outcome = match self.mode {
            CheckpointMode::Restart | CheckpointMode::Truncate if state.log.is_empty() => {
                CheckpointOutcome::Restarted
            }
            _ if state.log.backfilled == state.log.end => CheckpointOutcome::Complete,
            _ => CheckpointOutcome::Partial,
        };
        let Copied { frames, pages } = self.copied;
        let sequence = state.backfilled_sequence;
        Ok(TransitionResult::Done(CheckpointReport { outcome, sequence, frames, pages }))
    }
}
