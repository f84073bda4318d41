//! What is left of a failure for the repository: a tape, a test that plays it, a timeline.

use std::io;
use std::path::{Path, PathBuf};

use super::{Replay, Shrunk};
use crate::tape::Tape;
use crate::timeline;

/// The files of one failure.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Artifacts {
    /// The small run's choices.
    pub tape: PathBuf,
    /// A test that plays them.
    pub test: PathBuf,
    /// What happens, stream by stream.
    pub timeline: PathBuf,
}

/// Writes the files of `shrunk` into `directory`, which is made if need be.
///
/// # Errors
///
/// Those of the file system.
pub fn save<R: Replay>(directory: &Path, name: &str, shrunk: &Shrunk<R>) -> io::Result<Artifacts> {
    std::fs::create_dir_all(directory)?;
    let path = |extension: &str| directory.join(format!("{name}.{extension}"));
    let artifacts = Artifacts { tape: path("tape"), test: path("rs"), timeline: path("txt") };
    shrunk.file().write(&artifacts.tape)?;
    std::fs::write(&artifacts.test, regression(name, shrunk))?;
    std::fs::write(&artifacts.timeline, timeline::draw(&shrunk.outcome))?;
    Ok(artifacts)
}

/// The name of a failure: what was broken and the seed that found it.
pub fn name(oracle: &str, seed: u64) -> String {
    let word: String = oracle.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("{word}_{seed:x}")
}

fn regression<R: Replay>(name: &str, shrunk: &Shrunk<R>) -> String {
    let violation = &shrunk.violation;
    let one_line = |text: &str| text.replace('\n', " ");
    let fixture = shrunk.source.tape().and_then(Tape::fixture);
    let begins = fixture.map_or_else(String::new, |fixture| {
        format!("//! Begins with a fixture, which is on the tape: {}.\n", fixture.describe())
    });
    format!(
        "//! What broke: {}.\n//! Expected: {}\n//! Seen:     {}\n{begins}//! Put it beside `{name}.tape` under `tests/`, and say here what fixed it.\n\n\
         #[test]\nfn {name}_stays_fixed() {{\n    \
         {}\n}}\n",
        violation.oracle,
        one_line(&violation.expected),
        one_line(&violation.seen),
        shrunk.setup.test(&format!("{name}.tape")),
    )
}
