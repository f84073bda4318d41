//! The children of a group: the first few in the group's own node, the rest in an array.

use std::mem::MaybeUninit;

use crate::completion::{Link, Orphans};

/// How many links the node itself has room for: enough for a page and its neighbours, or a chain.
const INLINE: usize = 3;

/// Room of the first array, such that a group of 16 has enough.
const FIRST: usize = 16 - INLINE;

/// From this length on the array doubles.
const FOURFOLD_BELOW: usize = 1_024;

/// An append-only list of links that stay where they are once the list is not changed any more.
#[derive(Debug)]
pub(super) struct Members {
    inline: [MaybeUninit<Link>; INLINE],
    /// How many of `inline` are there.
    inline_len: usize,
    more: Vec<Link>,
}

impl Members {
    pub(super) const fn new() -> Self {
        Self { inline: [const { MaybeUninit::uninit() }; INLINE], inline_len: 0, more: Vec::new() }
    }

    pub(super) fn push(&mut self, link: Link) {
        if let Some(place) = self.inline.get_mut(self.inline_len) {
            place.write(link);
            self.inline_len += 1;
        } else {
            if self.more.len() == self.more.capacity() {
                self.grow();
            }
            self.more.push(link);
        }
    }

    /// Fourfold while small: a group of a thousand costs five allocations beyond its children. `Vec` goes on from there.
    #[cold]
    fn grow(&mut self) {
        let len = self.more.len();
        self.more.reserve_exact(match len {
            0 => FIRST,
            1..FOURFOLD_BELOW => len * 3 + INLINE * 3,
            _ => len,
        });
    }

    pub(super) fn len(&self) -> usize {
        self.inline_len + self.more.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Link> {
        // SAFETY: `push` wrote the first `inline_len`.
        let inline = self.inline[..self.inline_len].iter().map(|link| unsafe { link.assume_init_ref() });
        inline.chain(&self.more)
    }

    /// Gives up the references to the children; the list is empty afterwards.
    pub(super) fn release(&mut self, orphans: &mut Orphans) {
        for link in &mut self.inline[..std::mem::take(&mut self.inline_len)] {
            // SAFETY: `push` wrote it, and the length that says so is gone, so it is read out once.
            orphans.release(unsafe { link.assume_init_read() }.child);
        }
        for link in std::mem::take(&mut self.more) {
            orphans.release(link.child);
        }
    }
}
