//! What the workloads keep in pages, and the digest that stands for it.
//!
//! A page begins with a head: its kind, its own number, the stamp of the transaction that wrote it last. Cells of
//! 16 bytes follow at a distance that puts at least one into every 512-byte sector of a page of up to 16 KiB, so that
//! half of an old page and half of a new one never look like either. All other bytes are zero, and the digest knows.

use tenterhook_runtime::pager::PageNo;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of the head.
const HEAD: usize = 16;
/// Bytes of a cell.
const CELL: usize = 16;
/// Bytes that a digest takes at a time; cells are a multiple of it apart, each at the same place of its block.
const BLOCK: usize = 128;

/// What a page is for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Kind {
    /// Lists all other fixed pages.
    Root = 0x544f_4f52,
    /// Cells are accounts.
    Accounts = 0x5343_4341,
    /// Cells all carry the stamp of the transaction that wrote the whole group.
    Group = 0x5055_5247,
    /// Cells name leaves, which come and go.
    Directory = 0x5249_4453,
    /// Cells all carry the stamp that the directory has for it.
    Leaf = 0x4641_454c,
}

/// Where the cells of a page are.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Shape {
    spacing: usize,
    cells: usize,
    empty: u64,
}

impl Shape {
    /// The shape of pages of `page_size` bytes of which the first `usable` are for callers.
    pub(crate) fn new(page_size: u32, usable: usize) -> Shape {
        let spacing = (page_size as usize / 32).clamp(BLOCK, 512);
        let shape = Shape { spacing, cells: (usable - HEAD - CELL) / spacing + 1, empty: 0 };
        Shape { empty: shape.digest(&vec![0; usable]), ..shape }
    }

    /// The digest of a page that was allocated and not written yet.
    pub(crate) fn digest_of_empty(&self) -> u64 {
        self.empty
    }

    /// Cells in a page.
    pub(crate) fn cells(&self) -> usize {
        self.cells
    }

    /// Makes `page` an empty one of `kind`.
    pub(crate) fn format(&self, page: &mut [u8], kind: Kind, number: PageNo, stamp: u64) {
        page.fill(0);
        page[0..4].copy_from_slice(&(kind as u32).to_le_bytes());
        page[4..8].copy_from_slice(&number.to_le_bytes());
        set_stamp(page, stamp);
    }

    /// Both words of cell `index`.
    #[inline]
    pub(crate) fn cell(&self, page: &[u8], index: usize) -> (u64, u64) {
        let at = HEAD + index * self.spacing;
        (word(page, at), word(page, at + 8))
    }

    /// Sets both words of cell `index`.
    #[inline]
    pub(crate) fn set_cell(&self, page: &mut [u8], index: usize, value: u64, stamp: u64) {
        let at = HEAD + index * self.spacing;
        page[at..at + 8].copy_from_slice(&value.to_le_bytes());
        page[at + 8..at + CELL].copy_from_slice(&stamp.to_le_bytes());
    }

    /// Puts `stamp` into every cell.
    pub(crate) fn fill_cells(&self, page: &mut [u8], stamp: u64) {
        for index in 0..self.cells {
            self.set_cell(page, index, stamp, stamp);
        }
    }

    /// A number that stands for all of the page's content; never 0.
    pub(crate) fn digest(&self, page: &[u8]) -> u64 {
        if is_kind(page, Kind::Root) {
            return xxh3_64(page).max(1);
        }
        let (blocks, tail) = page.as_chunks::<BLOCK>();
        let mut last = [0; BLOCK];
        last[..tail.len()].copy_from_slice(tail);
        let (mut digest, mut rest) = (fold(word(page, 0), word(page, 8)), 0);
        let mut take = |index: usize, block: &[u8; BLOCK]| {
            let words = block.as_chunks::<8>().0;
            let at = |word: usize| u64::from_le_bytes(words[word]);
            let (a, b, value, stamp) = (at(0), at(1), at(2), at(3));
            rest |= words[4..].iter().fold(0, |bits, word| bits | u64::from_le_bytes(*word));
            rest |= if index == 0 { 0 } else { a | b };
            // A power of two, as the page size is one.
            if (index * BLOCK) & (self.spacing - 1) == 0 {
                digest = digest.rotate_left(23) ^ fold(value ^ 0x9fb2_1c65_1e98_df25, stamp);
            } else {
                rest |= value | stamp;
            }
        };
        blocks.iter().enumerate().for_each(|(index, block)| take(index, block));
        take(blocks.len(), &last);
        // Zero for a page without damage. Any other value makes the digest wrong.
        fold(digest, 0xd6e8_feb8_6659_fd93).wrapping_add(rest.wrapping_mul(0x9e37_79b9_7f4a_7c15)).max(1)
    }
}

/// The stamp in the head.
pub(crate) fn stamp(page: &[u8]) -> u64 {
    word(page, 8)
}

/// Changes the stamp in the head.
pub(crate) fn set_stamp(page: &mut [u8], stamp: u64) {
    page[8..16].copy_from_slice(&stamp.to_le_bytes());
}

/// Whether the head says that the page is of `kind`.
pub(crate) fn is_kind(page: &[u8], kind: Kind) -> bool {
    page[0..4] == (kind as u32).to_le_bytes()
}

#[inline]
fn word(page: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*page[at..].first_chunk().expect("a word lies inside its page"))
}

/// Multiplies to 128 bits and folds the halves: each bit of the input reaches most of the output.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a | 1) * u128::from(b ^ 0xa076_1d64_78bd_642f);
    (product >> 64) as u64 ^ product as u64 ^ a
}

/// The fixed pages, as the root lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) accounts: Vec<PageNo>,
    pub(crate) groups: Vec<Vec<PageNo>>,
    pub(crate) directories: Vec<PageNo>,
}

/// How many fixed pages of each sort there are.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) accounts: u32,
    pub(crate) groups: u32,
    pub(crate) group_pages: u32,
    pub(crate) directories: u32,
}

impl Extent {
    /// Fixed pages in all, without the root.
    pub(crate) fn pages(&self) -> u32 {
        self.accounts + self.groups * self.group_pages + self.directories
    }
}

impl Layout {
    /// The page that holds the root: the first one that is allocated.
    pub(crate) const ROOT: PageNo = 2;

    /// Deals `pages` out.
    pub(crate) fn deal(extent: &Extent, pages: &[PageNo]) -> Layout {
        let (accounts, rest) = pages.split_at(extent.accounts as usize);
        let (groups, directories) = rest.split_at((extent.groups * extent.group_pages) as usize);
        Layout {
            accounts: accounts.to_vec(),
            groups: groups.chunks(extent.group_pages as usize).map(<[PageNo]>::to_vec).collect(),
            directories: directories.to_vec(),
        }
    }

    /// Every fixed page but the root, with its kind.
    pub(crate) fn pages(&self) -> impl Iterator<Item = (PageNo, Kind)> {
        let of = |kind| move |&page: &PageNo| (page, kind);
        let accounts = self.accounts.iter().map(of(Kind::Accounts));
        let groups = self.groups.iter().flatten().map(of(Kind::Group));
        accounts.chain(groups).chain(self.directories.iter().map(of(Kind::Directory)))
    }

    /// Writes the list into the root page.
    pub(crate) fn store(&self, root: &mut [u8]) {
        let group_pages = self.groups.first().map_or(0, Vec::len) as u32;
        let extent = Extent {
            accounts: self.accounts.len() as u32,
            groups: self.groups.len() as u32,
            group_pages,
            directories: self.directories.len() as u32,
        };
        let counts =
            extent.accounts | extent.groups << 8 | extent.group_pages << 16 | extent.directories << 24;
        let numbers = std::iter::once(counts).chain(self.pages().map(|(page, _)| page));
        for (slot, number) in root[HEAD..].chunks_exact_mut(4).zip(numbers) {
            slot.copy_from_slice(&number.to_le_bytes());
        }
    }

    /// Reads the list from the root page; `None` if that is no root.
    pub(crate) fn load(root: &[u8]) -> Option<Layout> {
        if !is_kind(root, Kind::Root) {
            return None;
        }
        let numbers: Vec<u32> =
            root[HEAD..].as_chunks::<4>().0.iter().map(|number| u32::from_le_bytes(*number)).collect();
        let (&counts, pages) = numbers.split_first()?;
        let [accounts, groups, group_pages, directories] = counts.to_le_bytes().map(u32::from);
        let extent = Extent { accounts, groups, group_pages, directories };
        Some(Layout::deal(&extent, pages.get(..extent.pages() as usize)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [u32; 5] = [512, 1024, 4096, 16_384, 65_536];

    fn page(size: u32) -> (Shape, Vec<u8>) {
        let usable = size as usize - 16;
        let shape = Shape::new(size, usable);
        let mut page = vec![0; usable];
        shape.format(&mut page, Kind::Group, 9, 77);
        shape.fill_cells(&mut page, 77);
        (shape, page)
    }

    #[test]
    fn every_changed_bit_changes_the_digest() {
        for size in [512, 4096] {
            let (shape, mut page) = page(size);
            let digest = shape.digest(&page);
            for bit in 0..page.len() * 8 {
                page[bit / 8] ^= 1 << (bit % 8);
                assert_ne!(shape.digest(&page), digest, "bit {bit} of a page of {size}");
                page[bit / 8] ^= 1 << (bit % 8);
            }
            assert_eq!(shape.digest(&page), digest);
        }
    }

    #[test]
    fn cells_fit_and_every_sector_of_common_pages_has_one() {
        for size in SIZES {
            let (shape, page) = page(size);
            let last = HEAD + (shape.cells() - 1) * shape.spacing + CELL;
            assert!(last <= page.len() && shape.cells() >= 3, "{size}: {shape:?}");
            if size <= 16_384 {
                assert!(page.chunks(512).all(|sector| sector.iter().any(|byte| *byte != 0)), "{size}");
            }
        }
    }

    #[test]
    fn half_of_one_page_and_half_of_another_is_neither() {
        for size in SIZES {
            let (shape, old) = page(size);
            let mut new = old.clone();
            set_stamp(&mut new, 78);
            shape.fill_cells(&mut new, 78);
            let cut = old.len().min(512);
            let mixed = [&new[..cut], &old[cut..]].concat();
            if size > 512 {
                assert_ne!(shape.digest(&mixed), shape.digest(&old));
                assert_ne!(shape.digest(&mixed), shape.digest(&new));
            }
        }
    }

    #[test]
    fn a_layout_comes_back_from_its_root() {
        let (shape, mut root) = page(512);
        let extent = Extent { accounts: 5, groups: 2, group_pages: 3, directories: 4 };
        let pages: Vec<PageNo> = (3..3 + extent.pages()).collect();
        let layout = Layout::deal(&extent, &pages);
        shape.format(&mut root, Kind::Root, Layout::ROOT, 1);
        layout.store(&mut root);
        assert_eq!(Layout::load(&root), Some(layout));
        shape.format(&mut root, Kind::Leaf, Layout::ROOT, 1);
        assert_eq!(Layout::load(&root), None);
    }
}
