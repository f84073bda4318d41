//! What only goes together goes together.

use super::*;

const IS_ON: ChoicePoint = ChoicePoint::new(1, "is on");
const OTHERS: u32 = 8;

/// Its only operation switches lights on. It fails if each light that is needed is on, and if the number of others that are on is one
/// more than a multiple of `period`.
struct Switches {
    panel: Panel,
    on: Option<u32>,
}

impl System for Switches {
    fn connections(&self) -> u32 {
        1
    }
    fn step(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        if self.on.is_none() {
            let (mut on, mut missing) = (0, 0);
            for _ in 0..OTHERS {
                on += context.stream.choose(IS_ON, 2);
                missing += (0..self.panel.needed).filter(|_| context.stream.choose(IS_ON, 100) == 0).count();
            }
            self.on = Some(if missing == 0 { on } else { 0 });
        }
        Ok(Step::Ended)
    }
    fn quiesce(&mut self, _: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        match self.on {
            Some(on) if on % self.panel.period == 1 => {
                Err(Violation::safety("parity", "no light", "a light"))
            }
            _ => Ok(Step::Ended),
        }
    }
    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        Ok(())
    }
}

#[derive(Copy, Clone)]
struct Panel {
    /// This many lights that are needed follow each of the others.
    needed: u32,
    period: u32,
}

impl Replay for Panel {
    fn play(&self, source: &Source, keep: Keep) -> RunOutcome {
        let options = WorldOptions { steps: 20, ..WorldOptions::default() };
        World::new(Switches { panel: *self, on: None }, options, source, keep).run(&Watch::default())
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

/// Shrinks a run in which one light more than `period` is on beside those that are needed, and says how many are left.
fn lights_left(panel: Panel) -> usize {
    let most = (OTHERS * panel.needed + panel.period) as usize + 1;
    let fails_with = |seed| {
        let run = panel.play(&Source::Seed(seed), Keep::Tape);
        run.violation.is_some() && lights(&run.tape) == most
    };
    let seed = (0..1000).find(|&seed| fails_with(seed)).expect("one of a thousand");
    let shrunk = shrink(&panel, &Source::Seed(seed), Budget::default()).expect("it fails");
    lights(&shrunk.outcome.tape)
}

/// Of five that are on, four go together, of four three, and of three two; one at a time, the run no longer fails.
#[test]
fn choices_of_which_none_can_go_alone_go_together() {
    for period in 2..=4 {
        assert_eq!(lights_left(Panel { needed: 0, period }), 1, "{period} go together");
    }
}

/// 48 parts have more pairs than `MOST_COMBINATIONS`. No two of the lights that can go are neighbours.
#[test]
fn pairs_go_together_beside_48_parts_that_stay() {
    assert_eq!(lights_left(Panel { needed: 6, period: 2 }), 49);
}
