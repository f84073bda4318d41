//! The rows of the comparison, one noun a file.
//!
//! A later row is a new file with a [`Workload`] and a line in [`ALL`].

mod completion;
mod group;
mod handover;
mod memory;
mod nested;
mod pages;
mod poller;
mod reads;
mod round_trip;
mod stepping;
mod yielding;

use crate::contender::Workload;

/// What our contenders are called, and the peers that are named more than once.
mod names {
    pub(super) const OURS: &str = "tenterhook";
    pub(super) const TOKIO_ONESHOT: &str = "tokio oneshot";
    pub(super) const JOIN_ALL: &str = "join_all, tokio oneshot";
    pub(super) const FUTURES_UNORDERED: &str = "FuturesUnordered, tokio oneshot";
    pub(super) const JOIN_SET: &str = "tokio JoinSet";
}

/// Every workload, in the order of the report.
pub(crate) const ALL: &[Workload] = &[
    completion::WORKLOAD,
    handover::WORKLOAD,
    round_trip::WORKLOAD,
    group::WORKLOAD,
    nested::WORKLOAD,
    stepping::WORKLOAD,
    memory::WORKLOAD,
    reads::WORKLOAD,
    pages::WORKLOAD,
];
