use serde::{Deserialize, Serialize};

use crate::rng;

/// The numbers of one death, drawn by the campaign's seed and the death's number. What it draws next depends on these two alone,
/// so a copy that was written down draws the same.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Draws {
    key: u64,
    next: u64,
}

impl Draws {
    pub(super) fn of(seed: u64, death: u64) -> Draws {
        Draws { key: rng::derive(rng::derive(3, seed), death), next: 0 }
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next += 1;
        rng::below(rng::at(self.key, self.next), bound)
    }
}
