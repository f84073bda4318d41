//! Processors, priorities and delays of the threads of an epoch, as rr's chaos mode draws them (O'Callahan, "Introducing rr chaos mode").

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::meeting::Draws;

/// The most threads of a crew.
const MOST_THREADS: u64 = 4;

/// What a thread of low priority gives up: others run three times as long. A busy machine would not run one with the most (19) for seconds.
const LOW: i32 = 5;

/// Which processors the threads may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Any.
    Free,
    /// Each its own, as far as there are enough.
    Apart,
    /// The first two the same one.
    Pair,
    /// All the same one.
    Together,
}

/// What is drawn for an epoch.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) threads: usize,
    pub(super) rounds: u64,
    pub(super) place: Place,
    /// By thread: how much of its priority it gives up.
    pub(super) nice: Vec<i32>,
    pub(super) delays: bool,
}

impl Plan {
    pub(super) fn draw(key: u64, perturbed: bool) -> Plan {
        let mut draws = Draws::new(key);
        if !perturbed {
            return Plan { threads: 2, rounds: 64, place: Place::Free, nice: vec![0; 2], delays: false };
        }
        let threads = 2 + draws.below(2) * draws.below(MOST_THREADS - 1);
        let place = match draws.below(8) {
            0..4 => Place::Apart,
            4 => Place::Pair,
            5 => Place::Together,
            _ => Place::Free,
        };
        // One of them at most, and not always: with all of them low none would be.
        let low = draws.below(3 * threads);
        let nice = (0..threads).map(|thread| if thread == low { LOW } else { 0 });
        let nice = nice.collect();
        // Where threads share a processor, or one of them is seldom run, a round takes long.
        let rounds = match place {
            Place::Together | Place::Pair => 4,
            _ if low < threads => 8,
            _ => 64,
        };
        Plan { threads: threads as usize, rounds, place, nice, delays: draws.below(2) == 0 }
    }

    /// Whether threads share a processor on purpose, or because there are too few.
    pub(super) fn shares(&self, processors: usize) -> bool {
        matches!(self.place, Place::Together | Place::Pair) || self.threads > processors
    }

    /// Puts the calling thread in its place; whether the system let it.
    pub(super) fn apply(&self, thread: usize, processors: &[usize]) -> (bool, bool) {
        let own = match self.place {
            Place::Free => None,
            Place::Apart => Some(thread),
            Place::Pair => Some(thread.saturating_sub(1)),
            Place::Together => Some(0),
        };
        let placed = own.is_none_or(|own| {
            let mut set = CpuSet::new();
            processors.get(own % processors.len().max(1)).is_some_and(|&processor| {
                set.set(processor);
                sched_setaffinity(None, &set).is_ok()
            })
        });
        let nice = self.nice.get(thread).copied().unwrap_or(0);
        (placed, nice > 0 && give_up_priority(nice))
    }
}

/// Lowers the calling thread's priority; whether the system let it. On Linux the call is about one thread.
fn give_up_priority(by: i32) -> bool {
    // SAFETY: the call takes numbers alone; 0 is the caller.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, by) == 0 }
}

/// The processors that this process may use.
pub(super) fn processors() -> Vec<usize> {
    let all =
        sched_getaffinity(None).map(|set| (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect());
    all.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_and_a_low_priority_are_drawn_and_a_thread_is_put_there() {
        let plans: Vec<Plan> = (0..64).map(|key| Plan::draw(crate::rng::derive(1, key), true)).collect();
        for place in [Place::Free, Place::Apart, Place::Pair, Place::Together] {
            assert!(plans.iter().any(|plan| plan.place == place), "{place:?}");
        }
        let low = plans.iter().position(|plan| plan.nice.contains(&LOW)).expect("one of 64");
        assert!(plans.iter().any(|plan| plan.threads == 4) && plans.iter().any(|plan| plan.delays));
        let processors = processors();
        let pinned = Plan { place: Place::Together, ..plans[low].clone() };
        let thread = pinned.nice.iter().position(|nice| *nice > 0).expect("a low one");
        let put = move || (pinned.apply(thread, &processors), super::processors().len());
        assert_eq!(std::thread::spawn(put).join().expect("no panic"), ((true, true), 1));
    }
}
