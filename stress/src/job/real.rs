//! Kinds of runs beside the simulator's seeds: an operation that is swept, a stretch on real threads, and one of processes that are
//! killed.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use tenterhook_runtime::io::Backend;

use super::counts::{Counts, Kind, Named};
use super::ledger::Finished;
use super::row::{Mode, Row};
use super::triage::{self, Case};
use super::work::nanos;
use crate::campaign::{Failure, Finding, SlowestSeed};
use crate::panics;
use crate::real::killed;
use crate::real::noise::NoiseKind;
use crate::real::threads::{self, KINDS, ThreadsOptions};
use crate::stop::Stop;
use crate::subject::Subject;
use crate::sweep::{self, Bounds};
use crate::violation::Violation;

/// How long a stretch of a real kind is.
const STRETCH: Duration = Duration::from_secs(5);
const CONNECTIONS: u64 = 64;
const STALL: Duration = Duration::from_secs(30);

fn row(seed: u64, steps: u64, began: Instant) -> Row {
    let nanos = nanos(began.elapsed());
    let slowest = Some(SlowestSeed { seed, nanos, steps });
    Row { seeds: 1, steps, nanos, slowest, counts: Counts::default(), ..Row::default() }
}

fn failed(seed: u64, violation: Violation, options: Vec<(&str, String)>, command: String) -> Failure {
    Failure {
        seed,
        options: options.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        steps: 0,
        trace_hash: 0,
        finding: Finding::Violation(violation),
        command,
    }
}

/// Sweeps operation number `number` of the subject.
pub(super) fn sweep<S: Subject>(number: u64) -> Option<Finished> {
    let began = Instant::now();
    let operations = S::operations();
    let operation = operations.get(usize::try_from(number).ok()?)?;
    let swept = panics::catch(|| sweep::sweep(operation.as_ref(), Bounds::default()));
    let name = operation.name();
    let failure = |violation, case: Option<String>| {
        let flag = case.as_ref().map_or_else(String::new, |case| format!(" --case {case}"));
        let command = format!("{} sweep --only '{name}'{flag}", S::PROGRAM);
        let options = vec![("operation", name.clone()), ("case", case.unwrap_or_default())];
        triage::unshrunk(S::NAME, failed(number, violation, options, command))
    };
    let (runs, cases): (u64, Vec<Case>) = match swept {
        Ok(Ok(report)) => (report.runs, Vec::new()),
        Ok(Err(broken)) => (0, vec![failure(broken.violation, Some(broken.case.to_string()))]),
        Err(panic) => (0, vec![failure(*Violation::panic(panic), None)]),
    };
    let named = vec![
        (Kind::Counter, "operations swept".to_owned(), 1),
        (Kind::Counter, "runs of them".to_owned(), runs),
    ];
    Some(Finished { mode: Mode::Sweep, seed: number, row: row(number, runs, began), named, cases })
}

/// Runs the subject on real threads for a while, in `scratch`.
pub(super) fn threads<S: Subject>(seed: u64, scratch: &Path, stop: &Stop) -> io::Result<Option<Finished>> {
    let began = Instant::now();
    std::fs::create_dir_all(scratch)?;
    let backends = match Backend::Uring.start() {
        Ok(_) => vec![Backend::Threads, Backend::Uring],
        Err(_) => vec![Backend::Threads],
    };
    let options = ThreadsOptions {
        directory: scratch.to_owned(),
        seed,
        duration: STRETCH,
        backends,
        connections: CONNECTIONS,
        workers: std::thread::available_parallelism().map_or(2, usize::from),
        faults: KINDS.map(|(kind, _)| kind).to_vec(),
        // A full disk is a limit of the process, which the job's database would meet.
        noise: NoiseKind::WITHIN.into_iter().filter(|kind| *kind != NoiseKind::FullDisk).collect(),
        stall: STALL,
        progress: false,
    };
    let workload = || S::threads(CONNECTIONS).expect("the job has asked for it");
    let summary = threads::run(&options, workload, stop)?;
    // What was found before Ctrl-C is found.
    if summary.interrupted && summary.runs.iter().all(|run| run.violation.is_none()) {
        return Ok(None);
    }
    let mut named: Vec<Named> = Vec::new();
    let mut cases = Vec::new();
    for run in &summary.runs {
        let counts = run.counts.iter().map(|count| (Kind::Counter, count.name.to_owned(), count.count));
        named.extend(counts);
        named.extend(run.faults.iter().map(|fault| (Kind::Delivered, fault.kind.to_owned(), fault.struck)));
        if let Some(violation) = &run.violation {
            let command =
                format!("{} threads --seed {seed:#x} --backend {} --duration 1m", S::PROGRAM, run.backend);
            let options = vec![("backend", run.backend.clone()), ("connections", CONNECTIONS.to_string())];
            cases.push(triage::unshrunk(S::NAME, failed(seed, violation.clone(), options, command)));
        }
    }
    let ended = summary.runs.iter().map(|run| run.ended).sum();
    // What is wrong with the files is in them.
    match cases.first_mut() {
        Some(case) => case.small.files = Some(scratch.to_owned()),
        None => drop(std::fs::remove_dir_all(scratch)),
    }
    Ok(Some(Finished { mode: Mode::Threads, seed, row: row(seed, ended, began), named, cases }))
}

/// Kills processes of the subject for a while, in `scratch`.
pub(super) fn crash<S: Subject>(seed: u64, scratch: &Path, stop: &Stop) -> io::Result<Option<Finished>> {
    let began = Instant::now();
    std::fs::create_dir_all(scratch)?;
    let system = S::killed().expect("the job has asked for it");
    let summary = killed::stretch(&system, (scratch, seed, STRETCH), S::PROGRAM, stop)?;
    // What was found before Ctrl-C is found.
    if summary.interrupted && summary.failure.is_none() {
        return Ok(None);
    }
    let counts = [
        ("deaths", summary.kills),
        ("recoveries", summary.recoveries),
        ("power losses", summary.power_losses),
        ("power losses with something at stake", summary.at_stake),
    ];
    let counts = counts.map(|(name, count)| (Kind::Counter, name.to_owned(), count)).into_iter();
    let meant = summary.meant().flat_map(|(name, meant, done)| {
        [(Kind::Requested, name.to_owned(), meant), (Kind::Delivered, name.to_owned(), done)]
    });
    let named = counts.chain(meant).filter(|&(.., count)| count > 0).collect();
    // Another run of the seed dies elsewhere: a moment is the kernel's. The files of this one say more.
    let command = format!("{} crash --seed {seed:#x} --duration 5m", S::PROGRAM);
    let mut case = summary
        .failure
        .map(|failure| triage::unshrunk(S::NAME, failed(seed, failure.violation, Vec::new(), command)));
    // What is wrong with the files is in them.
    match &mut case {
        Some(case) => case.small.files = Some(scratch.to_owned()),
        None => drop(std::fs::remove_dir_all(scratch)),
    }
    let row = row(seed, summary.kills, began);
    Ok(Some(Finished { mode: Mode::Crash, seed, row, named, cases: case.into_iter().collect() }))
}
