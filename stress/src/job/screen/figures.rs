//! What there is to say about a running job at one moment.

use std::path::PathBuf;
use std::time::Duration;

use crate::campaign::Totals;
use crate::job::JobOptions;
use crate::job::catalogue::{self, Cause};
use crate::job::ledger::Ledger;
use crate::job::plan::Shard;
use crate::job::row::Mode;
use crate::job::work::FOUND;
use crate::real::memory::Memory;
use crate::report::grouped;
use crate::subject::Subject;
use crate::words::many;

/// The figures of a moment.
pub(in crate::job) struct Figures {
    /// The subject.
    pub(super) subject: &'static str,
    pub(super) folder: PathBuf,
    /// The part of the seeds that is this job's.
    pub(super) shard: Shard,
    /// Time worked over all sittings.
    pub(super) worked: Duration,
    /// How long it is to work.
    pub(super) duration: Option<Duration>,
    /// How many seeds it is to run.
    pub(super) seeds: Option<u64>,
    /// Everything counted in the simulator's seeds, over all sittings.
    pub(super) totals: Totals,
    /// Runs and time of the other parts.
    pub(super) others: Vec<(Mode, u64, Duration)>,
    /// Seeds that have failed, once for each oracle.
    pub(super) failures: u64,
    pub(super) causes: Vec<Cause>,
    /// Resident memory, in KiB.
    pub(super) resident: u64,
    /// Seeds of the canary, and how many found it.
    pub(super) canary: (u64, u64),
    /// Seeds that have failed, and are being shrunk or wait to be kept.
    pub(super) unkept: usize,
}

impl Figures {
    /// Those of now.
    pub(in crate::job) fn of<S: Subject>(
        options: &JobOptions<S>,
        ledger: &Ledger,
        worked: Duration,
        unkept: usize,
    ) -> Figures {
        let others = [Mode::Sweep, Mode::Threads, Mode::Crash]
            .into_iter()
            .filter(|&mode| options.mix.has(mode))
            .map(|mode| {
                let sum = ledger.sum(mode);
                (mode, sum.seeds, Duration::from_nanos(sum.nanos))
            });
        let canary = ledger.totals(Mode::Canary);
        Figures {
            subject: S::NAME,
            folder: options.folder.clone(),
            shard: options.shard,
            worked,
            duration: options.duration,
            seeds: options.seeds,
            totals: ledger.totals(Mode::Sim),
            others: others.collect(),
            failures: ledger.failures(),
            // It is a picture for people: a database that can't be read is told where results are kept.
            causes: catalogue::all(&ledger.database.connection).unwrap_or_default(),
            resident: Memory::now().map_or(0, |memory| memory.resident),
            canary: (canary.seeds, canary.counter(FOUND)),
            unkept,
        }
    }

    /// One line.
    pub(super) fn line(&self) -> String {
        format!(
            "{:.0} s: {}, {}, {} of {}{}",
            self.worked.as_secs_f64(),
            many(self.totals.seeds, "seed"),
            self.rate(),
            many(self.failures, "failure"),
            many(self.causes.len() as u64, "cause"),
            if self.unkept > 0 { format!(", {} not kept yet", self.unkept) } else { String::new() },
        )
    }

    /// The rate in words.
    pub(super) fn rate(&self) -> String {
        format!("{:.2} M steps/s and job while it simulates", self.steps_a_second() / 1e6)
    }

    /// Of one worker, without the time of shrinking and of other kinds of run.
    pub(super) fn steps_a_second(&self) -> f64 {
        self.totals.steps as f64 / (self.totals.busy_nanos as f64 / 1e9).max(0.001)
    }

    /// How much of it is done, from 0 to 1, if it has an end.
    pub(super) fn share(&self) -> Option<f64> {
        let of_time = self.duration.map(|all| self.worked.as_secs_f64() / all.as_secs_f64().max(0.001));
        let of_seeds = self.wanted().map(|wanted| self.totals.seeds as f64 / wanted.max(1) as f64);
        let share = [of_time, of_seeds].into_iter().flatten().reduce(f64::max)?;
        Some(share.clamp(0.0, 1.0))
    }

    /// Seeds of this shard, up to a block.
    fn wanted(&self) -> Option<u64> {
        self.seeds.map(|seeds| seeds.div_ceil(self.shard.of))
    }

    /// How far it has come, in words.
    pub(super) fn progress(&self) -> String {
        let worked = clock(self.worked);
        let left = self.share().filter(|&share| share > 0.01).map(|share| {
            let seconds = self.worked.as_secs_f64() * (1.0 - share) / share;
            format!(", about {} left", clock(Duration::from_secs_f64(seconds)))
        });
        match (self.duration, self.wanted()) {
            (Some(all), _) => format!("{worked} of {}{}", clock(all), left.unwrap_or_default()),
            (None, Some(wanted)) => {
                let (seeds, wanted) = (grouped(self.totals.seeds), grouped(wanted));
                format!("{worked}, seed {seeds} of {wanted}{}", left.unwrap_or_default())
            }
            (None, None) => format!("{worked}, until Ctrl-C"),
        }
    }
}

/// Hours, minutes and seconds.
fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
