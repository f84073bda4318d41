//! Measures the tenterhook runtime against tokio async and friends.
//!
//! A [`Workload`] has rows, a row has contenders that do the same work and prove it, and goals.
//! [`measure`] lets the contenders of a row alternate, [`report`] turns the samples into ratios with intervals and
//! into verdicts, [`warning`] says what to doubt. To add a row, add a file to [`workloads`].

mod alloc;
mod cli;
mod contender;
mod exit;
mod goal;
mod host;
mod measure;
mod report;
mod signal;
mod statistics;
mod sync;
#[cfg(feature = "turso")]
mod turso;
mod warning;
mod workloads;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use cli::{Options, Stop};
use contender::Workload;
use exit::Exit;
use host::Host;
use report::Report;

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

/// What ends a comparison early.
enum Failure {
    Wrong(measure::WrongResult),
    Output(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

fn main() -> ExitCode {
    let options =
        match Options::read(std::env::args_os()).and_then(|options| Ok((options.workloads()?, options))) {
            Ok(options) => options,
            Err(Stop::Text(text)) => {
                print!("{text}");
                return Exit::Ok.into();
            }
            Err(Stop::Usage(line)) => {
                eprintln!("tenterhook-compare: {line}");
                return Exit::Usage.into();
            }
        };
    let (workloads, options) = options;
    let done =
        if options.list { list(&workloads).map_err(Failure::Output) } else { compare(&workloads, &options) };
    match done {
        Ok(()) => Exit::Ok.into(),
        Err(Failure::Wrong(wrong)) => {
            eprintln!("tenterhook-compare: {wrong}");
            Exit::WrongResult.into()
        }
        // The reader has seen enough.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok.into(),
        Err(Failure::Output(error)) => {
            eprintln!("tenterhook-compare: standard output: {error}; it must be writable");
            Exit::Usage.into()
        }
    }
}

/// Measures and reports. The table is written row by row, a document at the end.
fn compare(workloads: &[&Workload], options: &Options) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let settings = options.settings();
    let mut report = Report::new(Host::look(), settings);
    let is_table = !options.json && !options.markdown;
    if is_table {
        report::write_header(&mut out, &report)?;
    }
    for workload in workloads {
        for mut row in (workload.rows)() {
            progress(&row.name);
            let samples = measure::measure(&mut row, settings).map_err(Failure::Wrong)?;
            progress("");
            report.add(&row, &samples);
            if let (true, Some(row)) = (is_table, report.rows.last()) {
                report::write_row(&mut out, row)?;
            }
        }
    }
    if options.json {
        serde_json::to_writer_pretty(&mut out, &report).map_err(io::Error::from)?;
        writeln!(out)?;
    } else if options.markdown {
        report::write_markdown(&mut out, &report)?;
    } else {
        report::write_summary(&mut out, &report)?;
    }
    Ok(())
}

/// Overwrites the line on the terminal that says what is being measured.
fn progress(what: &str) {
    if io::stderr().is_terminal() {
        eprint!("\r\x1b[2K{what}");
    }
}

fn list(workloads: &[&Workload]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for workload in workloads {
        writeln!(out, "{:12} {}", workload.name, workload.about)?;
        for row in (workload.rows)() {
            let names: Vec<_> = row.contenders.iter().map(|entry| entry.name).collect();
            writeln!(out, "  {}\n    {}", row.name, names.join("; "))?;
        }
    }
    Ok(())
}
