//! A checkpoint from its first pass to the log's new beginning.

use std::fmt;
use std::sync::Arc;

use super::pass::{Copied, Pass, Scope};
use crate::pager::cache::Evicted;
use crate::pager::format::log::{HEADER_SPAN, LogHeader};
use crate::pager::latch::{Latch, Wait};
use crate::pager::pager::Pager;
use crate::pager::readers::Obstacle;
use crate::pager::state::{State, refuse_if_poisoned};
use crate::pager::transaction::acquire::{AcquireWriteLock, WriteLockClaim};
use crate::pager::transfer::Ended;
use crate::pager::wakes::Wakes;
use crate::pager::write_lock::Waiter;
use crate::pager::{CheckpointMode, CheckpointOutcome, CheckpointReport, PagerError};
use crate::{IOCompletions, IOResult, StateMachine, StateTransition, TransitionResult};

/// Copies committed pages from the log into the database file; made by [`Pager::checkpoint`]. Dropped at any time it leaves
/// no more than pages in the database file that the log still has, and blocks no one any more.
#[must_use = "it does nothing until it is stepped"]
pub struct Checkpoint {
    machine: StateMachine<Checkpointing>,
}

impl Pager {
    /// Copies committed pages from the log into the database file. Only one checkpoint at a time does anything.
    ///
    /// When everything was copied and no snapshot reads the log any more, the next commit resets it, in every mode.
    pub fn checkpoint(self: &Arc<Self>, mode: CheckpointMode) -> Checkpoint {
        Checkpoint::new(self, mode)
    }
}

impl Checkpoint {
    fn new(pager: &Arc<Pager>, mode: CheckpointMode) -> Self {
        Self { machine: StateMachine::new(Checkpointing::new(pager, mode)) }
    }

    /// Steps until the mode's end is reached.
    ///
    /// # Errors
    ///
    /// [`PagerError::Io`], [`PagerError::Corrupt`] for a page that can't be read from the log, which then stays as it
    /// is, and [`PagerError::Poisoned`]. [`PagerError::Io`], too, when its wait was cancelled.
    ///
    /// # Panics
    ///
    /// When it has ended already.
    #[track_caller]
    pub fn step(&mut self) -> Result<IOResult<CheckpointReport>, PagerError> {
        self.machine.step(&())
    }

    /// Whether it waits for readers to end.
    #[must_use]
    pub fn waits_for_readers(&self) -> bool {
        self.machine.transitions().waits_for_readers()
    }

    /// Whether it has the write lock. Who would rather have writers go on than a log that is short can drop it then, for
    /// example when it also [waits for readers](Self::waits_for_readers) for long, and what was copied stays copied.
    #[must_use]
    pub fn holds_up_writers(&self) -> bool {
        self.machine.transitions().has_write_lock()
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoint").field("ended", &self.machine.is_finished()).finish_non_exhaustive()
    }
}

/// The machine behind [`Checkpoint`].
struct Checkpointing {
    pager: Arc<Pager>,
    mode: CheckpointMode,
    copied: Copied,
    stage: Stage,
}

/// A checkpoint, from top to bottom; with the write lock it does what is in the way of its end, one thing after another. What
/// the stages hold goes with them, in the moment in which the checkpoint ends.
enum Stage {
    Begin,
    AwaitOther(Wait<()>),
    /// Blocks no one, up to `AcquireWriteLock`.
    FirstPass(Running, Pass),
    AwaitOldReaders(Running, Wait<()>),
    NextPass(Running, Pass),
    AcquireWriteLock(Running, AcquireWriteLock),
    Exclusively(Exclusive, Task),
    Ended,
}

/// What it does with the write lock; after each it looks again.
enum Task {
    Look,
    AwaitCommits(Wait<Result<u64, PagerError>>),
    AwaitReaders(Wait<()>),
    Copy(Pass),
    AwaitQuietLog(Wait<()>),
    WriteLogHeader(Wait<Result<(), PagerError>>),
    CutLog(Wait<Ended>),
}

/// The one checkpoint that is under way. Dropping it lets another begin.
struct Running {
    pager: Arc<Pager>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let ended = self.pager.state.lock().checkpoint.take();
        if let Some(latch) = ended {
            latch.set(());
        }
    }
}

/// With the write lock: no commit adds to the log.
struct Exclusive {
    // Fields drop in this order: who waits for the write lock finds no checkpoint under way.
    _running: Running,
    _claim: WriteLockClaim,
}

/// What is in the way of the checkpoint's end.
enum InTheWay {
    /// All is copied, and no more is asked for, or possible.
    Nothing,
    /// The log is empty, its header durable, and nothing is under way on it.
    NothingInLog,
    Commits(Wait<Result<u64, PagerError>>),
    /// Those that wait for the write lock, and for which it would wait, have to be told.
    Readers(Wait<()>, Wakes),
    Uncopied(Scope),
    /// Of what was begun on the log, some is still under way.
    LogIo(Wait<()>),
    /// The log has just been reset, or a checkpoint was interrupted after that.
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
            Stage::AwaitOther(mut wait) => match wait.poll() {
                Ok(IOResult::Done(())) => self.go_on(Stage::Begin),
                Ok(IOResult::IO(io)) => self.suspend(Stage::AwaitOther(wait), io),
                Err(error) => Err(self.pager.database.error("wait for a checkpoint of", error)),
            },
            Stage::FirstPass(running, mut pass) => match pass.advance()? {
                TransitionResult::Done(copied) => {
                    self.add(copied);
                    self.after_first_pass(running)
                }
                TransitionResult::Io(io) => self.suspend(Stage::FirstPass(running, pass), io),
                TransitionResult::Continue => self.go_on(Stage::FirstPass(running, pass)),
            },
            Stage::AwaitOldReaders(running, mut wait) => match wait.poll() {
                Ok(IOResult::Done(())) => self.after_old_readers(running),
                Ok(IOResult::IO(io)) => self.suspend(Stage::AwaitOldReaders(running, wait), io),
                Err(error) => Err(self.pager.database.error("wait for the readers of", error)),
            },
            Stage::NextPass(running, mut pass) => match pass.advance()? {
                TransitionResult::Done(copied) => {
                    self.add(copied);
                    self.ask_for_right(running)
                }
                TransitionResult::Io(io) => self.suspend(Stage::NextPass(running, pass), io),
                TransitionResult::Continue => self.go_on(Stage::NextPass(running, pass)),
            },
            Stage::AcquireWriteLock(running, mut ask) => match ask.step(|_| ())? {
                IOResult::Done((claim, ())) => {
                    let exclusive = Exclusive { _running: running, _claim: claim };
                    self.go_on(Stage::Exclusively(exclusive, Task::Look))
                }
                IOResult::IO(io) => self.suspend(Stage::AcquireWriteLock(running, ask), io),
            },
            Stage::Exclusively(exclusive, task) => self.exclusively(exclusive, task),
            Stage::Ended => unreachable!("the driver steps no machine that has ended"),
        }
    }
}

impl Checkpointing {
    fn new(pager: &Arc<Pager>, mode: CheckpointMode) -> Self {
        Self { pager: Arc::clone(pager), mode, copied: Copied::default(), stage: Stage::Begin }
    }

    fn waits_for_readers(&self) -> bool {
        matches!(self.stage, Stage::AwaitOldReaders(..) | Stage::Exclusively(_, Task::AwaitReaders(_)))
    }

    fn has_write_lock(&self) -> bool {
        matches!(self.stage, Stage::Exclusively(..))
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
        let (other, scope) = {
            let mut state = self.pager.state.lock();
            refuse_if_poisoned(&state)?;
            let other = state.checkpoint.clone();
            state.checkpoint.get_or_insert_with(Latch::new);
            (other, Scope::of(&state))
        };
        match (other, self.mode) {
            (Some(_), CheckpointMode::Passive) => self.report(|_| CheckpointOutcome::AlreadyRunning),
            (Some(other), _) => self.go_on(Stage::AwaitOther(Wait::new(other))),
            (None, _) => {
                let running = Running { pager: Arc::clone(&self.pager) };
                match scope {
                    Some(scope) => self.go_on(Stage::FirstPass(running, Pass::new(&self.pager, scope))),
                    None => self.after_first_pass(running),
                }
            }
        }
    }

    fn after_first_pass(&mut self, running: Running) -> Transition {
        if self.mode == CheckpointMode::Passive {
            return self.end();
        }
        let wait = {
            let mut state = self.pager.state.lock();
            let end = state.log.end;
            state.readers.wait_for(Obstacle::Before(end))
        };
        match wait {
            Some(wait) => self.go_on(Stage::AwaitOldReaders(running, wait)),
            None => self.after_old_readers(running),
        }
    }

    /// What can be copied before writers are blocked need not be copied then.
    fn after_old_readers(&mut self, running: Running) -> Transition {
        let scope = {
            let state = self.pager.state.lock();
            refuse_if_poisoned(&state)?;
            Scope::of(&state)
        };
        match scope {
            Some(scope) => self.go_on(Stage::NextPass(running, Pass::new(&self.pager, scope))),
            None => self.ask_for_right(running),
        }
    }

    fn ask_for_right(&mut self, running: Running) -> Transition {
        let ask = AcquireWriteLock::new(&self.pager, Waiter::New);
        self.go_on(Stage::AcquireWriteLock(running, ask))
    }

    fn exclusively(&mut self, exclusive: Exclusive, mut task: Task) -> Transition {
        let Pager { database, log, .. } = &*self.pager;
        let progress = match &mut task {
            Task::Look => {
                return match self.look()? {
                    Some(task) => self.go_on(Stage::Exclusively(exclusive, task)),
                    None => self.end(),
                };
            }
            // How they ended is their owners' concern; what is published is to be copied.
            Task::AwaitCommits(wait) => {
                wait.poll().map_err(|error| log.error("wait for a commit to", error))?.map(drop)
            }
            Task::AwaitReaders(wait) => {
                wait.poll().map_err(|error| database.error("wait for the readers of", error))?
            }
            Task::Copy(pass) => match pass.advance()? {
                TransitionResult::Done(copied) => {
                    self.add(copied);
                    IOResult::Done(())
                }
                TransitionResult::Io(io) => IOResult::IO(io),
                TransitionResult::Continue => return self.go_on(Stage::Exclusively(exclusive, task)),
            },
            Task::AwaitQuietLog(wait) => {
                wait.poll().map_err(|error| log.error("wait for a write to", error))?
            }
            Task::WriteLogHeader(wait) => {
                match wait.poll().map_err(|error| log.error("wait for the header of", error))? {
                    IOResult::Done(written) => {
                        written?;
                        IOResult::Done(())
                    }
                    IOResult::IO(io) => IOResult::IO(io),
                }
            }
            Task::CutLog(wait) => log.ended(wait, "truncate")?,
        };
        match progress {
            IOResult::Done(()) => self.go_on(Stage::Exclusively(exclusive, Task::Look)),
            IOResult::IO(io) => self.suspend(Stage::Exclusively(exclusive, task), io),
        }
    }

    /// Sees to what is next in the way; `None` when nothing is.
    fn look(&self) -> Result<Option<Task>, PagerError> {
        Ok(Some(match self.in_the_way()? {
            InTheWay::Commits(wait) => Task::AwaitCommits(wait),
            InTheWay::Readers(wait, wakes) => {
                wakes.wake();
                Task::AwaitReaders(wait)
            }
            InTheWay::Uncopied(scope) => Task::Copy(Pass::new(&self.pager, scope)),
            InTheWay::LogIo(wait) => Task::AwaitQuietLog(wait),
            InTheWay::NoHeader(header, evicted) => {
                drop(evicted);
                Task::WriteLogHeader(self.pager.write_log_header(&header))
            }
            InTheWay::NothingInLog
                if self.mode == CheckpointMode::Truncate && self.pager.log.len()? > HEADER_SPAN =>
            {
                Task::CutLog(self.pager.cut_log(HEADER_SPAN))
            }
            InTheWay::Nothing | InTheWay::NothingInLog => return Ok(None),
        }))
    }

    fn in_the_way(&self) -> Result<InTheWay, PagerError> {
        let mut state = self.pager.state.lock();
        refuse_if_poisoned(&state)?;
        state.write_lock.go_on();
        if let Some(wait) = state.newest_on_its_way() {
            return Ok(InTheWay::Commits(wait));
        }
        let end = state.log.end;
        if state.log.backfilled < end {
            let obstacle = Obstacle::Before(end);
            if let Some(wait) = state.readers.wait_for(obstacle) {
                return Ok(InTheWay::Readers(wait, state.write_lock.await_readers(obstacle)));
            }
            let scope = Scope::of(&state).expect("no reader is before the end, and the end is not copied");
            return Ok(InTheWay::Uncopied(scope));
        }
        let resets = !state.log.is_empty() && state.log.has_next_generation();
        if self.mode == CheckpointMode::Full || !(resets || state.log.is_empty()) {
            return Ok(InTheWay::Nothing);
        }
        if resets && let Some(wait) = state.readers.wait_for(Obstacle::InLog) {
            return Ok(InTheWay::Readers(wait, state.write_lock.await_readers(Obstacle::InLog)));
        }
        // Of an empty log, a header or a cut may still be in flight for a caller that is gone.
        if let Some(wait) = state.log_io.wait_for_quiet() {
            return Ok(InTheWay::LogIo(wait));
        }
        let evicted = if resets { self.pager.reset_log(&mut state) } else { Evicted::default() };
        match state.log.header_durable {
            true => Ok(InTheWay::NothingInLog),
            false => Ok(InTheWay::NoHeader(state.log.header, evicted)),
        }
    }

    fn end(&self) -> Transition {
        self.report(|state| match self.mode {
            CheckpointMode::Restart | CheckpointMode::Truncate if state.log.is_empty() => {
                CheckpointOutcome::Restarted
            }
            _ if state.log.backfilled == state.log.end => CheckpointOutcome::Complete,
            _ => CheckpointOutcome::Partial,
        })
    }

    fn report(&self, outcome: impl FnOnce(&State) -> CheckpointOutcome) -> Transition {
        let state = self.pager.state.lock();
        let Copied { frames, pages } = self.copied;
        let (outcome, sequence) = (outcome(&state), state.backfilled_sequence);
        Ok(TransitionResult::Done(CheckpointReport { outcome, sequence, frames, pages }))
    }
}
