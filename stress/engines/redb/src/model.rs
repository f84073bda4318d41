//! What the database may contain. Each commit leaves its number in it.

use std::collections::BTreeMap;

use tenterhook_stress::oracle::CommitLine;

/// Keys, with the length of each value and the byte that fills it.
pub(crate) type State = BTreeMap<u64, (usize, u8)>;

/// The commits. Commit 0 is the empty database.
pub(crate) type Model = CommitLine<State>;
