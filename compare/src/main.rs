//! Measures the tenterhook runtime against tokio async and friends.
//!
//! A [`Workload`](row::Workload) plans rows, a row has contenders that do the same work and prove it, and goals.
//! [`measure`] lets the contenders of a row alternate, [`session`] goes from row to row, [`results`] turns the samples into
//! ratios with intervals, verdicts and growth, [`output`] writes them, [`baseline`] and [`against`] compare two runs or two
//! builds, and [`warning`] says what to doubt. To add a row, add a file to [`workloads`].

mod against;
mod alloc;
mod baseline;
mod cli;
mod contender;
mod exit;
mod goal;
mod host;
mod measure;
mod output;
mod results;
mod row;
mod session;
mod signal;
mod statistics;
mod stop;
mod sync;
#[cfg(feature = "turso")]
mod turso;
mod warning;
mod workloads;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use cli::{Options, Selection};
use exit::Exit;
use results::{Report, RowReport};
use session::{Failure, Listener, Session};

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

fn main() -> ExitCode {
    let read = Options::read(std::env::args_os()).and_then(|options| Ok((options.selection()?, options)));
    let (selection, options) = match read {
        Ok(read) => read,
        Err(cli::Stop::Text(text)) => {
            print!("{text}");
            return Exit::Ok.into();
        }
        Err(cli::Stop::Usage(line)) => {
            eprintln!("tenterhook-compare: {line}");
            return Exit::Usage.into();
        }
    };
    let done = if options.list {
        list(&selection).map(|()| Exit::Ok).map_err(Failure::Output)
    } else if options.worker {
        against::serve().map(|()| Exit::Ok)
    } else if let Some(revision) = &options.against {
        against::compare(revision, &selection, &options)
    } else {
        compare(selection, &options)
    };
    done.unwrap_or_else(|failure| complain(&failure)).into()
}

fn complain(failure: &Failure) -> Exit {
    match failure {
        Failure::Wrong(wrong) => {
            eprintln!("tenterhook-compare: {wrong}");
            Exit::WrongResult
        }
        Failure::File(error) => {
            eprintln!("tenterhook-compare: {error}");
            Exit::Usage
        }
        // The reader has seen enough.
        Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
        Failure::Output(error) => {
            eprintln!("tenterhook-compare: output: {error}; it must be writable");
            Exit::Output
        }
    }
}

/// Writes the table row by row.
struct Table<W> {
    out: W,
    /// Off when a document is written at the end instead.
    on: bool,
}

impl<W: Write> Listener for Table<W> {
    fn begin(&mut self, report: &Report) -> io::Result<()> {
        if self.on { output::write_header(&mut self.out, report) } else { Ok(()) }
    }

    fn row(&mut self, row: &RowReport) -> io::Result<()> {
        if self.on { output::write_row(&mut self.out, row) } else { Ok(()) }
    }
}

/// Measures and reports.
fn compare(selection: Selection, options: &Options) -> Result<Exit, Failure> {
    // Read first: a file that is wrong should not show after half an hour.
    let earlier = options.baseline.as_deref().map(results::load).transpose()?;
    let page = options.html.as_deref().map(create).transpose()?;
    let session = Session {
        selection,
        settings: options.settings(),
        memory: options.memory(),
        file: options.resume.clone(),
        stop: stop::Stop::on_signals(),
    };
    let started = session.start()?;
    let is_table = !options.json && !options.markdown;
    let mut table = Table { out: io::stdout(), on: is_table };
    let report = session.run(started, &mut table)?;
    let mut out = io::stdout().lock();
    if options.json {
        serde_json::to_writer_pretty(&mut out, &report).map_err(io::Error::from)?;
        writeln!(out)?;
    } else if options.markdown {
        output::write_markdown(&mut out, &report)?;
    } else {
        output::write_growth(&mut out, &results::growth_of(&report.rows))?;
        output::write_summary(&mut out, &report)?;
    }
    if let Some(mut page) = page {
        output::write_page(&mut page, &report)?;
        page.flush()?;
    }
    let slower = match earlier {
        Some(earlier) => {
            let changes = baseline::changes(&earlier, &report);
            // A document on standard output stays one.
            let written = baseline::describe(&changes, &earlier);
            if is_table {
                writeln!(out, "\n{written}")?
            } else {
                eprintln!("{written}")
            }
            changes.any_slower()
        }
        None => false,
    };
    Ok(match (report.interrupted, slower) {
        (true, _) => {
            say_how_to_go_on(options.resume.as_deref());
            Exit::Interrupted
        }
        (_, true) => Exit::Slower,
        _ => Exit::Ok,
    })
}

/// Made before anything is measured, so that a path that is wrong shows at once.
fn create(path: &Path) -> Result<BufWriter<File>, results::FileError> {
    File::create(path).map(BufWriter::new).map_err(|error| results::FileError::unwritable(path, &error))
}

fn say_how_to_go_on(file: Option<&Path>) {
    match file {
        Some(path) => eprintln!(
            "tenterhook-compare: interrupted; the finished rows are in {0}, and --resume {0} goes on",
            path.display()
        ),
        None => {
            eprintln!("tenterhook-compare: interrupted; --resume FILE keeps finished rows for the next run")
        }
    }
}

fn list(selection: &Selection) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for workload in selection.workloads() {
        writeln!(out, "{:12} {}", workload.name, workload.about)?;
        for plan in (workload.plans)() {
            let extent = match plan.extent {
                row::Extent::Quick => "--quick",
                row::Extent::Normal => "",
                row::Extent::Full => "--full",
            };
            writeln!(out, "  {extent:8} {}", plan.name)?;
        }
    }
    Ok(())
}
