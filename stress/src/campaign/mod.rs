//! Many seeds: on all cores, for a while, with a summary at the end.
//!
//! The main thread conducts: it collects results, draws the progress bar, watches the time and Ctrl-C, and notices a
//! run that no longer moves. The workers only run seeds. No result depends on which worker ran it or what ran beside.
#![expect(
    clippy::disallowed_types,
    reason = "the campaign is outside of all simulated runs and may look at a clock"
)]

mod coordinator;
mod heartbeat;
mod state;
mod totals;
mod worker;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::state::StateError;
use self::state::StateFile;
pub use self::totals::{FaultTotals, SlowestSeed, Totals};
#[cfg(feature = "job")]
pub(crate) use self::{
    heartbeat::Heartbeat,
    worker::{SeedResult, SeedRunner},
};
use crate::blocking::NOT_PROVEN;
use crate::exit::ExitCode;
use crate::options::Fixed;
use crate::stop::Stop;
use crate::subject::Subject;
use crate::violation::Violation;

/// What a campaign is to run.
#[derive(Clone, Debug)]
pub struct CampaignOptions<S: Subject> {
    /// The first seed; the others follow it.
    pub first_seed: u64,
    /// How many seeds; `None` for as many as fit into the duration.
    pub seeds: Option<u64>,
    /// For how long.
    pub duration: Option<Duration>,
    /// Threads.
    pub jobs: usize,
    /// One in how many seeds is run twice; 0 for none.
    pub recheck: u64,
    /// Whether every point of [`sometimes!`](crate::sometimes!) must be reached.
    pub strict: bool,
    /// After how many failures no new seed begins.
    pub max_failures: usize,
    /// Where to remember what is done.
    pub state: Option<PathBuf>,
    /// What the command line fixes.
    pub fixed: Fixed<S::Options>,
    /// Whether to draw a progress bar if there is a terminal.
    pub progress: bool,
}

impl<S: Subject> CampaignOptions<S> {
    /// Whether this is about one seed only.
    pub fn is_single(&self) -> bool {
        self.seeds == Some(1)
    }
}

/// What went wrong with one seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// Its options, in words.
    pub options: Vec<(String, String)>,
    /// Steps until then.
    pub steps: u64,
    /// Hash of the trace until then.
    pub trace_hash: u64,
    /// What went wrong.
    pub finding: Finding,
    /// The command that repeats it.
    pub command: String,
}

/// What can go wrong with a seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// A promise was broken.
    Violation(Violation),
    /// Two runs of the seed had different traces.
    Nondeterminism {
        /// Index of the first event that differs, if the events were kept.
        event: Option<u64>,
        /// It in the first run.
        first: String,
        /// It in the second run.
        second: String,
    },
}

impl Finding {
    /// The exit code of a campaign that found only this.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Finding::Nondeterminism { .. } => ExitCode::Nondeterminism,
            Finding::Violation(violation) => violation.class.into(),
        }
    }
}

/// What became of a campaign.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Everything counted, over all finished seeds.
    pub totals: Totals,
    /// Failures by seed.
    pub failures: Vec<Failure>,
    /// The seed of the first run; an earlier sitting may have chosen it.
    pub first_seed: u64,
    /// Wall time, that of earlier sittings included.
    pub elapsed: Duration,
    /// Of that, time in earlier sittings.
    pub earlier: Duration,
    /// Whether Ctrl-C ended it.
    pub interrupted: bool,
    /// Things that a reader of the figures should know.
    pub warnings: Vec<String>,
    /// Why the tester itself is at fault, if it is.
    pub internal: Option<String>,
}

/// Seeds from which on it means something that a kind of fault was never delivered, and requests likewise: below,
/// chance alone may account for it.
const ENOUGH_SEEDS: u64 = 64;
const ENOUGH_REQUESTS: u64 = 16;

/// Seeds from which on each point should have been reached.
const ENOUGH_SEEDS_FOR_POINTS: u64 = 200;

impl Summary {
    /// The exit code. A difference between two runs of one seed outranks everything, because nothing else can be
    /// trusted then; a broken promise of safety outranks one of liveness.
    pub fn exit_code(&self) -> ExitCode {
        let found = |code| self.failures.iter().any(|failure| failure.finding.exit_code() == code);
        let ranked = [ExitCode::Nondeterminism, ExitCode::Violation, ExitCode::Liveness];
        match ranked.into_iter().find(|&code| found(code)) {
            Some(code) => code,
            None if self.internal.is_some() => ExitCode::Internal,
            None => ExitCode::Ok,
        }
    }

    /// Looks for what was never delivered or reached.
    #[cfg(feature = "job")]
    pub(crate) fn judge(&mut self) {
        self.judge_faults();
        self.judge_points(false);
        self.judge_order();
    }

    /// Looks for runs whose order may not have been the tape's alone.
    fn judge_order(&mut self) {
        let runs = self.totals.counter(NOT_PROVEN);
        if runs > 0 {
            let seeds = self.totals.seeds;
            self.warnings
                .push(format!("{runs} of {seeds} seeds are not proven deterministic: see --verbose"));
        }
    }

    /// Looks for points that no run reached. `strict` says that there must be none.
    fn judge_points(&mut self, strict: bool) {
        let missed = self.totals.reached.iter().filter(|&(_, &count)| count == 0);
        let missed: Vec<&str> = missed.map(|(name, _)| name.as_str()).collect();
        if missed.is_empty() || (self.totals.seeds < ENOUGH_SEEDS_FOR_POINTS && !strict) {
            return;
        }
        let (seeds, all) = (self.totals.seeds, self.totals.reached.len());
        if strict {
            self.internal = Some(format!("points not reached in {seeds} seeds: {}", missed.join("; ")));
        } else {
            self.warnings.push(format!("{} of {all} points not reached in {seeds} seeds", missed.len()));
        }
    }

    /// Looks for kinds of fault that were asked for and never came.
    fn judge_faults(&mut self) {
        for fault in &self.totals.faults {
            if self.totals.seeds < ENOUGH_SEEDS || fault.delivered > 0 {
                continue;
            }
            if fault.requested >= ENOUGH_REQUESTS {
                self.internal = Some(format!(
                    "{} was requested {} times over {} seeds and never delivered: the campaign does not test it",
                    fault.kind.name(),
                    fault.requested,
                    self.totals.seeds
                ));
            } else if fault.seeds >= ENOUGH_SEEDS {
                let (name, seeds) = (fault.kind.name(), fault.seeds);
                self.warnings
                    .push(format!("{name} was enabled in {seeds} seeds and never had an opportunity"));
            }
        }
    }
}

/// A campaign that is about to run: what it remembers has been read.
#[derive(Debug)]
pub struct Campaign<'a, S: Subject> {
    options: &'a CampaignOptions<S>,
    state: Option<StateFile>,
}

impl<'a, S: Subject> Campaign<'a, S> {
    /// Opens what the campaign remembers, if `options` name a directory for that.
    ///
    /// # Errors
    ///
    /// When the state directory cannot be used.
    pub fn open(options: &'a CampaignOptions<S>) -> Result<Self, StateError> {
        let state = options.state.as_deref().map(|path| StateFile::open(path, options)).transpose()?;
        Ok(Campaign { options, state })
    }

    /// Runs it, to its end or until `stop` is told.
    pub fn run(self, stop: &Stop) -> Summary {
        coordinator::conduct(self.options, self.state, stop)
    }
}

#[cfg(test)]
mod tests;
