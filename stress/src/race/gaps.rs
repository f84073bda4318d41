//! After how many synchronisation operations a thread is stopped, where that is drawn.

use crate::schedule::SchedulerKind;
use crate::tape::{ChoicePoint, Stream};

/// Operations until a thread is stopped; 0 for never.
const GAP: ChoicePoint = ChoicePoint::new(5, "operations until a thread is stopped");

/// Draws gaps as suits a scheduler. Its choice among threads is its own affair.
#[derive(Debug)]
pub(super) struct Gaps {
    kind: SchedulerKind,
    depth: u32,
    weight: u32,
    /// Synchronisation operations of jobs that have ended, and those jobs: the length of a job is estimated from them.
    operations: u64,
    jobs: u64,
    /// What is left of a gap that goes on across jobs.
    left: u32,
}

impl Gaps {
    pub(super) fn new(kind: SchedulerKind, depth: u32, weight: u32) -> Gaps {
        Gaps { kind, depth, weight, operations: 0, jobs: 0, left: 0 }
    }

    /// A job of so many operations has ended.
    pub(super) fn learn(&mut self, operations: u32) {
        self.operations += u64::from(operations);
        self.jobs += 1;
    }

    /// Operations of a job, as far as is known in this run.
    fn estimate(&self) -> u32 {
        const FIRST: u32 = 32;
        let mean = self.operations.checked_div(self.jobs).map_or(FIRST, |mean| mean as u32);
        mean.clamp(2, 1 << 16)
    }

    /// How many operations the next slice has; a job that has had `done` goes on.
    pub(super) fn draw(&mut self, done: u32, others: u32, stream: &mut Stream) -> u32 {
        match self.kind {
            SchedulerKind::Random => {
                // Some runs stop their threads all the time, others once in a while.
                let bound = 16 << (2 * (self.weight % 4));
                self.carry(|_| stream.mostly_small(GAP, bound))
            }
            SchedulerKind::Pos => self.carry(|_| stream.mostly_small(GAP, 16)),
            SchedulerKind::Pct | SchedulerKind::DelayBounded => {
                // On average d - 1 change points fall on as many operations as all threads have jobs at a time.
                if self.depth <= 1 && self.kind == SchedulerKind::Pct {
                    return u32::MAX;
                }
                let (depth, jobs) = (self.depth.max(2) - 1, 1 + others);
                self.carry(|estimate| stream.choose(GAP, 2 * estimate * jobs / depth))
            }
            SchedulerKind::RoundRobin => 1 << (self.weight % 8),
            SchedulerKind::Urw => {
                // Each operation belongs to a thread that is drawn by how many it has left. A slice is over when another thread is
                // drawn, so its length has a geometric distribution.
                let left = self.estimate().saturating_sub(done).max(1);
                let all = left + others * self.estimate();
                let drawn = u64::from(stream.choose(GAP, 1 << 16));
                let (mut slice, mut stays) = (1, 1_u64 << 16);
                while slice < left {
                    stays = stays * u64::from(left) / u64::from(all);
                    if drawn >= stays {
                        return slice;
                    }
                    slice += 1;
                }
                u32::MAX
            }
            SchedulerKind::Exhaustive | SchedulerKind::Lockstep => u32::MAX,
        }
    }

    /// A gap that no job ends: what one leaves is the next one's.
    fn carry(&mut self, draw: impl FnOnce(u32) -> u32) -> u32 {
        if self.left == 0 {
            self.left = match draw(self.estimate()) {
                0 => u32::MAX,
                gap => gap,
            };
        }
        self.left
    }

    /// A slice had so many operations.
    pub(super) fn spend(&mut self, operations: u32) {
        if self.left == u32::MAX {
            // Nothing stops this job; the next one draws again.
            self.left = 0;
        }
        self.left = self.left.saturating_sub(operations);
    }
}
