//! What a person may fix of the pager, beside the world.

use serde::{Deserialize, Serialize};
use tenterhook_stress::options::{Kinds, OptionsError};
use tenterhook_stress::subject::{Options, Subject as _};

use super::Profile;
use crate::PagerSubject;
use crate::workload::OperationKind;

const MAX_CACHE: u64 = 10_000_000;

/// Options that a person fixes instead of the seed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
pub struct FixedPager {
    /// Page size in bytes, a power of two from 512 to 65536.
    #[arg(long, value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub page_size: Option<u32>,
    /// Capacity of the page cache in pages.
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cache_pages: Option<usize>,
    /// Changed pages that a transaction keeps in memory before it spills.
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub spill_pages: Option<usize>,
    /// Length of the log in frames from which a checkpoint is due; 0 for never.
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub checkpoint_frames: Option<u32>,
    /// What an acknowledged commit survives.
    #[arg(long, value_name = "LEVEL")]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub durability: Option<Level>,
    /// What the runs concentrate on.
    #[arg(long, value_name = "PROFILE")]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub profile: Option<Profile>,
    /// The only kinds of operation, separated by commas.
    #[arg(long, value_name = "KINDS", value_parser = operations)]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub operations: Option<Kinds<OperationKind>>,
}

/// A level of durability that can be judged: without any sync a power loss may leave nothing to judge.
#[derive(Copy, Clone, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Commits survive a power loss.
    Full,
    /// Commits survive a crash of the process.
    Normal,
}

/// A list of kinds. Those that had other names in version 0.1 are known by them, too.
fn operations(text: &str) -> Result<Kinds<OperationKind>, String> {
    let renamed = [("stamp", "multi-page-write"), ("detour", "savepoint-rollback")];
    let today = |name: &str| match renamed.into_iter().find(|&(old, _)| old == name) {
        Some((old, new)) => {
            eprintln!("{}: '{old}' is called '{new}' now", PagerSubject::PROGRAM);
            new.to_owned()
        }
        None => name.to_owned(),
    };
    Kinds::parse(&text.split(',').map(today).collect::<Vec<_>>().join(","))
}

impl Options for FixedPager {
    fn validate(&self) -> Result<(), OptionsError> {
        let check = |flag, value: Option<u64>, holds: fn(u64) -> bool, right| match value {
            Some(value) if !holds(value) => Err(OptionsError::new(flag, value, right)),
            _ => Ok(()),
        };
        check(
            "--page-size",
            self.page_size.map(u64::from),
            |n| n.is_power_of_two() && (512..=65_536).contains(&n),
            "a power of two from 512 to 65536",
        )?;
        let is_cache = |n| (1..=MAX_CACHE).contains(&n);
        check("--cache-pages", self.cache_pages.map(|n| n as u64), is_cache, "from 1 to 10000000")?;
        check("--spill-pages", self.spill_pages.map(|n| n as u64), is_cache, "from 1 to 10000000")?;
        if self.operations.as_deref().is_some_and(<[_]>::is_empty) {
            return Err(OptionsError::new(
                "--operations",
                "empty",
                "a list of at least one kind of operation",
            ));
        }
        Ok(())
    }
}
