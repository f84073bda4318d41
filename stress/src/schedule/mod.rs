//! Who goes next: small, interchangeable schedulers.
//!
//! A scheduler holds the fibers that can run and chooses between them and the I/O that the disk could deliver. All
//! that it draws comes from its stream of the tape, and 0 always means "go on with what ran last". It never scans all
//! fibers: with ten thousand of them a step must cost what it costs with ten.

mod delay_bounded;
mod exhaustive;
mod lockstep;
mod pct;
mod pos;
mod random;
mod round_robin;
mod transcript;
mod turns;

pub use delay_bounded::DelayBounded;
pub use exhaustive::Exhaustive;
pub use lockstep::Lockstep;
pub use pct::Pct;
pub use pos::Pos;
pub use random::UniformRandom;
pub use round_robin::RoundRobin;
pub(crate) use transcript::Transcript;
pub(crate) use turns::{NextDelivery, Turns};

use crate::tape::{ChoicePoint, Stream};

/// A fiber's number, from 0.
pub type FiberId = u32;

/// Which runnable fiber.
pub(crate) const FIBER: ChoicePoint = ChoicePoint::new(0, "fiber");
/// Which of the deliverable operations.
const DELIVERY: ChoicePoint = ChoicePoint::new(1, "delivery");
/// A fiber or a delivery.
const CLASS: ChoicePoint = ChoicePoint::new(2, "class");
/// The priority of an operation that begins.
const PRIORITY: ChoicePoint = ChoicePoint::new(3, "priority");
/// How many steps until the next change of priorities.
const CHANGE: ChoicePoint = ChoicePoint::new(4, "change");

/// Why a fiber can run.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It stands between two operations.
    Fresh,
    /// What it waited for has finished.
    Woken,
    /// It was stepped and can go straight on.
    Continued,
    /// It asked that others be stepped first.
    Yielded,
    /// Its thread was stopped in the middle of a step, so that another one may go on.
    Stopped,
}

/// What a scheduler chose.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Pick {
    /// Step this fiber.
    Fiber(FiberId),
    /// Deliver this one of the operations that are due, counted from the one that was due first.
    Delivery(u32),
}

/// Chooses who goes next.
pub trait Scheduler: Send {
    /// `fiber` can run. It is told once, and again after each time it was picked.
    fn ready(&mut self, fiber: FiberId, why: Readiness, stream: &mut Stream);

    /// Chooses among the ready fibers, taking out the one chosen, and `due` deliverable operations. `None` if there
    /// is neither.
    fn pick(&mut self, due: u32, stream: &mut Stream) -> Option<Pick>;

    /// Forgets all fibers: power was lost.
    fn clear(&mut self);

    /// Between how many each choice was, if this is the exhaustive scheduler.
    fn branching(&mut self) -> Option<Vec<u32>> {
        None
    }
}

/// The schedulers by name.
#[derive(Copy, Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[derive(strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum SchedulerKind {
    /// Every choice is equally likely.
    Random,
    /// Each in turn, the disk too; draws nothing.
    RoundRobin,
    /// Strict priorities that change at a few drawn points (PCT).
    Pct,
    /// A priority for each step, drawn again for steps that may conflict with the one that ran (POS).
    Pos,
    /// First come, first served, with a few drawn delays.
    DelayBounded,
    /// One choice per step: depth-first search over all schedules of a tiny run.
    Exhaustive,
    /// With threads: whose operation is next is drawn by how many each has left (URW).
    Urw,
    /// Each in turn, and all I/O in order before the next step: what plainer testers do.
    Lockstep,
}

impl SchedulerKind {
    /// All of them.
    pub const ALL: [SchedulerKind; 8] = [
        SchedulerKind::Random,
        SchedulerKind::RoundRobin,
        SchedulerKind::Pct,
        SchedulerKind::Pos,
        SchedulerKind::DelayBounded,
        SchedulerKind::Exhaustive,
        SchedulerKind::Urw,
        SchedulerKind::Lockstep,
    ];

    /// Those that the seed draws from: what one misses another finds.
    pub const PORTFOLIO: [SchedulerKind; 5] = [
        SchedulerKind::Random,
        SchedulerKind::RoundRobin,
        SchedulerKind::Pct,
        SchedulerKind::Pos,
        SchedulerKind::DelayBounded,
    ];

    /// Those that the seed draws from in a run with threads.
    pub const WITH_THREADS: [SchedulerKind; 6] = [
        SchedulerKind::Random,
        SchedulerKind::Urw,
        SchedulerKind::Pct,
        SchedulerKind::Pos,
        SchedulerKind::DelayBounded,
        SchedulerKind::RoundRobin,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// A scheduler of this kind. `delivery_weight` is how many of 16 decisions between a fiber and a delivery go to
    /// the delivery; `depth` is the d of PCT.
    pub fn build(self, delivery_weight: u32, depth: u32) -> Box<dyn Scheduler> {
        match self {
            SchedulerKind::Random | SchedulerKind::Urw => Box::new(UniformRandom::new(delivery_weight)),
            SchedulerKind::RoundRobin => Box::new(RoundRobin::default()),
            SchedulerKind::Pct => Box::new(Pct::new(depth)),
            SchedulerKind::Pos => Box::new(Pos::default()),
            SchedulerKind::DelayBounded => Box::new(DelayBounded::new(depth)),
            SchedulerKind::Exhaustive => Box::new(Exhaustive::default()),
            SchedulerKind::Lockstep => Box::new(Lockstep::default()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::tape::{Actor, Source};

    /// Runs `picks` decisions over `fibers` fibers that are always ready and `due` operations that are always due.
    pub(crate) fn run(
        scheduler: &mut dyn Scheduler,
        seed: u64,
        fibers: u32,
        due: u32,
        picks: usize,
    ) -> Vec<Pick> {
        run_with(scheduler, &mut Source::Seed(seed).stream(Actor::SCHEDULER, false), fibers, due, picks)
    }

    pub(crate) fn run_with(
        scheduler: &mut dyn Scheduler,
        stream: &mut Stream,
        fibers: u32,
        due: u32,
        picks: usize,
    ) -> Vec<Pick> {
        for fiber in 0..fibers {
            scheduler.ready(fiber, Readiness::Fresh, stream);
        }
        let mut picked = Vec::new();
        for _ in 0..picks {
            let pick = scheduler.pick(due, stream).expect("there is always something to pick");
            if let Pick::Fiber(fiber) = pick {
                scheduler.ready(fiber, Readiness::Fresh, stream);
            }
            picked.push(pick);
        }
        picked
    }

    #[test]
    fn every_scheduler_reaches_every_fiber_and_every_delivery() {
        for kind in SchedulerKind::PORTFOLIO {
            let picked = run(kind.build(8, 3).as_mut(), 1, 10, 3, 2000);
            for fiber in 0..10 {
                assert!(picked.contains(&Pick::Fiber(fiber)), "{kind:?} starves fiber {fiber}");
            }
            assert!(picked.iter().any(|pick| matches!(pick, Pick::Delivery(_))), "{kind:?} starves the disk");
        }
    }

    #[test]
    fn every_scheduler_is_a_function_of_the_seed() {
        for kind in SchedulerKind::ALL {
            let picked = |seed| run(kind.build(8, 3).as_mut(), seed, 10, 3, 500);
            assert_eq!(picked(1), picked(1), "{kind:?}");
            if !matches!(kind, SchedulerKind::RoundRobin | SchedulerKind::Lockstep) {
                assert_ne!(picked(1), picked(2), "{kind:?}");
            }
        }
    }

    #[test]
    fn nothing_to_pick_is_none_and_cleared_fibers_are_gone() {
        for kind in SchedulerKind::ALL {
            let mut scheduler = kind.build(8, 3);
            let mut stream = Source::Seed(1).stream(Actor::SCHEDULER, false);
            assert_eq!(scheduler.pick(0, &mut stream), None, "{kind:?}");
            scheduler.ready(0, Readiness::Fresh, &mut stream);
            scheduler.clear();
            assert_eq!(scheduler.pick(0, &mut stream), None, "{kind:?}");
            assert!(matches!(scheduler.pick(2, &mut stream), Some(Pick::Delivery(0..2))), "{kind:?}");
        }
    }
}
