//! What a seed draws of a run, beside the world.

use serde::{Deserialize, Serialize};
use tenterhook_stress::subject::Options;
use tenterhook_stress::system::Memory;
use tenterhook_stress::tape::{ChoicePoint, Stream};

const JOURNAL: ChoicePoint = ChoicePoint::new(21, "journal");
const SIZES: ChoicePoint = ChoicePoint::new(22, "sizes");
const CHECKPOINTS: ChoicePoint = ChoicePoint::new(23, "checkpoints");
const WEIGHTS: ChoicePoint = ChoicePoint::new(24, "weights");
const DEEDS: ChoicePoint = ChoicePoint::new(25, "weights of deeds");

/// How turso_core makes commits atomic.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Journal {
    /// A write-ahead log, one writer at a time.
    #[default]
    Wal,
    /// Versions of rows, and a logical log: writers at once.
    Mvcc,
}

/// How much a checkpoint waits for, and what it does to the log.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    Passive,
    Full,
    Restart,
    Truncate,
}

impl Mode {
    pub(crate) const ALL: [Mode; 4] = [Mode::Passive, Mode::Full, Mode::Restart, Mode::Truncate];
}

/// A way in which the adapter breaks its promises to turso_core, on purpose: to see that an oracle notices.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Broken {
    /// Syncs do nothing.
    Sync,
    /// A transfer's second half is left out.
    Transfer,
    /// An append forgets what was in the list.
    Lists,
}

/// What a person may fix.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, clap::Args)]
pub(crate) struct Habits {
    /// The journal mode.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) journal: Option<Journal>,
    /// The only mode of checkpoints that are asked for.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) checkpoints: Option<Mode>,
    /// Whether transactions change the schema.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) schema: Option<bool>,
    /// Whether every other transaction appends to lists and reads them, for the checker of isolation.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) lists: Option<bool>,
    /// Whether memory vanishes at a crash instead of being dropped. It leaks.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) vanish: Option<bool>,
    /// Whether any panic ends the process and no more: to see what is behind the known ones.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) forgive_panics: Option<bool>,
    /// Break the adapter or the workload, on purpose.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) broken: Option<Broken>,
}

impl Options for Habits {}

/// A run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) journal: Journal,
    pub(crate) page_size: u32,
    /// Pages of each connection's cache.
    pub(crate) cache_size: u32,
    /// Frames of the log from which on a commit checkpoints.
    pub(crate) autocheckpoint: u32,
    pub(crate) only_mode: Option<Mode>,
    pub(crate) accounts: u32,
    /// Keys of a connection's rows are below this.
    pub(crate) keys: u32,
    /// Texts of rows are shorter than this.
    pub(crate) text: u32,
    /// Deeds of a transaction, at most.
    pub(crate) deeds: u32,
    /// Weights of the operations, see `workload::OPERATIONS`.
    pub(crate) weights: [u32; 6],
    /// Weights of what a transaction does, see `workload::DEEDS`.
    pub(crate) deed_weights: [u32; 5],
    pub(crate) lists: bool,
    pub(crate) memory: Memory,
    pub(crate) forgives_panics: bool,
    pub(crate) broken: Option<Broken>,
}

impl Plan {
    pub(crate) fn draw(stream: &mut Stream, habits: &Habits) -> Plan {
        let mut pick = |point, values: &[u32]| values[stream.choose(point, values.len() as u32) as usize];
        let journal = if pick(JOURNAL, &[0, 0, 0, 1]) == 0 { Journal::Wal } else { Journal::Mvcc };
        let schema = pick(DEEDS, &[0, 1, 4]);
        Plan {
            journal: habits.journal.unwrap_or(journal),
            page_size: pick(SIZES, &[4096, 512, 1024]),
            cache_size: pick(SIZES, &[2000, 20, 200]),
            autocheckpoint: pick(CHECKPOINTS, &[1000, 4, 16, 64]),
            only_mode: habits.checkpoints,
            accounts: pick(SIZES, &[4, 2, 12]),
            keys: pick(SIZES, &[20, 5, 100]),
            text: pick(SIZES, &[60, 10, 1500]),
            deeds: pick(SIZES, &[3, 1, 8]),
            weights: [
                pick(WEIGHTS, &[8, 2, 16]),
                pick(WEIGHTS, &[4, 1, 8]),
                pick(WEIGHTS, &[1, 0, 4]),
                pick(WEIGHTS, &[1, 0, 2]),
                pick(WEIGHTS, &[0, 1]),
                pick(WEIGHTS, &[0, 1]),
            ],
            deed_weights: [
                4,
                pick(DEEDS, &[2, 8]),
                pick(DEEDS, &[1, 4]),
                match habits.schema {
                    Some(false) => 0,
                    Some(true) => schema.max(1),
                    None => schema,
                },
                pick(DEEDS, &[0, 1, 3]),
            ],
            lists: habits.lists == Some(true),
            memory: if habits.vanish == Some(true) { Memory::Vanish } else { Memory::Drop },
            forgives_panics: habits.forgive_panics == Some(true),
            broken: habits.broken,
        }
    }

    pub(crate) fn describe(&self) -> Vec<(&'static str, String)> {
        let checkpoints = match self.only_mode {
            Some(mode) => format!("{mode:?} only"),
            None => "all modes".into(),
        };
        vec![
            ("journal", format!("{:?}", self.journal)),
            ("pages", format!("{} bytes, {} cached", self.page_size, self.cache_size)),
            ("checkpoints", format!("{checkpoints}, by itself from {} frames on", self.autocheckpoint)),
            ("tables", format!("{} accounts, {} keys, texts below {}", self.accounts, self.keys, self.text)),
            ("transactions", format!("up to {} deeds", self.deeds)),
            ("weights", format!("{:?} of {:?}", self.weights, crate::workload::OPERATIONS)),
            ("deeds", format!("{:?} of {:?}", self.deed_weights, crate::workload::DEEDS)),
        ]
    }
}
