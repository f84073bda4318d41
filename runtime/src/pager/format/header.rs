//! The database file's header page.

use xxhash_rust::xxh3::xxh3_64;

use super::bytes::{get_u32, get_u64, put_u32, put_u64};
use super::page::{MAX_SEQUENCE, PageKind, Seal, Sealer, TRAILER};
use crate::io::Buffer;
use crate::pager::{PageNo, PageProblem};

/// Smallest page size in bytes.
pub(in crate::pager) const MIN_PAGE_SIZE: u32 = 512;
/// Largest page size in bytes.
pub(in crate::pager) const MAX_PAGE_SIZE: u32 = 65_536;
/// The header page; no caller's page has this number.
pub(in crate::pager) const HEADER_PAGE: PageNo = 1;
/// Format version of database file and log.
pub(in crate::pager) const VERSION: u32 = 1;

/// The highest commit sequence that is believed: far above what any file reaches, and far enough below what fits that
/// counting on from it never overflows.
pub(in crate::pager) const MAX_LAST_SEQUENCE: u64 = MAX_SEQUENCE / 2;

const MAGIC: &[u8; 16] = b"tenterhook pages";
const AT_VERSION: usize = 16;
const AT_PAGE_SIZE: usize = 20;
const AT_ID: usize = 24;
const AT_SEQUENCE: usize = 32;
const AT_PAGE_COUNT: usize = 40;
const AT_FREE_HEAD: usize = 44;
const AT_FREE_PAGES: usize = 48;
const END: usize = 52;

/// What a commit says of the file as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pager) struct FileState {
    /// Number of the commit, counted from 0, the empty file.
    pub(in crate::pager) sequence: u64,
    /// Pages, the header page included.
    pub(in crate::pager) page_count: u32,
    /// First page of the freelist, 0 when it is empty.
    pub(in crate::pager) free_head: PageNo,
    /// Pages on the freelist.
    pub(in crate::pager) free_pages: u32,
}

impl FileState {
    /// A file that has its header page only.
    pub(in crate::pager) const EMPTY: Self = Self { sequence: 0, page_count: 1, free_head: 0, free_pages: 0 };

    /// The first field that can't be true, with its name in the format's description.
    pub(in crate::pager) fn implausible(&self) -> Option<(&'static str, u64)> {
        if self.sequence > MAX_LAST_SEQUENCE {
            return Some(("commit sequence", self.sequence));
        }
        if self.page_count == 0 {
            return Some(("page count", 0));
        }
        if self.free_head == HEADER_PAGE || self.free_head > self.page_count {
            return Some(("freelist head", self.free_head.into()));
        }
        if self.free_pages >= self.page_count || (self.free_pages == 0) != (self.free_head == 0) {
            return Some(("freelist length", self.free_pages.into()));
        }
        None
    }
}

/// What never changes in a database file: the same bytes in every version of its header page, so that a header page
/// torn between two of them still has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pager) struct Identity {
    pub(in crate::pager) version: u32,
    pub(in crate::pager) page_size: u32,
    pub(in crate::pager) id: u64,
}

/// The identity of a file that is made with this seed. Seeds that are close give identities that are not.
pub(in crate::pager) fn identity_from_seed(seed: u64) -> u64 {
    xxh3_64(&seed.to_le_bytes())
}

/// The header page of a file with this identity in this state.
pub(in crate::pager) fn encode(sealer: &Sealer, id: u64, state: &FileState) -> Buffer {
    let mut page = Buffer::zeroed(sealer.page_size());
    page[..16].copy_from_slice(MAGIC);
    put_u32(&mut page, AT_VERSION, VERSION);
    put_u32(&mut page, AT_PAGE_SIZE, sealer.page_size() as u32);
    put_u64(&mut page, AT_ID, id);
    put_u64(&mut page, AT_SEQUENCE, state.sequence);
    put_u32(&mut page, AT_PAGE_COUNT, state.page_count);
    put_u32(&mut page, AT_FREE_HEAD, state.free_head);
    put_u32(&mut page, AT_FREE_PAGES, state.free_pages);
    sealer.seal(&mut page, HEADER_PAGE, Seal { kind: PageKind::Header, sequence: state.sequence });
    page
}

/// The identity at the beginning of a file, `None` when it is no pager file. `start` may be damaged beyond that.
pub(in crate::pager) fn identity(start: &[u8]) -> Option<Identity> {
    (start.len() >= END && start.starts_with(MAGIC)).then(|| Identity {
        version: get_u32(start, AT_VERSION),
        page_size: get_u32(start, AT_PAGE_SIZE),
        id: get_u64(start, AT_ID),
    })
}

/// The state in a header page, whole and plausible.
pub(in crate::pager) fn decode(sealer: &Sealer, page: &[u8]) -> Result<FileState, PageProblem> {
    if page.len() < sealer.page_size() {
        return Err(PageProblem::Missing { bytes: page.len() as u64 });
    }
    let seal = sealer.check(page, HEADER_PAGE)?;
    if seal.kind != PageKind::Header {
        return Err(PageProblem::Kind { found: seal.kind as u8 });
    }
    let state = FileState {
        sequence: get_u64(page, AT_SEQUENCE),
        page_count: get_u32(page, AT_PAGE_COUNT),
        free_head: get_u32(page, AT_FREE_HEAD),
        free_pages: get_u32(page, AT_FREE_PAGES),
    };
    if state.sequence != seal.sequence {
        return Err(PageProblem::Field { name: "commit sequence", value: state.sequence });
    }
    match state.implausible() {
        Some((name, value)) => Err(PageProblem::Field { name, value }),
        None => Ok(state),
    }
}

/// Whether a file of these bytes can be what a power loss left of a file in the making, and of nothing else.
///
/// True only when the bytes are a header page of commit 0 of which parts may be missing (zero or beyond the end of the
/// file), and the trailer anything: no checkpoint has ever ended on it, so unless there is a log it holds no commit, and
/// creating it again loses nothing. `bytes` is the whole file, up to a page.
pub(in crate::pager) fn is_unfinished(bytes: &[u8]) -> bool {
    let zero_or = |at: usize, expected: &[u8]| {
        bytes.iter().skip(at).zip(expected).all(|(found, expected)| *found == 0 || found == expected)
    };
    let is_zero = |from: usize, to: usize| bytes.iter().take(to).skip(from).all(|byte| *byte == 0);
    let trailer = bytes.len().saturating_sub(TRAILER).max(END);
    zero_or(0, MAGIC)
        && zero_or(AT_VERSION, &VERSION.to_le_bytes())
        && is_zero(AT_SEQUENCE, AT_PAGE_COUNT)
        && zero_or(AT_PAGE_COUNT, &1u32.to_le_bytes())
        && is_zero(AT_FREE_HEAD, trailer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: FileState = FileState { sequence: 9, page_count: 12, free_head: 5, free_pages: 2 };

    #[test]
    fn header_page_says_what_it_was_told() {
        let sealer = Sealer::new(512, 77);
        let page = encode(&sealer, 77, &STATE);
        assert_eq!(identity(&page), Some(Identity { version: VERSION, page_size: 512, id: 77 }));
        assert_eq!(decode(&sealer, &page), Ok(STATE));
    }

    #[test]
    fn implausible_states_are_refused() {
        let sealer = Sealer::new(512, 77);
        for (name, state) in [
            ("page count", FileState { page_count: 0, ..STATE }),
            ("freelist head", FileState { free_head: 13, ..STATE }),
            ("freelist head", FileState { free_head: 1, ..STATE }),
            ("freelist length", FileState { free_pages: 12, ..STATE }),
            ("freelist length", FileState { free_pages: 0, ..STATE }),
            ("freelist length", FileState { free_head: 0, ..STATE }),
        ] {
            let page = encode(&sealer, 77, &state);
            assert!(
                matches!(decode(&sealer, &page), Err(PageProblem::Field { name: n, .. }) if n == name),
                "{name}"
            );
        }
    }

    #[test]
    fn torn_creation_is_told_from_a_damaged_database() {
        let sealer = Sealer::new(1024, 77);
        let fresh = encode(&sealer, 77, &FileState::EMPTY);
        for end in 0..=fresh.len() {
            assert!(is_unfinished(&fresh[..end]), "cut at {end}");
            let mut zeroed = fresh.to_vec();
            zeroed[end..].fill(0);
            assert!(is_unfinished(&zeroed), "zero from {end}");
            let mut late = fresh.to_vec();
            late[..end].fill(0);
            assert!(is_unfinished(&late), "zero up to {end}");
        }
        let used =
            encode(&sealer, 77, &FileState { sequence: 1, page_count: 2, free_head: 0, free_pages: 0 });
        assert!(!is_unfinished(&used));
        assert!(!is_unfinished(b"some text of another program"));
    }
}
