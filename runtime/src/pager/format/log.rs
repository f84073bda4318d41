//! The log's header and frames, as bytes.
//!
//! Frames are chained by XXH3-64, not by the CRC-32C that seals pages, for a reason that is easy to miss: what a CRC
//! becomes by running over a message that ends in its own CRC does not depend on the message. A chain of CRC-32C over
//! sealed pages would accept any sealed image of the right page in place of the right image, a stale one included.

use xxhash_rust::xxh3::xxh3_64;

use super::bytes::{get_u32, get_u64, put_u32, put_u64};
use super::header::{FileState, VERSION};
use crate::io::Buffer;
use crate::pager::PageNo;

/// Bytes that a header has to itself: a device's sector, whatever the device's sectors are.
pub(in crate::pager) const HEADER_SLOT: u64 = 4096;
/// Bytes before the first frame: two headers, written in turn, so that the one that counts is never overwritten.
pub(in crate::pager) const HEADER_SPAN: u64 = 2 * HEADER_SLOT;
/// Bytes of a frame before its page.
pub(in crate::pager) const FRAME_HEADER: usize = 64;

const MAGIC: &[u8; 8] = b"thooklog";
const AT_VERSION: usize = 8;
const AT_PAGE_SIZE: usize = 12;
const AT_ID: usize = 16;
const AT_BASE: usize = 24;
const AT_SALT: usize = 32;
const AT_GENERATION: usize = 40;
const AT_CHECKSUM: usize = 48;
const HEADER_END: usize = 56;

/// What a header of the log says. It stands for one generation: the frames written since the log was reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pager) struct LogHeader {
    pub(in crate::pager) page_size: u32,
    /// Identity of the database.
    pub(in crate::pager) id: u64,
    /// The commit that the database file held when this generation began.
    pub(in crate::pager) base: u64,
    /// Counted from 1, up by one at each reset of the log.
    pub(in crate::pager) generation: u32,
}

impl LogHeader {
    /// Differs from generation to generation and from database to database.
    pub(in crate::pager) fn salt(&self) -> u64 {
        let mut seed = [0; 20];
        put_u64(&mut seed, 0, self.id);
        put_u64(&mut seed, 8, self.base);
        put_u32(&mut seed, 16, self.generation);
        xxh3_64(&seed)
    }

    /// Where in the file this header belongs.
    pub(in crate::pager) fn offset(&self) -> u64 {
        u64::from(self.generation % 2) * HEADER_SLOT
    }

    /// The newer of the whole headers in the first [`HEADER_SPAN`] bytes of a log, with its format version.
    pub(in crate::pager) fn newest(start: &[u8]) -> Option<(u32, Self)> {
        let headers = start.chunks(HEADER_SLOT as usize).filter_map(Self::decode);
        headers.max_by_key(|(_, header)| header.generation)
    }

    /// Where a header was that is not whole any more, if there is one beside a whole one: the next header would have gone
    /// there, or this one counts no longer and was read wrong.
    pub(in crate::pager) fn damaged_slot(start: &[u8]) -> Option<u64> {
        let slots = (0..).step_by(HEADER_SLOT as usize).zip(start.chunks(HEADER_SLOT as usize));
        let is_damaged = |slot: &[u8]| Self::decode(slot).is_none() && slot.iter().any(|byte| *byte != 0);
        slots.into_iter().find(|(_, slot)| is_damaged(slot)).map(|(offset, _)| offset)
    }

    /// Where the chain of this generation's frames begins.
    pub(in crate::pager) fn chain(&self) -> u64 {
        get_u64(&self.fields(), AT_CHECKSUM)
    }

    fn fields(&self) -> [u8; HEADER_END] {
        let mut bytes = [0; HEADER_END];
        bytes[..8].copy_from_slice(MAGIC);
        put_u32(&mut bytes, AT_VERSION, VERSION);
        put_u32(&mut bytes, AT_PAGE_SIZE, self.page_size);
        put_u64(&mut bytes, AT_ID, self.id);
        put_u64(&mut bytes, AT_BASE, self.base);
        put_u64(&mut bytes, AT_SALT, self.salt());
        put_u32(&mut bytes, AT_GENERATION, self.generation);
        let checksum = xxh3_64(&bytes[..AT_CHECKSUM]);
        put_u64(&mut bytes, AT_CHECKSUM, checksum);
        bytes
    }

    pub(in crate::pager) fn encode(&self) -> Buffer {
        let mut slot = Buffer::zeroed(HEADER_SLOT as usize);
        slot[..HEADER_END].copy_from_slice(&self.fields());
        slot
    }

    /// The header in a slot and its format version; `None` when there is no whole one.
    fn decode(start: &[u8]) -> Option<(u32, Self)> {
        if start.len() < HEADER_END
            || !start.starts_with(MAGIC)
            || get_u64(start, AT_CHECKSUM) != xxh3_64(&start[..AT_CHECKSUM])
        {
            return None;
        }
        let header = Self {
            page_size: get_u32(start, AT_PAGE_SIZE),
            id: get_u64(start, AT_ID),
            base: get_u64(start, AT_BASE),
            generation: get_u32(start, AT_GENERATION),
        };
        (get_u64(start, AT_SALT) == header.salt()).then(|| (get_u32(start, AT_VERSION), header))
    }
}

/// Bytes of a frame.
pub(in crate::pager) fn frame_size(page_size: usize) -> usize {
    FRAME_HEADER + page_size
}

/// Where frame `index` of the file, counted from 0, begins.
pub(in crate::pager) fn frame_offset(index: u64, page_size: usize) -> u64 {
    HEADER_SPAN + index * frame_size(page_size) as u64
}

const AT_CHAIN: usize = 0;
const AT_FRAME_SALT: usize = 8;
const AT_SEQUENCE: usize = 16;
const AT_DURABLE: usize = 24;
const AT_RUN: usize = 32;
const AT_PARENT_RUN: usize = 36;
const AT_PAGE: usize = 40;
const AT_PAGE_COUNT: usize = 44;
const AT_FREE_HEAD: usize = 48;
const AT_FREE_PAGES: usize = 52;
const AT_FRAME_GENERATION: usize = 56;
const AT_HEADER_CRC: usize = 60;

/// What a frame's header says, without its place in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pager) struct FrameHeader {
    /// That of the generation.
    pub(in crate::pager) salt: u64,
    /// The generation.
    pub(in crate::pager) generation: u32,
    /// The commit that the frame belongs to.
    pub(in crate::pager) sequence: u64,
    /// The newest commit whose sync had succeeded when the frame was made.
    pub(in crate::pager) durable: u64,
    /// Number of the run that the commit belongs to, from 1 in each generation. In one run no sequence comes twice.
    pub(in crate::pager) run: u32,
    /// The run of the commit before, upon which this one was laid out; 0 when it is the generation's first.
    pub(in crate::pager) parent_run: u32,
    /// The page that follows.
    pub(in crate::pager) page: PageNo,
    /// In the last frame of a commit: the file as the commit leaves it.
    pub(in crate::pager) commit: Option<CommitMark>,
}

/// What makes a frame the last of its commit. Its sequence is the frame's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pager) struct CommitMark {
    pub(in crate::pager) page_count: u32,
    pub(in crate::pager) free_head: PageNo,
    pub(in crate::pager) free_pages: u32,
}

impl CommitMark {
    pub(in crate::pager) fn of(state: &FileState) -> Self {
        Self { page_count: state.page_count, free_head: state.free_head, free_pages: state.free_pages }
    }

    pub(in crate::pager) fn state(&self, sequence: u64) -> FileState {
        let Self { page_count, free_head, free_pages } = *self;
        FileState { sequence, page_count, free_head, free_pages }
    }
}

impl FrameHeader {
    /// Fills `frame`, whose page is in place already, and returns the chain after it.
    pub(in crate::pager) fn encode(&self, frame: &mut [u8], chain: u64) -> u64 {
        put_u64(frame, AT_FRAME_SALT, self.salt);
        put_u32(frame, AT_FRAME_GENERATION, self.generation);
        put_u64(frame, AT_SEQUENCE, self.sequence);
        put_u64(frame, AT_DURABLE, self.durable);
        put_u32(frame, AT_RUN, self.run);
        put_u32(frame, AT_PARENT_RUN, self.parent_run);
        put_u32(frame, AT_PAGE, self.page);
        let mark = self.commit.unwrap_or(CommitMark { page_count: 0, free_head: 0, free_pages: 0 });
        put_u32(frame, AT_PAGE_COUNT, mark.page_count);
        put_u32(frame, AT_FREE_HEAD, mark.free_head);
        put_u32(frame, AT_FREE_PAGES, mark.free_pages);
        let crc = crc32c::crc32c(&frame[AT_FRAME_SALT..AT_HEADER_CRC]);
        put_u32(frame, AT_HEADER_CRC, crc);
        // The place of the result holds what came before while the hash runs over all of the frame.
        put_u64(frame, AT_CHAIN, chain);
        let chain = xxh3_64(frame);
        put_u64(frame, AT_CHAIN, chain);
        chain
    }

    /// The header of a frame, when that much of it is whole. Says nothing about the page and the chain.
    pub(in crate::pager) fn decode(frame: &[u8]) -> Option<Self> {
        if get_u32(frame, AT_HEADER_CRC) != crc32c::crc32c(&frame[AT_FRAME_SALT..AT_HEADER_CRC]) {
            return None;
        }
        let mark = CommitMark {
            page_count: get_u32(frame, AT_PAGE_COUNT),
            free_head: get_u32(frame, AT_FREE_HEAD),
            free_pages: get_u32(frame, AT_FREE_PAGES),
        };
        Some(Self {
            salt: get_u64(frame, AT_FRAME_SALT),
            generation: get_u32(frame, AT_FRAME_GENERATION),
            sequence: get_u64(frame, AT_SEQUENCE),
            durable: get_u64(frame, AT_DURABLE),
            run: get_u32(frame, AT_RUN),
            parent_run: get_u32(frame, AT_PARENT_RUN),
            page: get_u32(frame, AT_PAGE),
            commit: (mark.page_count != 0).then_some(mark),
        })
    }
}

/// The chain after `frame` if it follows `chain`, else `None`. Scribbles over the frame's first eight bytes.
pub(in crate::pager) fn follow_chain(frame: &mut [u8], chain: u64) -> Option<u64> {
    let stored = get_u64(frame, AT_CHAIN);
    put_u64(frame, AT_CHAIN, chain);
    let computed = xxh3_64(frame);
    put_u64(frame, AT_CHAIN, stored);
    (stored == computed).then_some(stored)
}

#[cfg(test)]
mod tests {
    use super::super::page::{PageKind, Seal, Sealer};
    use super::*;

    const HEADER: LogHeader = LogHeader { page_size: 512, id: 3, base: 40, generation: 5 };

    fn frame(page: &[u8], header: &FrameHeader, chain: u64) -> (Vec<u8>, u64) {
        let mut frame = vec![0; FRAME_HEADER];
        frame.extend_from_slice(page);
        let chain = header.encode(&mut frame, chain);
        (frame, chain)
    }

    fn header() -> FrameHeader {
        FrameHeader {
            salt: HEADER.salt(),
            generation: 5,
            sequence: 41,
            durable: 40,
            run: 1,
            parent_run: 0,
            page: 2,
            commit: None,
        }
    }

    #[test]
    fn log_header_says_what_it_was_told_and_no_flip_passes() {
        let mut bytes = HEADER.encode();
        assert_eq!(LogHeader::decode(&bytes), Some((VERSION, HEADER)));
        for bit in 0..HEADER_END * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(LogHeader::decode(&bytes), None, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn newer_header_counts_and_the_older_while_the_newer_is_torn() {
        let next = LogHeader { generation: 6, base: 44, ..HEADER };
        let mut start = vec![0; HEADER_SPAN as usize];
        for header in [HEADER, next] {
            let at = header.offset() as usize;
            start[at..at + HEADER_SLOT as usize].copy_from_slice(&header.encode());
        }
        assert_eq!(LogHeader::newest(&start), Some((VERSION, next)));
        start[next.offset() as usize + 30] ^= 1;
        assert_eq!(LogHeader::newest(&start), Some((VERSION, HEADER)));
    }

    #[test]
    fn generations_and_databases_have_salts_of_their_own() {
        assert_ne!(HEADER.salt(), LogHeader { base: 41, ..HEADER }.salt());
        assert_ne!(HEADER.salt(), LogHeader { id: 4, ..HEADER }.salt());
        assert_ne!(HEADER.salt(), LogHeader { generation: 6, ..HEADER }.salt());
    }

    #[test]
    fn frame_says_what_it_was_told_and_no_flip_follows_the_chain() {
        let mark = CommitMark { page_count: 9, free_head: 3, free_pages: 1 };
        for header in [header(), FrameHeader { commit: Some(mark), ..header() }] {
            let (mut frame, after) = frame(&[7; 512], &header, HEADER.chain());
            assert_eq!(FrameHeader::decode(&frame), Some(header));
            assert_eq!(follow_chain(&mut frame, HEADER.chain()), Some(after));
            assert_eq!(follow_chain(&mut frame, HEADER.chain() ^ 1), None);
            for bit in 0..frame.len() * 8 {
                frame[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(follow_chain(&mut frame, HEADER.chain()), None, "bit {bit}");
                frame[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    /// The trap that the module documentation speaks of: both images are sealed, so a CRC-32C chain can't tell them.
    #[test]
    fn stale_image_of_the_same_page_does_not_follow_the_chain() {
        let sealer = Sealer::new(512, 3);
        let image = |fill: u8| {
            let mut page = vec![fill; 512];
            sealer.seal(&mut page, 2, Seal { kind: PageKind::Data, sequence: 41 });
            page
        };
        let (mut fresh, _) = frame(&image(1), &header(), HEADER.chain());
        fresh[FRAME_HEADER..].copy_from_slice(&image(2));
        assert_eq!(follow_chain(&mut fresh, HEADER.chain()), None);
        let crc = |page: &[u8]| crc32c::crc32c_append(0x1234, page);
        assert_eq!(
            crc(&image(1)),
            crc(&image(2)),
            "if this fails the trap is gone, and so may the second hash be"
        );
    }
}
