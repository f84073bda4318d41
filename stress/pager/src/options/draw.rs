use tenterhook_runtime::pager::{Durability, PagerOptions};
use tenterhook_stress::disk::{DiskOptions, FaultKind, FaultPlan};
use tenterhook_stress::schedule::SchedulerKind;
use tenterhook_stress::subject::{Drawn, Fixed};
use tenterhook_stress::tape::{Chance, ChoicePoint, Stream};
use tenterhook_stress::world::{NemesisOptions, WorldOptions};

use super::{FixedPager, Level, Profile};
use crate::system::{Extent, Injection, PagerPlan};
use crate::workload::OperationKind;

const PROFILE: ChoicePoint = ChoicePoint::new(0, "profile");
const CONNECTIONS: ChoicePoint = ChoicePoint::new(1, "connections");
const SCHEDULER: ChoicePoint = ChoicePoint::new(2, "scheduler");
const PAGES: ChoicePoint = ChoicePoint::new(3, "page size");
const CACHE: ChoicePoint = ChoicePoint::new(4, "cache");
const CHECKPOINT: ChoicePoint = ChoicePoint::new(5, "checkpoint frames");
const LIMIT: ChoicePoint = ChoicePoint::new(6, "file limit");
const EXTENT: ChoicePoint = ChoicePoint::new(7, "fixed pages");
const OPERATION: ChoicePoint = ChoicePoint::new(8, "operations");
const HABITS: ChoicePoint = ChoicePoint::new(9, "habits");
const DELAY: ChoicePoint = ChoicePoint::new(10, "delay");
const FAULT_ON: ChoicePoint = ChoicePoint::new(11, "fault on");
const FAULT_RATE: ChoicePoint = ChoicePoint::new(12, "fault rate");
const LIFE: ChoicePoint = ChoicePoint::new(13, "life");
const REST: ChoicePoint = ChoicePoint::new(14, "rest");
const ABUSE_ON: ChoicePoint = ChoicePoint::new(15, "injection on");
const DURABILITY: ChoicePoint = ChoicePoint::new(17, "durability");
const ABUSE_RATE: ChoicePoint = ChoicePoint::new(16, "injection rate");
const SPILL: ChoicePoint = ChoicePoint::new(18, "spill");
const SYNC_DELAY: ChoicePoint = ChoicePoint::new(19, "delay of syncs");
const GIVE_UP: ChoicePoint = ChoicePoint::new(22, "calls given up");
const READ_DELAY: ChoicePoint = ChoicePoint::new(23, "delay of reads");
const CHECKPOINT_ABUSE: ChoicePoint = ChoicePoint::new(21, "injection of checkpoints");
const FAILED_SYNCS: ChoicePoint = ChoicePoint::new(20, "power after failed syncs");

/// Steps of a run for which no number is given.
const STEPS: u64 = 20_000;

/// Draws every option; each choice point is drawn whether or not its value is fixed, so that fixing one moves nothing else.
pub(crate) fn options(stream: &mut Stream, seed: u64, fixed: &Fixed<FixedPager>) -> Drawn<PagerPlan> {
    let (given, fixed) = (&fixed.world, &fixed.own);
    let drawn = Profile::ALL[stream.weighted(PROFILE, &[4, 4, 4, 1])];
    let profile = fixed.profile.unwrap_or(drawn);
    let drawn = [8, 16, 4, 32, 2, 64, 1, 3, 6, 12, 24, 48][stream.choose(CONNECTIONS, 12) as usize];
    let connections = given.connections.unwrap_or(drawn);
    let drawn = SchedulerKind::PORTFOLIO[stream.weighted(SCHEDULER, &[4, 1, 3, 2, 2])];
    let plan = plan(stream, seed, connections, profile, fixed);
    let immediate = [0, 0, 500, 50][stream.choose(DELAY, 4) as usize];
    let max_delay = [256, 1, 16, 64, 1024][stream.choose(DELAY, 5) as usize];
    let disk = DiskOptions {
        immediate: Chance::per_mille(immediate),
        max_delay,
        max_sync_delay: max_delay * [1, 4, 16][stream.choose(SYNC_DELAY, 3) as usize],
        max_read_delay: max_delay * [1, 1, 4, 16][stream.choose(READ_DELAY, 4) as usize],
        faults: faults(stream, profile, plan.pager.durability, given.faults.as_deref()),
    };
    let world = WorldOptions {
        steps: given.steps.unwrap_or(STEPS),
        scheduler: given.scheduler.unwrap_or(drawn),
        delivery_weight: 1 + stream.choose(SCHEDULER, 15),
        depth: 1 + stream.choose(SCHEDULER, 5),
        nemesis: nemesis(stream, profile, given.faults.as_deref()),
        disk,
        // Every connection may have a long reader under way, and all of them one writer to wait for.
        patience: 20_000 + 1_500 * u64::from(connections),
        threads: 0,
    };
    let disk_lies = disk.faults.enabled().any(|(kind, _)| kind.is_lie());
    let plan = PagerPlan { disk_lies, ..plan };
    let (world, plan) = if profile == Profile::Baseline { plainer(world, plan) } else { (world, plan) };
    Drawn::new(seed, connections, world, plan)
}

fn plan(stream: &mut Stream, seed: u64, connections: u32, profile: Profile, fixed: &FixedPager) -> PagerPlan {
    let extent = Extent {
        accounts: 1 + stream.choose(EXTENT, 12),
        groups: 1 + stream.choose(EXTENT, 4),
        group_pages: 2 + stream.choose(EXTENT, 4),
        directories: 1 + stream.choose(EXTENT, 3),
    };
    PagerPlan {
        profile,
        connections,
        pager: pager(stream, seed, &extent, fixed),
        extent,
        weights: weights(stream, fixed.operations.as_deref()),
        interleave: Chance::per_mille([250, 0, 500, 1000][stream.choose(HABITS, 4) as usize]),
        injection: Injection {
            drop: injection(stream),
            drop_later: injection(stream),
            cancel: injection(stream),
            cancel_change: injection(stream),
            give_up: Chance::per_mille([0, 10, 50, 200][stream.choose(GIVE_UP, 4) as usize]),
            checkpoints: [1, 6, 8][stream.choose(CHECKPOINT_ABUSE, 3) as usize],
            nap: injection(stream),
        },
        aside: Chance::per_mille([0, 100, 400][stream.choose(GIVE_UP, 3) as usize]),
        go_on: Chance::per_mille([0, 500, 900][stream.choose(GIVE_UP, 3) as usize]),
        rollback: Chance::per_mille([50, 0, 200][stream.choose(HABITS, 3) as usize]),
        restart: Chance::per_mille([1000, 20, 5][stream.choose(HABITS, 3) as usize]),
        flips_in_log: stream.choose(HABITS, 2) == 1,
        flips_in_recovery: stream.choose(HABITS, 2) == 1,
        disk_lies: false,
    }
}

fn pager(stream: &mut Stream, seed: u64, extent: &Extent, fixed: &FixedPager) -> PagerOptions {
    const PAGE_SIZES: [u32; 8] = [4096, 512, 1024, 2048, 8192, 16_384, 32_768, 65_536];
    let drawn = PAGE_SIZES[stream.weighted(PAGES, &[8, 8, 4, 4, 2, 1, 1, 1])];
    let page_size = fixed.page_size.unwrap_or(drawn);
    // Few pages are evicted all the time, many never.
    let cache = match stream.weighted(CACHE, &[2, 1, 1]) {
        0 => 8 + stream.choose(CACHE, 32),
        1 => 1 + stream.choose(CACHE, 8),
        _ => 256,
    };
    // A log that is never moved into the file would fill the memory with large pages.
    let room = (8 << 20) / page_size;
    let checkpoint_frames = [100, 8, 32, 400, 1000][stream.choose(CHECKPOINT, 5) as usize].min(room.max(8));
    let checkpoint_frames = fixed.checkpoint_frames.unwrap_or(checkpoint_frames);
    let tight = 2 + extent.pages() + stream.choose(LIMIT, 20);
    let spilled = spill(stream);
    PagerOptions {
        page_size,
        cache_pages: fixed.cache_pages.unwrap_or(cache as usize),
        spill_pages: fixed.spill_pages.unwrap_or(spilled),
        checkpoint_frames,
        restart_frames: checkpoint_frames
            .saturating_mul([4, 1, 2, 16][stream.choose(CHECKPOINT, 4) as usize]),
        max_pages: if stream.happens(LIMIT, Chance::per_mille(100)) { tight } else { u32::MAX },
        // A power loss may damage a file that is never synced: nothing would be left to judge.
        durability: match (fixed.durability, stream.choose(DURABILITY, 3)) {
            (Some(Level::Normal), _) | (None, 1) => Durability::Normal,
            (Some(Level::Full), _) | (None, _) => Durability::Full,
        },
        id_seed: seed,
    }
}

/// How many pages a transaction may have in memory: none ever spills, or from the smallest limit to one that only the largest
/// transactions exceed. Who spills keeps the write lock until the end, which takes the pipeline away, so half never do.
fn spill(stream: &mut Stream) -> usize {
    match stream.choose(SPILL, 8) {
        1 => 1,
        3 => 2 + stream.choose(SPILL, 3) as usize,
        5 => 1 + stream.choose(SPILL, 8) as usize,
        7 => 1 + stream.choose(SPILL, 24) as usize,
        _ => 2048,
    }
}

fn weights(stream: &mut Stream, only: Option<&[OperationKind]>) -> [u32; OperationKind::ALL.len()] {
    let drawn = OperationKind::ALL.map(|kind| {
        let rare = matches!(kind, OperationKind::CheckIntegrity);
        let (on, weight) = (stream.choose(OPERATION, 4) != 1, 1 + stream.choose(OPERATION, 8));
        let weight = if rare { 1 } else { weight * 4 };
        if on { weight } else { 0 }
    });
    let mut weights = drawn;
    if let Some(only) = only {
        for kind in OperationKind::ALL {
            let weight = &mut weights[kind as usize];
            *weight = if only.contains(&kind) { (*weight).max(1) } else { 0 };
        }
    } else {
        let writers = [OperationKind::Transfer, OperationKind::MultiPageWrite, OperationKind::Churn];
        if writers.iter().all(|&kind| weights[kind as usize] == 0) {
            weights[OperationKind::Transfer as usize] = 4;
        }
    }
    weights
}

fn injection(stream: &mut Stream) -> Chance {
    let rate = 2_000 * (1 + stream.choose(ABUSE_RATE, 16));
    if stream.choose(ABUSE_ON, 3) == 0 { Chance::NEVER } else { Chance::per_million(rate) }
}

/// The rate of each kind in parts per million around which a chaotic run draws: a quarter to four times of it, and where
/// only checkpoints sync four times as much of failed syncs.
fn usual_rate(kind: FaultKind) -> u32 {
    match kind {
        FaultKind::OpenError | FaultKind::TruncateError => 20_000,
        FaultKind::SubmitRefused => 1_500,
        FaultKind::ReadError | FaultKind::WriteError => 4_000,
        FaultKind::ShortRead | FaultKind::ShortWrite | FaultKind::NoSpace => 3_000,
        FaultKind::BitFlip => 2_000,
        FaultKind::SyncFailed | FaultKind::SyncDropped => 3_000,
        FaultKind::Stuck => 500,
        FaultKind::SectorTorn => 150_000,
        FaultKind::LostWrite | FaultKind::MisdirectedWrite | FaultKind::LyingSync => 2_000,
        // Whether a cancel is honoured has nothing to do with how chaotic the run is.
        FaultKind::Cancelled => 125_000,
        // The nemesis draws these, and a lost sector is what a power loss is.
        FaultKind::PowerLoss
        | FaultKind::ProcessKilled
        | FaultKind::SectorLost
        | FaultKind::CrashInRecovery => 0,
    }
}

fn faults(
    stream: &mut Stream,
    profile: Profile,
    durability: Durability,
    only: Option<&[FaultKind]>,
) -> FaultPlan {
    let mut plan = FaultPlan::NONE;
    for kind in FaultKind::ALL {
        let (on, quarters) = (stream.choose(FAULT_ON, 2) == 1, 1 + stream.choose(FAULT_RATE, 16));
        let damped = match (profile, kind) {
            (_, FaultKind::Cancelled | FaultKind::SectorTorn) | (Profile::Chaos | Profile::LyingDisk, _) => 1,
            (Profile::Recovery, _) => 4,
            (Profile::Fast | Profile::Baseline, _) => 10,
        };
        // Where only checkpoints sync there are few syncs to fail.
        let times = match (durability, kind) {
            (Durability::Normal, FaultKind::SyncFailed | FaultKind::SyncDropped) => 4,
            _ => 1,
        };
        // Named on the command line, a kind is on whatever the seed says.
        let on = match only {
            Some(only) => only.contains(&kind),
            None if profile == Profile::Baseline => kind == FaultKind::BitFlip,
            None => on && (!kind.is_lie() || profile == Profile::LyingDisk),
        };
        if on {
            plan.set(kind, Chance::per_million(usual_rate(kind) * times * quarters / 4 / damped));
        }
    }
    plan
}

fn nemesis(stream: &mut Stream, profile: Profile, only: Option<&[FaultKind]>) -> NemesisOptions {
    let mut between = |low: u32, high: u32| low + stream.choose(LIFE, high - low);
    let (mean_life, early) = match profile {
        Profile::Fast => (between(5_000, 30_000), 50),
        Profile::Chaos | Profile::LyingDisk => (between(2_000, 15_000), 150),
        Profile::Baseline => (between(5_000, 30_000), 0),
        Profile::Recovery => (between(150, 2_500), 400),
    };
    let immortal = profile == Profile::Fast && between(0, 3) == 0;
    let killed = [300, 0, 100, 700][stream.choose(LIFE, 4) as usize];
    let mean_quiesce = [5_000, 1_500, 15_000][stream.choose(REST, 3) as usize];
    let failed_syncs = Chance::per_mille([0, 500, 900][stream.choose(FAILED_SYNCS, 3) as usize]);
    let may = |kind| only.is_none_or(|only| only.contains(&kind));
    let (loses_power, is_killed) = (may(FaultKind::PowerLoss), may(FaultKind::ProcessKilled));
    NemesisOptions {
        mean_life: if immortal || !(loses_power || is_killed) { 0 } else { mean_life },
        early: Chance::per_mille(if may(FaultKind::CrashInRecovery) { early } else { 0 }),
        killed: Chance::per_mille(match (loses_power, is_killed) {
            (true, true) => killed,
            (false, true) => 1000,
            (_, false) => 0,
        }),
        failed_syncs: if loses_power { failed_syncs } else { Chance::NEVER },
        mean_quiesce,
        drained_only: profile == Profile::Baseline,
    }
}

/// No more than a plainer tester does.
fn plainer(world: WorldOptions, plan: PagerPlan) -> (WorldOptions, PagerPlan) {
    let disk = DiskOptions {
        max_delay: 1,
        max_sync_delay: 1,
        max_read_delay: 1,
        immediate: Chance::NEVER,
        ..world.disk
    };
    let nemesis = NemesisOptions { mean_life: 0, failed_syncs: Chance::NEVER, ..world.nemesis };
    let never = Chance::NEVER;
    let injection = Injection {
        drop: never,
        drop_later: never,
        cancel: never,
        cancel_change: never,
        give_up: never,
        checkpoints: 1,
        nap: never,
    };
    let world = WorldOptions { scheduler: SchedulerKind::Lockstep, disk, nemesis, ..world };
    (world, PagerPlan { injection, aside: never, go_on: never, ..plan })
}
