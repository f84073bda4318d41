//! A transaction's pages as log frames.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::io::Buffer;
use crate::pager::PageNo;
use crate::pager::format::header::FileState;
use crate::pager::format::log::{CommitMark, FRAME_HEADER, FrameHeader, frame_offset, frame_size};
use crate::pager::format::page::{Page, Seal, Sealer};
use crate::pager::state::{Log, Tip};
use crate::pager::transfer::Piece;

/// Bytes of frames that go into one write, at least one frame.
const WRITE_SIZE: usize = 128 << 10;

/// Where in the log frames of a commit go, and upon what.
#[derive(Clone, Copy, Debug)]
pub(in crate::pager) struct Place {
    pub(in crate::pager) log: Log,
    /// The commit before; its end and its chain are those of the frame before, which may be of the same commit.
    pub(in crate::pager) tip: Tip,
    /// The run that the commit belongs to.
    pub(in crate::pager) run: u32,
    /// The newest commit that is durable.
    pub(in crate::pager) durable: u64,
}

/// A commit as frames, or a part of one.
pub(in crate::pager) struct LaidOut {
    pub(in crate::pager) pieces: Vec<Piece>,
    /// The log after it. Without the commit mark that is where the next frame of the same commit goes.
    pub(in crate::pager) tip: Tip,
    /// In the order of their frames, which is that of their numbers. The frames are the ones up to the tip's.
    pub(in crate::pager) pages: Vec<Arc<Page>>,
}

/// Seals `changed` as pages of the commit that is next, and lays out their frames; the last with the commit mark if they
/// are its last, which lead to `state`.
pub(in crate::pager) fn lay_out(
    sealer: &Sealer,
    place: &Place,
    state: Option<FileState>,
    changed: BTreeMap<PageNo, Arc<Page>>,
) -> LaidOut {
    let Place { log, tip, run, durable } = place;
    let page_size = sealer.page_size();
    let per_write = (WRITE_SIZE / frame_size(page_size)).max(1);
    let sequence = tip.state.sequence + 1;
    let (mut end, mut chain) = (tip.end, tip.chain);
    let mut pages: Vec<Arc<Page>> = changed.into_values().collect();
    let last = pages.len() - 1;
    let mut pieces = Vec::with_capacity(pages.len().div_ceil(per_write));
    for (batch, chunk) in pages.chunks_mut(per_write).enumerate() {
        let offset = frame_offset(log.place(end + 1), page_size);
        let mut frames = Buffer::zeroed(chunk.len() * frame_size(page_size));
        for (at, (page, frame)) in
            chunk.iter_mut().zip(frames.chunks_exact_mut(frame_size(page_size))).enumerate()
        {
            // Copies only if the caller still has a reference to this state of the page.
            let page = Arc::make_mut(page);
            page.seal = Seal { sequence, ..page.seal };
            sealer.seal(&mut page.bytes, page.number, page.seal);
            frame[FRAME_HEADER..].copy_from_slice(&page.bytes);
            let header = FrameHeader {
                salt: log.header.salt(),
                generation: log.header.generation,
                sequence,
                durable: *durable,
                run: *run,
                parent_run: tip.run,
                page: page.number,
                commit: state.as_ref().filter(|_| batch * per_write + at == last).map(CommitMark::of),
            };
            chain = header.encode(frame, chain);
            end += 1;
        }
        pieces.push(Piece { offset, buffers: vec![frames] });
    }
    let tip = match state {
        Some(state) => Tip { state, end, chain, run: *run },
        None => Tip { end, chain, ..*tip },
    };
    LaidOut { pieces, tip, pages }
}
