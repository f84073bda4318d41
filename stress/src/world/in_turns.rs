//! A run that is told in turns is the same run also for an engine that asks for the time and for random bytes, and that stalls.

use tenterhook_runtime::Completion;
use tenterhook_runtime::io::{Buffer, File, OpenOptions, Submission};

use super::*;
use crate::disk::{DiskOptions, FaultKind, FaultPlan};
use crate::tape::{Chance, ChoicePoint};
use crate::violation::Violation;

type Verdict = Result<Step, Box<Violation>>;

const NEXT: ChoicePoint = ChoicePoint::new(0, "next");

/// Each connection writes, asks, stalls and tears the queue down as the tape has it.
#[derive(Default)]
struct Curious {
    file: Option<Arc<dyn File>>,
    waits: [Option<Completion>; 3],
    /// All that it was told, folded.
    told: u64,
}

impl Curious {
    fn hear(&mut self, fiber: usize, value: u64) {
        self.told = crate::rng::derive(self.told, crate::rng::derive(fiber as u64, value));
    }
}

impl System for Curious {
    fn connections(&self) -> u32 {
        3
    }

    fn boot(&mut self, io: &Arc<dyn IO>, _: &mut Context<'_>) -> Verdict {
        match io.open("curious".as_ref(), OpenOptions::creating()) {
            Ok(file) => self.file = Some(file),
            Err(_) => return Ok(Step::Restart),
        }
        Ok(Step::Ended)
    }

    fn step(&mut self, context: &mut Context<'_>) -> Verdict {
        let fiber = context.fiber as usize;
        if let Some(wait) = self.waits[fiber].take() {
            self.hear(fiber, u64::from(wait.succeeded()));
            return Ok(Step::Ended);
        }
        match context.stream.choose(NEXT, 6) {
            0 => return Ok(Step::Ended),
            1 => return Ok(Step::Stall { ticks: 40 }),
            2 => self.hear(fiber, context.disk.now().as_micros() as u64),
            3 => {
                let mut bytes = [0; 8];
                context.disk.entropy(&mut bytes);
                self.hear(fiber, u64::from_le_bytes(bytes));
            }
            4 => drop(context.disk.cancel_change(|changes| changes - 1)),
            _ => {
                let file = self.file.as_ref().expect("booted");
                let offset = 512 * fiber as u64;
                let write = file.start(Submission::write(offset, Buffer::zeroed(512), |_, _| {}));
                self.waits[fiber] = Some(write.clone());
                return Ok(Step::Wait(write));
            }
        }
        Ok(Step::Continue)
    }

    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        self.file = None;
        self.waits = Default::default();
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![("told", self.told)]
    }
}

#[test]
fn a_run_told_in_turns_hears_the_same_times_and_random_bytes() {
    let mut faults = FaultPlan::NONE;
    faults.set(FaultKind::WriteError, Chance::per_mille(50));
    faults.set(FaultKind::Stuck, Chance::per_mille(20));
    faults.set(FaultKind::Cancelled, Chance::per_mille(500));
    let mut options = WorldOptions { steps: 2_000, patience: 5_000, ..WorldOptions::default() };
    options.disk = DiskOptions { faults, max_delay: 200, ..DiskOptions::default() };
    options.nemesis = NemesisOptions { mean_life: 400, mean_quiesce: 150, ..NemesisOptions::default() };
    for seed in 0..20 {
        let play = |source: &Source| {
            World::new(Curious::default(), options, source, Keep::Tape).run(&Watch::default())
        };
        let drawn = play(&Source::Seed(seed));
        assert!(drawn.violation.is_none(), "seed {seed}: {:?}", drawn.violation);
        let turned = play(&Source::from(drawn.tape.clone().in_turns()));
        assert_eq!((drawn.lives, drawn.steps), (turned.lives, turned.steps), "seed {seed}");
        assert_eq!(drawn.counters, turned.counters, "seed {seed}");
    }
}
