//! What only goes together goes together.

use super::*;

const IS_ON: ChoicePoint = ChoicePoint::new(1, "is on");

/// Its only operation switches things on, and fails if one more than a multiple of `period` are on.
struct Switches {
    period: u32,
    on: Option<u32>,
}

impl System for Switches {
    fn connections(&self) -> u32 {
        1
    }
    fn step(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        if self.on.is_none() {
            self.on = Some((0..8).map(|_| context.stream.choose(IS_ON, 2)).sum());
        }
        Ok(Step::Ended)
    }
    fn quiesce(&mut self, _: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        match self.on {
            Some(on) if on % self.period == 1 => Err(Violation::safety("parity", "no light", "a light")),
            _ => Ok(Step::Ended),
        }
    }
    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        Ok(())
    }
}

#[derive(Clone)]
struct Panel {
    period: u32,
}

impl Replay for Panel {
    fn play(&self, source: &Source, keep: Keep) -> RunOutcome {
        let options = WorldOptions { steps: 40, ..WorldOptions::default() };
        World::new(Switches { period: self.period, on: None }, options, source, keep).run(&Watch::default())
    }
    fn smaller(&self, _: &Source, _: u64) -> Vec<Panel> {
        Vec::new()
    }
    fn file(&self, source: &Source, oracle: Option<String>) -> TapeFile {
        let tape = source.tape().cloned().unwrap_or_default();
        TapeFile { system: "panel".into(), oracle, setup: String::new(), tape }
    }
}

fn lights(tape: &Tape) -> usize {
    tape.choices().filter(|(place, _)| place.choice_point == 1).count()
}

/// Of five that are on, four go together, of four three, and of three two; one at a time, the run no longer fails.
#[test]
fn choices_of_which_none_can_go_alone_go_together() {
    for period in 2..=4 {
        let panel = Panel { period };
        let fails_with = |seed| {
            let run = panel.play(&Source::Seed(seed), Keep::Tape);
            run.violation.is_some() && lights(&run.tape) == period as usize + 1
        };
        let seed = (0..1000).find(|&seed| fails_with(seed)).expect("one of a thousand");
        let shrunk = shrink(&panel, &Source::Seed(seed), Budget::default()).expect("it fails");
        assert_eq!(lights(&shrunk.outcome.tape), 1, "{period} go together");
    }
}
