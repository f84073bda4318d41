use serde::{Deserialize, Serialize};

use super::{FabricatedRead, Fairness, History, Oracles};

/// What is known between two lives. The oracles that are not here know nothing then.
#[derive(Debug, Serialize, Deserialize)]
struct Knowledge {
    history: History,
    fabricated_read: Option<FabricatedRead>,
    /// Whether a sync has dropped writes, and the next opening is to be told.
    dropped: bool,
    connections: Vec<Kept>,
}

/// The same, to be written.
#[derive(Serialize)]
struct Known<'a> {
    history: &'a History,
    fabricated_read: &'a Option<FabricatedRead>,
    dropped: bool,
    connections: Vec<Kept>,
}

/// What a connection keeps over the end of a life.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Operations that it has begun: transactions have numbers of their own over all lives.
    pub(crate) begun: u32,
    /// For how long it will do nothing.
    pub(crate) nap: u16,
}

impl Oracles {
    /// What they know now that a life is over, with what connections keep, as bytes. Since the last opening a sync has `dropped` writes
    /// or not.
    pub(crate) fn knowledge(&self, dropped: bool, connections: Vec<Kept>) -> Option<Vec<u8>> {
        let Oracles { history, fabricated_read, .. } = self;
        serde_json::to_vec(&Known { history, fabricated_read, dropped, connections }).ok()
    }

    /// Knows what [`Oracles::knowledge`] has said. Returns what connections keep.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn resume(&mut self, knowledge: &[u8]) -> Result<Vec<Kept>, String> {
        let known = serde_json::from_slice::<Knowledge>(knowledge);
        let known = known.map_err(|error| format!("what its oracles knew is not understood ({error})"))?;
        if known.fabricated_read.is_some() != self.fabricated_read.is_some() {
            return Err("of this disk and the one before only one may lie".into());
        }
        self.fairness = Fairness::after(known.history.turns_awaited());
        (self.history, self.fabricated_read) = (known.history, known.fabricated_read);
        if known.dropped {
            self.history.lose_writes();
        }
        Ok(known.connections)
    }
}
