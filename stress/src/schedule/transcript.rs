use super::random::ReadyStack;
use super::{CLASS, DELIVERY, FIBER, FiberId, Pick, Readiness, Scheduler};
use crate::tape::{Stream, StreamRecord};

/// Any scheduler, with its schedule written down as the choices that [`UniformRandom`] would have had to draw.
///
/// Priorities and change points mean little once they are edited. "Here another fiber goes first" means the same
/// in every run, and a zero in its place is one preemption less.
///
/// [`UniformRandom`]: super::UniformRandom
pub struct Transcript {
    inner: Box<dyn Scheduler>,
    shadow: ReadyStack,
    record: StreamRecord,
}

impl Transcript {
    /// Writes down what `inner` chooses.
    pub fn new(inner: Box<dyn Scheduler>) -> Transcript {
        Transcript { inner, shadow: ReadyStack::default(), record: StreamRecord::default() }
    }

    fn write_down(&mut self, pick: Pick, due: u32) {
        let delivers = matches!(pick, Pick::Delivery(_));
        if !self.shadow.is_empty() && due > 0 {
            self.record.push(CLASS, u32::from(delivers != self.shadow.spins()));
        }
        match pick {
            Pick::Delivery(index) => {
                self.shadow.delivered();
                if due > 1 {
                    self.record.push(DELIVERY, index);
                }
            }
            Pick::Fiber(fiber) => {
                let back = self.shadow.position(fiber).unwrap_or(0);
                if self.shadow.len() > 1 {
                    self.record.push(FIBER, back);
                }
                self.shadow.take(back);
            }
        }
    }
}

impl Scheduler for Transcript {
    fn ready(&mut self, fiber: FiberId, why: Readiness, stream: &mut Stream) {
        self.shadow.push(fiber, why);
        self.inner.ready(fiber, why, stream);
    }

    fn pick(&mut self, due: u32, stream: &mut Stream) -> Option<Pick> {
        let pick = self.inner.pick(due, stream)?;
        self.write_down(pick, due);
        Some(pick)
    }

    fn clear(&mut self) {
        self.shadow.clear();
        self.inner.clear();
    }

    fn branching(&mut self) -> Option<Vec<u32>> {
        self.inner.branching()
    }

    fn transcript(&mut self) -> Option<StreamRecord> {
        Some(std::mem::take(&mut self.record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::SchedulerKind;
    use crate::schedule::tests::run;
    use crate::tape::{Actor, Source, Tape};

    #[test]
    fn the_transcript_of_any_scheduler_replayed_by_the_random_one_is_the_same_schedule() {
        for kind in SchedulerKind::ALL {
            let mut transcript = Transcript::new(kind.build(8, 3));
            let picked = run(&mut transcript, 5, 7, 3, 600);
            let mut tape = Tape::default();
            tape.put(Actor::SCHEDULER, transcript.transcript().unwrap());
            let mut random = SchedulerKind::Random.build(8, 3);
            let mut stream = Source::Recorded(tape).stream(Actor::SCHEDULER, false);
            let replayed = crate::schedule::tests::run_with(random.as_mut(), &mut stream, 7, 3, 600);
            assert_eq!(picked, replayed, "{kind:?}");
        }
    }
}
