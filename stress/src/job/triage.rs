//! From a failing seed to its cause: it is shrunk in the thread that has found it.

use std::path::{Path, PathBuf};

use super::folder;
use super::signature::{self, Signature};
use crate::campaign::{Failure, Finding};
use crate::options::Fixed;
use crate::panics;
use crate::report::lanes;
use crate::shrink::{self, Budget, Replay as _, Size, artifacts};
use crate::sim::Setup;
use crate::subject::Subject;
use crate::tape::{Source, Tape};
use crate::violation::Violation;
use crate::world::Keep;

/// What a shrinker may spend on a failure. It is the same for each, whatever was found before: then a job that was killed and one
/// that was not come to the same signatures.
pub(super) const BUDGET: Budget = Budget { steps: 3_000_000 };

/// A failure with its cause.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) failure: Failure,
    pub(super) signature: Signature,
    pub(super) small: Small,
}

/// The failing run after shrinking.
#[derive(Debug)]
pub(super) struct Small {
    pub(super) size: Size,
    pub(super) expected: String,
    pub(super) seen: String,
    /// Whether it could be shrunk.
    pub(super) has_tape: bool,
    /// Where its files are, if it has some. If it could be shrunk: a tape, a test, a timeline, and `lanes.json`.
    pub(super) files: Option<PathBuf>,
}

impl Small {
    /// Of a run that cannot be played from a tape.
    fn unshrunk(failure: &Failure) -> Small {
        let (expected, seen) = match &failure.finding {
            Finding::Violation(violation) => (violation.expected.clone(), violation.seen.clone()),
            Finding::Nondeterminism { first, second, .. } => (first.clone(), second.clone()),
        };
        let size = Size { steps: failure.steps, ..Size::default() };
        Small { size, expected, seen, has_tape: false, files: None }
    }
}

/// Finds the cause of a failing seed. Files go into `scratch`, which nothing else uses.
///
/// # Errors
///
/// When they cannot be written, and `waits` does not ask for another attempt. Where there is no room then, the case has no files.
pub(super) fn triage<S: Subject>(
    failure: Failure,
    fixed: &Fixed<S::Options>,
    scratch: &Path,
    waits: impl Fn(&std::io::Error) -> bool,
) -> std::io::Result<Case> {
    let violation = match &failure.finding {
        Finding::Violation(violation) => violation,
        Finding::Nondeterminism { .. } => {
            let (signature, small) = (Signature::nondeterminism(S::NAME), Small::unshrunk(&failure));
            return Ok(Case { failure, signature, small });
        }
    };
    // A run that made no step could not be made: drawing it panics.
    let setup = Setup::<S> { seed: failure.seed, fixed: fixed.clone() };
    let shrink = || shrink::shrink(&setup, &Source::Seed(failure.seed), BUDGET);
    let shrunk = if failure.steps > 0 { panics::catch(shrink).ok().flatten() } else { None };
    let Some(shrunk) = shrunk else { return Ok(unshrunk(S::NAME, failure)) };
    // The shrinker keeps the oracle. A violation of another oracle is another failure of the seed.
    if shrunk.violation.oracle != violation.oracle {
        return Ok(unshrunk(S::NAME, failure));
    }
    let with_fixture = shrunk.source.tape().filter(|tape| tape.fixture().is_some());
    let nothing = with_fixture.map_or_else(Tape::default, Tape::dull);
    let dull = || shrunk.setup.play(&Source::from(nothing.clone()), Keep::Story);
    let operations = match panics::catch(dull) {
        Ok(dull) => signature::last_operations(&shrunk.outcome, &dull),
        Err(_) => String::new(),
    };
    let signature = Signature::new(S::NAME, &shrunk.violation, &operations);
    let save = || {
        artifacts::save(scratch, &artifacts::name(&shrunk.violation.oracle, failure.seed), &shrunk)?;
        std::fs::write(scratch.join("lanes.json"), lanes::document(&shrunk.outcome).to_string())
    };
    let files = loop {
        match save() {
            Ok(()) => break Some(scratch.to_owned()),
            Err(error) if waits(&error) => {}
            Err(error) if folder::is_full(&error) => break None,
            Err(error) => return Err(error),
        }
    };
    let Violation { expected, seen, .. } = shrunk.violation;
    let small = Small { size: shrunk.after, expected, seen, has_tape: files.is_some(), files };
    Ok(Case { failure, signature, small })
}

/// The same for a failure that has no tape.
pub(super) fn unshrunk(subject: &str, failure: Failure) -> Case {
    let operation = failure.options.iter().find(|(name, _)| name == "operation");
    let operation = operation.map_or("", |(_, value)| value.as_str());
    let signature = match &failure.finding {
        Finding::Violation(violation) => Signature::new(subject, violation, operation),
        Finding::Nondeterminism { .. } => Signature::nondeterminism(subject),
    };
    let small = Small::unshrunk(&failure);
    Case { failure, signature, small }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::campaign::SeedRunner;
    use crate::job::canary::Canary;
    use crate::watch::Watch;

    /// A seed of the canary that finds it.
    fn failure() -> Failure {
        let runner = SeedRunner::<Canary<false>> { recheck: 0, fixed: Fixed::default() };
        let mut failures = (0..64).flat_map(|seed| runner.run(0, seed, &Watch::default()).failures);
        failures.next().expect("one in three seeds finds it")
    }

    /// A folder in which one of the files has no room.
    fn full() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        std::os::unix::fs::symlink("/dev/full", folder.path().join("lanes.json")).expect("a link");
        folder
    }

    #[test]
    fn files_without_room_are_written_when_there_is_some() {
        let folder = full();
        let lanes = folder.path().join("lanes.json");
        let makes_room = |error: &std::io::Error| {
            assert!(folder::is_full(error), "{error}");
            fs::remove_file(&lanes).expect("a link");
            true
        };
        let case = triage::<Canary<false>>(failure(), &Fixed::default(), folder.path(), makes_room);
        let small = case.expect("there is room").small;
        assert!(small.has_tape && small.files.as_deref() == Some(folder.path()));
        assert!(fs::metadata(&lanes).expect("a file").len() > 0);
    }

    #[test]
    fn failure_whose_files_never_have_room_keeps_its_signature() {
        let (folder, empty) = (full(), tempfile::tempdir().expect("a folder"));
        let triage = |folder: &Path| triage::<Canary<false>>(failure(), &Fixed::default(), folder, |_| false);
        let without = triage(folder.path()).expect("a full disk is no error");
        let with = triage(empty.path()).expect("there is room");
        assert_eq!(without.signature, with.signature);
        assert!(without.small.files.is_none() && !without.small.has_tape && with.small.has_tape);
    }

    #[test]
    fn other_errors_are_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "no folder").expect("writable");
        assert!(triage::<Canary<false>>(failure(), &Fixed::default(), &file, |_| false).is_err());
    }
}
