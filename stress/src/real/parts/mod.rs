//! Storms of the runtime's own parts: completions, waiters, groups and tasks, from several threads at once.
//!
//! An epoch is a crew of threads that live for some dozens of rounds. How many there are, which processors they may use, what priorities
//! they have and whether they are delayed is drawn (`plan`). A round is some hundreds of cases. One thread sets a case up
//! and gives each thread a hand in it: a handle, a completer, a task to spawn. All threads come to a case at about the same time, and do
//! with it what is drawn. When all have done so, every completer has been used, so every promise is due: the thread that has set the case up
//! judges it without waiting.
//!
//! - Each callback ran once, with the outcome that all threads saw, and before any of them saw an end.
//! - Each outcome is explained by what was asked for: by a completer, a cancel, a member of the group.
//! - Each waiter that stayed was woken, and none that left has left its waker.
//! - A machine is stepped by one thread at a time, and not before what it waits for has ended.
//! - Nothing is left: each callback, waker and machine has been dropped.
//!
//! What threads do follows from the seed; how they meet does not.
//!
//! | file | what it is |
//! | --- | --- |
//! | `storm` | what a storm is: cases, hands, verdicts |
//! | `completions`, `waiters`, `groups`, `tasks` | the four storms |
//! | `group_plan`, `group_waker` | what is drawn for a case of groups; a waker that fails a sibling |
//! | `crew` | the threads of an epoch and their rounds |
//! | `barrier` | where they wait for each other |
//! | `meeting` | one thread in one case: its draws, and the points at which it may be delayed |
//! | `near` | which points came close to each other, and how long to wait there |
//! | `plan` | processors, priorities and delays of an epoch |
//! | `told` | what a callback was told |
//! | `counts`, `summary` | what was done, and what was found |

mod barrier;
mod completions;
mod counts;
mod crew;
mod group_plan;
mod group_waker;
mod groups;
mod meeting;
mod near;
mod plan;
mod storm;
mod summary;
mod tasks;
mod told;
mod waiters;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use self::counts::{Action, Count};
use self::crew::{Epoch, Limits};
use self::near::Near;
use self::storm::Storm;
pub use self::summary::{PartSummary, PartsSummary};
use super::storm::planned;
use crate::rng;
use crate::stop::Stop;

/// What a storm is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Part {
    /// One operation, completed, cancelled, looked at and waited for.
    Completions,
    /// Wakers that come, change and go.
    Waiters,
    /// Groups that are nested, shared, cancelled, and dropped half built.
    Groups,
    /// Machines of an executor that are spawned, cancelled and joined.
    Tasks,
}

impl Part {
    /// All of them.
    pub const ALL: [Part; 4] = [Part::Completions, Part::Waiters, Part::Groups, Part::Tasks];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// What is to be done.
#[derive(Clone, Debug)]
pub struct PartsOptions {
    /// Decides what threads do.
    pub seed: u64,
    /// The storms end after so long, each after its share.
    pub duration: Duration,
    /// Each storm ends after so many cases, whatever the time.
    pub cases: u64,
    /// Storms, one after the other.
    pub parts: Vec<Part>,
    /// A thread that has not moved for so long has stalled.
    pub stall: Duration,
    /// Whether threads are delayed and given processors and priorities. Without it they run as the system lets them.
    pub perturbed: bool,
}

/// Runs each storm for its share of the time; stops at the first violation, or when `stop` is told.
#[must_use]
pub fn run(options: &PartsOptions, stop: &Stop) -> PartsSummary {
    planned::keep_quiet();
    let mut summary = PartsSummary { seed: options.seed, parts: Vec::new() };
    for &part in &options.parts {
        let one = match part {
            Part::Completions => run_one::<completions::Completions>(options, part, stop),
            Part::Waiters => run_one::<waiters::Waiters>(options, part, stop),
            Part::Groups => run_one::<groups::Groups>(options, part, stop),
            Part::Tasks => run_one::<tasks::Tasks>(options, part, stop),
        };
        let is_over = one.violation.is_some();
        summary.parts.push(one);
        if is_over || stop.is_told() {
            break;
        }
    }
    summary
}

fn run_one<S: Storm>(options: &PartsOptions, part: Part, stop: &Stop) -> PartSummary {
    let begun = Instant::now();
    let until = begun.checked_add(options.duration / options.parts.len().max(1) as u32);
    let is_over = || stop.is_told() || until.is_some_and(|until| Instant::now() >= until);
    let (near, key) = (Arc::new(Near::new()), rng::derive(options.seed, part as u64));
    let mut summary = PartSummary::new(part);
    while summary.violation.is_none() && summary.cases < options.cases && !is_over() {
        let left = options.cases - summary.cases;
        let limits = Limits { rounds: left.div_ceil(2 * S::CASES as u64), until, stall: options.stall };
        let key = rng::derive(key, summary.epochs);
        let end = Epoch::<S>::new(key, options.perturbed, limits, &near).run(stop);
        summary.take::<S>(end);
    }
    summary.seconds = begun.elapsed().as_secs_f64();
    summary.finish(S::ACTIONS, options.perturbed, &near);
    summary
}
