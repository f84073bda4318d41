//! What a seed draws of a run, beside the world.

use serde::{Deserialize, Serialize};
use tenterhook_stress::subject::Options;
use tenterhook_stress::tape::{ChoicePoint, Stream};

const SIZES: ChoicePoint = ChoicePoint::new(22, "sizes");
const WEIGHTS: ChoicePoint = ChoicePoint::new(24, "weights");
const RECYCLES: ChoicePoint = ChoicePoint::new(25, "recycles files");

/// A way in which the adapter or the workload is broken on purpose: to see that an oracle notices.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Broken {
    /// Syncs do nothing.
    Sync,
    /// Each transaction's last change is written and not told to the model.
    Change,
}

/// Something that raft-engine 0.4.2 is known to fail, see `../../FOUND.md`. A run does without it unless it is asked for.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ask {
    /// Pairs are deleted.
    Deletes,
    /// What `Engine::sync` has covered must last.
    Sync,
    /// Reads fail.
    ReadErrors,
    /// Reads run beside a purge.
    ReadBesidePurge,
    /// A sync of a file that an earlier life has made does not make its name last.
    StrictNames,
    /// A group that was removed is used again.
    Recreate,
    /// Some batches are written without a sync.
    Unsynced,
    /// The end of a log is written over, also beside a purge.
    Overwrites,
}

/// What a person may fix.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, clap::Args)]
pub(crate) struct Habits {
    /// Ask for something that is known to fail.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) ask: Option<Ask>,
    /// Break the adapter or the workload, on purpose.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) broken: Option<Broken>,
}

impl Options for Habits {}

/// A run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// Bytes of a log file from which on the next one is begun.
    pub(crate) file_size: u64,
    /// So many files are kept before a purge rewrites them.
    pub(crate) files: u64,
    /// Batches from so many bytes on are compressed; 0 for none.
    pub(crate) compresses_from: u64,
    pub(crate) recycles: bool,
    pub(crate) groups: u32,
    /// Bytes of an entry, at most.
    pub(crate) entry: u32,
    /// Weights of the operations, see `workload::OPERATIONS`.
    pub(crate) weights: [u32; 6],
    /// Weights of what a batch does, see `Store::deed`.
    pub(crate) deeds: [u32; 6],
    pub(crate) ask: Option<Ask>,
    pub(crate) broken: Option<Broken>,
}

impl Plan {
    pub(crate) fn draw(stream: &mut Stream, habits: &Habits) -> Plan {
        let mut pick = |point, values: &[u32]| values[stream.choose(point, values.len() as u32) as usize];
        Plan {
            file_size: u64::from(pick(SIZES, &[4_096, 1_024, 16_384])),
            files: u64::from(pick(SIZES, &[2, 1, 6])),
            compresses_from: u64::from(pick(SIZES, &[0, 256])),
            recycles: pick(RECYCLES, &[0, 1]) == 1,
            groups: pick(SIZES, &[2, 1, 5]),
            entry: pick(SIZES, &[100, 600, 3_000]),
            weights: [
                pick(WEIGHTS, &[8, 2, 16]),
                pick(WEIGHTS, &[2, 8]),
                pick(WEIGHTS, &[1, 4]),
                pick(WEIGHTS, &[0, 1]),
                pick(WEIGHTS, &[0, 1]),
                pick(WEIGHTS, &[0, 1]),
            ],
            deeds: [
                8,
                if habits.ask == Some(Ask::Overwrites) { 2 } else { 0 },
                3,
                3,
                if habits.ask == Some(Ask::Deletes) { 2 } else { 0 },
                if habits.ask == Some(Ask::Recreate) { 1 } else { 0 },
            ],
            ask: habits.ask,
            broken: habits.broken,
        }
    }

    pub(crate) fn describe(&self) -> Vec<(&'static str, String)> {
        let compressed = match self.compresses_from {
            0 => "none".into(),
            bytes => format!("batches from {bytes} bytes on"),
        };
        vec![
            ("files", format!("of {} bytes, purged from {} on", self.file_size, self.files)),
            ("recycled", self.recycles.to_string()),
            ("compressed", compressed),
            ("groups", format!("{}, entries of up to {} bytes", self.groups, self.entry)),
            ("weights", format!("{:?} of {:?}", self.weights, crate::workload::OPERATIONS)),
        ]
    }
}
