//! Models that are wrong on purpose and have to be caught: a green run means something only while these turn red.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering::Relaxed};
use loom::thread;
use tenterhook_runtime::executor::{Executor, TaskError};
use tenterhook_runtime::{IOResult, Tracked};

use crate::model::Model;
use crate::support::Trace;

pub(crate) fn models() -> Vec<Model> {
    vec![
        Model::canary("canary_touch_after_the_free", "Causality violation", touch_after_the_free),
        Model::canary("canary_race_behind_a_caught_panic", "Causality violation", race_behind_a_caught_panic),
    ]
}

/// An allocation with its mark, as nodes and tasks have it, and who of two is the last to let go.
struct Allocation {
    tracked: UnsafeCell<Option<Tracked>>,
    /// A count of references with its orderings left out.
    one_left: AtomicBool,
}

impl Allocation {
    /// Touches it, and lets go. The last frees it.
    fn let_go(&self) {
        // SAFETY: loom's threads take turns on one thread of the system. The cell is not what is wrong here: `with` is left
        // before the touch, so that loom looks at the mark alone.
        let tracked = self.tracked.with(|tracked| unsafe { (*tracked).as_ref().map(std::ptr::from_ref) });
        // SAFETY: it is there until the last lets go.
        unsafe { &*tracked.expect("not freed yet") }.touch();
        if self.one_left.swap(true, Relaxed) {
            // SAFETY: as above; the other has let go, though nothing makes its touch happen before this.
            drop(unsafe { std::ptr::read(tracked.expect("not freed yet")) });
        }
    }
}

// SAFETY: loom checks every access for races, which is the point.
unsafe impl Send for Allocation {}
// SAFETY: as above.
unsafe impl Sync for Allocation {}

/// The last reference goes while another's touch is not ordered before it: what a Relaxed count of references allows.
fn touch_after_the_free() {
    let allocation = Arc::new(Allocation {
        tracked: UnsafeCell::new(Some(Tracked::new())),
        one_left: AtomicBool::new(false),
    });
    let other = Arc::clone(&allocation);
    let letting_go = thread::spawn(move || other.let_go());
    allocation.let_go();
    letting_go.join().unwrap();
    // Freed above, and not again.
    // SAFETY: both threads are through.
    allocation.tracked.with_mut(|tracked| unsafe { std::ptr::write(tracked, None) });
}

/// A machine races with the thread that spawned it. The executor contains the panic that reports it, and the task ends
/// like one that panicked by itself, which this model takes for good.
fn race_behind_a_caught_panic() {
    let executor = Executor::new(1);
    let trace = Trace::new();
    let machines = trace.clone();
    let mut task = executor.spawn(move || {
        machines.mark();
        Ok::<_, Infallible>(IOResult::Done(()))
    });
    // Whichever comes second reports the race.
    let _ = catch_unwind(AssertUnwindSafe(|| trace.mark()));
    executor.drain();
    assert!(matches!(task.try_take(), Some(Ok(()) | Err(TaskError::Panicked(_)))));
}
