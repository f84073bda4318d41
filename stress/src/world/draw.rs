//! What a seed draws of the world, for systems that have no wishes of their own.
//!
//! Swarm testing (Groce, Zhang, Eide, Chen and Regehr, ISSTA 2012): rates and delays differ from seed to seed, so that each run
//! has much of something.

use super::{NemesisOptions, WorldOptions};
use crate::disk::{DiskOptions, FaultKind, FaultPlan};
use crate::options::FixedWorld;
use crate::schedule::SchedulerKind;
use crate::tape::{Chance, ChoicePoint, Stream};

const SCHEDULER: ChoicePoint = ChoicePoint::new(0, "scheduler");
const DELIVERY: ChoicePoint = ChoicePoint::new(1, "delivery weight");
const DEPTH: ChoicePoint = ChoicePoint::new(2, "depth");
const DISK: ChoicePoint = ChoicePoint::new(3, "disk");
const RATE: ChoicePoint = ChoicePoint::new(4, "rates of faults");
const LIFE: ChoicePoint = ChoicePoint::new(5, "length of lives");
const SYNC_DELAY: ChoicePoint = ChoicePoint::new(6, "delay of syncs");
const FAILED_SYNCS: ChoicePoint = ChoicePoint::new(7, "power after failed syncs");
const THREADED: ChoicePoint = ChoicePoint::new(31, "scheduler of threads");
const READ_DELAY: ChoicePoint = ChoicePoint::new(8, "delay of reads");

/// Steps of a run for which no number is given.
const STEPS: u64 = 2_000;

/// Kinds that the end of a life brings, and no operation of the disk.
const DRAWN_ELSEWHERE: [FaultKind; 4] =
    [FaultKind::PowerLoss, FaultKind::ProcessKilled, FaultKind::SectorLost, FaultKind::CrashInRecovery];

impl WorldOptions {
    /// Draws a world in which only `faults` strike, or those of them that are fixed. With [`FaultKind::PowerLoss`] or
    /// [`FaultKind::ProcessKilled`] lives end in the middle. Each choice is drawn whether or not it is fixed.
    pub fn draw(stream: &mut Stream, fixed: &FixedWorld, faults: &[FaultKind]) -> WorldOptions {
        let portfolio = SchedulerKind::PORTFOLIO;
        let scheduler = portfolio[stream.choose(SCHEDULER, portfolio.len() as u32) as usize];
        let strikes = |kind| match &fixed.faults {
            Some(only) => only.contains(&kind),
            None => faults.contains(&kind),
        };
        let mut plan = FaultPlan::NONE;
        for kind in FaultKind::ALL {
            let rate = 2_000 << stream.choose(RATE, 5);
            if strikes(kind) && !DRAWN_ELSEWHERE.contains(&kind) {
                plan.set(kind, Chance::per_million(rate));
            }
        }
        let (loses_power, is_killed) = (strikes(FaultKind::PowerLoss), strikes(FaultKind::ProcessKilled));
        let mean_life = 50 + stream.choose(LIFE, 400);
        let max_delay = 1 << stream.choose(DISK, 8);
        let failed_syncs = Chance::per_mille([0, 500, 900][stream.choose(FAILED_SYNCS, 3) as usize]);
        WorldOptions {
            steps: fixed.steps.unwrap_or(STEPS),
            scheduler: fixed.scheduler.unwrap_or(scheduler),
            delivery_weight: 2 + stream.choose(DELIVERY, 12),
            depth: 1 + stream.choose(DEPTH, 4),
            disk: DiskOptions {
                max_delay,
                max_sync_delay: max_delay * [1, 4, 16][stream.choose(SYNC_DELAY, 3) as usize],
                max_read_delay: max_delay * [1, 1, 4, 16][stream.choose(READ_DELAY, 4) as usize],
                immediate: Chance::per_mille([0, 100, 900][stream.choose(DISK, 3) as usize]),
                faults: plan,
            },
            nemesis: NemesisOptions {
                mean_life: if loses_power || is_killed { mean_life } else { 0 },
                killed: Chance::per_mille(match (loses_power, is_killed) {
                    (true, true) => 300,
                    (false, true) => 1000,
                    (_, false) => 0,
                }),
                early: if strikes(FaultKind::CrashInRecovery) {
                    Chance::per_mille(150)
                } else {
                    Chance::NEVER
                },
                failed_syncs: if loses_power { failed_syncs } else { Chance::NEVER },
                ..NemesisOptions::default()
            },
            ..WorldOptions::default()
        }
    }

    /// With threads a run has as many as are fixed, and one of the schedulers that suit them.
    pub(crate) fn take_threads(&mut self, stream: &mut Stream, fixed: &FixedWorld) {
        let Some(threads) = fixed.threads else { return };
        self.threads = threads;
        let drawn = SchedulerKind::WITH_THREADS[stream.weighted(THREADED, &[4, 2, 4, 2, 2, 1])];
        self.scheduler = fixed.scheduler.unwrap_or(drawn);
    }

    /// The world in words, for a person.
    pub fn describe(&self) -> Vec<(&'static str, String)> {
        let DiskOptions { max_delay, max_sync_delay, max_read_delay, immediate, faults } = &self.disk;
        let faults: Vec<_> =
            faults.enabled().map(|(kind, chance)| format!("{}={chance}", kind.name())).collect();
        let life = match self.nemesis.mean_life {
            0 => "the whole run".into(),
            steps => format!("{steps} steps on average, {} of them early", self.nemesis.early),
        };
        vec![
            ("steps", self.steps.to_string()),
            ("threads", if self.threads == 0 { "none".into() } else { self.threads.to_string() }),
            ("scheduler", self.scheduler_in_words()),
            (
                "delay",
                format!(
                    "up to {max_delay} ticks, of a sync up to {max_sync_delay}, of a read up to {max_read_delay}, {immediate} at once"
                ),
            ),
            ("faults", if faults.is_empty() { "none".into() } else { faults.join(" ") }),
            ("life", life),
            ("killed", format!("{} of crashes leave the machine alive", self.nemesis.killed)),
            ("failed syncs", format!("{} lose the power soon", self.nemesis.failed_syncs)),
            ("quiesces", format!("every {} steps on average", self.nemesis.mean_quiesce)),
            ("patience", format!("{} steps without faults", self.patience)),
        ]
    }

    fn scheduler_in_words(&self) -> String {
        match self.scheduler {
            SchedulerKind::Random => format!("random, {} of 16 choices to the disk", self.delivery_weight),
            SchedulerKind::Pct | SchedulerKind::DelayBounded => {
                format!("{} with d = {}", self.scheduler.name(), self.depth)
            }
            other => other.name().into(),
        }
    }
}
