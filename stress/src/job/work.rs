//! What a worker does.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, after, select};
use parking_lot::Mutex;

use super::canary::{self, BOUND, Canary};
use super::counts::{self, Kind, Named};
use super::folder;
use super::ledger::Finished;
use super::mix::Mix;
use super::plan::Seeds;
use super::row::{Mode, Row};
use super::triage::{self, Case};
use super::{JobError, real, stretch};
use crate::campaign::{Failure, SeedRunner};
use crate::options::Fixed;
use crate::panics;
use crate::real::room;
use crate::stop::Stop;
use crate::subject::{self, Subject};
use crate::tape::Source;
use crate::watch::Watch;

/// How often a full disk is tried again.
pub(super) const AGAIN: Duration = Duration::from_millis(500);

/// What is left to do, and who has had how much time.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) mix: Mix,
    pub(super) seeds: Seeds,
    /// Operations that this build has not swept.
    pub(super) operations: VecDeque<u64>,
    /// The seed of the next stretch of each kind that is real and that the mix has.
    pub(super) stretches: BTreeMap<Mode, u64>,
    /// The next seed of the canary, unless there is none.
    pub(super) canary: Option<Seeds>,
    /// Seeds of the canary that this sitting has given out.
    pub(super) canaries: u64,
    /// Whether this sitting has found it.
    pub(super) is_found: bool,
    /// Busy time by mode, in nanoseconds.
    pub(super) had: BTreeMap<Mode, u64>,
    /// A stretch of a real kind takes all cores: there is one at a time.
    pub(super) on_stretch: bool,
    pub(super) seeds_are_out: bool,
}

impl Desk {
    /// The next unit of work; `None` when only the endless kinds are left.
    fn next(&mut self) -> Option<(Mode, u64)> {
        let canary = |desk: &mut Desk| {
            desk.canaries += 1;
            desk.canary.as_mut().and_then(Seeds::next).map(|seed| (Mode::Canary, seed))
        };
        // Ahead of everything, until it is known that the job finds something.
        if self.canary.is_some() && !self.is_found && self.canaries < BOUND {
            return canary(self);
        }
        loop {
            let ends = (self.mix.has(Mode::Sim) && !self.seeds_are_out) || !self.operations.is_empty();
            let is_endless = !self.mix.has(Mode::Sim) && !self.mix.has(Mode::Sweep);
            if !ends && !is_endless {
                return None;
            }
            let offers = [
                (Mode::Sim, self.mix.has(Mode::Sim) && !self.seeds_are_out),
                (Mode::Sweep, !self.operations.is_empty()),
                (Mode::Canary, self.canary.is_some()),
            ];
            let offers = offers.into_iter().filter_map(|(mode, is_possible)| is_possible.then_some(mode));
            let stretches = self.stretches.keys().copied().filter(|_| !self.on_stretch);
            let possible: Vec<Mode> = offers.chain(stretches).collect();
            match self.mix.next(&possible, &self.had)? {
                Mode::Sim => match self.seeds.next() {
                    Some(seed) => return Some((Mode::Sim, seed)),
                    None => self.seeds_are_out = true,
                },
                Mode::Sweep => return self.operations.pop_front().map(|operation| (Mode::Sweep, operation)),
                mode @ (Mode::Threads | Mode::Crash) => {
                    let next = self.stretches.get_mut(&mode)?;
                    let seed = *next;
                    *next = seed.wrapping_add(1);
                    self.on_stretch = true;
                    return Some((mode, seed));
                }
                Mode::Canary => return canary(self),
            }
        }
    }
}

/// What the workers share.
#[derive(Debug)]
pub(super) struct Shared<S: Subject> {
    pub(super) desk: Mutex<Desk>,
    pub(super) enough: AtomicBool,
    pub(super) runner: SeedRunner<S>,
    pub(super) watches: Vec<Watch>,
    pub(super) scratch: PathBuf,
    /// Seeds that have failed and are not kept yet: a worker shrinks them, and the runner does not wait for it when the time is up.
    pub(super) failed: Mutex<BTreeMap<u64, Failed>>,
    pub(super) stop: Stop,
    /// Why files of a failure can't be written, while a worker waits for room.
    pub(super) no_room: Mutex<Option<String>>,
    /// Whether the canary does its work right, for the test of the job.
    pub(super) canary_is_blind: bool,
}

/// A seed that has failed, before it is shrunk.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    row: Row,
    named: Vec<Named>,
    failures: Vec<Failure>,
}

impl Failed {
    /// What is kept of it if the runner does not wait for its shrinker.
    pub(super) fn unshrunk(self, subject: &str, seed: u64) -> Finished {
        let cases = self.failures.into_iter().map(|failure| triage::unshrunk(subject, failure)).collect();
        Finished { mode: Mode::Sim, seed, row: self.row, named: self.named, cases }
    }
}

/// A unit that is done, was cut short, or could not be done.
pub(super) type Sent = Result<Option<Finished>, JobError>;

impl<S: Subject> Shared<S> {
    /// Works until there is nothing left.
    pub(super) fn work(self: &Arc<Self>, worker: usize, results: &Sender<Sent>) {
        let watch = &self.watches[worker];
        while !self.enough.load(Ordering::Relaxed) && !watch.is_stopped() {
            let Some((mode, seed)) = self.desk.lock().next() else { break };
            let began = Instant::now();
            // The unit of a worker that has gone would be lost without a word.
            let sent = panics::catch(|| self.unit(mode, seed, watch)).unwrap_or_else(|panic| {
                let problem = format!("a worker panicked in {} {seed:#x}: {panic}", mode.name());
                Err(JobError::internal(&self.scratch, problem))
            });
            {
                let mut desk = self.desk.lock();
                *desk.had.entry(mode).or_default() += nanos(began.elapsed());
                match mode {
                    Mode::Threads | Mode::Crash => desk.on_stretch = false,
                    Mode::Canary => {
                        desk.is_found |= matches!(&sent, Ok(Some(finished)) if !finished.named.is_empty())
                    }
                    Mode::Sim | Mode::Sweep => {}
                }
            }
            if results.send(sent).is_err() {
                break;
            }
        }
    }

    fn unit(&self, mode: Mode, seed: u64, watch: &Watch) -> Sent {
        let scratch = self.scratch.join(format!("{}-{seed:x}", mode.name()));
        match mode {
            Mode::Sim => self.simulate(seed, watch, &scratch),
            Mode::Canary if self.canary_is_blind => Ok(canary::<true>(seed, watch)),
            Mode::Canary => Ok(canary::<false>(seed, watch)),
            Mode::Sweep => Ok(real::sweep::<S>(seed)),
            Mode::Threads => self.stretch(&scratch, || real::threads::<S>(seed, &scratch, &self.stop)),
            Mode::Crash => self.stretch(&scratch, || real::crash::<S>(seed, &scratch, &self.stop)),
        }
    }

    /// A stretch of a real kind, with files in `scratch`.
    fn stretch(&self, scratch: &Path, run: impl Fn() -> io::Result<Option<Finished>>) -> Sent {
        let is_left = || {
            // What a stretch on a full disk has left is a part of what fills it.
            let left = room::allows_a_verdict(&self.scratch);
            left.inspect_err(|_| drop(std::fs::remove_dir_all(scratch))).is_ok()
        };
        let waits = |full: &io::Error| self.waits_for_room(full);
        let result = stretch::with_room(|| room::to_begin(&self.scratch), is_left, waits, run);
        result.map_err(|error| JobError::internal(scratch, error))
    }

    /// Waits a moment if `error` is a full disk, and says whether to try again. Not after Ctrl-C.
    fn waits_for_room(&self, error: &io::Error) -> bool {
        if !folder::is_full(error) {
            return false;
        }
        *self.no_room.lock() = Some(error.to_string());
        let goes_on = select! {
            recv(after(AGAIN)) -> _ => true,
            recv(self.stop.told()) -> _ => false,
        };
        *self.no_room.lock() = None;
        goes_on
    }

    fn simulate(&self, seed: u64, watch: &Watch, scratch: &Path) -> Sent {
        let result = self.runner.run(0, seed, watch);
        if result.interrupted {
            return Ok(None);
        }
        let (row, mut named) = Row::of(&result);
        named.extend(options::<S>(seed, &self.runner.fixed));
        let failures = result.failures;
        if !failures.is_empty() {
            let failed = Failed { row: row.clone(), named: named.clone(), failures: failures.clone() };
            self.failed.lock().insert(seed, failed);
        }
        let cases = cases::<S>(failures, &self.runner.fixed, scratch, |error| self.waits_for_room(error));
        let cases = cases.map_err(|error| JobError::internal(scratch, error))?;
        Ok(Some(Finished { mode: Mode::Sim, seed, row, named, cases }))
    }
}

/// The causes of what failed with a seed. The files of each are in a folder beside `scratch` that begins with its name: nothing is left
/// when those are taken away. `waits` says whether files that could not be written are to be written again.
pub(super) fn cases<S: Subject>(
    failures: Vec<Failure>,
    fixed: &Fixed<S::Options>,
    scratch: &Path,
    waits: impl Fn(&io::Error) -> bool,
) -> io::Result<Vec<Case>> {
    let failures = failures.into_iter().enumerate();
    let folder = |index: usize| {
        let mut name = scratch.as_os_str().to_owned();
        name.push(format!("-{index}"));
        PathBuf::from(name)
    };
    failures.map(|(index, failure)| triage::triage::<S>(failure, fixed, &folder(index), &waits)).collect()
}

/// What the seed drew, as it is counted. A draw that panics has nothing: its run says so.
fn options<S: Subject>(seed: u64, fixed: &Fixed<S::Options>) -> Vec<Named> {
    let drawn = panics::catch(|| S::describe(&subject::draw::<S>(&Source::Seed(seed), seed, fixed)));
    let words = drawn.unwrap_or_default().into_iter();
    words.map(|(name, value)| (Kind::Option, counts::option(name, &value), 1)).collect()
}

/// The name under which finds of the canary are counted.
pub(super) const FOUND: &str = "canary found";

fn canary<const SYNCS: bool>(seed: u64, watch: &Watch) -> Option<Finished> {
    let runner = SeedRunner::<Canary<SYNCS>> { recheck: 0, fixed: Fixed::default() };
    let result = runner.run(0, seed, watch);
    if result.interrupted {
        return None;
    }
    let (row, _) = Row::of(&result);
    let found = canary::is_found(&result.failures).then(|| (Kind::Counter, FOUND.to_owned(), 1));
    Some(Finished { mode: Mode::Canary, seed, row, named: found.into_iter().collect(), cases: Vec::new() })
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failures_of_a_seed_leave_is_gone_when_their_folders_are() {
        let job = tempfile::tempdir().expect("a folder");
        let runner = SeedRunner::<Canary<false>> { recheck: 0, fixed: Fixed::default() };
        let failed = (0..BOUND).map(|seed| runner.run(0, seed, &Watch::default()).failures);
        let failures: Vec<Failure> = failed.flatten().take(2).collect();
        let found = cases::<Canary<false>>(failures, &runner.fixed, &job.path().join("sim-1"), |_| false);
        let folders: Vec<PathBuf> =
            found.expect("room").into_iter().filter_map(|case| case.small.files).collect();
        assert_eq!(folders.len(), 2);
        folders.iter().for_each(|folder| std::fs::remove_dir_all(folder).expect("it is there"));
        assert_eq!(std::fs::read_dir(job.path()).expect("a folder").count(), 0);
    }
}
