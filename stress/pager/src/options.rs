//! What a run is made of: everything that a flag does not fix is drawn from the seed before the run begins.
//!
//! Swarm testing (Groce, Zhang, Eide, Chen and Regehr, ISSTA 2012): a run that has a bit of everything rarely has
//! much of anything, so each seed switches whole kinds of fault and operation off and draws the weights of the rest.

mod draw;
mod fixed;

use tenterhook_runtime::pager::PagerOptions;
use tenterhook_stress::disk::DiskOptions;
use tenterhook_stress::schedule::SchedulerKind;
use tenterhook_stress::subject::Drawn;
use tenterhook_stress::world::WorldOptions;

pub(crate) use self::draw::options as draw;
pub use self::fixed::{FixedPager, Level};
pub use crate::profile::Profile;
use crate::system::PagerPlan;
use crate::workload::OperationKind;

/// Every option with its value, in words.
pub(crate) fn describe(drawn: &Drawn<PagerPlan>) -> Vec<(&'static str, String)> {
    let (world, plan, pager) = (&drawn.world, &drawn.plan, &drawn.plan.pager);
    let extent = &plan.extent;
    let list = |items: Vec<String>| if items.is_empty() { "none".into() } else { items.join(" ") };
    let faults =
        world.disk.faults.enabled().map(|(kind, chance)| format!("{}={chance}", kind.name())).collect();
    let on = OperationKind::ALL.iter().zip(plan.weights).filter(|&(_, weight)| weight > 0);
    let operations = on.map(|(kind, weight)| format!("{}={weight}", kind.name())).collect();
    let life = match world.nemesis.mean_life {
        0 => "the whole run".into(),
        steps => format!("{steps} steps on average, {} of them early", world.nemesis.early),
    };
    vec![
        ("profile", plan.profile.name().into()),
        ("connections", drawn.connections.to_string()),
        ("steps", world.steps.to_string()),
        ("threads", if world.threads == 0 { "none".into() } else { world.threads.to_string() }),
        ("scheduler", scheduler(world)),
        ("page size", format!("{} bytes", pager.page_size)),
        ("cache", format!("{} pages", pager.cache_pages)),
        ("spill", format!("beyond {} pages", pager.spill_pages)),
        (
            "checkpoint due",
            format!("at {} log frames, a log reset at {}", pager.checkpoint_frames, pager.restart_frames),
        ),
        ("file limit", limit(pager)),
        ("durability", format!("{:?}", pager.durability).to_lowercase()),
        (
            "fixed pages",
            format!(
                "{} accounts, {} groups of {}, {} directories",
                extent.accounts, extent.groups, extent.group_pages, extent.directories
            ),
        ),
        ("operations", list(operations)),
        ("others first", format!("{} between two calls", plan.interleave)),
        ("rolled back", plan.rollback.to_string()),
        ("aside", format!("{} of transactions first, {} go on after an error", plan.aside, plan.go_on)),
        (
            "injection at yields",
            format!(
                "drop={} drop-later={} cancel={} cancel-change={} give-up={} nap={}, of checkpoints times {}",
                plan.injection.drop,
                plan.injection.drop_later,
                plan.injection.cancel,
                plan.injection.cancel_change,
                plan.injection.give_up,
                plan.injection.nap,
                plan.injection.checkpoints
            ),
        ),
        ("delay", delay(&world.disk)),
        ("faults", list(faults)),
        ("flipped bits", flips(plan)),
        ("life", life),
        ("killed", format!("{} of crashes leave the machine alive", world.nemesis.killed)),
        ("failed syncs", format!("{} lose the power soon", world.nemesis.failed_syncs)),
        ("quiesces", format!("every {} steps on average", world.nemesis.mean_quiesce)),
        ("restart", format!("{} when writes are refused", plan.restart)),
        ("patience", format!("{} steps without faults", world.patience)),
    ]
}

fn scheduler(world: &WorldOptions) -> String {
    match world.scheduler {
        SchedulerKind::Random => format!("random, {} of 16 choices to the disk", world.delivery_weight),
        SchedulerKind::RoundRobin => "round-robin".into(),
        SchedulerKind::Pct => format!("pct with d = {}", world.depth),
        SchedulerKind::DelayBounded => format!("delay-bounded with d = {}", world.depth),
        SchedulerKind::Pos | SchedulerKind::Exhaustive | SchedulerKind::Urw | SchedulerKind::Lockstep => {
            world.scheduler.name().into()
        }
    }
}

fn delay(disk: &DiskOptions) -> String {
    let DiskOptions { max_delay, max_sync_delay, max_read_delay, immediate, .. } = disk;
    format!(
        "up to {max_delay} ticks, of a sync up to {max_sync_delay}, of a read up to {max_read_delay}, {immediate} at once"
    )
}

fn limit(pager: &PagerOptions) -> String {
    if pager.max_pages == u32::MAX { "none".into() } else { format!("{} pages", pager.max_pages) }
}

fn flips(plan: &PagerPlan) -> String {
    let place = if plan.flips_in_log { "database and log" } else { "database" };
    let recovery = if plan.flips_in_recovery { "in recovery of both" } else { "not in recovery" };
    format!("in reads of {place}, {recovery}")
}

#[cfg(test)]
mod tests;
