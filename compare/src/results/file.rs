//! The document in a file: written after each row, read by a run that resumes and by one that compares.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{FORMAT, Report};

/// Why a file can't be used.
#[derive(Debug)]
pub(crate) struct FileError {
    path: PathBuf,
    reason: String,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.reason)
    }
}

impl FileError {
    pub(crate) fn unwritable(path: &Path, error: &io::Error) -> Self {
        let reason = format!("{error}; a file in a folder that exists and is writable is needed");
        Self { path: path.to_owned(), reason }
    }
}

/// What every version of the document has.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

/// Reads a document.
pub(crate) fn load(path: &Path) -> Result<Report, FileError> {
    let wrong = |reason: String| FileError { path: path.to_owned(), reason };
    let text = std::fs::read_to_string(path)
        .map_err(|error| wrong(format!("{error}; a file that --json or --resume wrote is needed")))?;
    parse(&text).map_err(wrong)
}

fn parse(text: &str) -> Result<Report, String> {
    let version: Version = serde_json::from_str(text)
        .map_err(|error| format!("no results of this program ({error}); --json and --resume write them"))?;
    if version.format != FORMAT {
        return Err(format!(
            "results of version {}, where this program writes and reads version {FORMAT}; measure them again",
            version.format
        ));
    }
    serde_json::from_str(text).map_err(|error| format!("damaged results: {error}; measure them again"))
}

/// The document of a run that goes on, or `fresh` where there is no file yet.
///
/// A run goes on with the same sources, machine and settings only: its rows would not be comparable otherwise.
pub(crate) fn resume(path: &Path, fresh: Report) -> Result<Report, FileError> {
    if !path.exists() {
        // Now, and not after the first row, a folder that is missing or that can't be written to shows.
        save(path, &fresh)?;
        return Ok(fresh);
    }
    let found = load(path)?;
    let of = |report: &Report| {
        let host = &report.host;
        let per_repetition = report.milliseconds_per_repetition;
        [
            ("commit", host.commit.clone()),
            ("compiler", host.rustc.clone()),
            ("machine", format!("{}, {} cores", host.cpu, host.cores)),
            ("settings", format!("{} repetitions of {per_repetition} ms", report.repetitions)),
        ]
    };
    for ((what, then), (_, now)) in of(&found).into_iter().zip(of(&fresh)) {
        if then != now {
            let reason = format!("its {what} is \"{then}\" and this run's is \"{now}\"; name another file");
            return Err(FileError { path: path.to_owned(), reason });
        }
    }
    // Skipped rows get another chance: memory may be free now.
    Ok(Report { interrupted: false, skipped: Vec::new(), ..found })
}

/// Writes the document as a whole: a reader, and a run that is killed, see the old one or the new one.
pub(crate) fn save(path: &Path, report: &Report) -> Result<(), FileError> {
    write(path, report).map_err(|error| FileError::unwritable(path, &error))
}

fn write(path: &Path, report: &Report) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer_pretty(&mut file, report)?;
    writeln!(file)?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::host::Host;
    use crate::measure::Settings;

    fn report(repetitions: usize) -> Report {
        Report::new(Host::look(), Settings { repetitions, target: Duration::from_millis(3) })
    }

    fn reason(result: Result<Report, FileError>) -> String {
        result.map(drop).expect_err("a file that can't be used").to_string()
    }

    #[test]
    fn a_saved_document_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        let fresh = resume(&path, report(9)).unwrap();
        assert_eq!(fresh.repetitions, 9);
        assert_eq!(
            serde_json::to_string(&load(&path).unwrap()).unwrap(),
            serde_json::to_string(&fresh).unwrap()
        );
    }

    #[test]
    fn a_run_of_other_settings_does_not_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        save(&path, &report(9)).unwrap();
        let line = reason(resume(&path, report(5)));
        assert!(line.contains("9 repetitions") && line.contains("5 repetitions"), "{line}");
        assert!(resume(&path, report(9)).is_ok());
    }

    #[test]
    fn files_that_can_t_be_used_say_why_in_a_line() {
        let other = format!("{{\"format\": {}}}", FORMAT + 1);
        let cases = [("", "no results"), ("[]", "no results"), ("{}", "no results"), (&other, "version 3")];
        for (text, part) in cases {
            let line = parse(text).map(drop).unwrap_err();
            assert!(line.contains(part) && line.lines().count() == 1, "{line}");
        }
        let line = reason(load(Path::new("/nowhere/at/all")));
        assert!(line.contains("/nowhere/at/all") && line.contains("--json"), "{line}");
    }
}
