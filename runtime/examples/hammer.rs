//! Two threads, one building groups and one completing their children, with random pauses on both sides: counts the
//! groups that never finish, call back twice, go back to pending or report two results.
//!
//! `cargo run --release -p tenterhook-runtime --example hammer -- 20` runs for 20 seconds and exits with 10 when it
//! counted anything.
#![allow(clippy::disallowed_types, reason = "observes from outside the facade")]

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use tenterhook_runtime::{Completer, Completion, CompletionError, CompletionGroup};

/// How long a group may take once both threads are through with it.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a thread looks before it goes to sleep. A sleep and a wake cost fifty times what a group costs, and two
/// threads that are awake at the same time is what this program is about.
const LOOKS: u32 = 4_096;

/// Sebastiano Vigna's splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn pause(&mut self) {
        for _ in 0..self.next() % 41 {
            std::hint::spin_loop();
        }
    }
}

#[derive(Default)]
struct Counts {
    groups: u64,
    never_finished: u64,
    called_twice: u64,
    unfinished_again: u64,
    two_stories: u64,
}

fn main() -> ExitCode {
    let seconds = match std::env::args().nth(1).map(|text| text.parse()) {
        None => 20,
        Some(Ok(seconds)) => seconds,
        Some(Err(_)) => {
            eprintln!("hammer: the argument is a number of seconds, 20 when it is left out");
            return ExitCode::from(2);
        }
    };
    let counts = hammer(Duration::from_secs(seconds));
    println!(
        "{} groups: {} never finished, {} called back twice, {} went back to pending, {} reported two results",
        counts.groups,
        counts.never_finished,
        counts.called_twice,
        counts.unfinished_again,
        counts.two_stories
    );
    let wrong = counts.never_finished + counts.called_twice + counts.unfinished_again + counts.two_stories;
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::from(10) }
}

fn hammer(duration: Duration) -> Counts {
    let (hand_over, receive) = sync_channel::<Vec<Completer>>(64);
    let completing = std::thread::spawn(move || {
        let mut random = Random(2);
        while let Some(completers) = next(&receive) {
            for completer in completers {
                random.pause();
                match random.next() % 16 {
                    0 => drop(completer),
                    1 => {
                        let _ = completer.fail(CompletionError::NoSpace);
                    }
                    _ => {
                        let _ = completer.complete(1);
                    }
                }
            }
        }
    });
    let mut random = Random(1);
    let mut counts = Counts::default();
    let started = Instant::now();
    while started.elapsed() < duration {
        for _ in 0..1_000 {
            build_one(&mut random, &hand_over, &mut counts);
        }
    }
    drop(hand_over);
    completing.join().expect("the completing thread does not panic");
    counts
}

/// What was handed over next, or `None` when nothing more will be.
fn next(receive: &Receiver<Vec<Completer>>) -> Option<Vec<Completer>> {
    for _ in 0..LOOKS {
        match receive.try_recv() {
            Ok(completers) => return Some(completers),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => std::hint::spin_loop(),
        }
    }
    receive.recv().ok()
}

/// Waits as a user of the runtime would who expects an early end: looks for a while, then sleeps.
fn finish(completion: &Completion) -> Option<Result<u64, CompletionError>> {
    for _ in 0..LOOKS {
        if completion.finished() {
            return completion.result();
        }
        std::hint::spin_loop();
    }
    completion.wait_timeout(PATIENCE)
}

fn build_one(random: &mut Random, hand_over: &SyncSender<Vec<Completer>>, counts: &mut Counts) {
    let children = 1 + random.next() % 3;
    let (children, completers): (Vec<_>, Vec<_>) = (0..children).map(|_| Completion::new(|_| {})).unzip();
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let callback = move |_| {
        counted.fetch_add(1, Relaxed);
    };
    let mut group = if random.next().is_multiple_of(2) {
        CompletionGroup::new(callback)
    } else {
        CompletionGroup::drain(callback)
    };
    hand_over.send(completers).expect("the completing thread lives as long as this one");
    random.pause();
    for child in &children {
        group.add(child);
    }
    random.pause();
    let group = group.build();
    counts.groups += 1;
    let Some(outcome) = finish(&group) else {
        counts.never_finished += 1;
        return;
    };
    for child in &children {
        if finish(child).is_none() {
            counts.never_finished += 1;
        }
    }
    counts.called_twice += u64::from(calls.load(Relaxed) != 1);
    counts.unfinished_again += u64::from(!group.finished());
    let well = children.iter().all(Completion::succeeded);
    counts.two_stories += u64::from(
        group.result() != Some(outcome) || group.succeeded() != well || group.failed() == group.succeeded(),
    );
}
