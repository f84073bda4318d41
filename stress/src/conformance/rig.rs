//! An adapter, the disk behind it, and who ends the disk's operations.

use std::sync::Arc;

use tenterhook_runtime::io::IO;

use super::{Adapter, Request};
use crate::disk::{DiskOptions, FaultKind, FaultPlan, SimDisk};
use crate::tape::{Actor, Chance, Source};
use crate::trace::Trace;

/// How an adapter is made for one life.
pub(super) type Make<'a, A> = &'a dyn Fn(&SimDisk, &Arc<dyn IO>) -> A;

/// How often each kind of fault strikes that a behaviour asks for.
pub(super) const OFTEN: Chance = Chance::per_mille(300);
/// More deliveries than this come from an adapter that submits without end.
const PATIENCE: u32 = 10_000;
/// The file of most behaviours.
pub(super) const NAME: &str = "file";

/// What a behaviour came to in one seed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Kept,
    /// The engine's trait has no such thing.
    Absent,
}

/// What was seen, or what the adapter did wrong.
pub(super) type Verdict = Result<Seen, String>;

pub(super) struct Rig<'a, A: Adapter> {
    make: Make<'a, A>,
    pub(super) disk: SimDisk,
    pub(super) adapter: A,
    now: u64,
    trace: Trace,
}

/// A byte that depends on where it is and on which write it belongs to.
pub(super) fn pattern(of: u8, offset: u64, len: usize) -> Vec<u8> {
    let byte = |place: u64| (place.wrapping_mul(2_654_435_761) >> 7) as u8 ^ of.wrapping_mul(67);
    (offset..offset + len as u64).map(byte).collect()
}

impl<'a, A: Adapter> Rig<'a, A> {
    /// A fresh disk without faults, which strike with those of `faults` once [`Rig::strike`] has said so.
    pub(super) fn new(make: Make<'a, A>, seed: u64, faults: &[FaultKind], at_once: bool) -> Self {
        let mut plan = FaultPlan::NONE;
        for &fault in faults {
            plan.set(fault, OFTEN);
        }
        let immediate = if at_once { Chance::per_mille(1_000) } else { Chance::NEVER };
        // Without delays operations are due in the order in which they were submitted.
        let options =
            DiskOptions { max_delay: 1, max_sync_delay: 1, max_read_delay: 1, immediate, faults: plan };
        let disk = SimDisk::new(options, Source::Seed(seed).stream(Actor::DISK, false));
        disk.set_calm(true);
        let adapter = make(&disk, &disk.io());
        Rig { make, disk, adapter, now: 0, trace: Trace::new(false) }
    }

    /// From here on faults strike, or not.
    pub(super) fn strike(&self, strikes: bool) {
        self.disk.set_calm(!strikes);
    }

    pub(super) fn open(&mut self, name: &str) -> Result<A::File, String> {
        let opened = self.adapter.open(name);
        opened.map_err(|error| format!("without a fault it does not open a file: {error}"))
    }

    /// Operations of the disk that are in flight, all of them due.
    pub(super) fn due(&mut self) -> u32 {
        self.now += 1;
        self.disk.begin_step(self.now, &mut self.trace).due
    }

    /// Ends the operation that was submitted as number `index` of those in flight.
    pub(super) fn deliver(&mut self, index: u32) {
        self.due();
        self.disk.deliver(index);
    }

    /// Ends what is in flight, and what comes of that, in the order of submission.
    pub(super) fn settle(&mut self) -> Result<(), String> {
        for _ in 0..PATIENCE {
            if self.due() == 0 {
                // What takes longer, such as an operation that is stuck.
                match self.disk.begin_step(self.now, &mut self.trace).next_due {
                    Some(next) => self.now = next,
                    None => return Ok(()),
                }
            }
            self.disk.deliver(0);
        }
        Err(format!("it submits without end: after {PATIENCE} operations of the disk more are in flight"))
    }

    /// Submits, and sees that the disk has it.
    pub(super) fn begin(&mut self, file: &A::File, request: Request<'_>) -> Result<A::Operation, String> {
        let before = self.disk.load().1;
        let operation = self.adapter.submit(file, request);
        if self.disk.load().1 == before && self.adapter.ends(&operation) == 0 {
            return Err(format!("{} was submitted, and the disk was asked for nothing", what(request)));
        }
        Ok(operation)
    }

    /// Submits, ends everything, and returns the outcome.
    pub(super) fn run(
        &mut self,
        file: &A::File,
        request: Request<'_>,
    ) -> Result<Result<u64, String>, String> {
        Ok(self.run_with(file, request)?.1)
    }

    /// The same, with the operation.
    pub(super) fn run_with(
        &mut self,
        file: &A::File,
        request: Request<'_>,
    ) -> Result<(A::Operation, Result<u64, String>), String> {
        let operation = self.begin(file, request)?;
        self.settle()?;
        let outcome = self.ended(&operation, request)?;
        Ok((operation, outcome))
    }

    /// The outcome of an operation that must have ended, told once.
    pub(super) fn ended(
        &self,
        operation: &A::Operation,
        request: Request<'_>,
    ) -> Result<Result<u64, String>, String> {
        match (self.adapter.ends(operation), self.adapter.outcome(operation)) {
            (0, None) => {
                Err(format!("{} has ended on the disk, and the engine is never told", what(request)))
            }
            (0, Some(_)) => {
                Err(format!("{} has ended on the disk, and the engine is not woken", what(request)))
            }
            (_, None) => Err(format!("the engine is told that {} has ended, and not how", what(request))),
            (1, Some(outcome)) => Ok(outcome),
            (times, _) => Err(format!("the engine is told {times} times that {} has ended", what(request))),
        }
    }

    /// The same of one that must have ended well.
    pub(super) fn done(&mut self, file: &A::File, request: Request<'_>) -> Result<u64, String> {
        let outcome = self.run(file, request)?;
        outcome.map_err(|error| format!("{} fails without a fault: {error}", what(request)))
    }

    /// Writes `len` bytes of the pattern `of` at `offset`, without faults.
    pub(super) fn fill(&mut self, file: &A::File, of: u8, offset: u64, len: usize) -> Result<(), String> {
        let bytes = pattern(of, offset, len);
        self.done(file, Request::Write { offset, bytes: &bytes }).map(drop)
    }

    /// Whether the engine was told that an operation has ended.
    pub(super) fn is_told(&self, operation: &A::Operation) -> bool {
        self.adapter.ends(operation) > 0 || self.adapter.outcome(operation).is_some()
    }

    /// What the disk has under the name.
    pub(super) fn content(&self, name: &str) -> Vec<u8> {
        self.disk.content(&self.adapter.path(name)).unwrap_or_default()
    }

    /// The power goes, and comes back: another life, with another adapter. The old one is dropped.
    pub(super) fn lose_power(&mut self) {
        drop(self.disk.lose_power());
        self.adapter = (self.make)(&self.disk, &self.disk.io());
    }

    /// The process dies. The adapter stays, to see what it tells the engine then.
    pub(super) fn kill_process(&self) {
        drop(self.disk.kill_process());
    }
}

/// A request, for people.
pub(super) fn what(request: Request<'_>) -> String {
    match request {
        Request::Read { offset, len } => format!("a read of {len} bytes at {offset}"),
        Request::Write { offset, bytes } => format!("a write of {} bytes at {offset}", bytes.len()),
        Request::Sync => "a sync".into(),
        Request::Truncate { len } => format!("a truncation to {len} bytes"),
    }
}
