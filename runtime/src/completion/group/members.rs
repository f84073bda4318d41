//! The children of a group: the first in the group's own node, the rest in an array.

use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::slice;

use crate::completion::blocks;
use crate::completion::link::Link;
use crate::completion::node::Orphans;

/// Room of the first array: enough for the pages of a small tree's node.
const FIRST_ARRAY: u32 = 10;

/// An append-only list of links that stay where they are once the list is not changed any more. It is emptied with
/// [`Members::release`] before it goes, since what its links own has to be freed without recursion.
#[derive(Debug)]
pub(super) struct Members {
    first: MaybeUninit<Link>,
    /// The others, one less than `len`.
    more: NonNull<Link>,
    /// Room in `more`; 0 where it is dangling.
    room: u32,
    len: u32,
}

// SAFETY: owns its links, which are `Send`.
unsafe impl Send for Members {}

impl Members {
    pub(super) const fn new() -> Self {
        Self { first: MaybeUninit::uninit(), more: NonNull::dangling(), room: 0, len: 0 }
    }

    /// # Panics
    ///
    /// When there are four thousand million already.
    pub(super) fn push(&mut self, link: Link) {
        let Some(at) = self.len.checked_sub(1) else {
            self.first.write(link);
            self.len = 1;
            return;
        };
        if at == self.room {
            self.grow();
        }
        // SAFETY: there is room, and the place is not in use yet.
        unsafe { self.more.add(at as usize).write(link) };
        self.len += 1;
    }

    /// Fourfold: a group of a thousand costs five allocations beyond its children. The first array is small enough for a
    /// block that its thread keeps.
    #[cold]
    fn grow(&mut self) {
        let room = self.room.checked_mul(4).map_or(u32::MAX - 1, |room| room.max(FIRST_ARRAY));
        assert!(room > self.room, "a group of more than {} children", u32::MAX);
        let bigger = blocks::allocate(array(room)).cast::<Link>();
        // SAFETY: all that is in use of `more` fits, and the links' old addresses are not shared yet.
        unsafe { ptr::copy_nonoverlapping(self.more.as_ptr(), bigger.as_ptr(), self.room as usize) };
        self.free_array();
        self.more = bigger;
        self.room = room;
    }

    fn free_array(&mut self) {
        if self.room > 0 {
            // SAFETY: from `grow`, with this room; what was in it has been moved or read out.
            unsafe { blocks::free(self.more.cast(), array(self.room)) };
            self.room = 0;
        }
    }

    pub(super) fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Link> {
        let (first, more) = (self.len.min(1) as usize, self.len.saturating_sub(1) as usize);
        // SAFETY: `push` wrote them.
        let (first, more) = unsafe {
            (
                slice::from_raw_parts(self.first.as_ptr(), first),
                slice::from_raw_parts(self.more.as_ptr(), more),
            )
        };
        first.iter().chain(more)
    }

    /// Gives up the references to the children; the list is empty afterwards.
    pub(super) fn release(&mut self, orphans: &mut Orphans) {
        let len = std::mem::take(&mut self.len);
        if len > 0 {
            // SAFETY: `push` wrote it, and the length that says so is gone, so it is read out once.
            orphans.release(unsafe { self.first.assume_init_read() }.child);
        }
        for at in 1..len as usize {
            // SAFETY: as above.
            orphans.release(unsafe { self.more.add(at - 1).read() }.child);
        }
        self.free_array();
    }
}

/// The layout of an array of links.
fn array(room: u32) -> Layout {
    Layout::array::<Link>(room as usize).expect("fewer bytes than an address can tell apart")
}
