//! turso_core's completion groups on two real threads: one builds a group while the other ends its children.
//!
//! A case is judged when both threads have come to its end. All children have ended then, so a group that has not will never.
//! `cargo run --release --bin groups -- --cases 1000000`.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};

use clap::Parser;
use tenterhook_stress::exit::ExitCode;
use tenterhook_stress::rng;
use turso_core::Completion;
use turso_core::io::CompletionGroup;

/// Cases between two meetings of the threads. Within them each goes its own pace, so that they meet at many points.
const BATCH: u64 = 64;
const MOST_CHILDREN: u64 = 4;
/// Turns of the longest delay.
const LONGEST: u64 = 300;

/// Builds groups while their children end.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many groups.
    #[arg(long, default_value_t = 1_000_000)]
    cases: u64,
    /// What children and delays are drawn from. How the threads meet is not its.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// A group before it is built.
struct Case {
    group: CompletionGroup,
    children: Vec<Completion>,
    /// Calls of the group's callback.
    calls: Arc<AtomicU32>,
}

impl Case {
    fn draw(key: u64) -> Case {
        let calls = Arc::new(AtomicU32::new(0));
        let told = Arc::clone(&calls);
        // ORDERING: Relaxed here and in `judge`: the barrier at the batch's end is between them.
        let mut group = CompletionGroup::new(move |_| {
            told.fetch_add(1, Ordering::Relaxed);
        });
        let children: Vec<_> = (0..1 + key % MOST_CHILDREN).map(|_| Completion::new_sync(|_| {})).collect();
        children.iter().for_each(|child| group.add(child));
        Case { group, children, calls }
    }
}

/// What is wrong with a built group whose children have all ended, if something is.
fn judge(group: &Completion, calls: &AtomicU32) -> Option<String> {
    let calls = calls.load(Ordering::Relaxed);
    match (group.finished(), calls) {
        (true, 1) => None,
        (false, calls) => {
            Some(format!("all its children have ended, and it never will: {calls} calls of its callback"))
        }
        (true, calls) => Some(format!("it has ended, with {calls} calls of its callback where one is right")),
    }
}

fn delay(key: u64) {
    for turn in 0..key % LONGEST {
        black_box(turn);
    }
}

/// Runs the cases from `first` on; the first that is wrong, with what is wrong with it.
fn batch(first: u64, cases: u64, seed: u64) -> Option<(u64, String)> {
    let keys: Vec<u64> = (first..first + cases).map(|case| rng::at(seed, case)).collect();
    let drawn: Vec<Case> = keys.iter().map(|&key| Case::draw(key)).collect();
    let all_children: Vec<_> = drawn.iter().map(|case| case.children.clone()).collect();
    let start = Barrier::new(2);
    let built: Vec<_> = std::thread::scope(|scope| {
        scope.spawn(|| {
            start.wait();
            for (children, key) in all_children.iter().zip(&keys) {
                for child in children {
                    delay(key >> 8);
                    child.complete(0);
                }
            }
        });
        start.wait();
        let build = |(case, key): (Case, &u64)| {
            delay(key >> 24);
            (case.group.build(), case.calls)
        };
        drawn.into_iter().zip(&keys).map(build).collect()
    });
    let wrong = |(group, calls): &(Completion, Arc<AtomicU32>)| judge(group, calls);
    (first..).zip(&built).find_map(|(case, built)| wrong(built).map(|problem| (case, problem)))
}

fn main() -> std::process::ExitCode {
    let Arguments { cases, seed } = Arguments::parse();
    let mut first = 0;
    while first < cases {
        let count = BATCH.min(cases - first);
        if let Some((case, problem)) = batch(first, count, seed) {
            println!("liveness: group {case}: {problem}");
            println!("\nrepeat with:\ngroups --cases {cases} --seed {seed}");
            return ExitCode::Liveness.into();
        }
        first += count;
    }
    println!("{cases} groups have ended once each");
    ExitCode::Ok.into()
}
