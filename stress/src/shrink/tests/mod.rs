//! A toy that fails when two connections are where they must not be, and what shrinking makes of it.

use std::sync::Arc;

use tenterhook_runtime::io::IO;

use super::*;
use crate::schedule::SchedulerKind;
use crate::system::{Context, Crash, Step, System};
use crate::tape::{ChoicePoint, Source};
use crate::watch::Watch;
use crate::world::{Keep, World, WorldOptions};

const AMOUNT: ChoicePoint = ChoicePoint::new(0, "amount");

/// Each connection adds what it draws; between reading and writing it yields.
#[derive(Default)]
struct Lossy {
    value: u64,
    added: u64,
    read: Vec<Option<(u64, u64)>>,
}

impl System for Lossy {
    fn connections(&self) -> u32 {
        self.read.len() as u32
    }
    fn boot(&mut self, _: &Arc<dyn IO>, _: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        Ok(Step::Ended)
    }
    fn step(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        let fiber = context.fiber as usize;
        match self.read[fiber].take() {
            None => {
                let amount = u64::from(context.stream.choose(AMOUNT, 100));
                self.read[fiber] = Some((self.value, amount));
                Ok(Step::Continue)
            }
            Some((read, amount)) => {
                self.value = read + amount;
                self.added += amount;
                Ok(Step::Ended)
            }
        }
    }
    fn quiesce(&mut self, _: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        if self.value != self.added {
            return Err(Violation::safety("sum", self.added.to_string(), self.value.to_string()));
        }
        Ok(Step::Ended)
    }
    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        let connections = self.read.len();
        *self = Lossy { read: vec![None; connections], ..Lossy::default() };
        Ok(())
    }
    fn describe(&self, fiber: u32) -> String {
        format!("addition {fiber}")
    }
    fn counters(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Toy {
    connections: u32,
    scheduler: SchedulerKind,
}

impl Replay for Toy {
    fn play(&self, source: &Source, keep: Keep) -> RunOutcome {
        let system = Lossy { read: vec![None; self.connections as usize], ..Lossy::default() };
        let options = WorldOptions { scheduler: self.scheduler, steps: 400, ..WorldOptions::default() };
        World::new(system, options, source, keep).run(&Watch::default())
    }
    fn smaller(&self, _: &Source, _: u64) -> Vec<Toy> {
        (1..self.connections).map(|connections| Toy { connections, ..*self }).collect()
    }
    fn file(&self, source: &Source, oracle: Option<String>) -> TapeFile {
        let tape = source.tape().expect("a shrunk run is recorded").clone();
        TapeFile { system: "toy".into(), oracle, setup: String::new(), tape }
    }
}

#[test]
fn a_lost_addition_shrinks_to_few_connections_and_choices_under_every_scheduler() {
    for scheduler in SchedulerKind::ALL {
        let toy = Toy { connections: 9, scheduler };
        let seed = (0..200).find(|&seed| toy.play(&Source::Seed(seed), Keep::Hash).violation.is_some());
        let Some(seed) = seed else { panic!("{scheduler:?} loses no addition") };
        let shrunk = shrink(&toy, &Source::Seed(seed), Budget::default()).expect("it fails");
        assert_eq!(shrunk.violation.oracle, "sum");
        assert_eq!((shrunk.setup.connections, shrunk.after.operations), (2, 2), "{scheduler:?}");
        assert!(
            shrunk.after.preemptions <= 1 && shrunk.after.choices <= 3,
            "{scheduler:?} {:?}",
            shrunk.after
        );
        assert!(shrunk.before.choices > 20);
    }
}

#[test]
fn a_shrunk_tape_survives_its_file_and_fails_in_the_same_way_without_the_generator() {
    let toy = Toy { connections: 5, scheduler: SchedulerKind::Random };
    let shrunk = shrink(&toy, &Source::Seed(1), Budget::default()).expect("it fails");
    let read = TapeFile::decode(&shrunk.file().encode()).expect("just written");
    let again = shrunk.setup.play(&Source::from(read.tape), Keep::Hash);
    assert_eq!(again.trace_hash, shrunk.setup.play(&shrunk.source, Keep::Hash).trace_hash);
    assert_eq!(again.violation.expect("fails").oracle, "sum");
}

#[test]
fn a_run_that_does_not_fail_is_not_shrunk_and_a_spent_budget_says_so() {
    let toy = Toy { connections: 1, scheduler: SchedulerKind::Random };
    assert!(shrink(&toy, &Source::Seed(1), Budget::default()).is_none());
    let toy = Toy { connections: 9, ..toy };
    let shrunk = shrink(&toy, &Source::Seed(1), Budget { steps: 1 }).expect("it fails");
    assert_eq!(shrunk.ending, Ending::BudgetSpent);
}

#[test]
fn a_search_that_is_stopped_has_the_smallest_run_so_far() {
    let toy = Toy { connections: 9, scheduler: SchedulerKind::Random };
    let whole = shrink(&toy, &Source::Seed(1), Budget::default()).expect("it fails");
    assert_eq!(whole.ending, Ending::Exhausted);
    let mut rounds = 0;
    let mut seen = Vec::new();
    let stopped = shrink_while(&toy, &Source::Seed(1), Symptom::Same, Budget::default(), |so_far| {
        rounds += 1;
        seen.push(so_far.choices);
        so_far.choices > whole.before.choices / 2
    });
    let stopped = stopped.expect("it fails");
    assert_eq!(stopped.ending, Ending::Stopped);
    assert!(stopped.runs < whole.runs && rounds == seen.len(), "{} of {}", stopped.runs, whole.runs);
    assert!(stopped.after.choices > whole.after.choices, "{:?}", stopped.after);
    assert!(stopped.after.choices < stopped.before.choices, "{:?}", stopped.after);
    assert_eq!(stopped.violation.oracle, "sum");
}

#[test]
fn only_the_same_oracle_and_a_panic_from_the_same_place_are_the_same_failure() {
    let lost = Violation::safety("durability", "commit 2", "commit 1");
    let leaked = Violation::safety("leaks", "nothing", "a pin");
    assert!(is_same(&lost, &Violation::safety("durability", "commit 9", "commit 4")));
    assert!(!is_same(&lost, &leaked));
    assert!(!is_same(&lost, &Violation::liveness("durability", "commit 2", "commit 1")));
    let panic = |place| Violation::panic(format!("index 7 is out of bounds at {place}"));
    assert!(is_same(&panic("engine.rs:1"), &panic("engine.rs:1")));
    assert!(!is_same(&panic("engine.rs:1"), &panic("engine.rs:2")));
}

#[test]
fn the_same_tape_comes_out_on_any_number_of_cores() {
    let toy = Toy { connections: 9, scheduler: SchedulerKind::Random };
    let on = |cores| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(cores).build().expect("threads");
        let shrunk = pool.install(|| shrink(&toy, &Source::Seed(1), Budget::default())).expect("it fails");
        (shrunk.file(), shrunk.runs, shrunk.ending)
    };
    assert_eq!(on(1), on(3));
}

mod cut;
mod hang;
mod symptom;
mod together;
