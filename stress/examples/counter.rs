//! A list that grows before a yield: found, and shrunk to the one yield that it takes.
//!
//! ```text
//! cargo run -p tenterhook-stress --example counter
//! ```

use tenterhook_stress::check::Check;
use tenterhook_stress::system::{Context, Crash, Step, System};
use tenterhook_stress::tape::{Chance, ChoicePoint};
use tenterhook_stress::timeline;
use tenterhook_stress::violation::Violation;

const YIELDS: ChoicePoint = ChoicePoint::new(0, "yields");

#[derive(Default)]
struct Counter {
    connections: u32,
    list: Vec<u32>,
    added: usize,
}

impl System for Counter {
    fn connections(&self) -> u32 {
        self.connections
    }

    fn step(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        // The defect: a step is called again from the top after each yield, and pushes again.
        self.list.push(context.fiber);
        if context.stream.happens(YIELDS, Chance::per_mille(50)) {
            return Ok(Step::Yield);
        }
        self.added += 1;
        if self.list.len() != self.added {
            let (expected, seen) = (format!("{} entries", self.added), format!("{}", self.list.len()));
            return Err(Violation::safety("one entry for each addition", expected, seen));
        }
        Ok(Step::Ended)
    }

    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        *self = Counter { connections: self.connections, ..Counter::default() };
        Ok(())
    }
}

fn main() {
    let check = Check::new("counter", |connections| Counter { connections, ..Counter::default() });
    let broken = check.search(0, 100).expect("one of a hundred seeds finds it");
    println!("seed {:?}, shrunk from {:?} to {:?}", broken.seed, broken.shrunk.before, broken.shrunk.after);
    println!("\n{}", timeline::draw(&broken.shrunk.outcome));
}
