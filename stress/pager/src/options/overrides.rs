use serde::{Deserialize, Serialize};

use super::Profile;
use tenterhook_stress::disk::FaultKind;
use tenterhook_stress::schedule::SchedulerKind;
use crate::workload::OperationKind;

/// Options that the command line fixes instead of the seed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overrides {
    /// Connections.
    pub connections: Option<u32>,
    /// Steps of a run.
    pub steps: Option<u64>,
    /// Page size in bytes.
    pub page_size: Option<u32>,
    /// Pages that the cache keeps.
    pub cache_pages: Option<usize>,
    /// Changed pages that a transaction has in memory.
    pub spill_pages: Option<usize>,
    /// Log frames from which on a checkpoint is due.
    pub checkpoint_frames: Option<u32>,
    /// What an acknowledged commit is worth.
    pub durability: Option<Level>,
    /// What the run concentrates on.
    pub profile: Option<Profile>,
    /// Who chooses.
    pub scheduler: Option<SchedulerKind>,
    /// The only kinds of fault that may strike.
    pub faults: Option<Vec<FaultKind>>,
    /// The only kinds of operation that are drawn.
    pub operations: Option<Vec<OperationKind>>,
}

/// A level of durability that can be judged: without any sync a power loss may leave nothing to judge.
#[derive(Copy, Clone, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Commits survive a power loss.
    Full,
    /// Commits survive the end of the process.
    Normal,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Full => "full",
            Level::Normal => "normal",
        }
    }
}

/// An option out of its bounds: what, its value, what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionsError {
    flag: &'static str,
    value: String,
    right: &'static str,
}

impl std::fmt::Display for OptionsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is {}: it must be {}", self.flag, self.value, self.right)
    }
}

impl std::error::Error for OptionsError {}

/// More connections than this are a mistake: their fibers alone would fill the memory.
const MAX_CONNECTIONS: u32 = 1_000_000;
/// A run of more steps than this would take weeks.
const MAX_STEPS: u64 = 1_000_000_000_000;
const MAX_CACHE: usize = 10_000_000;

impl Overrides {
    /// Whether every option is within its bounds.
    ///
    /// # Errors
    ///
    /// The first that is not.
    pub fn validate(&self) -> Result<(), OptionsError> {
        let check = |flag, value: Option<u64>, holds: fn(u64) -> bool, right| match value {
            Some(value) if !holds(value) => Err(OptionsError { flag, value: value.to_string(), right }),
            _ => Ok(()),
        };
        check(
            "--connections",
            self.connections.map(u64::from),
            |n| (1..=u64::from(MAX_CONNECTIONS)).contains(&n),
            "from 1 to 1000000",
        )?;
        check("--steps", self.steps, |n| (1..=MAX_STEPS).contains(&n), "from 1 to 1000000000000")?;
        check(
            "--page-size",
            self.page_size.map(u64::from),
            |n| n.is_power_of_two() && (512..=65_536).contains(&n),
            "a power of two from 512 to 65536",
        )?;
        check(
            "--cache-pages",
            self.cache_pages.map(|n| n as u64),
            |n| (1..=MAX_CACHE as u64).contains(&n),
            "from 1 to 10000000",
        )?;
        check(
            "--spill-pages",
            self.spill_pages.map(|n| n as u64),
            |n| (1..=MAX_CACHE as u64).contains(&n),
            "from 1 to 10000000",
        )?;
        if self.operations.as_ref().is_some_and(Vec::is_empty) {
            let right = "a list of at least one kind of operation";
            return Err(OptionsError { flag: "--operations", value: "empty".into(), right });
        }
        Ok(())
    }

    /// The flags that say the same, each with a space before it.
    pub fn flags(&self) -> String {
        let mut flags = String::new();
        let mut push = |flag: &str, value: Option<String>| {
            if let Some(value) = value {
                flags.push_str(&format!(" {flag} {value}"));
            }
        };
        let comma = |names: Vec<&str>| if names.is_empty() { "none".into() } else { names.join(",") };
        push("--connections", self.connections.map(|n| n.to_string()));
        push("--steps", self.steps.map(|n| n.to_string()));
        push("--page-size", self.page_size.map(|n| n.to_string()));
        push("--cache-pages", self.cache_pages.map(|n| n.to_string()));
        push("--spill-pages", self.spill_pages.map(|n| n.to_string()));
        push("--checkpoint-frames", self.checkpoint_frames.map(|n| n.to_string()));
        push("--durability", self.durability.map(|level| level.name().into()));
        push("--profile", self.profile.map(|profile| profile.name().into()));
        push("--scheduler", self.scheduler.map(|kind| kind.name().into()));
        push(
            "--faults",
            self.faults.as_ref().map(|kinds| comma(kinds.iter().map(|kind| kind.name()).collect())),
        );
        push(
            "--operations",
            self.operations.as_ref().map(|kinds| comma(kinds.iter().map(|kind| kind.name()).collect())),
        );
        flags
    }
}
