//! Where the threads of a crew wait for each other.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::{Condvar, Mutex};

/// How often a thread looks before it sleeps.
const LOOKS: u32 = 2_000;

/// A barrier that can be broken. What a thread did before it came is visible to all when they go on: they pass one lock, which is
/// parking_lot's, because the sanitizers see that one.
pub(super) struct Barrier {
    members: usize,
    state: Mutex<State>,
    turned: Condvar,
    /// The generation once more, for those that look.
    /// ORDERING: Relaxed. A hint: who has seen it takes the lock.
    generation: AtomicU64,
}

#[derive(Default)]
struct State {
    waiting: usize,
    generation: u64,
    broken: bool,
}

impl Barrier {
    pub(super) fn new(members: usize) -> Barrier {
        Barrier { members, state: Mutex::default(), turned: Condvar::new(), generation: AtomicU64::new(0) }
    }

    /// Waits for all; false if the barrier is broken.
    pub(super) fn wait(&self, looks: bool) -> bool {
        let own = {
            let mut state = self.state.lock();
            state.waiting += 1;
            if state.waiting == self.members {
                state.waiting = 0;
                state.generation += 1;
                self.generation.store(state.generation, Relaxed);
                self.turned.notify_all();
                return !state.broken;
            }
            state.generation
        };
        for _ in 0..if looks { LOOKS } else { 0 } {
            if self.generation.load(Relaxed) != own {
                break;
            }
            std::hint::spin_loop();
        }
        let mut state = self.state.lock();
        while state.generation == own && !state.broken {
            self.turned.wait(&mut state);
        }
        !state.broken
    }

    /// Lets all go that wait, and all that come.
    pub(super) fn break_up(&self) {
        let mut state = self.state.lock();
        state.broken = true;
        // For those that look.
        self.generation.fetch_add(1, Relaxed);
        self.turned.notify_all();
    }

    pub(super) fn is_broken(&self) -> bool {
        self.state.lock().broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_barrier_lets_go_of_those_that_wait() {
        let barrier = Barrier::new(2);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| barrier.wait(true));
            barrier.break_up();
            assert!(!waits.join().expect("no panic"));
        });
        assert!(barrier.is_broken());
    }

    #[test]
    fn all_members_go_on_together_round_after_round() {
        let (barrier, count) = (Barrier::new(3), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for round in 1..=100 {
                        count.fetch_add(1, Relaxed);
                        assert!(barrier.wait(round % 2 == 0));
                        assert_eq!(count.load(Relaxed), 3 * round);
                        assert!(barrier.wait(round % 2 == 1));
                    }
                });
            }
        });
    }
}
