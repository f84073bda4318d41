//! From a page to its newest frame at a snapshot.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};

use crate::pager::PageNo;

/// Number of a log frame. Counted from 1 while the pager is open, on and on: a number never means two frames, although
/// the file's places are used again when the log is reset. 0 stands for the database file.
pub(in crate::pager) type FrameNo = u64;

/// The committed frames of the log, by page.
#[derive(Debug, Default)]
pub(in crate::pager) struct LogIndex {
    /// Ascending in each page. Ordered by page, because a checkpoint goes through in that order and stops in between.
    frames: BTreeMap<PageNo, Vec<FrameNo>>,
}

impl LogIndex {
    /// Adds a frame that is newer than all that are there.
    pub(in crate::pager) fn insert(&mut self, page: PageNo, frame: FrameNo) {
        let frames = self.frames.entry(page).or_default();
        debug_assert!(frames.last().is_none_or(|last| *last < frame));
        frames.push(frame);
    }

    /// The newest frame of `page` that a snapshot up to and with frame `mark` sees.
    #[inline]
    pub(in crate::pager) fn lookup(&self, page: PageNo, mark: FrameNo) -> Option<FrameNo> {
        newest_up_to(self.frames.get(&page)?, mark)
    }

    /// The newest frame of `page`.
    pub(in crate::pager) fn newest(&self, page: PageNo) -> Option<FrameNo> {
        self.frames.get(&page)?.last().copied()
    }

    /// Up to `count` pages after page `after` and up to `last` with a frame in `from + 1 ..= until`, each with its newest
    /// such frame. `last` is not less than `after`.
    pub(in crate::pager) fn batch(
        &self,
        after: PageNo,
        last: PageNo,
        from: FrameNo,
        until: FrameNo,
        count: usize,
    ) -> Vec<(PageNo, FrameNo)> {
        self.frames
            .range((Excluded(after), Included(last)))
            .filter_map(|(page, frames)| Some((*page, newest_up_to(frames, until)?)))
            .filter(|(_, frame)| *frame > from)
            .take(count)
            .collect()
    }

    pub(super) fn clear(&mut self) {
        self.frames.clear();
    }
}

fn newest_up_to(frames: &[FrameNo], mark: FrameNo) -> Option<FrameNo> {
    match frames.last() {
        Some(last) if *last <= mark => Some(*last),
        _ => frames[..frames.partition_point(|frame| *frame <= mark)].last().copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshot_sees_the_newest_frame_up_to_its_mark() {
        let mut index = LogIndex::default();
        for (page, frame) in [(2, 1), (3, 2), (2, 3), (2, 6)] {
            index.insert(page, frame);
        }
        let seen: Vec<_> = (0..8).map(|mark| index.lookup(2, mark)).collect();
        assert_eq!(seen, [None, Some(1), Some(1), Some(3), Some(3), Some(3), Some(6), Some(6)]);
        assert_eq!(index.lookup(9, 8), None);
        assert_eq!(index.newest(2), Some(6));
    }

    #[test]
    fn batches_go_through_in_page_order_and_leave_out_what_is_done() {
        let mut index = LogIndex::default();
        for (page, frame) in [(5, 1), (2, 2), (9, 3), (5, 4), (2, 7)] {
            index.insert(page, frame);
        }
        assert_eq!(index.batch(0, 9, 0, 4, 2), [(2, 2), (5, 4)]);
        assert_eq!(index.batch(5, 9, 0, 4, 2), [(9, 3)]);
        assert_eq!(index.batch(0, 9, 2, 7, 9), [(2, 7), (5, 4), (9, 3)]);
        assert_eq!(index.batch(0, 9, 4, 4, 9), []);
        assert_eq!(index.batch(0, 5, 2, 7, 9), [(2, 7), (5, 4)], "up to the last page");
    }
}
