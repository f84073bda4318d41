//! Entries of raft-engine's logs, and what the engine must hold.

use std::collections::BTreeMap;

use protobuf::well_known_types::BytesValue;
use raft_engine::MessageExt;
use tenterhook_stress::oracle::CommitLine;

/// One group's log and pairs, each with the number of the commit that wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) entries: BTreeMap<u64, u64>,
    pub(crate) pairs: BTreeMap<u8, u64>,
}

/// All groups, by their number.
pub(crate) type State = BTreeMap<u64, Group>;

/// The commits. Commit 0 is the empty engine.
pub(crate) type Model = CommitLine<State>;

/// Entries as raft-engine is told of them: a message that has its index in its first bytes.
pub(crate) struct Entries;

impl MessageExt for Entries {
    type Entry = BytesValue;

    fn index(entry: &BytesValue) -> u64 {
        number(entry.get_value(), 0)
    }
}

/// The entry `index` as the commit `commit` writes it, of at most `most` bytes.
pub(crate) fn entry(index: u64, commit: u64, most: u32) -> BytesValue {
    let mut value = [index.to_le_bytes(), commit.to_le_bytes()].concat();
    let filler = (index.wrapping_mul(7_919) ^ commit.wrapping_mul(104_729)) % u64::from(most);
    value.extend((0..filler).map(|place| (place.wrapping_mul(31) ^ commit) as u8));
    let mut entry = BytesValue::new();
    entry.set_value(value);
    entry
}

/// The commit that wrote `found`, if it is all that the commit wrote for the entry `index`.
pub(crate) fn commit_of(found: &BytesValue, index: u64, most: u32) -> Option<u64> {
    let commit = number(found.get_value(), 8);
    (*found == entry(index, commit, most)).then_some(commit)
}

/// A number of eight bytes, or one that no one writes.
pub(crate) fn number(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(u64::MAX, u64::from_le_bytes)
}
