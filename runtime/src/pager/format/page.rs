//! One page: its trailer, and its image in memory.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::bytes::{get_u32, get_u64, put_u32, put_u64};
use crate::io::Buffer;
use crate::pager::{PageNo, PageProblem};

/// Bytes at the end of each page that belong to the pager.
pub(in crate::pager) const TRAILER: usize = 16;

/// Commit sequences share a field with the page's kind, which takes its uppermost byte.
pub(super) const MAX_SEQUENCE: u64 = (1 << 56) - 1;

/// What a page is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::pager) enum PageKind {
    /// Page 1.
    Header = 1,
    /// Allocated by a caller.
    Data = 2,
    /// On the freelist.
    Free = 3,
}

/// What a trailer says of its page, once its checksum has been found right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pager) struct Seal {
    pub(in crate::pager) kind: PageKind,
    /// The commit that wrote the page.
    pub(in crate::pager) sequence: u64,
}

/// Seals and checks the pages of one database.
#[derive(Clone, Copy, Debug)]
pub(in crate::pager) struct Sealer {
    page_size: usize,
    /// CRC-32C of the database's identity, from which each page's checksum continues: a page of another file does not
    /// pass.
    seed: u32,
}

impl Sealer {
    pub(in crate::pager) fn new(page_size: u32, id: u64) -> Self {
        Self { page_size: page_size as usize, seed: crc32c::crc32c(&id.to_le_bytes()) }
    }

    pub(in crate::pager) fn page_size(&self) -> usize {
        self.page_size
    }

    fn checksum(&self, page: &[u8]) -> u32 {
        crc32c::crc32c_append(self.seed, &page[..page.len() - 4])
    }

    /// Writes the trailer; the page must not change afterwards.
    pub(in crate::pager) fn seal(&self, page: &mut [u8], number: PageNo, seal: Seal) {
        debug_assert_eq!(page.len(), self.page_size);
        debug_assert!(seal.sequence <= MAX_SEQUENCE);
        let trailer = page.len() - TRAILER;
        put_u32(page, trailer, number);
        put_u64(page, trailer + 4, (seal.kind as u64) << 56 | seal.sequence);
        let checksum = self.checksum(page);
        put_u32(page, trailer + 12, checksum);
    }

    /// Whether `page` is page `number` of this database, whole.
    pub(in crate::pager) fn check(&self, page: &[u8], number: PageNo) -> Result<Seal, PageProblem> {
        let trailer = page.len() - TRAILER;
        let (stored, computed) = (get_u32(page, trailer + 12), self.checksum(page));
        if stored != computed {
            return Err(PageProblem::Checksum { stored, computed });
        }
        let found = get_u32(page, trailer);
        if found != number {
            return Err(PageProblem::Misplaced { found });
        }
        let packed = get_u64(page, trailer + 4);
        let kind = match (packed >> 56) as u8 {
            1 => PageKind::Header,
            2 => PageKind::Data,
            3 => PageKind::Free,
            found => return Err(PageProblem::Kind { found }),
        };
        Ok(Seal { kind, sequence: packed & MAX_SEQUENCE })
    }
}

/// An image of a page, shared by its readers.
///
/// Images in the cache never change. A write transaction's own images change while it alone refers to them.
pub(in crate::pager) struct Page {
    pub(in crate::pager) number: PageNo,
    pub(in crate::pager) seal: Seal,
    pub(in crate::pager) bytes: Buffer,
}

/// What follows a page of the freelist; 0 at its end.
pub(in crate::pager) fn next_free(page: &[u8]) -> PageNo {
    get_u32(page, 0)
}

impl Clone for Page {
    fn clone(&self) -> Self {
        Self { number: self.number, seal: self.seal, bytes: Buffer::copy_of(&self.bytes) }
    }
}

/// A page as one snapshot sees it. While it exists its bytes stay, whatever is evicted, written or checkpointed.
///
/// Dereferences to the bytes that callers may use: the page without the pager's 16 bytes at its end.
#[derive(Clone)]
pub struct PageRef {
    page: Arc<Page>,
}

impl PageRef {
    pub(in crate::pager) fn new(page: Arc<Page>) -> Self {
        Self { page }
    }

    /// Number of the page.
    #[must_use]
    pub fn number(&self) -> PageNo {
        self.page.number
    }

    /// Number of the commit that wrote the page; for a page that the transaction itself has changed, of the commit
    /// that it started from.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.page.seal.sequence
    }
}

impl Deref for PageRef {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.page.bytes[..self.page.bytes.len() - TRAILER]
    }
}

impl fmt::Debug for PageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageRef").field("number", &self.number()).field("sequence", &self.sequence()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEAL: Seal = Seal { kind: PageKind::Data, sequence: 7 };

    fn sealed(sealer: Sealer, number: PageNo) -> Vec<u8> {
        let mut page: Vec<u8> = (0..512u32).map(|at| (at * 7) as u8).collect();
        sealer.seal(&mut page, number, SEAL);
        page
    }

    #[test]
    fn sealed_page_passes_as_itself_and_as_no_other() {
        let sealer = Sealer::new(512, 1);
        let page = sealed(sealer, 5);
        assert_eq!(sealer.check(&page, 5), Ok(SEAL));
        assert_eq!(sealer.check(&page, 6), Err(PageProblem::Misplaced { found: 5 }));
        assert!(matches!(Sealer::new(512, 2).check(&page, 5), Err(PageProblem::Checksum { .. })));
    }

    #[test]
    fn every_single_bit_flip_is_noticed() {
        let sealer = Sealer::new(512, 99);
        let mut page = sealed(sealer, 5);
        for bit in 0..512 * 8 {
            page[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(sealer.check(&page, 5), Err(PageProblem::Checksum { .. })), "bit {bit}");
            page[bit / 8] ^= 1 << (bit % 8);
        }
        assert_eq!(sealer.check(&page, 5), Ok(SEAL));
    }

    #[test]
    fn page_of_zeros_is_not_a_page() {
        for id in 0..100 {
            assert!(Sealer::new(512, id).check(&[0; 512], 5).is_err());
        }
    }
}
