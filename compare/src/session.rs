//! One run: the rows that were asked for, one after the other, with their results kept as they come.

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::Selection;
use crate::host::Host;
use crate::measure::{Settings, Unmeasured, WrongResult, measure};
use crate::output::number;
use crate::results::{self, FileError, Report, RowReport, Skipped};
use crate::row::{Plan, Workload};
use crate::stop::Stop;

/// What a run needs to know.
pub(crate) struct Session {
    pub(crate) selection: Selection,
    pub(crate) settings: Settings,
    /// Bytes that a row may need.
    pub(crate) memory: u64,
    /// Where results are kept from row to row.
    pub(crate) file: Option<PathBuf>,
    pub(crate) stop: Stop,
}

/// What ends a run early, other than the wish of the user.
#[derive(Debug)]
pub(crate) enum Failure {
    Wrong(WrongResult),
    File(FileError),
    Output(std::io::Error),
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Output(error)
    }
}

/// Told of what happens, in this order: the beginning, then each row.
pub(crate) trait Listener {
    fn begin(&mut self, report: &Report) -> std::io::Result<()>;
    fn row(&mut self, row: &RowReport) -> std::io::Result<()>;
}

impl Session {
    /// The report so far: empty, or what the file has.
    pub(crate) fn start(&self) -> Result<Report, FileError> {
        let fresh = Report::new(Host::look(), self.settings);
        match &self.file {
            Some(path) => results::resume(path, fresh),
            None => Ok(fresh),
        }
    }

    /// Measures what the report does not have yet.
    pub(crate) fn run(&self, mut report: Report, listener: &mut impl Listener) -> Result<Report, Failure> {
        listener.begin(&report)?;
        for row in &report.rows {
            listener.row(row)?;
        }
        let todo = self.todo(&report);
        let progress = bar(todo.len());
        for (workload, plan) in todo {
            progress.set_message(plan.name.clone());
            let ended = progress.suspend(|| self.row(&mut report, workload, plan, listener));
            match ended {
                Ok(()) => progress.inc(1),
                Err(RowEnd::Interrupted) => {
                    report.interrupted = true;
                    self.keep(&report)?;
                    break;
                }
                Err(RowEnd::Failed(failure)) => return Err(failure),
            }
        }
        progress.finish_and_clear();
        Ok(report)
    }

    fn todo(&self, report: &Report) -> Vec<(&'static Workload, Plan)> {
        let mut todo = Vec::new();
        for workload in self.selection.workloads() {
            for plan in (workload.plans)() {
                if self.selection.wants(workload, &plan.name, plan.extent) && !report.has(&plan.name) {
                    todo.push((workload, plan));
                }
            }
        }
        todo
    }

    /// Measures one row, or says why not.
    fn row(
        &self,
        report: &mut Report,
        workload: &Workload,
        plan: Plan,
        listener: &mut impl Listener,
    ) -> Result<(), RowEnd> {
        if plan.memory > self.memory {
            let [needed, free] = [plan.memory, self.memory].map(|bytes| number((bytes >> 20) as f64));
            let reason = format!("needs {needed} MiB of memory, {free} MiB are available");
            report.skipped.push(Skipped { row: plan.name, reason });
            return Ok(());
        }
        if self.stop.is_asked() {
            return Err(RowEnd::Interrupted);
        }
        let place = plan.place.clone();
        let mut row = plan.build();
        let samples = measure(&mut row, self.settings, &self.stop)?;
        let measured = RowReport::new(workload.name, place.as_ref(), &row, &samples);
        listener.row(&measured).map_err(Failure::Output)?;
        report.rows.push(measured);
        self.keep(report)?;
        Ok(())
    }

    fn keep(&self, report: &Report) -> Result<(), FileError> {
        self.file.as_ref().map_or(Ok(()), |path| results::save(path, report))
    }
}

/// Why a row did not end well.
enum RowEnd {
    Interrupted,
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for RowEnd {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Unmeasured> for RowEnd {
    fn from(unmeasured: Unmeasured) -> Self {
        match unmeasured {
            Unmeasured::Interrupted => Self::Interrupted,
            Unmeasured::Wrong(wrong) => Self::Failed(Failure::Wrong(wrong)),
        }
    }
}

/// Rows, and the time that is left; on a terminal only, on standard error.
fn bar(rows: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{pos}/{len} rows, {elapsed} so far, about {eta} left: {msg}");
    ProgressBar::new(rows as u64).with_style(style.expect("a template that is known to be right"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::Options;

    /// Asks for a stop after so many rows.
    struct Impatient {
        rows: Vec<String>,
        most: usize,
        stop: Stop,
    }

    impl Listener for Impatient {
        fn begin(&mut self, _: &Report) -> std::io::Result<()> {
            Ok(())
        }

        fn row(&mut self, row: &RowReport) -> std::io::Result<()> {
            self.rows.push(row.name.clone());
            if self.rows.len() == self.most {
                self.stop.ask();
            }
            Ok(())
        }
    }

    fn session(file: Option<PathBuf>, memory: u64) -> Session {
        let arguments = ["tenterhook-compare", "--quick", "--scenario", "group"];
        let selection = Options::read(arguments.map(Into::into)).unwrap().selection().unwrap();
        let settings = Settings { repetitions: 1, target: Duration::from_micros(50) };
        Session { selection, settings, memory, file, stop: Stop::never() }
    }

    fn run(session: &Session, most: usize) -> (Report, Vec<String>) {
        let mut listener = Impatient { rows: Vec::new(), most, stop: session.stop.clone() };
        let report = session.run(session.start().unwrap(), &mut listener).unwrap();
        (report, listener.rows)
    }

    #[test]
    fn finished_rows_survive_an_interruption_and_are_not_measured_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        let (first, _) = run(&session(Some(path.clone()), u64::MAX), 2);
        assert!(first.interrupted && first.rows.len() == 2, "{:?}", first.rows.len());
        let (whole, told) = run(&session(Some(path), u64::MAX), usize::MAX);
        assert!(!whole.interrupted && whole.skipped.is_empty());
        assert_eq!(told, ["group of 1", "group of 8", "group of 64", "group of 1024"]);
        for (kept, first) in whole.rows.iter().zip(&first.rows) {
            // A float may lose its last bit on its way through the file.
            let (kept, first) = (kept.contenders[0].median, first.contenders[0].median);
            assert!((kept / first - 1.0).abs() < 1e-12, "measured again: {first} {kept}");
        }
    }

    #[test]
    fn rows_that_need_more_memory_than_there_is_are_skipped_by_name() {
        let (report, told) = run(&session(None, 1 << 20), usize::MAX);
        assert!(told.is_empty() && report.rows.is_empty());
        let names: Vec<_> = report.skipped.iter().map(|skipped| skipped.row.as_str()).collect();
        assert_eq!(names, ["group of 1", "group of 8", "group of 64", "group of 1024"]);
        assert!(report.skipped[0].reason.contains("64 MiB"), "{:?}", report.skipped[0]);
    }
}
