//! Locks that are the engine's own: threads that sleep in them.
//!
//! A thread that has the token may sleep in a lock that a thread without the token holds. All threads of the run then sleep. The world sees
//! this, stops the sleeper where it is, and steps another fiber. The sleeper is stepped again once the word for which it waits has
//! changed, at a moment that the tape decides. So a run stays a function of its tape.
//!
//! That the thread sleeps is no question of time. It is looked at again and again, and the verdict is given when no thread of the whole
//! process but the world's can run: then none is left that would wake it. The threads of other runs of the process are kept from their
//! turns for that moment.

use std::collections::BTreeSet;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use super::gate::{Gate, Stop};
use super::kernel::{self, Sleep, Thread, Wait};

/// Each turn of a thread, of any run, is taken under this for reading. Who judges takes it for writing.
pub(super) static TURNS: RwLock<()> = RwLock::new(());
/// The threads of all runs: those that serve fibers, and those of worlds.
static OURS: Mutex<BTreeSet<Thread>> = Mutex::new(BTreeSet::new());

/// A thread that has the token for longer is looked at.
pub(super) const LOOK_AFTER: Duration = Duration::from_micros(500);
/// The time between two attempts to find all threads asleep.
const PAUSE: Duration = Duration::from_micros(50);

/// The counter of runs whose order may not have been the tape's alone.
pub(crate) const NOT_PROVEN: &str = "runs not proven deterministic";

/// Sleeps of a run, and what is known of them.
#[derive(Debug)]
pub(super) struct Foreign {
    /// Threads of the process when the run began. Others that are not ours are the engine's.
    before: BTreeSet<Thread>,
    pub(super) sleeps: u64,
    /// Why the order of this run may not have been the tape's alone.
    pub(super) doubt: Option<&'static str>,
    /// The same, until it has been said in the timeline.
    pub(super) unsaid: Option<&'static str>,
}

impl Foreign {
    /// In the world's thread.
    pub(super) fn new() -> Foreign {
        OURS.lock().insert(kernel::this());
        Foreign { before: kernel::threads(), sleeps: 0, doubt: None, unsaid: None }
    }

    fn doubts(&mut self, doubt: &'static str) {
        if self.doubt.is_none() {
            (self.doubt, self.unsaid) = (Some(doubt), Some(doubt));
        }
    }

    /// Looks at `thread`, which had the token a moment ago. If it sleeps and nobody is left to wake it, it is stopped. `None`: it goes on
    /// by itself.
    pub(super) fn look(&mut self, thread: Thread, gate: &Gate, patience: Duration) -> Option<Sleep> {
        let sleep = match kernel::wait_of(thread) {
            Wait::None => return None,
            Wait::Timed => {
                self.doubts("a thread waits in a lock of the engine with a time limit");
                return None;
            }
            Wait::Word(sleep) => sleep,
        };
        let _alone = TURNS.write();
        self.judge(thread, sleep, patience)?;
        match gate.stop(thread, patience) {
            Stop::Stopped => Some(sleep),
            Stop::Declined => {
                self.doubts("a thread was woken by another one that the tester does not know");
                None
            }
            Stop::Silent => None,
        }
    }

    /// `None` if the thread wakes.
    fn judge(&mut self, thread: Thread, sleep: Sleep, patience: Duration) -> Option<()> {
        let mut waited = Duration::ZERO;
        loop {
            let first = kernel::all_asleep();
            if kernel::wait_of(thread) != Wait::Word(sleep) {
                return None;
            }
            if first.is_some() && first == kernel::all_asleep() {
                let ours = OURS.lock();
                let is_known = |thread: &Thread| ours.contains(thread) || self.before.contains(thread);
                if !first.iter().flatten().all(|(thread, _)| is_known(thread)) {
                    self.doubts("the engine has threads of its own");
                }
                return Some(());
            }
            if waited >= patience {
                return None;
            }
            std::thread::park_timeout(PAUSE);
            waited += PAUSE;
        }
    }
}

/// The present thread serves a fiber, and can be stopped.
pub(super) struct Here;

impl Here {
    /// # Safety
    ///
    /// The gate outlives what is returned.
    pub(super) unsafe fn new(gate: &Gate) -> Here {
        // SAFETY: as demanded above; `drop` leaves it.
        unsafe { gate.settle() };
        OURS.lock().insert(kernel::this());
        Here
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        OURS.lock().remove(&kernel::this());
        Gate::leave();
    }
}
