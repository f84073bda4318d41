//! The command line.

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;

use crate::measure::Settings;
use crate::row::{Extent, Workload};
use crate::workloads;

/// Compares the tenterhook runtime with tokio, SQLite and redb: the same work, with checked results.
///
/// Contenders alternate in one process. A ratio is taken between two repetitions of the same round, and comes with the
/// interval that holds its true median with 95 per cent. A goal counts as met or missed only when the whole interval
/// is on one side of it.
///
/// Exit codes: 0 measured and every result right, whatever the figures; 1 with --baseline or --against a row of ours is
/// slower beyond its intervals; 2 the command line or a file that it names is wrong; 69 the revision of --against can't
/// be built; 70 a contender produced a wrong result; 74 a file can't be written; 130 interrupted, with what had been
/// measured.
#[derive(Debug, Parser)]
#[command(name = "tenterhook-compare", version)]
pub(crate) struct Options {
    /// Writes one JSON document instead of the table
    #[arg(long)]
    pub(crate) json: bool,
    /// Writes Markdown tables instead, with the machine and the commit
    #[arg(long, conflicts_with = "json")]
    pub(crate) markdown: bool,
    /// Writes one page with plots to FILE, too
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Few rows, and short repetitions: under two minutes, but resolves little
    #[arg(long)]
    quick: bool,
    /// All sizes, and more repetitions
    #[arg(long, conflicts_with = "quick")]
    full: bool,
    /// Measures only these scenarios or rows, by the names that --list shows. A row that is named is measured in a quick
    /// run, too
    #[arg(long, visible_alias = "only", value_name = "NAME,..", value_delimiter = ';')]
    scenario: Vec<String>,
    /// Lists the scenarios and their rows, and measures nothing
    #[arg(long)]
    pub(crate) list: bool,
    /// How often each contender is measured [default: 9; with --quick 5, with --full 15]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    repetitions: Option<u32>,
    /// Keeps the results in FILE, row by row, and goes on with the rows that are not in it
    #[arg(long, value_name = "FILE")]
    pub(crate) resume: Option<PathBuf>,
    /// Compares with the results that --json or --resume kept in FILE, by the ratios to the same peers
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// Compares with revision REV of the runtime: builds it with today's rows, and lets both builds alternate
    #[arg(long, value_name = "REV", conflicts_with_all = ["baseline", "resume", "json", "markdown", "html"])]
    pub(crate) against: Option<String>,
    /// Skips rows that need more memory than this [default: what the system has available]
    #[arg(long, value_name = "MIB")]
    memory: Option<NonZero<u64>>,
    /// Serves one side of --against
    #[arg(long, hide = true)]
    pub(crate) worker: bool,
}

/// Why the program ends before it measured anything.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Help or version was asked for; this is it.
    Text(String),
    /// What is wrong, where, and what would be right, in one line.
    Usage(String),
}

/// What was asked for: extents, and names.
#[derive(Debug)]
pub(crate) struct Selection {
    extent: Extent,
    /// All rows when it is empty.
    names: Vec<String>,
}

impl Selection {
    /// Whether a workload has rows that may be asked for.
    pub(crate) fn wants(&self, workload: &Workload, row: &str, extent: Extent) -> bool {
        let named = |name: &str| self.names.iter().any(|wanted| wanted == name);
        named(row) || (extent <= self.extent && (self.names.is_empty() || named(workload.name)))
    }

    /// The workloads that have any row that is asked for, in the order of the report.
    pub(crate) fn workloads(&self) -> Vec<&'static Workload> {
        let has_any = |workload: &&Workload| {
            (workload.plans)().iter().any(|plan| self.wants(workload, &plan.name, plan.extent))
        };
        workloads::ALL.iter().filter(has_any).collect()
    }
}

impl Options {
    /// Reads the command line.
    pub(crate) fn read(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Self, Stop> {
        Self::try_parse_from(arguments).map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Stop::Text(error.to_string()),
            _ => Stop::Usage(one_line(&error.to_string())),
        })
    }

    /// The rows to measure.
    pub(crate) fn selection(&self) -> Result<Selection, Stop> {
        // A row's name may have commas, a list of names has them between two: whole names first.
        let rows: Vec<String> =
            workloads::ALL.iter().flat_map(|workload| (workload.plans)()).map(|plan| plan.name).collect();
        let is_known = |name: &str| {
            workloads::ALL.iter().any(|workload| workload.name == name) || rows.iter().any(|row| row == name)
        };
        let mut names = Vec::new();
        for name in &self.scenario {
            if is_known(name) {
                names.push(name.clone());
                continue;
            }
            for name in name.split(',').map(str::trim) {
                if !is_known(name) {
                    return Err(unknown(name));
                }
                names.push(name.to_owned());
            }
        }
        Ok(Selection { extent: self.extent(), names })
    }

    fn extent(&self) -> Extent {
        match (self.quick, self.full) {
            (true, _) => Extent::Quick,
            (_, true) => Extent::Full,
            _ => Extent::Normal,
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        let (repetitions, milliseconds) = match self.extent() {
            Extent::Quick => (5, 8),
            Extent::Normal => (9, 30),
            Extent::Full => (15, 30),
        };
        Settings {
            repetitions: self.repetitions.map_or(repetitions, |n| n as usize),
            target: Duration::from_millis(milliseconds),
        }
    }

    /// Bytes that a row may need.
    pub(crate) fn memory(&self) -> u64 {
        let given = self.memory.map(|mebibytes| mebibytes.get().saturating_mul(1 << 20));
        given.or_else(crate::host::available_memory).unwrap_or(u64::MAX)
    }
}

fn unknown(name: &str) -> Stop {
    let names: Vec<_> = workloads::ALL.iter().map(|workload| workload.name).collect();
    let names = names.join(", ");
    Stop::Usage(format!(
        "--scenario {name:?}: no such scenario or row; there are {names}; --list shows their rows"
    ))
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
        match read(arguments).and_then(|options| options.selection().map(drop)) {
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
        let workload = complaint(&["--scenario", "group,grupo"]);
        assert!(workload.contains("grupo") && workload.contains("completion, await"), "{workload}");
        for line in [unknown, none, workload] {
            assert_eq!(line.lines().count(), 1, "{line}");
        }
    }

    fn chosen(arguments: &[&str]) -> Vec<String> {
        let selection = read(arguments).unwrap().selection().unwrap();
        let plans = workloads::ALL.iter().flat_map(|workload| {
            let plans = (workload.plans)().into_iter();
            plans.filter(|plan| selection.wants(workload, &plan.name, plan.extent)).collect::<Vec<_>>()
        });
        plans.map(|plan| plan.name).collect()
    }

    #[test]
    fn the_commands_of_the_documents_are_understood() {
        let mut commands = 0;
        for text in [include_str!("../README.md"), include_str!("../../Makefile")] {
            for line in text.lines().filter(|line| line.contains("-p tenterhook-compare")) {
                let line = line.split(" #").next().unwrap().replace("$(REV)", "main");
                let given = line.split_once(" -- ").map_or("", |(_, given)| given);
                let arguments: Vec<_> = given.split_whitespace().collect();
                read(&arguments).and_then(|options| options.selection()).expect(&line);
                commands += 1;
            }
        }
        assert_eq!(commands, 9, "six in the README, three in the Makefile");
    }

    #[test]
    fn scenarios_keep_the_order_of_the_report() {
        let selection = read(&["--only", "group,completion"]).unwrap().selection().unwrap();
        let names: Vec<_> = selection.workloads().iter().map(|workload| workload.name).collect();
        assert_eq!(names, ["completion", "group"]);
    }

    #[test]
    fn a_row_is_chosen_by_its_name_although_it_has_commas_and_belongs_to_a_full_run() {
        assert_eq!(
            chosen(&["--quick", "--scenario", "reads, O_DIRECT, 256 at a time"]),
            ["reads, O_DIRECT, 256 at a time"]
        );
    }

    #[test]
    fn each_extent_has_the_rows_of_the_smaller_ones_and_more() {
        let [quick, normal, full] = [&["--quick"][..], &[], &["--full"]].map(chosen);
        assert!(quick.len() < normal.len() && normal.len() < full.len());
        assert!(quick.iter().all(|row| normal.contains(row)) && normal.iter().all(|row| full.contains(row)));
    }

    #[test]
    fn no_two_rows_have_the_same_name() {
        let mut names = chosen(&["--full"]);
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn extents_set_the_repetitions_unless_they_are_given() {
        let repetitions = |arguments: &[&str]| read(arguments).unwrap().settings().repetitions;
        assert_eq!(repetitions(&["--quick"]), 5);
        assert_eq!(repetitions(&["--quick", "--repetitions", "20"]), 20);
        assert_eq!((repetitions(&[]), repetitions(&["--full"])), (9, 15));
    }
}
