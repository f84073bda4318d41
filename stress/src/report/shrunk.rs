use std::path::Path;

use serde::Serialize;

use crate::shrink::artifacts::{self, Artifacts};
use crate::shrink::{Ending, Replay, Shrunk, Size};
use crate::tape::Tape;
use crate::violation::Violation;

/// What came of shrinking a failure, as a summary has it.
#[derive(Clone, Debug, Serialize)]
pub struct ShrunkFailure {
    /// The files that were written.
    pub files: Artifacts,
    /// The failure as it was found.
    pub before: Size,
    /// The failure as it is now.
    pub after: Size,
    /// Runs that this took.
    pub runs: u64,
    /// Why it took no more.
    pub ending: Ending,
    /// What is broken in the small run.
    pub violation: Violation,
    /// What the small run begins with in place of an empty disk, if its past was cut off.
    pub fixture: Option<String>,
    /// Whether the small run shows something else than the failing run, by the same oracle.
    pub other_symptom: bool,
}

impl ShrunkFailure {
    /// Writes the files of `shrunk` and keeps its figures.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn save<R: Replay>(
        directory: &Path,
        seed: u64,
        shrunk: &Shrunk<R>,
    ) -> std::io::Result<ShrunkFailure> {
        let name = artifacts::name(&shrunk.violation.oracle, seed);
        Ok(ShrunkFailure {
            files: artifacts::save(directory, &name, shrunk)?,
            before: shrunk.before,
            after: shrunk.after,
            runs: shrunk.runs,
            ending: shrunk.ending,
            violation: shrunk.violation.clone(),
            fixture: shrunk.source.tape().and_then(Tape::fixture).map(|fixture| fixture.describe()),
            other_symptom: !shrunk.violation.is_alike(&shrunk.original),
        })
    }
}

impl std::fmt::Display for ShrunkFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = match self.ending {
            Ending::Exhausted => "",
            Ending::BudgetSpent => ", the budget was spent",
            Ending::Stopped => ", stopped: the smallest so far",
        };
        writeln!(f, "shrunk           from {}", self.before)?;
        writeln!(f, "to               {} ({} runs{end})", self.after, self.runs)?;
        if let Some(fixture) = &self.fixture {
            writeln!(f, "begins with      a fixture: {fixture}")?;
        }
        if self.other_symptom {
            writeln!(
                f,
                "OTHER SYMPTOM    the small run breaks the promise in another way:\n{}",
                self.violation
            )?;
        }
        writeln!(f, "tape             {}", self.files.tape.display())?;
        writeln!(f, "regression test  {}", self.files.test.display())?;
        writeln!(f, "timeline         {}", self.files.timeline.display())
    }
}
