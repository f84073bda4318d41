//! The command line.

use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;

use crate::contender::Workload;
use crate::measure::Settings;
use crate::workloads;

/// Compares the tenterhook runtime with tokio, SQLite and redb: the same work, with checked results.
///
/// Contenders alternate in one process. A ratio is taken between two repetitions of the same round, and comes with the
/// interval that holds its true median with 95 per cent. A goal counts as met or missed only when the whole interval
/// is on one side of it.
///
/// Exit codes: 0 measured and every result right, whatever the figures; 2 the command line is wrong; 70 a contender
/// produced a wrong result.
#[derive(Debug, Parser)]
#[command(name = "tenterhook-compare", version)]
pub(crate) struct Options {
    /// Writes one JSON document instead of the table
    #[arg(long)]
    pub(crate) json: bool,
    /// Writes one Markdown table instead, with the machine and the commit
    #[arg(long, conflicts_with = "json")]
    pub(crate) markdown: bool,
    /// Few and short repetitions: shows that everything runs, but resolves little
    #[arg(long)]
    quick: bool,
    /// Measures only these workloads, by the names that --list shows
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    only: Vec<String>,
    /// Lists the workloads, their contenders and goals, and measures nothing
    #[arg(long)]
    pub(crate) list: bool,
    /// How often each contender is measured [default: 9; with --quick 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    repetitions: Option<u32>,
}

/// Why the program ends before it measured anything.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Help or version was asked for; this is it.
    Text(String),
    /// What is wrong, where, and what would be right, in one line.
    Usage(String),
}

impl Options {
    /// Reads the command line.
    pub(crate) fn read(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Self, Stop> {
        Self::try_parse_from(arguments).map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Stop::Text(error.to_string()),
            _ => Stop::Usage(one_line(&error.to_string())),
        })
    }

    /// The workloads to measure, in the order of the report.
    pub(crate) fn workloads(&self) -> Result<Vec<&'static Workload>, Stop> {
        let known = || workloads::ALL.iter();
        if let Some(unknown) = self.only.iter().find(|name| !known().any(|workload| workload.name == **name))
        {
            let names: Vec<_> = known().map(|workload| workload.name).collect();
            return Err(Stop::Usage(format!(
                "--only {unknown:?}: no such workload; there are {}",
                names.join(", ")
            )));
        }
        let chosen =
            |workload: &&Workload| self.only.is_empty() || self.only.iter().any(|name| name == workload.name);
        Ok(known().filter(chosen).collect())
    }

    pub(crate) fn settings(&self) -> Settings {
        let (repetitions, milliseconds) = if self.quick { (5, 3) } else { (9, 30) };
        Settings {
            repetitions: self.repetitions.map_or(repetitions, |n| n as usize),
            target: Duration::from_millis(milliseconds),
        }
    }
}

/// What clap says over several lines: the error, its tips, and where to read on.
fn one_line(message: &str) -> String {
    let mut parts = Vec::new();
    for line in message.lines().map(str::trim) {
        if line.starts_with("Usage:") || line.starts_with("For more information") {
            break;
        }
        let line = line.strip_prefix("error: ").unwrap_or(line);
        if !line.is_empty() {
            parts.push(line);
        }
    }
    format!("{}; see --help", parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Options, Stop> {
        Options::read(["tenterhook-compare"].iter().chain(arguments).map(Into::into))
    }

    fn complaint(arguments: &[&str]) -> String {
        match read(arguments).and_then(|options| options.workloads().map(drop)) {
            Err(Stop::Usage(line)) => line,
            other => panic!("{arguments:?} gave {other:?}"),
        }
    }

    #[test]
    fn a_complaint_is_one_line_that_names_the_place_and_the_remedy() {
        let unknown = complaint(&["--jsno"]);
        assert!(unknown.contains("--jsno") && unknown.contains("--json"), "{unknown}");
        let none = complaint(&["--repetitions", "0"]);
        assert!(none.contains('0') && none.contains("1..=10000"), "{none}");
        let workload = complaint(&["--only", "group,grupo"]);
        assert!(workload.contains("grupo") && workload.contains("completion, await"), "{workload}");
        for line in [unknown, none, workload] {
            assert_eq!(line.lines().count(), 1, "{line}");
        }
    }

    #[test]
    fn only_keeps_the_order_of_the_report() {
        let workloads = read(&["--only", "group,completion"]).unwrap().workloads().unwrap();
        let names: Vec<_> = workloads.iter().map(|workload| workload.name).collect();
        assert_eq!(names, ["completion", "group"]);
    }

    #[test]
    fn quick_can_be_made_longer() {
        assert_eq!(read(&["--quick"]).unwrap().settings().repetitions, 5);
        assert_eq!(read(&["--quick", "--repetitions", "20"]).unwrap().settings().repetitions, 20);
        assert_eq!(read(&[]).unwrap().settings().repetitions, 9);
    }
}
