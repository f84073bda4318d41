//! Fibers that wait for a moment of the virtual clock.

use std::collections::BTreeMap;

use tenterhook_runtime::{Completer, Completion};

/// Those that wait, by the moment and then in the order in which they began.
///
/// A nap is no operation of the disk: it takes no number and no place in a queue there. The run that a tape's turns tell has no
/// naps, and must find the disk's numbers as they were.
#[derive(Debug, Default)]
pub(super) struct Naps {
    waiting: BTreeMap<(u64, u64), Completer>,
    begun: u64,
}

impl Naps {
    /// A completion that finishes at `moment`.
    pub(super) fn until(&mut self, moment: u64) -> Completion {
        let (completion, completer) = Completion::new(|_| {});
        self.waiting.insert((moment, self.begun), completer);
        self.begun += 1;
        completion
    }

    /// It is `now`: those whose moment has come are woken.
    #[inline]
    pub(super) fn ring(&mut self, now: u64) {
        while let Some(entry) = self.waiting.first_entry()
            && entry.key().0 <= now
        {
            // A fiber that was dropped has cancelled its wait.
            let _ = entry.remove().complete(0);
        }
    }

    /// When the next one is woken.
    pub(super) fn next(&self) -> Option<u64> {
        self.waiting.first_key_value().map(|(&(moment, _), _)| moment)
    }

    /// All are woken.
    pub(super) fn end(&mut self) {
        self.ring(u64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nap_ends_at_its_moment_and_not_before() {
        let mut naps = Naps::default();
        let (late, early) = (naps.until(9), naps.until(4));
        assert_eq!(naps.next(), Some(4));
        naps.ring(3);
        assert_eq!((early.finished(), late.finished()), (false, false));
        naps.ring(4);
        assert_eq!((early.finished(), late.finished(), naps.next()), (true, false, Some(9)));
        naps.end();
        assert!(late.finished());
    }
}
