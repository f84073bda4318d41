use tenterhook_runtime::pager::PageNo;

/// Pages of the stripe.
const STRIPE: u64 = 61;
/// Slots of the directory.
const SLOTS: u64 = 13;
/// Every so many commits a leaf is replaced.
const CHURN: u64 = 4;

/// Where everything is. All pages but the leaves are made by the first commit, in this order from page 2 on: root,
/// directory, cells, stripe.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Connections with a cell.
    pub connections: u64,
    /// Bytes of a page that are ours.
    pub usable: usize,
}

/// Something in a snapshot that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Where.
    pub place: String,
    /// What had to be there.
    pub expected: String,
    /// What is there.
    pub seen: String,
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: expected {}, seen {}", self.place, self.expected, self.seen)
    }
}

impl Layout {
    /// The number of commits after the one that made the pages.
    pub const ROOT: PageNo = 2;
    /// The numbers of the leaves.
    pub const DIRECTORY: PageNo = 3;

    /// The first page with cells.
    pub(super) const CELLS_FROM: PageNo = 4;

    fn cells_in_a_page(self) -> u64 {
        (self.usable / 8) as u64
    }

    /// Pages that hold cells.
    pub fn cell_pages(self) -> u64 {
        self.connections.div_ceil(self.cells_in_a_page())
    }

    /// The fixed pages, the header page included.
    pub fn fixed_pages(self) -> u64 {
        u64::from(Self::CELLS_FROM) - 1 + self.cell_pages() + STRIPE
    }

    /// The cell of a connection: its page, and its place there.
    pub fn cell(self, connection: u64) -> (PageNo, usize) {
        let page = Self::CELLS_FROM + (connection / self.cells_in_a_page()) as PageNo;
        (page, (connection % self.cells_in_a_page()) as usize * 8)
    }

    /// Page `index` of the stripe.
    pub fn stripe(self, index: u64) -> PageNo {
        Self::CELLS_FROM + (self.cell_pages() + index) as PageNo
    }

    /// How many pages the stripe has.
    pub fn stripes(self) -> u64 {
        STRIPE
    }

    /// How many slots the directory has.
    pub fn slots(self) -> u64 {
        SLOTS
    }

    /// The pages of the stripe that commit `g` stamps; the second may be the first.
    pub fn stamped(self, g: u64) -> [u64; 2] {
        [g * 7 % STRIPE, (g * 13 + 5) % STRIPE]
    }

    /// The directory's slot whose leaf commit `g` replaces, if it is one of those that do.
    pub fn churned(self, g: u64) -> Option<u64> {
        g.is_multiple_of(CHURN).then_some(g / CHURN % SLOTS)
    }

    /// The stamp of stripe page `index` after `commits` commits; 0 before the first commit.
    pub fn expected_stamp(self, index: u64, commits: u64) -> u64 {
        // Each page is stamped by one in STRIPE commits, by either rule.
        let recent = (commits.saturating_sub(STRIPE)..=commits).rev().filter(|&g| g > 0);
        recent.into_iter().find(|&g| self.stamped(g).contains(&index)).unwrap_or(0)
    }

    /// The stamp of the leaf in `slot` after `commits` commits; 0 if there is none yet.
    pub fn expected_leaf(self, slot: u64, commits: u64) -> u64 {
        let recent = (commits.saturating_sub(CHURN * SLOTS)..=commits).rev().filter(|&g| g > 0);
        recent.into_iter().find(|&g| self.churned(g) == Some(slot)).unwrap_or(0)
    }
}

/// Fills a page with a stamp: all of it, so that half of one page and half of another look like neither.
pub(super) fn stamp(bytes: &mut [u8], value: u64) {
    let whole = bytes.len() / 8 * 8;
    bytes[..whole].chunks_exact_mut(8).for_each(|word| word.copy_from_slice(&value.to_le_bytes()));
}

/// The stamp of a page; `None` if it does not have the same everywhere.
pub(super) fn stamp_of(bytes: &[u8]) -> Option<u64> {
    let mut words = bytes.chunks_exact(8).map(|word| word_at(word, 0));
    let first = words.next()?;
    words.all(|word| word == first).then_some(first)
}

pub(super) fn word_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8].try_into().map_or(0, u64::from_le_bytes)
}

pub(super) fn set_word(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout { connections: 1000, usable: 496 };

    #[test]
    fn what_is_expected_is_what_the_last_commit_to_come_by_has_left() {
        let mut stripe = vec![0; LAYOUT.stripes() as usize];
        let mut leaves = vec![0; LAYOUT.slots() as usize];
        for g in 1..400 {
            LAYOUT.stamped(g).into_iter().for_each(|index| stripe[index as usize] = g);
            LAYOUT.churned(g).into_iter().for_each(|slot| leaves[slot as usize] = g);
            assert!(
                (0..).zip(&stripe).all(|(index, &stamp)| LAYOUT.expected_stamp(index, g) == stamp),
                "{g}"
            );
            assert!((0..).zip(&leaves).all(|(slot, &stamp)| LAYOUT.expected_leaf(slot, g) == stamp), "{g}");
        }
    }

    #[test]
    fn no_two_things_are_in_one_place() {
        let mut places: Vec<_> = (0..LAYOUT.connections).map(|connection| LAYOUT.cell(connection)).collect();
        places.extend((0..LAYOUT.stripes()).map(|index| (LAYOUT.stripe(index), 0)));
        places.extend([(Layout::ROOT, 0), (Layout::DIRECTORY, 0)]);
        let count = places.len();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), count);
        assert_eq!(places.last().map(|&(page, _)| u64::from(page)), Some(LAYOUT.fixed_pages()));
    }

    #[test]
    fn a_stamp_that_is_not_everywhere_is_none() {
        let mut bytes = vec![0; 496];
        stamp(&mut bytes, 7);
        assert_eq!(stamp_of(&bytes), Some(7));
        bytes[300] ^= 1;
        assert_eq!(stamp_of(&bytes), None);
    }
}
