//! One sitting of a job.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, after, bounded, never, select, select_biased, tick};
use parking_lot::Mutex;

use super::catalogue::{self, Cause};
use super::database::Database;
use super::ledger::{Finished, Ledger, Trouble};
use super::lock::Lock;
use super::metrics::{self, Metrics};
use super::opening::{create, desk, first_seed, open};
use super::plan::Shard;
use super::row::{BLOCK, Mode, Row};
use super::screen::{Figures, Screen};
use super::work::{AGAIN, Sent, Shared};
use super::{JobError, JobOptions, Looked, build, folder, look, triage};
use crate::campaign::{Heartbeat, SeedRunner, Totals};
use crate::real::memory::Memory;
use crate::stop::Stop;
use crate::subject::Subject;

/// How often the runner looks at the clock and at its workers.
const TICK: Duration = Duration::from_millis(100);
/// How long runs have to notice that they were stopped, well within the second that Ctrl-C may take.
const GRACE: Duration = Duration::from_millis(600);
/// Results that wait to be kept. With a full disk the workers wait, too.
const WAITING: usize = 64;
/// Results that are kept at once.
const AT_ONCE: usize = 256;
/// How often how the job goes is kept.
const SAMPLE: Duration = Duration::from_secs(2);

/// How a sitting has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Everything counted in the simulator's seeds, over all sittings.
    pub totals: Totals,
    /// Every cause that is known.
    pub causes: Vec<Cause>,
    /// What has become of causes that were known before.
    pub looked: Vec<Looked>,
    /// Whether Ctrl-C ended it.
    pub interrupted: bool,
    /// Whether it ended before it had done all that it was to do.
    pub broke_off: bool,
}

/// Runs a job until its end, or until `stop` is told. The folder is made if need be.
///
/// # Errors
///
/// When the folder cannot be used, or stops being usable.
pub fn run<S: Subject>(options: &JobOptions<S>, stop: &Stop) -> Result<Ended, JobError> {
    let path = options.folder.as_path();
    let exists = Database::exists(path)?;
    let database = if exists { Some(open(options)?) } else { None };
    if database.is_none() && options.first_seed.is_none() && options.shard != Shard::WHOLE {
        let shard = options.shard;
        return Err(JobError::input(
            path,
            format!("shard {shard} needs the first seed of all shards; give --seed"),
        ));
    }
    let metrics = options.metrics.map(Metrics::serve).transpose()?;
    std::fs::create_dir_all(path).map_err(|error| {
        JobError::input(path, format!("cannot be made ({error}); name a folder that can be written"))
    })?;
    let lock = Lock::take(path)?;
    let scratch = folder::clear_scratch(path).map_err(|error| JobError::internal(path, error))?;
    let database = match database {
        Some(database) => database,
        // Another process may have made it before the lock was taken.
        None if Database::exists(path)? => open(options)?,
        None => create(options)?,
    };
    let first_seed = first_seed(&database)?;
    let fixed = options.fixed.clone();
    let build = build::name();
    let mut screen = Screen::choose(options.quiet);
    if let Some(metrics) = &metrics {
        screen.warn(&format!("metrics at http://{}/metrics", metrics.address));
    }
    let is_due = |cause: &Cause| {
        cause.state.is_open() || cause.looked.as_ref().is_none_or(|(looked, _)| *looked != build)
    };
    let looked = look::look::<S>(&database, &fixed, is_due, stop, |looked| screen.tell(&looked.to_string()))?;
    if let (Some(seeds), shard) = (options.seeds, options.shard)
        && shard != Shard::WHOLE
        && options.mix.has(Mode::Sim)
        && shard.is_idle(first_seed, seeds)
    {
        screen.warn(&format!("shard {shard} has none of the {seeds} seeds: shards take blocks of {BLOCK}"));
    }
    let ledger = Ledger::begin(database, &build)?;
    let (watches, desk) =
        ((0..options.jobs).map(|_| Default::default()).collect(), desk(options, &ledger, first_seed)?);
    let now = Instant::now();
    let shared = Arc::new(Shared {
        desk: Mutex::new(desk),
        enough: AtomicBool::new(false),
        runner: SeedRunner { recheck: options.recheck, fixed },
        watches,
        scratch,
        failed: Mutex::default(),
        stop: stop.clone(),
        no_room: Mutex::default(),
        canary_is_blind: options.blind_canary,
    });
    let heartbeats = vec![Heartbeat::new(now); options.jobs];
    let known = catalogue_names(&ledger)?;
    let mut runner = Runner {
        options,
        shared,
        stop,
        ledger,
        began: now,
        heartbeats,
        known,
        sampled: now,
        screen,
        is_waiting: false,
        has_stalled: false,
        metrics,
        internal: None,
    };
    runner.sample();
    let results = runner.start_workers();
    let collected = runner.collect(&results);
    runner.keep_the_unshrunk(&results)?;
    collected?;
    let ended = runner.finish(looked)?;
    drop(lock);
    Ok(ended)
}

fn catalogue_names(ledger: &Ledger) -> Result<BTreeSet<String>, JobError> {
    let causes =
        catalogue::all(&ledger.database.connection).map_err(|error| ledger.database.broken(&error))?;
    Ok(causes.into_iter().map(|cause| cause.signature).collect())
}

/// A sitting under way.
struct Runner<'a, S: Subject> {
    options: &'a JobOptions<S>,
    shared: Arc<Shared<S>>,
    stop: &'a Stop,
    ledger: Ledger,
    began: Instant,
    heartbeats: Vec<Heartbeat>,
    /// Signatures that a person has been told of.
    known: BTreeSet<String>,
    sampled: Instant,
    screen: Screen,
    /// Whether a person was told that workers wait for room.
    is_waiting: bool,
    /// A run did not return.
    has_stalled: bool,
    metrics: Option<Metrics>,
    /// Why there are no workers, if there are none.
    internal: Option<String>,
}

impl<S: Subject> Runner<'_, S> {
    fn start_workers(&mut self) -> Receiver<Sent> {
        let (sender, receiver) = bounded(WAITING);
        for worker in 0..self.options.jobs {
            let (shared, sender) = (Arc::clone(&self.shared), sender.clone());
            let started = std::thread::Builder::new()
                .name(format!("worker {worker}"))
                .spawn(move || shared.work(worker, &sender));
            if let Err(error) = started {
                self.internal = Some(format!("cannot start threads to run seeds on: {error}"));
            }
        }
        receiver
    }

    /// Keeps results until the workers are done, or too slow in being done.
    fn collect(&mut self, results: &Receiver<Sent>) -> Result<(), JobError> {
        let looks = tick(TICK);
        let mut told = self.stop.told().clone();
        let mut give_up: Option<Instant> = None;
        loop {
            let mut is_over = false;
            select_biased! {
                recv(told) -> _ => {
                    // It stays told: from here on only the others are listened to.
                    told = never();
                    is_over = true;
                }
                recv(looks) -> _ => {
                    let now = Instant::now();
                    if give_up.is_some_and(|moment| now >= moment) || self.a_run_has_stalled(now)? {
                        break;
                    }
                    is_over = self.time_is_up(now);
                    self.show(now);
                }
                recv(results) -> result => match result {
                    Ok(result) => {
                        let all = std::iter::once(result).chain(results.try_iter().take(AT_ONCE));
                        self.keep_all(all)?;
                    }
                    Err(_) => break,
                },
            }
            if is_over && give_up.is_none() {
                self.shared.watches.iter().for_each(|watch| watch.stop());
                give_up = Some(Instant::now() + GRACE);
            }
        }
        Ok(())
    }

    /// Keeps the units of `results`, and then tells the first error among them.
    fn keep_all(&mut self, results: impl Iterator<Item = Sent>) -> Result<(), JobError> {
        let (mut finished, mut error) = (Vec::new(), None);
        for result in results {
            match result {
                Ok(unit) => finished.extend(unit),
                Err(problem) => drop(error.get_or_insert(problem)),
            }
        }
        self.keep(&finished)?;
        error.map_or(Ok(()), Err)
    }

    /// Keeps seeds that have failed and whose shrinkers the runner no longer waits for.
    fn keep_the_unshrunk(&mut self, results: &Receiver<Sent>) -> Result<(), JobError> {
        // Some shrinkers may have ended meanwhile.
        let kept = self.keep_all(results.try_iter());
        let left = std::mem::take(&mut *self.shared.failed.lock());
        let left: Vec<_> = left.into_iter().map(|(seed, failed)| failed.unshrunk(S::NAME, seed)).collect();
        self.keep(&left)?;
        kept
    }

    /// Keeps units. While there is no room it waits, and so do the workers, who have room for some results more.
    fn keep(&mut self, finished: &[Finished]) -> Result<(), JobError> {
        let mut is_paused = false;
        loop {
            match self.ledger.record(finished, self.began.elapsed()) {
                Ok(()) => break,
                Err(Trouble::Broken(error)) => return Err(error),
                Err(Trouble::Full(problem)) => {
                    if !is_paused {
                        is_paused = true;
                        self.warn_of_no_room(&problem);
                    }
                    select! {
                        recv(after(AGAIN)) -> _ => {}
                        recv(self.stop.told()) -> _ => {
                            let problem = format!("no room ({problem}): {} seeds in flight are lost", finished.len());
                            return Err(JobError::internal(&self.options.folder, problem));
                        }
                    }
                }
            }
        }
        if is_paused {
            self.warn_of_room();
        }
        for unit in finished.iter().filter(|unit| unit.mode == Mode::Sim) {
            self.shared.failed.lock().remove(&unit.seed);
        }
        for case in finished.iter().flat_map(|unit| &unit.cases) {
            let signature = &case.signature;
            if self.known.insert(signature.name.clone()) {
                self.screen.tell(&format!("new failure {}: {}", signature.name, signature.text));
                self.screen.tell(&format!("  {}", case.failure.command));
            }
        }
        if self.options.max_failures.is_some_and(|most| self.ledger.failures_now() >= most) {
            self.shared.enough.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    fn elapsed(&self) -> Duration {
        self.ledger.earlier + self.began.elapsed()
    }

    fn time_is_up(&self, now: Instant) -> bool {
        let worked = self.ledger.earlier + now.duration_since(self.began);
        self.options.duration.is_some_and(|duration| worked >= duration)
    }

    /// A fiber whose step does not return cannot be stopped from outside, only reported: its seed is the finding.
    fn a_run_has_stalled(&mut self, now: Instant) -> Result<bool, JobError> {
        let heartbeats = self.shared.watches.iter().zip(&mut self.heartbeats);
        let stalled =
            heartbeats.filter_map(|(watch, heartbeat)| heartbeat.stalled(watch.heartbeat(), now)).next();
        let Some(seed) = stalled else { return Ok(false) };
        let case = triage::unshrunk(S::NAME, self.shared.runner.stalled(seed));
        let row = Row { seeds: 1, ..Row::default() };
        self.keep(&[Finished { mode: Mode::Sim, seed, row, named: Vec::new(), cases: vec![case] }])?;
        self.has_stalled = true;
        Ok(true)
    }

    /// Says when workers wait for room, and when they no longer do.
    fn tell_room(&mut self) {
        let no_room = self.shared.no_room.lock().clone();
        match (&no_room, self.is_waiting) {
            (Some(problem), false) => self.warn_of_no_room(problem),
            (None, true) => self.warn_of_room(),
            _ => {}
        }
        self.is_waiting = no_room.is_some();
    }

    fn warn_of_no_room(&mut self, problem: &str) {
        self.screen.warn(&format!(
            "{}: {}: no room ({problem}): the job waits, and all that is done is kept; make room, or press Ctrl-C",
            S::PROGRAM,
            self.options.folder.display()
        ));
    }

    fn warn_of_room(&mut self) {
        let folder = self.options.folder.display();
        self.screen.warn(&format!("{}: {folder}: there is room again: the job goes on", S::PROGRAM));
    }

    fn show(&mut self, now: Instant) {
        self.tell_room();
        if now.duration_since(self.sampled) >= SAMPLE {
            self.sampled = now;
            self.sample();
        }
        if let Some(metrics) = &self.metrics {
            metrics.set(metrics::text(&self.ledger, self.elapsed(), self.known.len()));
        }
        let (ledger, options) = (&self.ledger, self.options);
        let worked = ledger.earlier + self.began.elapsed();
        let unkept = self.shared.failed.lock().len();
        self.screen.show(now, || Figures::of(options, ledger, worked, unkept));
    }

    fn sample(&self) {
        let resident = Memory::now().map_or(0, |memory| memory.resident);
        // It is a picture for people: a disk without room is told where results are kept.
        let _ = self.ledger.sample(self.began.elapsed(), resident);
    }

    fn finish(mut self, looked: Vec<Looked>) -> Result<Ended, JobError> {
        // Time that passed without a result counts, too.
        self.keep(&[])?;
        self.sample();
        self.ledger.write_accounts(None)?;
        let database = &self.ledger.database;
        let causes = catalogue::all(&database.connection).map_err(|error| database.broken(&error))?;
        let _ = std::fs::remove_dir_all(&self.shared.scratch);
        if let Some(problem) = self.internal {
            return Err(JobError::internal(&self.options.folder, problem));
        }
        let (totals, interrupted) = (self.ledger.totals(Mode::Sim), self.stop.is_told());
        let broke_off = interrupted || self.has_stalled || self.shared.enough.load(Ordering::Relaxed);
        Ok(Ended { totals, causes, looked, interrupted, broke_off })
    }
}
