use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, select_biased, tick, unbounded};

use super::heartbeat::Heartbeat;
use super::state::StateFile;
use super::worker::{SeedResult, SeedRunner, Shared};
use super::{CampaignOptions, Failure, Finding, Summary, Totals};
use crate::progress::Progress;
use crate::stop::Stop;
use crate::subject::Subject;

/// How often the coordinator looks at the clock and at its workers.
const TICK: Duration = Duration::from_millis(100);
/// How long runs have to notice that they were stopped, well within the second that Ctrl-C may take.
const GRACE: Duration = Duration::from_millis(600);
/// How often progress is written to the state file.
const SAVE_EVERY: Duration = Duration::from_secs(5);

/// A campaign under way.
struct Coordinator<'a, S: Subject> {
    options: &'a CampaignOptions<S>,
    shared: Arc<Shared<S>>,
    stop: &'a Stop,
    state: Option<StateFile>,
    began: Instant,
    saved: Instant,
    earlier: Duration,
    /// Seeds without a gap from the campaign's first on.
    totals: Totals,
    next: u64,
    /// Finished seeds beyond a gap.
    ahead: BTreeMap<u64, SeedResult>,
    /// Seeds that were stopped; the next sitting runs them again.
    cut_short: Vec<SeedResult>,
    failures: Vec<Failure>,
    heartbeats: Vec<Heartbeat>,
    internal: Option<String>,
    progress: Progress,
}

pub(super) fn conduct<S: Subject>(
    options: &CampaignOptions<S>,
    mut state: Option<StateFile>,
    stop: &Stop,
) -> Summary {
    let resumed = state.as_mut().map(StateFile::take_progress).unwrap_or_default();
    let now = Instant::now();
    let shared = Arc::new(Shared {
        first_seed: state.as_ref().map_or(options.first_seed, StateFile::first_seed),
        next: AtomicU64::new(resumed.next),
        end: options.seeds.unwrap_or(u64::MAX),
        enough: AtomicBool::new(resumed.failures.len() >= options.max_failures),
        runner: SeedRunner { recheck: options.recheck, fixed: options.fixed.clone() },
        watches: (0..options.jobs).map(|_| Default::default()).collect(),
    });
    let mut coordinator = Coordinator {
        options,
        shared,
        stop,
        state,
        began: now,
        saved: now,
        earlier: resumed.elapsed,
        totals: resumed.totals,
        next: resumed.next,
        ahead: BTreeMap::new(),
        cut_short: Vec::new(),
        failures: resumed.failures,
        heartbeats: vec![Heartbeat::new(now); options.jobs],
        internal: None,
        progress: progress(options),
    };
    let results = coordinator.start_workers();
    coordinator.collect(&results);
    coordinator.finish()
}

impl<S: Subject> Coordinator<'_, S> {
    /// One loop a thread of a pool of our own, so that nothing else in the process shares it.
    fn start_workers(&mut self) -> Receiver<SeedResult> {
        let (sender, receiver) = unbounded();
        match rayon::ThreadPoolBuilder::new().num_threads(self.options.jobs).build() {
            Ok(pool) => {
                for worker in 0..self.options.jobs {
                    let (shared, sender) = (Arc::clone(&self.shared), sender.clone());
                    pool.spawn(move || shared.work(worker, &sender));
                }
            }
            Err(error) => self.internal = Some(format!("cannot start threads to run seeds on: {error}")),
        }
        receiver
    }

    /// Collects results until the workers are done, or too slow in being done.
    fn collect(&mut self, results: &Receiver<SeedResult>) {
        // A look comes before results, which may come without a pause: the time is up in any case.
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
                    if give_up.is_some_and(|moment| now >= moment) || self.a_run_has_stalled(now) {
                        break;
                    }
                    is_over = self.time_is_up(now);
                    self.show();
                    if now.duration_since(self.saved) >= SAVE_EVERY {
                        self.saved = now;
                        self.save();
                    }
                }
                recv(results) -> result => match result {
                    Ok(result) => self.take(result),
                    Err(_) => break,
                },
            }
            if is_over && give_up.is_none() {
                self.shared.watches.iter().for_each(|watch| watch.stop());
                give_up = Some(Instant::now() + GRACE);
            }
        }
    }

    fn take(&mut self, result: SeedResult) {
        if result.interrupted {
            self.cut_short.push(result);
            return;
        }
        self.failures.extend(result.failures.iter().cloned());
        for failure in &result.failures {
            if let Some(state) = &mut self.state
                && let Err(error) = state.append_failure(failure)
            {
                self.internal = Some(error.to_string());
            }
        }
        if self.failures.len() >= self.options.max_failures {
            self.shared.enough.store(true, Ordering::Relaxed);
        }
        self.ahead.insert(result.index, result);
        while let Some(result) = self.ahead.remove(&self.next) {
            self.totals.add(&result);
            self.next += 1;
        }
    }

    fn elapsed(&self) -> Duration {
        self.earlier + self.began.elapsed()
    }

    fn time_is_up(&self, now: Instant) -> bool {
        self.options
            .duration
            .is_some_and(|duration| self.earlier + now.duration_since(self.began) >= duration)
    }

    /// A fiber whose step does not return cannot be stopped from outside, only reported: its seed is the finding.
    fn a_run_has_stalled(&mut self, now: Instant) -> bool {
        let heartbeats = self.shared.watches.iter().zip(&mut self.heartbeats);
        let stalled =
            heartbeats.filter_map(|(watch, heartbeat)| heartbeat.stalled(watch.heartbeat(), now)).next();
        let Some(seed) = stalled else { return false };
        self.failures.push(self.shared.runner.stalled(seed));
        true
    }

    fn save(&mut self) {
        if let Some(state) = &mut self.state
            && let Err(error) =
                state.append_progress(self.next, self.earlier + self.began.elapsed(), &self.totals)
        {
            self.internal = Some(error.to_string());
        }
    }

    fn show(&self) {
        let seeds = self.totals.seeds + self.ahead.len() as u64;
        let position = match (self.options.seeds, self.options.duration) {
            (Some(_), _) => seeds,
            (None, _) => self.elapsed().as_secs(),
        };
        self.progress.show(position, || {
            let rate = self.totals.steps as f64 / self.elapsed().as_secs_f64().max(0.001);
            let failures = self.failures.len();
            format!("{seeds} seeds, {:.2} M steps/s, {failures} failures", rate / 1e6)
        });
    }

    fn finish(mut self) -> Summary {
        self.progress.clear();
        self.save();
        for result in std::mem::take(&mut self.ahead).into_values().chain(std::mem::take(&mut self.cut_short))
        {
            self.totals.add(&result);
        }
        self.failures.sort_by_key(|failure| (failure.seed, matches!(failure.finding, Finding::Violation(_))));
        // Seeds that ran beside the last one that was wanted may have failed, too: lower ones go before.
        let wanted = self.options.max_failures.max(1);
        self.failures.truncate(wanted);
        let mut summary = Summary {
            first_seed: self.shared.first_seed,
            elapsed: self.elapsed(),
            earlier: self.earlier,
            totals: self.totals,
            failures: self.failures,
            interrupted: self.stop.is_told(),
            warnings: Vec::new(),
            internal: self.internal,
        };
        summary.judge_faults();
        summary.judge_points(self.options.strict);
        summary.judge_order();
        summary
    }
}

fn progress<S: Subject>(options: &CampaignOptions<S>) -> Progress {
    let (length, unit) = match (options.seeds, options.duration) {
        (Some(seeds), _) => (seeds, "seeds"),
        (None, Some(duration)) => (duration.as_secs(), "s"),
        (None, None) => (0, "s"),
    };
    Progress::new(options.progress && !options.is_single(), length, unit)
}
