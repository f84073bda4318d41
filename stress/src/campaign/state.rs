use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{CampaignOptions, Failure, Totals};
use crate::options::{Fixed, NoOptions};
use crate::subject::{Options, Subject};

/// The state directory cannot be used: what, where, what would be right.
#[derive(Debug, thiserror::Error)]
#[error("--state {}: {problem}", path.display())]
pub struct StateError {
    path: PathBuf,
    problem: String,
}

/// One line of the state file. The first is the campaign; of the progress lines the last counts.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", bound = "O: Options")]
enum Line<O: Options> {
    Campaign { tester: String, system: String, first_seed: u64, recheck: u64, fixed: Fixed<O> },
    Progress { next: u64, elapsed_nanos: u64, totals: Totals },
    Failure(Failure),
}

/// Where a campaign was left.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) next: u64,
    pub(super) elapsed: Duration,
    pub(super) totals: Totals,
    pub(super) failures: Vec<Failure>,
}

/// A file of JSON lines, only ever appended to, so that whatever ends the process leaves all but the last line whole.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    file: File,
    first_seed: u64,
    progress: Progress,
}

/// The version that wrote a state: another one may give a seed another meaning.
const TESTER: &str = concat!("tenterhook ", env!("CARGO_PKG_VERSION"));

impl StateFile {
    /// Opens or begins the state of a campaign in `directory`.
    pub(super) fn open<S: Subject>(
        directory: &Path,
        options: &CampaignOptions<S>,
    ) -> Result<StateFile, StateError> {
        let path = directory.join("campaign.jsonl");
        let error = |problem: String| StateError { path: path.clone(), problem };
        fs::create_dir_all(directory)
            .map_err(|io| error(format!("cannot make the directory ({io}); name one that can be written")))?;
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(io) if io.kind() == io::ErrorKind::NotFound => String::new(),
            Err(io) => {
                return Err(error(format!("cannot be read ({io}); name a directory made by an earlier run")));
            }
        };
        let (first_seed, progress) = parse(&text, options).map_err(error)?;
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file =
            file.map_err(|io| error(format!("cannot be written ({io}); name a directory that can")))?;
        let mut state = StateFile { file, first_seed, progress, path: path.clone() };
        if text.is_empty() {
            state.append(&Line::Campaign {
                tester: TESTER.into(),
                system: S::NAME.into(),
                first_seed,
                recheck: options.recheck,
                fixed: options.fixed.clone(),
            })?;
        } else if !text.ends_with('\n') {
            // The last line was cut off; what follows must not be glued to it.
            state.write(b"\n")?;
        }
        Ok(state)
    }

    /// The first seed of the campaign, which an earlier sitting may have chosen.
    pub(super) fn first_seed(&self) -> u64 {
        self.first_seed
    }

    /// Where the campaign was left.
    pub(super) fn take_progress(&mut self) -> Progress {
        std::mem::take(&mut self.progress)
    }

    pub(super) fn append_progress(
        &mut self,
        next: u64,
        elapsed: Duration,
        totals: &Totals,
    ) -> Result<(), StateError> {
        let elapsed_nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        self.append(&Line::<NoOptions>::Progress { next, elapsed_nanos, totals: totals.clone() })
    }

    pub(super) fn append_failure(&mut self, failure: &Failure) -> Result<(), StateError> {
        self.append(&Line::<NoOptions>::Failure(failure.clone()))
    }

    fn append<O: Options>(&mut self, line: &Line<O>) -> Result<(), StateError> {
        let mut text = serde_json::to_string(line).map_err(|json| StateError {
            path: self.path.clone(),
            problem: format!("cannot be encoded: {json}"),
        })?;
        text.push('\n');
        self.write(text.as_bytes())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let written = self.file.write_all(bytes).and_then(|()| self.file.flush());
        written.map_err(|io| StateError {
            path: self.path.clone(),
            problem: format!("cannot be written ({io}); make room or name another directory"),
        })
    }
}

/// Reads a state. A last line without its end is what an interruption leaves; any other line must make sense.
fn parse<S: Subject>(text: &str, options: &CampaignOptions<S>) -> Result<(u64, Progress), String> {
    let mut progress = Progress::default();
    let mut first_seed = options.first_seed;
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for (index, line) in whole.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
        let number = index + 1;
        match serde_json::from_str::<Line<S::Options>>(line) {
            Ok(Line::Campaign { tester, system, first_seed: seed, recheck, fixed }) => {
                if system != S::NAME {
                    let name = S::NAME;
                    return Err(format!(
                        "line {number}: seeds of {system}, this is {name}; begin a new directory"
                    ));
                }
                if tester != TESTER {
                    return Err(format!(
                        "line {number}: made by {tester}, this is {TESTER}; begin a new directory"
                    ));
                }
                if fixed != options.fixed || recheck != options.recheck {
                    let flags = fixed.flags();
                    return Err(format!(
                        "line {number}: made with other flags; use those ({flags} --recheck {recheck}) or a new directory"
                    ));
                }
                first_seed = seed;
            }
            Ok(Line::Progress { next, elapsed_nanos, totals }) => {
                (progress.next, progress.totals) = (next, totals);
                progress.elapsed = Duration::from_nanos(elapsed_nanos);
            }
            // A seed that had failed beyond the last progress line was run again, and failed again.
            Ok(Line::Failure(failure)) if progress.failures.contains(&failure) => {}
            Ok(Line::Failure(failure)) => progress.failures.push(failure),
            Err(_) if index > 0 && !line.ends_with('}') => {}
            Err(json) => {
                return Err(format!(
                    "line {number} is no line of a campaign ({json}); name a directory made by an earlier run"
                ));
            }
        }
    }
    // Failures beyond the last progress line belong to seeds that will be run again.
    let done = first_seed.wrapping_add(progress.next);
    progress.failures.retain(|failure| failure.seed.wrapping_sub(first_seed) < done.wrapping_sub(first_seed));
    Ok((first_seed, progress))
}
