//! What a seed draws of a run, beside the world.

use serde::{Deserialize, Serialize};
use tenterhook_stress::oracle::Durable;
use tenterhook_stress::subject::Options;
use tenterhook_stress::tape::{ChoicePoint, Stream};

const JOURNAL: ChoicePoint = ChoicePoint::new(21, "journal");
const SYNCHRONOUS: ChoicePoint = ChoicePoint::new(22, "synchronous");
const SIZES: ChoicePoint = ChoicePoint::new(23, "sizes");
const CHECKPOINTS: ChoicePoint = ChoicePoint::new(24, "checkpoints");
const HABITS: ChoicePoint = ChoicePoint::new(25, "habits");
const WEIGHTS: ChoicePoint = ChoicePoint::new(26, "weights");

/// How SQLite makes commits atomic.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Journal {
    /// A write-ahead log.
    #[default]
    Wal,
    /// A rollback journal, deleted at commit.
    Delete,
}

/// When SQLite syncs.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Synchronous {
    /// At checkpoints only.
    #[default]
    Normal,
    /// At each commit.
    Full,
    /// At each commit, the directory too.
    Extra,
}

/// A way in which the adapter breaks its promises to SQLite, on purpose: to see that an oracle notices.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Broken {
    /// Syncs of files do nothing.
    Sync,
    /// Syncs of directories do nothing.
    Directory,
    /// Each lock of a file is granted.
    Lock,
    /// Each lock of the shared memory is granted.
    MemoryLock,
}

/// What a person may fix.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, clap::Args)]
pub(crate) struct Habits {
    /// The journal mode.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) journal: Option<Journal>,
    /// When SQLite syncs. With a rollback journal, normal is taken for full.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) synchronous: Option<Synchronous>,
    /// Break the adapter, on purpose.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) broken: Option<Broken>,
}

impl Options for Habits {}

/// A run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) journal: Journal,
    pub(crate) synchronous: Synchronous,
    pub(crate) page_size: u32,
    /// Pages of each connection's cache.
    pub(crate) cache_size: u32,
    /// Frames of the log from which on a commit checkpoints; 0 is never.
    pub(crate) autocheckpoint: u32,
    pub(crate) accounts: u32,
    /// How often SQLite asks again when something is locked.
    pub(crate) patience: u32,
    /// Keys of the tree are below this.
    pub(crate) keys: u32,
    /// Whether the connection that boots the database stays open.
    pub(crate) keeps_first: bool,
    /// Weights of the operations, see `workload::OPERATIONS`.
    pub(crate) weights: [u32; 6],
    /// Statements of a transaction that writes, at most.
    pub(crate) statements: u32,
    /// Texts of the tree are shorter than this.
    pub(crate) text: u32,
    /// How many of a thousand scheduling points stall a thread.
    pub(crate) stalls: u32,
    pub(crate) broken: Option<Broken>,
}

impl Plan {
    pub(crate) fn draw(stream: &mut Stream, habits: &Habits) -> Plan {
        let mut pick = |point, values: &[u32]| values[stream.choose(point, values.len() as u32) as usize];
        let journal = if pick(JOURNAL, &[0, 0, 0, 1]) == 0 { Journal::Wal } else { Journal::Delete };
        let synchronous = [Synchronous::Normal, Synchronous::Full, Synchronous::Extra]
            [pick(SYNCHRONOUS, &[0, 1, 1, 2]) as usize];
        let page_size = pick(SIZES, &[1024, 512, 4096]);
        let journal = habits.journal.unwrap_or(journal);
        let mut synchronous = habits.synchronous.unwrap_or(synchronous);
        // With a rollback journal, SQLite promises no consistency after a loss of power for less.
        if journal == Journal::Delete && synchronous == Synchronous::Normal {
            synchronous = Synchronous::Full;
        }
        Plan {
            journal,
            synchronous,
            page_size,
            cache_size: pick(SIZES, &[50, 8, 200]),
            autocheckpoint: pick(CHECKPOINTS, &[0, 1, 4, 16, 64]),
            accounts: pick(SIZES, &[4, 2, 12]),
            patience: pick(HABITS, &[0, 3, 20]),
            keys: pick(SIZES, &[40, 10, 200]),
            keeps_first: pick(HABITS, &[1, 0]) == 1,
            weights: [
                pick(WEIGHTS, &[8, 2, 16]),
                pick(WEIGHTS, &[4, 1, 8]),
                pick(WEIGHTS, &[1, 0, 4]),
                pick(WEIGHTS, &[1, 0, 4]),
                pick(WEIGHTS, &[1, 0, 1]),
                pick(WEIGHTS, &[1, 0, 2]),
            ],
            statements: pick(SIZES, &[4, 2, 12]),
            text: pick(SIZES, &[60, 10, 2000]),
            stalls: pick(HABITS, &[0, 2, 10, 50]),
            broken: habits.broken,
        }
    }

    /// Which acknowledged commits survive a loss of power, as SQLite documents it.
    pub(crate) fn durable(&self) -> Durable {
        match (self.journal, self.synchronous) {
            (_, Synchronous::Normal) => Durable::Nothing,
            // The journal of the last one was deleted, but the deletion not synced.
            (Journal::Delete, Synchronous::Full) => Durable::Base,
            (Journal::Wal, Synchronous::Full) | (_, Synchronous::Extra) => Durable::This,
        }
    }

    pub(crate) fn describe(&self) -> Vec<(&'static str, String)> {
        vec![
            ("sqlite", crate::db::version()),
            ("journal", format!("{:?}, synchronous {:?}", self.journal, self.synchronous)),
            ("pages", format!("{} bytes, {} cached", self.page_size, self.cache_size)),
            ("autocheckpoint", format!("from {} frames on", self.autocheckpoint)),
            ("tables", format!("{} accounts, {} keys, texts below {}", self.accounts, self.keys, self.text)),
            ("patience", format!("asks {} times when something is locked", self.patience)),
            ("stalls", format!("at {} of a thousand scheduling points", self.stalls)),
            ("first connection", if self.keeps_first { "stays open" } else { "is closed" }.into()),
            ("weights", format!("{:?} of {:?}", self.weights, crate::workload::OPERATIONS)),
        ]
    }
}
