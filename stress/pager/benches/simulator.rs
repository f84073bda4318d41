//! What a simulated step costs: `cargo bench -p tenterhook`.
//!
//! Each figure is the median over rounds in which the two sides take turns, since machines are noisy; ratios are those of a
//! round. Goals stand beside the figures; missing one fails nothing.
#![expect(clippy::disallowed_types, reason = "this is about real time")]

use std::time::{Duration, Instant};

use tenterhook::PagerSubject;
use tenterhook::options::{FixedPager, Profile};
use tenterhook_stress::allocator::{self, Allocator};
use tenterhook_stress::sim;
use tenterhook_stress::subject::{self, Fixed, FixedWorld};
use tenterhook_stress::tape::{Actor, Source};
use tenterhook_stress::trace::{Event, EventKind, Trace};
use tenterhook_stress::watch::Watch;
use tenterhook_stress::world::Keep;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

const ROUNDS: usize = 9;
const SEEDS: u64 = 6;

fn main() {
    allocator::keep_freed_pages();
    println!("{:<58} {:>12} {:>16} {:>14}", "what", "median", "range", "goal");
    let steps_64 = Side { connections: 64, keep: Keep::Hash };
    let many = Side { connections: 10_000, keep: Keep::Hash };
    let kept = Side { connections: 64, keep: Keep::Events };
    let rounds: Vec<[Rate; 3]> = (0..ROUNDS).map(|_| [steps_64, many, kept].map(Side::run)).collect();
    report(
        "steps/s of one core, 64 connections",
        "1,000,000",
        rounds.iter().map(|round| round[0].steps_per_second()),
    );
    report(
        "steps/s of one core, 10,000 connections",
        "",
        rounds.iter().map(|round| round[1].steps_per_second()),
    );
    let cost = |one: Rate, other: Rate| other.steps_per_second() / one.steps_per_second();
    report(
        "a step at 10,000 connections costs as many at 64",
        "1.3",
        rounds.iter().map(|r| cost(r[1], r[0])),
    );
    report(
        "with tape and events kept, a step costs as many without",
        "1.15",
        rounds.iter().map(|r| cost(r[2], r[0])),
    );
    report(
        "of a run, the hash of its events takes the part",
        "0.15",
        rounds.iter().map(|round| hashing(round[0].events).as_secs_f64() / round[0].elapsed.as_secs_f64()),
    );
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    report(
        &format!("seeds/s on {cores} cores, as many as {cores} times those on one"),
        "0.9",
        (0..ROUNDS).map(|_| scaling(cores)),
    );
}

/// One way of running seeds.
#[derive(Copy, Clone)]
struct Side {
    connections: u32,
    keep: Keep,
}

/// What it came to.
#[derive(Copy, Clone)]
struct Rate {
    steps: u64,
    events: u64,
    elapsed: Duration,
}

impl Rate {
    fn steps_per_second(self) -> f64 {
        self.steps as f64 / self.elapsed.as_secs_f64()
    }
}

impl Side {
    /// The same seeds each time, with everything on.
    fn run(self) -> Rate {
        let (connections, steps) = (Some(self.connections), Some(60_000));
        let fixed = Fixed {
            world: FixedWorld { connections, steps, ..FixedWorld::default() },
            own: FixedPager { profile: Some(Profile::Fast), ..FixedPager::default() },
        };
        let begun = Instant::now();
        let (mut steps, mut events) = (0, 0);
        for seed in 0..SEEDS {
            let drawn = subject::draw::<PagerSubject>(&Source::Seed(seed), seed, &fixed);
            let outcome = sim::run::<PagerSubject>(&drawn, self.keep, &Watch::default());
            assert!(outcome.violation.is_none(), "seed {seed}: {:?}", outcome.violation);
            steps += outcome.steps;
            events += outcome.trace.len();
        }
        Rate { steps, events, elapsed: begun.elapsed() }
    }
}

/// How long it takes to hash so many events.
fn hashing(events: u64) -> Duration {
    let begun = Instant::now();
    let mut trace = Trace::new(false);
    for value in 0..events {
        trace.push(Event { actor: Actor::DISK, kind: EventKind::Step, detail: value as u32, value });
    }
    std::hint::black_box(trace.hash());
    begun.elapsed()
}

/// How well seeds spread over cores: 1 is perfect.
fn scaling(cores: usize) -> f64 {
    let run = || Side { connections: 64, keep: Keep::Hash }.run().steps_per_second();
    let alone = run();
    let together: f64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).sum()
    });
    together / (alone * cores as f64)
}

fn report(what: &str, goal: &str, values: impl Iterator<Item = f64>) {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let show = |value: f64| if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") };
    let range = format!("{} to {}", show(values[0]), show(values[values.len() - 1]));
    println!("{what:<58} {:>12} {range:>16} {goal:>14}", show(values[values.len() / 2]));
}
