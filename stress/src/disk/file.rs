//! One simulated file: what a program sees, what a power loss would leave, and what lies between.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use super::image::Image;
use crate::tape::Address;

/// A change that no sync has made durable yet.
#[derive(Copy, Clone, Debug)]
pub(super) enum Change {
    /// `len` bytes at `offset`, kept in the file's arena from `start`.
    Write { offset: u64, len: usize, start: usize },
    /// The file was cut or extended.
    Truncate { len: u64 },
}

/// A file. `current` is what reads return; `durable` is what is certainly on the disk; `unsynced` lists, in the order
/// in which they took effect, the changes that turn the second into the first.
#[derive(Clone, Debug, Default)]
pub(super) struct SimFile {
    pub(super) current: Image,
    pub(super) durable: Image,
    unsynced: VecDeque<Change>,
    /// What each of `unsynced` belongs to on a tape.
    causes: VecDeque<Address>,
    /// What the next change belongs to.
    cause: Address,
    /// The number of the oldest unsynced change; changes are numbered from 0 for the life of the file.
    first: u64,
    /// Content of the unsynced writes.
    arena: Vec<u8>,
    /// Whether a sync has made the file's existence durable.
    pub(super) linked: bool,
    /// The opener that has it to itself in this incarnation.
    holder: Weak<()>,
}

/// Held by a handle that has its file to itself, and by the operations in flight of it.
pub(super) type Claim = Arc<()>;

impl SimFile {
    /// An empty file whose existence is durable.
    pub(super) fn lasting() -> SimFile {
        SimFile { linked: true, ..SimFile::default() }
    }

    /// The file for one handle alone, if no other has it.
    pub(super) fn claim(&mut self) -> Option<Claim> {
        let is_free = self.holder.strong_count() == 0;
        is_free.then(|| {
            let claim = Arc::new(());
            self.holder = Arc::downgrade(&claim);
            claim
        })
    }

    /// The process that had it is gone; who still has its handles has nothing.
    pub(super) fn release(&mut self) {
        self.holder = Weak::new();
    }

    /// The number that the next change will have. A sync submitted now covers all smaller ones.
    pub(super) fn next_change(&self) -> u64 {
        self.first + self.unsynced.len() as u64
    }

    /// Changes that a power loss may undo, oldest first.
    pub(super) fn unsynced(&self) -> impl Iterator<Item = (Change, &[u8])> {
        self.unsynced.iter().map(|&change| match change {
            Change::Write { start, len, .. } => (change, &self.arena[start..start + len]),
            Change::Truncate { .. } => (change, &[][..]),
        })
    }

    /// What each of [`SimFile::unsynced`] belongs to on a tape.
    pub(super) fn causes(&self) -> impl Iterator<Item = Address> {
        self.causes.iter().copied()
    }

    /// The file, for a change that belongs to `cause`.
    pub(super) fn by(&mut self, cause: Address) -> &mut SimFile {
        self.cause = cause;
        self
    }

    fn push(&mut self, change: Change) {
        self.unsynced.push_back(change);
        self.causes.push_back(self.cause);
    }

    /// A write takes effect: the bytes of `parts` one after the other, at most `limit` of them.
    pub(super) fn write(&mut self, offset: u64, parts: &[&[u8]], limit: usize) {
        let start = self.arena.len();
        for part in parts {
            let left = limit - (self.arena.len() - start);
            self.arena.extend_from_slice(&part[..part.len().min(left)]);
        }
        let len = self.arena.len() - start;
        if len > 0 {
            self.current.write(offset, &self.arena[start..]);
            self.push(Change::Write { offset, len, start });
        }
    }

    /// A truncation takes effect.
    pub(super) fn truncate(&mut self, len: u64) {
        self.current.truncate(len);
        self.push(Change::Truncate { len });
    }

    /// A sync ended well: all changes before number `covered` are durable.
    pub(super) fn sync(&mut self, covered: u64) {
        self.linked = true;
        self.settle(covered, |_| true);
    }

    /// A sync failed and of what it covered only those changes are durable for which `survives` says so. The rest is
    /// gone from the disk and will not be synced again. Reads may go on returning it, as from a system that marks
    /// its cached pages clean although it could not write them, until something makes it look at the disk.
    pub(super) fn drop_unsynced(
        &mut self,
        covered: u64,
        still_read: bool,
        survives: impl FnMut(Change) -> bool,
    ) {
        self.settle(covered, survives);
        if still_read {
            return;
        }
        // Rare, so the plain way: start from the disk and redo what is still to be synced.
        self.current = self.durable.clone();
        let (current, arena) = (&mut self.current, &self.arena);
        for &change in &self.unsynced {
            apply(current, arena, change);
        }
    }

    /// The power is back: what the disk has is all there is.
    pub(super) fn restart_from(&mut self, durable: Image) {
        self.first = self.next_change();
        self.unsynced.clear();
        self.causes.clear();
        self.arena.clear();
        self.current = durable.clone();
        self.durable = durable;
    }

    fn settle(&mut self, covered: u64, mut survives: impl FnMut(Change) -> bool) {
        while self.first < covered
            && let Some(change) = self.unsynced.pop_front()
        {
            self.first += 1;
            self.causes.pop_front();
            if survives(change) {
                apply(&mut self.durable, &self.arena, change);
            }
        }
        if self.unsynced.is_empty() {
            self.arena.clear();
        } else {
            self.compact();
        }
    }

    /// Gives back the arena's settled head once it is the larger part.
    fn compact(&mut self) {
        let first = self.unsynced.iter().find_map(|change| match *change {
            Change::Write { start, .. } => Some(start),
            Change::Truncate { .. } => None,
        });
        let Some(settled) = first.filter(|&start| start > 1 << 20 && start > self.arena.len() / 2) else {
            return;
        };
        self.arena.drain(..settled);
        for change in &mut self.unsynced {
            if let Change::Write { start, .. } = change {
                *start -= settled;
            }
        }
    }
}

fn apply(image: &mut Image, arena: &[u8], change: Change) {
    match change {
        Change::Write { offset, len, start } => image.write(offset, &arena[start..start + len]),
        Change::Truncate { len } => image.truncate(len),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_with(content: &[u8]) -> SimFile {
        let mut file = SimFile::default();
        file.write(0, &[content], usize::MAX);
        file.sync(file.next_change());
        file
    }

    #[test]
    fn a_sync_covers_the_writes_before_it_and_no_later_one() {
        let mut file = file_with(b"aaaa");
        file.write(0, &[b"bb"], usize::MAX);
        let covered = file.next_change();
        file.write(2, &[b"cc"], usize::MAX);
        file.sync(covered);
        assert_eq!(file.durable.bytes(), b"bbaa");
        assert_eq!(file.current.bytes(), b"bbcc");
        assert_eq!(file.unsynced().count(), 1);
    }

    #[test]
    fn a_dropped_sync_takes_back_what_it_covered_and_keeps_what_came_later() {
        let mut file = file_with(b"aaaa");
        file.write(0, &[b"bb"], usize::MAX);
        let covered = file.next_change();
        file.write(3, &[b"c"], usize::MAX);
        file.drop_unsynced(covered, false, |_| false);
        assert_eq!(file.current.bytes(), b"aaac");
        file.sync(file.next_change());
        assert_eq!(file.durable.bytes(), b"aaac");
    }

    #[test]
    fn dropped_content_that_is_still_read_is_not_made_durable_by_a_later_sync() {
        let mut file = file_with(b"aaaa");
        file.write(0, &[b"bb"], usize::MAX);
        file.drop_unsynced(file.next_change(), true, |_| false);
        file.sync(file.next_change());
        assert_eq!((file.current.bytes(), file.durable.bytes()), (b"bbaa".to_vec(), b"aaaa".to_vec()));
    }

    #[test]
    fn a_limited_write_takes_a_prefix_across_its_parts() {
        let mut file = file_with(b"aaaaaa");
        file.write(1, &[b"bb", b"cc"], 3);
        assert_eq!(file.current.bytes(), b"abbcaa");
    }

    #[test]
    fn truncations_and_writes_are_redone_in_order() {
        let mut file = file_with(b"aaaa");
        file.truncate(1);
        file.write(2, &[b"z"], usize::MAX);
        assert_eq!(file.current.bytes(), b"a\0z");
        assert_eq!(file.durable.bytes(), b"aaaa");
        file.sync(file.next_change());
        assert_eq!(file.durable.bytes(), b"a\0z");
    }

    #[test]
    fn compaction_keeps_the_content_of_what_is_not_synced_yet() {
        let mut file = SimFile::default();
        for page in 0..3_u8 {
            file.write(u64::from(page) << 20, &[&[page + 1; 1 << 20]], usize::MAX);
        }
        file.sync(2);
        file.sync(2);
        let left: Vec<u8> = file.unsynced().map(|(_, bytes)| bytes[7]).collect();
        assert_eq!(left, [3]);
    }
}
