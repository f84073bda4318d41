//! A smaller run shows the same symptom, unless a person allows any.

use super::*;

/// Its only connection draws one amount, which `judge` looks at in the end.
#[derive(Clone)]
struct OneDraw {
    judge: fn(u32) -> Result<(), Box<Violation>>,
    amount: Option<u32>,
}

impl System for OneDraw {
    fn connections(&self) -> u32 {
        1
    }
    fn step(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        self.amount.get_or_insert(context.stream.choose(AMOUNT, 100));
        Ok(Step::Ended)
    }
    fn quiesce(&mut self, _: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        (self.judge)(self.amount.unwrap_or(0)).map(|()| Step::Ended)
    }
    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        Ok(())
    }
}

impl Replay for OneDraw {
    fn play(&self, source: &Source, keep: Keep) -> RunOutcome {
        let options = WorldOptions { steps: 20, ..WorldOptions::default() };
        World::new(self.clone(), options, source, keep).run(&Watch::default())
    }
    fn smaller(&self, _: &Source, _: u64) -> Vec<OneDraw> {
        Vec::new()
    }
    fn file(&self, source: &Source, oracle: Option<String>) -> TapeFile {
        let tape = source.tape().cloned().unwrap_or_default();
        TapeFile { system: "one draw".into(), oracle, setup: String::new(), tape }
    }
}

/// What a run that fails with `seen` comes to: what the small one says, and its amount.
fn shrunk(
    judge: fn(u32) -> Result<(), Box<Violation>>,
    seen: &str,
    symptom: Symptom,
) -> (String, Option<u32>) {
    let toy = OneDraw { judge, amount: None };
    let fails = |seed: &u64| {
        let run = toy.play(&Source::Seed(*seed), Keep::Hash);
        run.violation.is_some_and(|violation| violation.seen == seen)
    };
    let seed = (0..100).find(fails).expect("at least half of them");
    let small = shrink_while(&toy, &Source::Seed(seed), symptom, Budget::default(), |_| true);
    let small = small.expect("it fails");
    let amount = small.source.tape().expect("it is recorded").choices().map(|(_, value)| value).max();
    (small.violation.seen, amount)
}

#[test]
fn a_smaller_run_that_breaks_another_promise_is_refused() {
    let judge = |amount| match amount {
        0 => Err(Violation::safety("nothing", "something", "nothing")),
        _ => Err(Violation::safety("something", "nothing", "something")),
    };
    for symptom in [Symptom::Same, Symptom::Any] {
        assert_eq!(shrunk(judge, "something", symptom), ("something".to_owned(), Some(1)), "{symptom:?}");
    }
}

#[test]
fn another_symptom_of_the_same_oracle_is_taken_only_if_any_is_allowed() {
    let judge = |amount| match amount {
        0 => Ok(()),
        1..=50 => Err(Violation::safety("purse", "nothing", "little")),
        _ => Err(Violation::safety("purse", "nothing", "much")),
    };
    assert_eq!(shrunk(judge, "much", Symptom::Same), ("much".to_owned(), Some(51)));
    assert_eq!(shrunk(judge, "much", Symptom::Any), ("little".to_owned(), Some(1)));
}
