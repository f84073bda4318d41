//! Several mutants at a time, each in a lane with a scratch copy, target folders and a processor of its own.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use indicatif::ProgressBar;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::bench::{Bench, CLEAN, Fault};
use crate::cell::Cell;
use crate::detector::Detector;
use crate::key::Keys;
use crate::ledger::Ledger;
use crate::mutant::Mutant;
use crate::report::Figure;
use crate::source::Source;

/// A mutant, or the clean code, and who is to look at it.
pub(crate) type Job<'a> = (Option<&'a Mutant>, Vec<Detector>);

/// What is known, by id and detector.
pub(crate) type Cells = BTreeMap<(String, Detector), Cell>;

/// The processors that a lane's programs may use. A program asks the system how many there are, so one that takes all it
/// finds takes no more than these. Children inherit them from the thread that starts them.
struct Processors {
    own: CpuSet,
    all: CpuSet,
}

impl Processors {
    /// Of lane `lane`: one of those that there are, in turns; all of them if there is one lane.
    fn of(lane: usize, lanes: usize) -> io::Result<Self> {
        let all = sched_getaffinity(None)?;
        let there: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu)).collect();
        let mut own = all;
        if lanes > 1 {
            own.clear();
            own.set(there[lane % there.len()]);
        }
        Ok(Self { own, all })
    }

    fn use_for(&self, detector: Detector) -> io::Result<()> {
        let set = if detector.wants_all_processors() { &self.all } else { &self.own };
        Ok(sched_setaffinity(None, set)?)
    }
}

/// What the lanes share.
struct Shared<'a> {
    jobs: &'a [Job<'a>],
    next: AtomicUsize,
    /// A lane could not go on: the others end with the cell that they are at.
    over: AtomicBool,
    keys: &'a Keys,
    known: Mutex<(Ledger, Cells)>,
    progress: &'a ProgressBar,
}

/// Does all jobs in so many lanes; the first that could not be done ends them all, and nothing that was found out is lost.
pub(crate) fn run(
    jobs: &[Job<'_>],
    lanes: usize,
    source: &Source,
    state: &Path,
    ledger: Ledger,
    keys: &Keys,
    progress: &ProgressBar,
) -> Result<Cells, Fault> {
    let shared = Shared {
        jobs,
        next: AtomicUsize::new(0),
        over: AtomicBool::new(false),
        keys,
        known: Mutex::new((ledger, Cells::new())),
        progress,
    };
    let ends: Vec<Result<(), Fault>> = std::thread::scope(|scope| {
        let shared = &shared;
        let lane = |lane| {
            scope.spawn(move || {
                let end = Bench::new(source.root(), state, lane).map_err(Fault::Io);
                let end = end.and_then(|bench| shared.work(&bench, &Processors::of(lane, lanes)?));
                shared.over.fetch_or(end.is_err(), Relaxed);
                end
            })
        };
        let lanes: Vec<_> = (0..lanes).map(lane).collect();
        lanes.into_iter().map(|lane| lane.join().expect("a lane does not panic")).collect()
    });
    ends.into_iter().collect::<Result<(), Fault>>()?;
    Ok(shared.known.into_inner().expect("no panic under the lock").1)
}

impl Shared<'_> {
    fn work(&self, bench: &Bench, processors: &Processors) -> Result<(), Fault> {
        while let Some((mutant, detectors)) = self.jobs.get(self.next.fetch_add(1, Relaxed)) {
            for detector in detectors {
                if self.over.load(Relaxed) {
                    return Ok(());
                }
                processors.use_for(*detector)?;
                self.judge(bench, *mutant, *detector)?;
                self.progress.inc(1);
            }
        }
        Ok(())
    }

    /// One cell, unless the ledger has it.
    fn judge(&self, bench: &Bench, mutant: Option<&Mutant>, detector: Detector) -> Result<(), Fault> {
        let (id, patch) = mutant.map_or((CLEAN, 0), |mutant| (&*mutant.id, mutant.hash));
        let area = mutant.map(Mutant::area);
        let key = self.keys.get(detector, area);
        let place = (id.to_owned(), detector);
        {
            let (ledger, cells) = &mut *self.known.lock().expect("no panic under the lock");
            if let Some(cell) = ledger.get(id, detector, key, patch) {
                cells.insert(place, cell.clone());
                return Ok(());
            }
        }
        self.progress.set_message(format!("{id} / {detector}"));
        let cell = bench.judge(mutant, detector, detector.budget(area), &[])?;
        self.progress.suspend(|| println!("{id:<44} {detector:<16} {}", Figure::new(&cell).line()));
        let (ledger, cells) = &mut *self.known.lock().expect("no panic under the lock");
        ledger.put(id, key, patch, cell.clone())?;
        cells.insert(place, cell);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_take_turns_on_the_processors_and_a_lone_one_has_all() {
        let all = sched_getaffinity(None).unwrap();
        let lone = Processors::of(0, 1).unwrap();
        assert_eq!(lone.own.count(), all.count());
        let lanes: Vec<CpuSet> = (0..4).map(|lane| Processors::of(lane, 4).unwrap().own).collect();
        assert!(lanes.iter().all(|own| own.count() == 1));
        let is_shared = lanes[0] == lanes[1];
        assert_eq!(is_shared, all.count() == 1, "each has its own while there are enough");
    }
}
