//! The scoreboard: breaks the runtime in known ways, one at a time, and says which detector notices, and how soon.
//!
//! A green run says nothing unless red is possible. `make mutants` makes the table in `stress/mutants/`; `make
//! mutants-quick` asks a dozen of them in CI.

mod attempt;
mod bench;
mod cell;
mod detector;
mod group;
mod key;
mod lane;
mod ledger;
mod lock;
mod mutant;
mod process;
mod quick;
mod report;
mod source;
mod tree;

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use bench::{Bench, CLEAN, Fault};
use detector::Detector;
use key::Keys;
use lane::Job;
use ledger::Ledger;
use lock::Lock;
use mutant::Mutant;
use report::{Figure, Report, Row};
use source::Source;

/// All gates are open.
const OPEN: u8 = 0;
/// The command line or the catalogue makes no sense.
const USAGE: u8 = 2;
/// A gate is shut: a mutant is missed, or the clean code raises an alarm.
const SHUT: u8 = 10;
/// The scoreboard itself could not go on.
const INTERNAL: u8 = 70;
/// Ctrl-C, or another signal that asks it to end.
const INTERRUPTED: u8 = 130;

/// The last line of a run that is interrupted.
const TO_BE_CONTINUED: &str =
    "tenterhook-mutants: interrupted; finished results are kept, and the same command continues from here";

/// Breaks the runtime in known ways, one at a time, and says which detector notices, and how soon.
///
/// Exit codes: 0 all gates open; 2 an option makes no sense, a patch does not apply or build, or the state folder is taken;
/// 10 a mutant is missed or the clean code raises an alarm; 70 a build of the clean code or a detector failed; 130
/// interrupted.
#[derive(Parser)]
#[command(
    name = "tenterhook-mutants",
    after_help = "Example: tenterhook-mutants --only pager --detector sim"
)]
struct Arguments {
    /// Only mutants whose id contains one of these.
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Only these detectors [default: all]
    #[arg(long, value_name = "NAME")]
    detector: Vec<Detector>,
    /// A fixed dozen with small budgets, for CI; writes no table.
    #[arg(long, conflicts_with_all = ["only", "detector"])]
    quick: bool,
    /// The patches, and where the table goes.
    #[arg(long, value_name = "DIRECTORY", default_value = "stress/mutants")]
    catalogue: PathBuf,
    /// Scratch copy, builds, logs and what is known so far; a run that was interrupted resumes from there.
    #[arg(long, value_name = "DIRECTORY", default_value = "tenterhook-runs/mutants")]
    state: PathBuf,
    /// Mutants at a time; each has a processor of its own, but for detectors that need several [default: one for each core,
    /// at most 4]
    #[arg(long, value_name = "N")]
    lanes: Option<NonZero<usize>>,
    /// Only see whether each patch applies and compiles, also where results are known.
    #[arg(long, conflicts_with_all = ["quick", "detector"])]
    check: bool,
    /// Say what there is, and do nothing.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut mutants = match mutant::catalogue(&arguments.catalogue) {
        Ok(mutants) => mutants,
        Err(problems) => {
            problems.iter().for_each(|problem| eprintln!("tenterhook-mutants: {problem}"));
            return ExitCode::from(USAGE);
        }
    };
    if !arguments.only.is_empty() {
        mutants.retain(|mutant| arguments.only.iter().any(|text| mutant.id.contains(text)));
    }
    if mutants.is_empty() {
        eprintln!("tenterhook-mutants: no mutant's id contains any of --only's texts; --list prints the ids");
        return ExitCode::from(USAGE);
    }
    if arguments.list {
        mutants.iter().for_each(|mutant| println!("{:<44} {}", mutant.id, mutant.breaks));
        return ExitCode::SUCCESS;
    }
    match locked(&arguments, mutants) {
        Ok(objections) if objections.is_empty() => ExitCode::from(OPEN),
        Ok(objections) => {
            objections.iter().for_each(|objection| println!("SHUT  {objection}"));
            ExitCode::from(SHUT)
        }
        Err(fault) => {
            eprintln!("tenterhook-mutants: {fault}");
            ExitCode::from(if fault.is_usage() { USAGE } else { INTERNAL })
        }
    }
}

/// The run that is asked for, with the state folder for itself; what the gates say against it.
fn locked(arguments: &Arguments, mutants: Vec<Mutant>) -> Result<Vec<String>, Fault> {
    let _lock = Lock::take(&arguments.state)?;
    group::end_all_on_signals(INTERRUPTED, TO_BE_CONTINUED)?;
    if arguments.quick { quick::run(&mutants, &arguments.state) } else { run(arguments, mutants) }
}

/// The long run; what the gates say against it.
fn run(arguments: &Arguments, mutants: Vec<Mutant>) -> Result<Vec<String>, Fault> {
    let detectors =
        if arguments.detector.is_empty() { Detector::ALL.to_vec() } else { arguments.detector.clone() };
    let ledger = Ledger::open(&arguments.state.join("ledger.json"))?;
    let source = Source::freeze(Path::new("."), &arguments.state)?;
    let keys = Keys::of(source.root(), &detectors, mutants.iter().map(Mutant::area))?;
    let bench = Bench::new(source.root(), &arguments.state, 0)?;
    if arguments.check {
        check(&bench, &mutants.iter().collect::<Vec<_>>())?;
        println!("{} patches apply and compile", mutants.len());
        return Ok(Vec::new());
    }
    // A patch that is of no use is named at once, before the long run.
    check(&bench, &unknown(&mutants, &ledger, &keys, &detectors))?;

    let jobs: Vec<Job<'_>> = [None]
        .into_iter()
        .chain(mutants.iter().map(Some))
        .map(|mutant| {
            let reaches = |detector: &&Detector| mutant.is_none_or(|mutant| detector.reaches(mutant.area()));
            (mutant, detectors.iter().filter(reaches).copied().collect())
        })
        .collect();
    let progress = bar(jobs.iter().map(|(_, detectors)| detectors.len() as u64).sum());
    let lanes = arguments.lanes.map_or_else(|| cores().min(4), NonZero::get);
    let cells = lane::run(&jobs, lanes, &source, &arguments.state, ledger, &keys, &progress)?;
    progress.finish_and_clear();

    let cells_of = |id: &str| {
        detectors.iter().filter_map(|detector| cells.get(&(id.to_owned(), *detector))).collect::<Vec<_>>()
    };
    let whole = arguments.only.is_empty() && arguments.detector.is_empty();
    let report = Report {
        whole,
        commit: source.commit.clone(),
        machine: machine(),
        rows: mutants.iter().map(|mutant| Row::new(mutant, cells_of(&mutant.id).into_iter())).collect(),
        clean: cells_of(CLEAN).into_iter().map(Figure::new).collect(),
        detectors,
    };
    let folder = if whole { &arguments.catalogue } else { &arguments.state };
    report.write(folder)?;
    let found = report.rows.iter().filter(|row| row.is_found()).count();
    println!(
        "{found} of {} mutants found; {}/scoreboard.md, .json, .html",
        report.rows.len(),
        folder.display()
    );
    Ok(report.objections())
}

/// Those of which no detector's result is known.
fn unknown<'a>(
    mutants: &'a [Mutant],
    ledger: &Ledger,
    keys: &Keys,
    detectors: &[Detector],
) -> Vec<&'a Mutant> {
    let is_unknown = |mutant: &&Mutant| {
        let known = |detector: &Detector| {
            let key = keys.get(*detector, Some(mutant.area()));
            ledger.get(&mutant.id, *detector, key, mutant.hash).is_some()
        };
        !detectors.iter().any(known)
    };
    mutants.iter().filter(is_unknown).collect()
}

/// Applies and compiles mutants, one after the other.
fn check(bench: &Bench, mutants: &[&Mutant]) -> Result<(), Fault> {
    let progress = bar(mutants.len() as u64);
    for mutant in mutants {
        progress.set_message(format!("{} applies and builds?", mutant.id));
        bench.check(mutant)?;
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(())
}

fn bar(length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:24} {pos}/{len}  {elapsed} gone, {eta} left  {wide_msg}");
    ProgressBar::new(length).with_style(style.expect("a template without mistakes"))
}

fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name.to_owned()));
    let cores = cores();
    format!("{}, {cores} cores", name.unwrap_or_else(|| std::env::consts::ARCH.into()))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
