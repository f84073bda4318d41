//! From a failing seed to its cause: it is shrunk in the thread that has found it.

use std::path::{Path, PathBuf};

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
/// When they cannot be written.
pub(super) fn triage<S: Subject>(
    failure: Failure,
    fixed: &Fixed<S::Options>,
    scratch: &Path,
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
    let dull = || shrunk.setup.play(&Source::from(Tape::default()), Keep::Story);
    let operations = match panics::catch(dull) {
        Ok(dull) => signature::last_operations(&shrunk.outcome, &dull),
        Err(_) => String::new(),
    };
    let signature = Signature::new(S::NAME, &shrunk.violation, &operations);
    artifacts::save(scratch, &artifacts::name(&shrunk.violation.oracle, failure.seed), &shrunk)?;
    std::fs::write(scratch.join("lanes.json"), lanes::document(&shrunk.outcome).to_string())?;
    let Violation { expected, seen, .. } = shrunk.violation;
    Ok(Case {
        failure,
        signature,
        small: Small { size: shrunk.after, expected, seen, has_tape: true, files: Some(scratch.to_owned()) },
    })
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
