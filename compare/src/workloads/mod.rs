//! The rows of the comparison, one noun a file.
//!
//! A later row is a new file with a [`Workload`] and a line in [`ALL`].

mod cancel;
mod completion;
mod group;
mod handover;
mod memory;
mod nested;
mod pages;
mod poller;
mod progress;
mod reads;
mod round_trip;
mod stepping;
mod tail;
mod wake;
mod yielding;

use crate::row::Workload;

/// What our contenders are called, and the peers that are named more than once.
mod names {
    pub(super) const OURS: &str = "tenterhook";
    pub(super) const TOKIO_ONESHOT: &str = "tokio oneshot";
    pub(super) const JOIN_ALL: &str = "join_all, tokio oneshot";
    pub(super) const FUTURES_UNORDERED: &str = "FuturesUnordered, tokio oneshot";
    pub(super) const JOIN_SET: &str = "tokio JoinSet";
}

/// The workload whose rows have a rate.
pub(crate) const FIXED_RATE: &str = "tail";

/// Every workload, in the order of the report.
pub(crate) const ALL: &[Workload] = &[
    completion::WORKLOAD,
    handover::WORKLOAD,
    round_trip::WORKLOAD,
    group::WORKLOAD,
    nested::WORKLOAD,
    cancel::WORKLOAD,
    wake::WORKLOAD,
    stepping::WORKLOAD,
    memory::WORKLOAD,
    reads::WORKLOAD,
    pages::WORKLOAD,
    pages::MIXED,
    tail::WORKLOAD,
];

#[cfg(test)]
mod tests {
    use super::ALL;
    use crate::goal::Quantity;
    use crate::row::Extent;

    #[test]
    fn every_row_names_contenders_that_it_has() {
        for plan in ALL.iter().flat_map(|workload| (workload.plans)()) {
            // Building the others would write more files and measure rates, and they differ in size alone.
            if plan.extent == Extent::Full || plan.name.starts_with("tail") {
                continue;
            }
            let row = plan.build();
            let has = |name: &str| row.contenders.iter().any(|entry| entry.name == name);
            assert!(has(row.baseline), "{}: baseline", row.name);
            for goal in &row.goals {
                assert!(has(&goal.contender), "{}: {goal:?}", row.name);
                if let Quantity::Ratio { against } = &goal.quantity {
                    assert!(has(against), "{}: {goal:?}", row.name);
                }
            }
        }
    }
}
