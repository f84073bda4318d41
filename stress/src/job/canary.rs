//! A store that is wrong on purpose. A job that does not find it finds nothing else either.
//!
//! Its connections write a record and take it for durable at once, without a sync. A power loss takes it away.

use std::path::Path;
use std::sync::Arc;

use tenterhook_runtime::Completion;
use tenterhook_runtime::io::{Buffer, File, IO, OpenOptions, Submission};

use crate::campaign::{Failure, Finding};
use crate::disk::FaultKind;
use crate::subject::{Drawn, Fixed, FixedWorld, NoOptions, Subject};
use crate::system::{Context, Crash, Step, System};
use crate::tape::Stream;
use crate::violation::Violation;

/// A job must find it within so many seeds. Five of six find it.
pub(super) const BOUND: u64 = 64;
/// Enough for a few lives, and short: the canary has one part in 64 of the time.
const STEPS: u64 = 400;
const PATH: &str = "canary";
/// The oracle that finds it.
const ORACLE: &str = "canary";

/// The canary as the tester knows it. With `SYNCS` it does its work right and cannot be found: what a test of the job needs.
#[derive(Copy, Clone, Debug)]
pub(super) struct Canary<const SYNCS: bool>;

impl<const SYNCS: bool> Subject for Canary<SYNCS> {
    const NAME: &'static str = "canary";
    type Options = NoOptions;
    type Plan = ();
    type System = Perch<SYNCS>;

    fn draw(stream: &mut Stream, seed: u64, fixed: &Fixed<NoOptions>) -> Drawn<()> {
        let world = FixedWorld { steps: Some(STEPS), connections: Some(1), ..fixed.world.clone() };
        let fixed = Fixed { world, own: NoOptions {} };
        Drawn::common(stream, seed, &fixed, &[FaultKind::PowerLoss, FaultKind::ProcessKilled], ())
    }

    fn system(_: &Drawn<()>) -> Perch<SYNCS> {
        Perch::default()
    }
}

/// One run of it.
#[derive(Default)]
pub(super) struct Perch<const SYNCS: bool> {
    file: Option<Arc<dyn File>>,
    io: Option<Completion>,
    next: u64,
    is_written: bool,
    /// What must not be lost.
    acknowledged: u64,
}

impl<const SYNCS: bool> Perch<SYNCS> {
    fn acknowledge(&mut self) -> Step {
        (self.acknowledged, self.is_written) = (self.next, false);
        Step::Ended
    }
}

impl<const SYNCS: bool> System for Perch<SYNCS> {
    fn connections(&self) -> u32 {
        1
    }

    fn boot(&mut self, io: &Arc<dyn IO>, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        let path = Path::new(PATH);
        let Ok(file) = io.open(path, OpenOptions::creating()) else { return Ok(Step::Yield) };
        let found = context.disk.content(path).unwrap_or_default().try_into().map_or(0, u64::from_le_bytes);
        if found < self.acknowledged {
            return Err(Violation::safety(ORACLE, self.acknowledged.to_string(), found.to_string()));
        }
        (self.file, self.next) = (Some(file), found.max(self.next));
        Ok(Step::Ended)
    }

    fn step(&mut self, _: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        let Some(file) = self.file.clone() else { return Ok(Step::Idle) };
        match self.io.take() {
            None => self.next += 1,
            Some(io) => match io.result() {
                None => {
                    self.io = Some(io.clone());
                    return Ok(Step::Wait(io));
                }
                Some(Ok(_)) if self.is_written || !SYNCS => return Ok(self.acknowledge()),
                Some(Ok(_)) => self.is_written = true,
                Some(Err(_)) => {
                    self.is_written = false;
                    return Ok(Step::Ended);
                }
            },
        }
        let number = Buffer::copy_of(&self.next.to_le_bytes());
        self.io = Some(match self.is_written {
            false => file.start(Submission::write(0, number, |_, _| {})),
            true => file.start(Submission::sync(|_| {})),
        });
        Ok(Step::Continue)
    }

    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        (self.file, self.io, self.is_written) = (None, None, false);
        Ok(())
    }
}

/// Whether `failures` have the canary's bug. A panic of the tester, or a seed with two traces, is no find.
pub(super) fn is_found(failures: &[Failure]) -> bool {
    failures.iter().any(|failure| match &failure.finding {
        Finding::Violation(violation) => violation.oracle == ORACLE,
        Finding::Nondeterminism { .. } => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::SeedRunner;
    use crate::watch::Watch;

    fn found<const SYNCS: bool>(seeds: u64) -> usize {
        let runner = SeedRunner::<Canary<SYNCS>> { recheck: 0, fixed: Fixed::default() };
        (0..seeds).filter(|&seed| !runner.run(seed, seed, &Watch::default()).failures.is_empty()).count()
    }

    #[test]
    fn the_canary_is_found_in_each_stretch_of_its_bound_and_one_that_is_right_never_is() {
        assert!(found::<false>(1_000) > 250, "{}", found::<false>(1_000));
        assert_eq!(found::<true>(1_000), 0);
    }

    /// Seen red when any failure is a find.
    #[test]
    fn only_its_own_oracle_finds_the_canary() {
        let failure = |violation: Violation| Failure {
            seed: 1,
            options: Vec::new(),
            steps: 1,
            trace_hash: 1,
            finding: Finding::Violation(violation),
            command: String::new(),
        };
        assert!(is_found(&[failure(*Violation::safety(ORACLE, "2", "1"))]));
        assert!(!is_found(&[failure(*Violation::panic("the disk broke"))]));
        assert!(!is_found(&[]));
    }
}
