//! What a run concentrates on.

use serde::{Deserialize, Serialize};

/// What a run concentrates on.
#[derive(Copy, Clone, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Profile {
    /// Few faults, long lives: concurrency.
    Fast,
    /// Many faults of every kind.
    Chaos,
    /// Short lives, many of which end inside recovery.
    Recovery,
    /// Everything at once, and a disk that lies: writes that are lost or go astray, syncs that do nothing. Content
    /// must not be made up, and machines must not leak or hang; nothing else is checked.
    #[value(alias = "ragnarok")]
    LyingDisk,
    /// What a plainer tester does, to see what the rest is worth: each connection in turn, I/O in order and at once,
    /// flipped bits as the only fault, and a file that is reopened only at rest. Never drawn.
    #[value(alias = "whopper")]
    Baseline,
}

impl Profile {
    /// All of them, in the order in which the seed draws them.
    pub const ALL: [Profile; 4] = [Profile::Fast, Profile::Chaos, Profile::Recovery, Profile::LyingDisk];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        self.into()
    }
}
