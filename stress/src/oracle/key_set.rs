//! Keys with values, read one by one or by range, without transactions.

use std::collections::BTreeMap;
use std::ops::RangeBounds;

use super::Verdict;
use crate::system::Crash;
use crate::violation::Violation;

/// A moment of the history: it grows with each event.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

/// A change of a key that was begun.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[must_use = "what becomes of a change has to be told"]
pub struct Change {
    key: u64,
    number: u64,
}

#[derive(Debug)]
struct Write<V> {
    number: u64,
    /// None removes the key.
    value: Option<V>,
    begun: Moment,
    /// When it was acknowledged.
    ended: Option<Moment>,
    /// Its outcome is unknown and stays so.
    was_given_up: bool,
}

/// Which keys there are and with which values.
///
/// Each key is a regular register (Lamport, "On interprocess communication", 1986): a read returns a value that was being written
/// while it ran, or the one that was acknowledged last before it began. Reads of two keys owe each other nothing. What was
/// acknowledged survives every crash. A change whose outcome is unknown may appear at any later moment, until one that began after
/// it is acknowledged. All changes are remembered: it is for runs, and not for services.
#[derive(Debug)]
pub struct KeySet<V> {
    keys: BTreeMap<u64, Vec<Write<V>>>,
    now: u64,
}

impl<V> Default for KeySet<V> {
    fn default() -> Self {
        KeySet { keys: BTreeMap::new(), now: 0 }
    }
}

impl<V: Clone + PartialEq + std::fmt::Debug> KeySet<V> {
    /// A change begins: `key` gets `value`, or is removed.
    pub fn begin(&mut self, key: u64, value: Option<V>) -> Change {
        let begun = self.tick();
        let writes = self.keys.entry(key).or_default();
        writes.push(Write { number: begun.0, value, begun, ended: None, was_given_up: false });
        Change { key, number: begun.0 }
    }

    /// The store says that it is done.
    pub fn acknowledged(&mut self, change: Change) {
        let now = self.tick();
        let Some(writes) = self.keys.get_mut(&change.key) else { return };
        let Some(write) = writes.iter_mut().find(|write| write.number == change.number) else { return };
        write.ended = Some(now);
    }

    /// The store has refused it, and nothing of it is left.
    pub fn refused(&mut self, change: Change) {
        if let Some(writes) = self.keys.get_mut(&change.key) {
            writes.retain(|write| write.number != change.number);
        }
    }

    /// The store has not said what became of it.
    pub fn unknown(&mut self, change: Change) {
        let writes = self.keys.get_mut(&change.key).into_iter().flatten();
        writes.filter(|write| write.number == change.number).for_each(|write| write.was_given_up = true);
    }

    /// A read begins.
    pub fn read(&mut self) -> Moment {
        self.tick()
    }

    /// A read of `key` that began at `begun` has ended, and has `seen` a value or none.
    ///
    /// # Errors
    ///
    /// A violation of "key set": the key can't have had that value while the read ran.
    pub fn look(&self, key: u64, begun: Moment, seen: Option<&V>) -> Verdict {
        let allowed = self.allowed(key, begun);
        if allowed.contains(&seen) {
            return Ok(());
        }
        let expected = format!("key {key} with one of {allowed:?}");
        Err(Violation::safety("key set", expected, format!("{seen:?}")))
    }

    /// A scan of `range` that began at `begun` has ended, and has `seen` these in this order.
    ///
    /// # Errors
    ///
    /// A violation of "key set": a key is missing, is there and can't be, is out of order or outside of the range.
    ///
    /// # Panics
    ///
    /// If the range ends before it begins.
    pub fn look_at_range(&self, range: impl RangeBounds<u64>, begun: Moment, seen: &[(u64, V)]) -> Verdict {
        if let Some(pair) = seen.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
            let seen = format!("key {} behind key {}", pair[1].0, pair[0].0);
            return Err(Violation::safety("key set", "keys in order, each once", seen));
        }
        if let Some((key, _)) = seen.iter().find(|(key, _)| !range.contains(key)) {
            return Err(Violation::safety("key set", "keys of the range", format!("key {key}")));
        }
        let found: BTreeMap<u64, &V> = seen.iter().map(|(key, value)| (*key, value)).collect();
        let known = self.keys.range((range.start_bound(), range.end_bound())).map(|(&key, _)| key);
        for key in known.chain(found.keys().copied()) {
            self.look(key, begun, found.get(&key).copied())?;
        }
        Ok(())
    }

    /// A life has ended, by whichever `Crash`. What was acknowledged survives, and what becomes of changes that were under way is
    /// unknown.
    pub fn ended(&mut self, _: Crash) {
        let under_way = self.keys.values_mut().flatten().filter(|write| write.ended.is_none());
        under_way.for_each(|write| write.was_given_up = true);
    }

    /// The values that a read of `key` may return which began at `begun` and ends now.
    fn allowed(&self, key: u64, begun: Moment) -> Vec<Option<&V>> {
        let Some(writes) = self.keys.get(&key) else { return vec![None] };
        // The newest that had ended before the read began, by the moment at which it began: what had ended before that is gone.
        let settled = writes.iter().filter(|write| write.ended.is_some_and(|ended| ended < begun));
        let horizon = settled.map(|write| write.begun).max();
        let is_gone = |write: &&Write<V>| {
            horizon.is_some_and(|horizon| match write.ended {
                Some(ended) => ended < horizon,
                None => write.was_given_up && write.begun < horizon,
            })
        };
        let mut allowed: Vec<Option<&V>> =
            writes.iter().filter(|write| !is_gone(write)).map(|write| write.value.as_ref()).collect();
        if horizon.is_none() {
            allowed.push(None);
        }
        allowed
    }

    fn tick(&mut self) -> Moment {
        self.now += 1;
        Moment(self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(keys: &[(u64, &'static str)]) -> KeySet<&'static str> {
        let mut set = KeySet::default();
        for &(key, value) in keys {
            let change = set.begin(key, Some(value));
            set.acknowledged(change);
        }
        set
    }

    #[test]
    fn a_read_sees_the_last_acknowledged_value_or_one_that_is_being_written() {
        let mut set = with(&[(1, "a"), (1, "b")]);
        let begun = set.read();
        assert!(set.look(1, begun, Some(&"b")).is_ok());
        assert!(set.look(1, begun, Some(&"a")).is_err(), "it was written over");
        assert!(set.look(1, begun, None).is_err());
        let change = set.begin(1, None);
        assert!(set.look(1, begun, None).is_ok() && set.look(1, begun, Some(&"b")).is_ok());
        set.acknowledged(change);
        assert!(set.look(1, begun, Some(&"b")).is_ok(), "the read began before");
        let later = set.read();
        assert!(set.look(1, later, None).is_ok() && set.look(1, later, Some(&"b")).is_err());
    }

    #[test]
    fn what_was_refused_is_never_seen_and_what_is_unknown_may_be_until_it_is_written_over() {
        let mut set = with(&[(1, "a")]);
        let refused = set.begin(1, Some("refused"));
        set.refused(refused);
        let unknown = set.begin(1, Some("unknown"));
        set.unknown(unknown);
        set.ended(Crash::PowerLoss);
        let begun = set.read();
        assert!(set.look(1, begun, Some(&"refused")).is_err());
        assert!(set.look(1, begun, Some(&"unknown")).is_ok() && set.look(1, begun, Some(&"a")).is_ok());
        assert!(set.look(1, begun, None).is_err(), "what was acknowledged survives");
    }

    #[test]
    fn a_read_that_takes_long_may_see_each_value_of_its_time() {
        let mut set = with(&[(1, "a")]);
        let begun = set.read();
        for value in ["b", "c"] {
            let change = set.begin(1, Some(value));
            set.acknowledged(change);
        }
        for value in ["a", "b", "c"] {
            assert!(set.look(1, begun, Some(&value)).is_ok(), "{value}");
        }
        assert!(set.look(1, begun, None).is_err(), "it was there all the time");
    }

    #[test]
    fn what_was_given_up_ends_with_the_next_acknowledged_change_and_what_is_under_way_does_not() {
        let mut set = with(&[(1, "a")]);
        let _under_way = set.begin(1, Some("under way"));
        for value in ["b", "c"] {
            let change = set.begin(1, Some(value));
            set.acknowledged(change);
        }
        let begun = set.read();
        assert!(set.look(1, begun, Some(&"under way")).is_ok());
        set.ended(Crash::ProcessKilled);
        let begun = set.read();
        assert!(set.look(1, begun, Some(&"under way")).is_err(), "later ones were acknowledged");
        assert!(set.look(1, begun, Some(&"c")).is_ok());
    }

    #[test]
    fn a_scan_misses_no_key_and_finds_no_other() {
        let mut set = with(&[(1, "a"), (3, "c"), (9, "z")]);
        let begun = set.read();
        assert!(set.look_at_range(0..5, begun, &[(1, "a"), (3, "c")]).is_ok());
        assert!(set.look_at_range(0..5, begun, &[(1, "a")]).is_err(), "3 is missing");
        assert!(
            set.look_at_range(0..5, begun, &[(1, "a"), (2, "b"), (3, "c")]).is_err(),
            "2 was never there"
        );
        assert!(set.look_at_range(0..5, begun, &[(3, "c"), (1, "a")]).is_err(), "out of order");
        assert!(set.look_at_range(0..5, begun, &[(1, "a"), (1, "a"), (3, "c")]).is_err(), "twice");
        assert!(set.look_at_range(0..3, begun, &[(1, "a"), (3, "c")]).is_err(), "outside of the range");
    }

    #[test]
    fn of_two_changes_at_once_either_may_be_the_last() {
        let mut set = with(&[]);
        let (one, other) = (set.begin(1, Some("one")), set.begin(1, Some("other")));
        set.acknowledged(one);
        set.acknowledged(other);
        let begun = set.read();
        assert!(set.look(1, begun, Some(&"one")).is_ok() && set.look(1, begun, Some(&"other")).is_ok());
        let last = set.begin(1, Some("last"));
        set.acknowledged(last);
        let begun = set.read();
        assert!(set.look(1, begun, Some(&"one")).is_err());
    }
}
