//! The children of a group: the first few in the group's own node, the rest in an array.

use std::mem::MaybeUninit;

use crate::completion::{Link, NodeRef};

/// How many links the node itself has room for: enough for a page and its neighbours, or a chain.
const INLINE: usize = 3;

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
            self.more.push(link);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.inline_len + self.more.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Link> {
        // SAFETY: `push` wrote the first `inline_len`.
        let inline = self.inline[..self.inline_len].iter().map(|link| unsafe { link.assume_init_ref() });
        inline.chain(&self.more)
    }

    /// Takes the children out, to be released by the caller; the list is empty afterwards.
    pub(super) fn release(&mut self, released: &mut Vec<NodeRef>) {
        for link in &mut self.inline[..std::mem::take(&mut self.inline_len)] {
            // SAFETY: `push` wrote it, and the length that says so is gone, so it is read out once.
            released.push(unsafe { link.assume_init_read() }.child);
        }
        released.extend(std::mem::take(&mut self.more).into_iter().map(|link| link.child));
    }
}
