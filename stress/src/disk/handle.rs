//! What the system under test holds of the disk.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Weak};

use tenterhook_runtime::CompletionError;
use tenterhook_runtime::io::{
    Canceller, Descriptor, File, IO, InFlight, IoError, OpenOptions, OperationKind, Submission,
};

use super::file::Claim;
use super::queue::Pending;
use super::{BESIDE, CANCEL, DELAY, FAULT, IMMEDIATE, LEN_BITS, OPEN, REFUSE, STUCK, Shared, State};
use crate::disk::{FaultKind, Flippable};
use crate::tape::{Address, Stage};
use crate::trace::EventKind;

/// The disk for one life of the system.
#[derive(Debug)]
pub(super) struct SimIO {
    pub(super) shared: Arc<Shared>,
    pub(super) life: u64,
}

/// An open file in one life of the system.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    life: u64,
    file: u32,
    /// Of a file that is opened exclusively.
    claim: Option<Claim>,
}

/// The answer to a handle of a life before the power loss.
const DEAD: CompletionError = CompletionError::Io { kind: ErrorKind::NotConnected, os_code: 0 };

/// A handle of `file` in the life `life`.
pub(super) fn handle(shared: &Arc<Shared>, life: u64, file: u32) -> Arc<dyn File> {
    Arc::new(Handle { shared: Arc::clone(shared), life, file, claim: None })
}

impl IO for SimIO {
    fn open(&self, path: &Path, options: OpenOptions) -> Result<Arc<dyn File>, IoError> {
        let mut state = self.shared.lock();
        if state.life != self.life {
            return Err(refusal("open", path, ErrorKind::NotConnected));
        }
        state.begin_call();
        let chance = state.odds.open;
        if state.stream.happens(OPEN, chance) {
            state.counts.strike(FaultKind::OpenError);
            return Err(refusal("open", path, ErrorKind::Other));
        }
        let file = match state.names.get(path) {
            Some(&file) => file,
            None if options.create => state.create(path),
            None => return Err(refusal("open", path, ErrorKind::NotFound)),
        };
        let claim = if options.exclusive {
            let claim = state.files[file as usize].claim();
            Some(claim.ok_or_else(|| IoError::locked(path, 0))?)
        } else {
            None
        };
        Ok(Arc::new(Handle { shared: Arc::clone(&self.shared), life: self.life, file, claim }))
    }

    fn remove(&self, path: &Path) -> Result<(), IoError> {
        let mut state = self.shared.lock();
        if state.life != self.life {
            return Err(refusal("remove", path, ErrorKind::NotConnected));
        }
        let file = state.names.remove(path).ok_or_else(|| refusal("remove", path, ErrorKind::NotFound))?;
        state.begin_call();
        state.name_changed(path, file, false);
        Ok(())
    }

    fn exists(&self, path: &Path) -> bool {
        let state = self.shared.lock();
        state.life == self.life && state.names.contains_key(path)
    }

    /// Delivers what is due, or else what will be due next, in order. The world never calls this; it is for driving
    /// one machine on one thread.
    fn step(&self) -> Result<usize, IoError> {
        let disk = super::SimDisk { shared: Arc::clone(&self.shared) };
        let mut state = self.shared.lock();
        if let Some(next) = state.queue.next_due() {
            state.now = state.now.max(next);
        }
        let now = state.now;
        state.queue.mature(now);
        let due = state.due_for_step();
        drop(state);
        for &token in &due {
            let Some(index) = self.shared.lock().note_ended(token) else { continue };
            disk.deliver(index);
        }
        Ok(due.len())
    }
}

impl File for Handle {
    fn submit(&self, submission: Submission) {
        let descriptor = submission.descriptor();
        let mut state = self.shared.lock();
        if state.life != self.life {
            drop(state);
            return submission.fail(DEAD);
        }
        let address = state.begin_call();
        let refuse = state.odds.refuse;
        if state.stream.happens(REFUSE, refuse) {
            state.counts.strike(FaultKind::SubmitRefused);
            drop(state);
            return submission.fail(CompletionError::Io { kind: ErrorKind::Other, os_code: 5 });
        }
        let token = state.submitted;
        state.submitted += 1;
        drop(state);
        // Not under the lock: starting may run the callback of an operation that was cancelled before.
        let canceller: Weak<dyn Canceller> = Arc::downgrade(&self.shared) as Weak<dyn Canceller>;
        if let Ok(operation) = submission.start(Some((canceller, token))) {
            let mut state = self.shared.lock();
            // A callback may have called meanwhile.
            state.go_on_with(address);
            state.enqueue(operation, descriptor, token, address, self);
            let chance = state.odds.immediate;
            let at_once = state.stream.happens(IMMEDIATE, chance) && !state.queue.is_stuck(token);
            if at_once {
                drop(state);
                super::SimDisk { shared: Arc::clone(&self.shared) }.deliver_at_once(token);
            } else {
                state.note_begun(address);
            }
        }
    }

    fn len(&self) -> Result<u64, CompletionError> {
        let state = self.shared.lock();
        if state.life != self.life { Err(DEAD) } else { Ok(state.files[self.file as usize].current.len()) }
    }
}

impl Canceller for Shared {
    fn cancel(&self, token: u64) {
        let mut state = self.lock();
        let state = &mut *state;
        let (now, odds, has_calls) = (state.now, state.odds.cancel, state.calls.is_some());
        let (stream, counts) = (&mut state.stream, &mut state.counts);
        state.queue.hasten(token, now, |pending| {
            if has_calls {
                stream.enter(pending.address.at(Stage::cancelled(pending.cancels)));
                pending.cancels += 1;
            }
            // Nothing else ends what is stuck.
            if pending.fault == Some(FaultKind::Stuck) || stream.happens(CANCEL, odds) {
                counts.request(FaultKind::Cancelled);
                pending.fault = Some(FaultKind::Cancelled);
            }
        });
    }
}

impl State {
    fn create(&mut self, path: &Path) -> u32 {
        let file = self.files.len() as u32;
        self.files.push(super::SimFile::default());
        self.names.insert(path.to_owned(), file);
        self.name_changed(path, file, true);
        file
    }

    fn enqueue(
        &mut self,
        mut operation: InFlight,
        descriptor: Descriptor,
        token: u64,
        address: Address,
        handle: &Handle,
    ) {
        let file = handle.file;
        let fault = match descriptor.kind {
            OperationKind::Read if self.opening => self.odds.read_at_opening.draw(&mut self.stream, FAULT),
            OperationKind::Read => self.odds.read.draw(&mut self.stream, FAULT),
            OperationKind::Write => self.odds.write.draw(&mut self.stream, FAULT),
            OperationKind::Sync => self.odds.sync.draw(&mut self.stream, FAULT),
            OperationKind::Truncate => self.odds.truncate.draw(&mut self.stream, FAULT),
        };
        let fault = fault.filter(|&fault| fault != FaultKind::BitFlip || self.is_flippable(file));
        let longest = match descriptor.kind {
            OperationKind::Sync if !self.calm => self.options.max_sync_delay,
            OperationKind::Read if !self.calm => self.options.max_read_delay,
            _ => self.options.max_delay,
        };
        let in_turns = self.calls.as_ref().is_some_and(|calls| calls.in_turns);
        let mut delay = if in_turns { 0 } else { u64::from(self.stream.mostly_small(DELAY, longest)) };
        if let Some(fault) = fault {
            self.counts.request(fault);
            // In turns it is held by its number, like all that is late.
            if fault == FaultKind::Stuck && !in_turns {
                delay += STUCK;
            }
        }
        if descriptor.kind == OperationKind::Sync {
            self.fail_sync_beside(file);
        }
        let covered = self.files[file as usize].next_change();
        let due_at = self.now + delay;
        let sample = self.sample(&mut operation, file);
        let mut pending = Pending {
            operation,
            token,
            file,
            _claim: handle.claim.clone(),
            fault,
            sample,
            covered,
            due_at,
            address,
            turn: self.turn(),
            cancels: 0,
            changes: 0,
        };
        self.log(EventKind::Submitted, &mut pending, descriptor.offset << LEN_BITS | descriptor.len);
        self.queue.insert(pending, self.now);
    }

    /// Another sync of `file` begins.
    fn fail_sync_beside(&mut self, file: u32) {
        let chance = self.odds.beside;
        let Some(running) = self.queue.sync_of(file) else { return };
        if self.stream.happens(BESIDE, chance) {
            running.fault = Some(FaultKind::SyncDropped);
            self.counts.request(FaultKind::SyncDropped);
        }
    }

    fn is_flippable(&self, file: u32) -> bool {
        match &self.flippable {
            Flippable::Nothing => false,
            Flippable::Everything => true,
            Flippable::Only(path) => self.names.get(path) == Some(&file),
        }
    }
}

fn refusal(operation: &'static str, path: &Path, kind: ErrorKind) -> IoError {
    IoError { operation, path: Some(path.to_owned()), kind, os_code: 0 }
}
