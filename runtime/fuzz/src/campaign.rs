//! Batches of cases.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::mutation::{build, case};
use crate::property::{self, Kind};

/// Cases in a batch.
pub const BATCH: u32 = 500;

/// How often each kind of end was come to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Cases by kind.
    pub kinds: BTreeMap<Kind, u64>,
}

impl Tally {
    /// Adds another's cases.
    pub fn add(&mut self, other: Self) {
        for (kind, cases) in other.kinds {
            *self.kinds.entry(kind).or_default() += cases;
        }
    }

    /// All cases.
    pub fn executions(&self) -> u64 {
        self.kinds.values().sum()
    }

    /// Cases of kinds that begin with this.
    pub fn beginning_with(&self, start: &str) -> u64 {
        self.kinds.iter().filter(|(kind, _)| kind.starts_with(start)).map(|(_, cases)| cases).sum()
    }
}

/// Runs the cases that follow from the batch's number.
///
/// # Errors
///
/// What the smallest case found is, and what does not hold of it.
pub fn run(batch: u64, cases: u32) -> Result<Tally, String> {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&batch.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let tally = RefCell::new(Tally::default());
    let outcome = TestRunner::new_with_rng(config, rng).run(&case(), |(seed, mutations)| {
        let kind = property::check(&build(seed, &mutations)).map_err(TestCaseError::fail)?;
        *tally.borrow_mut().kinds.entry(kind).or_default() += 1;
        Ok(())
    });
    match outcome {
        Ok(()) => Ok(tally.into_inner()),
        Err(TestError::Fail(why, (seed, mutations))) => {
            Err(format!("{why}\n  seed {seed} of the corpus, with {mutations:?}"))
        }
        Err(TestError::Abort(why)) => Err(why.to_string()),
    }
}
