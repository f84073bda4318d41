//! What a person may fix of a run, beside the world.

use serde::{Deserialize, Serialize};
use tenterhook_stress::subject::Options;

/// What connections do.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Workload {
    /// One connection: commits of each durability, savepoints, repair. Each commit says what must be there.
    #[default]
    Commits,
    /// Several connections: keys are put, removed, read and scanned, and each key is judged.
    Keys,
}

/// A way in which the adapter or the workload is broken on purpose: to see that an oracle notices.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Broken {
    /// Syncs do nothing.
    Sync,
    /// Of the workload with keys: a scan leaves its last key out.
    Scan,
    /// Of the workload with keys: a transaction is given up and told as acknowledged.
    Put,
}

/// What a person may fix.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, clap::Args)]
pub(crate) struct Habits {
    /// What connections do.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) workload: Option<Workload>,
    /// Break the adapter or the workload, on purpose.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) broken: Option<Broken>,
}

impl Options for Habits {}

impl Habits {
    pub(crate) fn workload(&self) -> Workload {
        self.workload.unwrap_or_default()
    }
}
