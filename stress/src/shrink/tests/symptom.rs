//! A smaller run shows the same symptom, unless a person allows any.

use super::*;

/// From here on an amount is much.
const MUCH: u32 = 51;

/// Fails if its only connection draws anything, and says whether that is much.
#[derive(Default)]
struct Purse {
    amount: Option<u32>,
}

impl System for Purse {
    fn connections(&self) -> u32 {
        1
    }
    fn step(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        self.amount.get_or_insert(context.stream.choose(AMOUNT, 100));
        Ok(Step::Ended)
    }
    fn quiesce(&mut self, _: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        match self.amount {
            Some(MUCH..) => Err(Violation::safety("purse", "nothing", "much")),
            Some(1..) => Err(Violation::safety("purse", "nothing", "little")),
            Some(0) | None => Ok(Step::Ended),
        }
    }
    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        Ok(())
    }
}

#[derive(Clone)]
struct PurseToy;

impl Replay for PurseToy {
    fn play(&self, source: &Source, keep: Keep) -> RunOutcome {
        let options = WorldOptions { steps: 20, ..WorldOptions::default() };
        World::new(Purse::default(), options, source, keep).run(&Watch::default())
    }
    fn smaller(&self, _: &Source, _: u64) -> Vec<PurseToy> {
        Vec::new()
    }
    fn file(&self, source: &Source, oracle: Option<String>) -> TapeFile {
        let tape = source.tape().cloned().unwrap_or_default();
        TapeFile { system: "purse".into(), oracle, setup: String::new(), tape }
    }
}

#[test]
fn another_symptom_of_the_same_oracle_is_taken_only_if_any_is_allowed() {
    let has_much = |seed: &u64| {
        let run = PurseToy.play(&Source::Seed(*seed), Keep::Hash);
        run.violation.is_some_and(|violation| violation.seen == "much")
    };
    let seed = (0..100).find(has_much).expect("half of them");
    let shrunk = |symptom| {
        let small = shrink_while(&PurseToy, &Source::Seed(seed), symptom, Budget::default(), |_| true);
        let small = small.expect("it fails");
        let amount = small.source.tape().expect("recorded").choices().map(|(_, value)| value).max();
        (small.violation.seen, amount)
    };
    assert_eq!(shrunk(Symptom::Same), ("much".to_owned(), Some(MUCH)));
    assert_eq!(shrunk(Symptom::Any), ("little".to_owned(), Some(1)));
}
