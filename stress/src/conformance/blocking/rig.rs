//! An adapter, the disk behind it, and who ends the disk's operations.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use tenterhook_runtime::io::IO;

use super::super::rig::OFTEN;
use super::Adapter;
use crate::blocking::{After, Call, Gone, Hand, Job, Stand};
use crate::disk::{DiskOptions, FaultKind, FaultPlan, SimDisk};
use crate::panics;
use crate::schedule::FiberId;
use crate::tape::{Actor, Source};
use crate::trace::Trace;

/// How an adapter is made for one life.
pub(super) type Make<'a, A> = &'a dyn Fn(&SimDisk, &Arc<dyn IO>) -> A;

/// Connections, each of which is a process where locks are concerned.
const FIBERS: FiberId = 2;
/// More operations of the disk for one call come from an adapter that calls without end.
const PATIENCE: u32 = 10_000;

pub(super) struct Rig<'a, A: Adapter> {
    make: Make<'a, A>,
    pub(super) disk: SimDisk,
    pub(super) adapter: Arc<A>,
    hand: Hand,
    now: u64,
    trace: Trace,
}

/// What a call has returned, or its panic.
type Returned<R> = Arc<Mutex<Option<Result<R, String>>>>;

/// A call of the adapter that stands at a scheduling point, and what it will have returned.
pub(super) struct UnderWay<R> {
    fiber: FiberId,
    stand: Stand,
    result: Returned<R>,
}

impl<R> UnderWay<R> {
    pub(super) fn waits(&self) -> bool {
        matches!(self.stand, Stand::Waits(_))
    }
}

impl<'a, A: Adapter> Rig<'a, A> {
    /// A fresh disk without faults, which strike with those of `faults` once [`Rig::strike`] has said so.
    pub(super) fn new(make: Make<'a, A>, seed: u64, faults: &[FaultKind]) -> Self {
        let mut plan = FaultPlan::NONE;
        for &fault in faults {
            plan.set(fault, OFTEN);
        }
        let options = DiskOptions { faults: plan, ..DiskOptions::default() };
        let disk = SimDisk::new(options, Source::Seed(seed).stream(Actor::DISK, false));
        disk.set_calm(true);
        let adapter = Arc::new(make(&disk, &disk.io()));
        Rig { make, disk, adapter, hand: Hand::new(FIBERS), now: 0, trace: Trace::new(false) }
    }

    /// From here on faults strike, or not.
    pub(super) fn strike(&self, strikes: bool) {
        self.disk.set_calm(!strikes);
    }

    /// Begins a call of the adapter in the thread of `fiber`, up to its first scheduling point.
    pub(super) fn begin<R: Send + 'static>(
        &mut self,
        fiber: FiberId,
        call: impl FnOnce(&A, &Call) -> R + Send + 'static,
    ) -> UnderWay<R> {
        let result: Returned<R> = Arc::default();
        let (adapter, returned) = (Arc::clone(&self.adapter), Arc::clone(&result));
        let job: Job = Box::new(move |here| {
            *returned.lock() = match catch_unwind(AssertUnwindSafe(|| call(&adapter, here))) {
                Ok(result) => Some(Ok(result)),
                Err(payload) if payload.is::<Gone>() => None,
                Err(payload) => Some(Err(panics::message(payload.as_ref()))),
            };
            Ok(After::Ended)
        });
        UnderWay { fiber, stand: self.hand.begin(fiber, job), result }
    }

    /// Takes a call to its end, and ends what it waits for.
    pub(super) fn finish<R>(&mut self, mut under_way: UnderWay<R>) -> Result<R, String> {
        for _ in 0..PATIENCE {
            match under_way.stand {
                Stand::Ready => {}
                Stand::Waits(completion) => {
                    while !completion.finished() {
                        self.deliver()?;
                    }
                }
                Stand::Over(Err(violation)) => return Err(violation.to_string()),
                Stand::Over(Ok(())) => {
                    let returned = under_way.result.lock().take();
                    let returned = returned.ok_or("a call ends, and returns nothing")?;
                    return returned.map_err(|panic| format!("it panics: {panic}"));
                }
                Stand::Lost => {
                    return Err(
                        "a call does not come back: it blocks outside of the disk, or has no end".into()
                    );
                }
            }
            under_way.stand = self.hand.go_on(under_way.fiber);
        }
        Err(format!("a call has no end: after {PATIENCE} scheduling points there are more"))
    }

    /// Ends the operation of the disk that is due first.
    fn deliver(&mut self) -> Result<(), String> {
        self.now += 1;
        let mut status = self.disk.begin_step(self.now, &mut self.trace);
        if status.due == 0 {
            self.now = status.next_due.ok_or("a call waits for something that is not of the disk")?;
            status = self.disk.begin_step(self.now, &mut self.trace);
        }
        if status.due > 0 {
            self.disk.deliver(0);
        }
        Ok(())
    }

    /// Ends what is in flight.
    pub(super) fn settle(&mut self) -> Result<(), String> {
        while self.disk.load().0 > 0 {
            self.deliver()?;
        }
        Ok(())
    }

    /// A whole call of the first connection.
    pub(super) fn call<R: Send + 'static>(
        &mut self,
        call: impl FnOnce(&A, &Call) -> R + Send + 'static,
    ) -> Result<R, String> {
        self.call_as(0, call)
    }

    /// A whole call of one connection.
    pub(super) fn call_as<R: Send + 'static>(
        &mut self,
        fiber: FiberId,
        call: impl FnOnce(&A, &Call) -> R + Send + 'static,
    ) -> Result<R, String> {
        let under_way = self.begin(fiber, call);
        self.finish(under_way)
    }

    /// The power goes, and comes back: another life, with another adapter.
    pub(super) fn lose_power(&mut self) {
        drop(self.disk.lose_power());
        self.adapter = Arc::new((self.make)(&self.disk, &self.disk.io()));
    }

    /// The process dies while a call is under way, which is taken to its end. `None` if it unwinds. The adapter of the next life is not
    /// made.
    pub(super) fn kill_during<R>(&mut self, mut under_way: UnderWay<R>) -> Result<Option<R>, String> {
        drop(self.disk.kill_process());
        self.hand.set_gone(true);
        while matches!(under_way.stand, Stand::Ready | Stand::Waits(_)) {
            under_way.stand = self.hand.go_on(under_way.fiber);
        }
        if matches!(under_way.stand, Stand::Over(Ok(()))) && under_way.result.lock().is_none() {
            return Ok(None);
        }
        self.finish(under_way).map(Some)
    }

    /// What the disk has under the name.
    pub(super) fn content(&self, name: &str) -> Option<Vec<u8>> {
        let path: &Path = &self.adapter.path(name);
        self.disk.content(path)
    }

    pub(super) fn delivered(&self, fault: FaultKind) -> u64 {
        self.disk.fault_counts().delivered(fault)
    }
}
