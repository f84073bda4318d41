//! Finding the commits in a log.

use std::collections::VecDeque;
use xxhash_rust::xxh3::xxh3_64;

use crate::pager::PageNo;
use crate::pager::format::header::{FileState, HEADER_PAGE};
use crate::pager::format::log::{FrameHeader, LogHeader, follow_chain, frame_size};
use crate::pager::log::index::LogIndex;
use crate::pager::problem::LogProblem;

/// Bytes of frames that are in memory at a time, at least one frame.
const CHUNK: usize = 1 << 20;

/// How many frames are read at once.
pub(super) fn frames_at_once(page_size: usize) -> u64 {
    (CHUNK / frame_size(page_size)).max(1) as u64
}

/// Goes through a log's frames in order and keeps the longest prefix that ends in a commit.
///
/// What makes stale frames impossible to take for a continuation is in the README, "Why no stale frame is taken".
pub(super) struct LogScan {
    salt: u64,
    generation: u32,
    /// Frames looked at.
    looked_at: u64,
    /// After the last frame that follows the one before it.
    tip: Tip,
    /// Pages of the frames after the last whole commit.
    pending: Vec<PageNo>,
    /// Of each whole commit that no frame of the prefix calls durable: its number, its last frame, and the chain after that.
    undurable: VecDeque<(u64, u64, u64)>,
    /// Set at the first frame that does not follow. Later ones are only evidence.
    broken: bool,
    /// That frame, from 0, and what was read of it, until it has been read a second time: a commit that was acknowledged may
    /// end here because of one wrong bit that is not on the disk.
    doubt: Option<(u64, u64)>,
    problem: Option<LogProblem>,
    /// The newest commit that some frame of this generation says was durable.
    durable: u64,
    /// Whether there is a frame of a later generation. Its header was on disk before it, and is not any more.
    outdated: bool,
    found: Prefix,
}

#[derive(Clone, Copy)]
struct Tip {
    frames: u64,
    chain: u64,
    /// The run and the parent's run of the commit that it belongs to.
    runs: (u32, u32),
}

/// The longest prefix of a log that ends in a commit.
pub(super) struct Prefix {
    /// Frames in it.
    pub(super) frames: u64,
    /// How many of them belong to commits that were durable before a later one was written, as that one says.
    pub(super) durable_frames: u64,
    /// The chain after those.
    pub(super) durable_chain: u64,
    /// The chain after it.
    pub(super) chain: u64,
    /// The run of its last commit.
    pub(super) run: u32,
    /// Its last commit; that before the log when it is empty.
    pub(super) sequence: u64,
    /// The file as of its last commit, `None` when it is empty.
    pub(super) state: Option<FileState>,
    /// Its frames, numbered from 1.
    pub(super) index: LogIndex,
}

impl LogScan {
    pub(super) fn new(header: &LogHeader) -> Self {
        let chain = header.chain();
        let found = Prefix {
            frames: 0,
            durable_frames: 0,
            durable_chain: chain,
            chain,
            run: 0,
            sequence: header.base,
            state: None,
            index: LogIndex::default(),
        };
        let tip = Tip { frames: 0, chain, runs: (0, 0) };
        Self {
            salt: header.salt(),
            generation: header.generation,
            looked_at: 0,
            tip,
            pending: Vec::new(),
            undurable: VecDeque::new(),
            broken: false,
            doubt: None,
            problem: None,
            durable: 0,
            outdated: false,
            found,
        }
    }

    /// Looks at the next frame. Whether its header is of this generation.
    pub(super) fn look_at(&mut self, frame: &mut [u8]) -> bool {
        let header = FrameHeader::decode(frame);
        self.outdated |= header.as_ref().is_some_and(|header| header.generation > self.generation);
        let header = header.filter(|header| header.salt == self.salt);
        if let Some(header) = &header {
            self.durable = self.durable.max(header.durable);
        }
        self.looked_at += 1;
        if !self.broken {
            self.broken = header.as_ref().and_then(|header| self.follow(header, frame)).is_none();
            self.doubt = self.broken.then(|| (self.looked_at - 1, xxh3_64(frame)));
        }
        header.is_some()
    }

    /// Whether the prefix has come to its end: what follows is evidence at most.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// The frame at which the prefix ends, if it has to be read again.
    pub(super) fn doubt(&self) -> Option<u64> {
        self.doubt.map(|(frame, _)| frame)
    }

    /// It has been read again: whether it is the same as before. Then nothing is left to be doubted.
    pub(super) fn is_confirmed_by(&mut self, again: &[u8]) -> bool {
        self.doubt.take().is_none_or(|(_, before)| before == xxh3_64(again))
    }

    pub(super) fn looked_at(&self) -> u64 {
        self.looked_at
    }

    /// Takes the frame in if it follows the ones before.
    fn follow(&mut self, header: &FrameHeader, frame: &mut [u8]) -> Option<()> {
        let runs = (header.run, header.parent_run);
        let in_turn = match self.pending.is_empty() {
            true => header.parent_run == self.found.run,
            false => runs == self.tip.runs,
        };
        if !in_turn || header.sequence != self.found.sequence + 1 {
            return None;
        }
        let chain = follow_chain(frame, self.tip.chain)?;
        self.tip = Tip { frames: self.tip.frames + 1, chain, runs };
        self.pending.push(header.page);
        while let Some((sequence, end, chain)) = self.undurable.front().copied()
            && sequence <= header.durable
        {
            (self.found.durable_frames, self.found.durable_chain) = (end, chain);
            self.undurable.pop_front();
        }
        let Some(mark) = header.commit else { return Some(()) };
        let state = mark.state(header.sequence);
        if let Some((name, value)) = self.implausible(&state) {
            self.problem = Some(LogProblem::Field { name, value });
            return None;
        }
        for page in self.pending.drain(..) {
            self.found.frames += 1;
            self.found.index.insert(page, self.found.frames);
        }
        self.undurable.push_back((header.sequence, self.found.frames, chain));
        self.found.chain = chain;
        self.found.run = header.run;
        self.found.sequence = header.sequence;
        self.found.state = Some(state);
        Some(())
    }

    fn implausible(&self, state: &FileState) -> Option<(&'static str, u64)> {
        // A commit that has spilled may have frames of pages that it has cut off later. The mark's is none of those.
        let is_last = |at: usize| at + 1 == self.pending.len();
        let out_of_file = |(at, page): &(usize, &PageNo)| {
            **page <= HEADER_PAGE || (is_last(*at) && **page > state.page_count)
        };
        let page = self.pending.iter().enumerate().find(out_of_file);
        let page = page.map(|(_, page)| ("page number", u64::from(*page)));
        state.implausible().or(page)
    }

    /// The prefix, or what shows that it is shorter than it must be, and from which frame on. `database` is the commit
    /// that the database file's header speaks of, where that is whole.
    pub(super) fn finish(self, database: Option<u64>) -> Result<Prefix, (u64, LogProblem)> {
        let whole = self.found.sequence;
        let problem = match (self.problem, database) {
            (Some(problem), _) => problem,
            (None, _) if self.outdated => LogProblem::Header,
            (None, _) if self.durable > whole => LogProblem::LostCommit { durable: self.durable, whole },
            (None, Some(database)) if database > whole => LogProblem::BehindDatabase { log: whole, database },
            _ => return Ok(self.found),
        };
        Err((self.tip.frames, problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pager::format::log::{CommitMark, FRAME_HEADER};

    const HEADER: LogHeader = LogHeader { page_size: 512, id: 3, base: 40, generation: 5 };
    const MARK: CommitMark = CommitMark { page_count: 9, free_head: 0, free_pages: 0 };

    fn frame() -> FrameHeader {
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

    fn mark() -> FrameHeader {
        FrameHeader { commit: Some(MARK), page: 3, ..frame() }
    }

    /// The scan of frames that all follow the chain, so that nothing but their headers can speak against them.
    fn scan(frames: &[FrameHeader]) -> LogScan {
        let mut scan = LogScan::new(&HEADER);
        let mut chain = HEADER.chain();
        for header in frames {
            let mut frame = [0; FRAME_HEADER + 512];
            chain = header.encode(&mut frame, chain);
            scan.look_at(&mut frame);
        }
        scan
    }

    fn found(frames: &[FrameHeader]) -> (u64, u64) {
        let prefix =
            scan(frames).finish(None).unwrap_or_else(|(frame, problem)| panic!("{frame}: {problem}"));
        (prefix.frames, prefix.sequence)
    }

    #[test]
    fn prefix_ends_with_the_last_commit_mark() {
        let next = FrameHeader { sequence: 42, parent_run: 1, ..mark() };
        assert_eq!(found(&[]), (0, 40));
        assert_eq!(found(&[frame(), frame()]), (0, 40));
        assert_eq!(found(&[frame(), mark()]), (2, 41));
        assert_eq!(found(&[frame(), mark(), next]), (3, 42));
        assert_eq!(found(&[frame(), mark(), FrameHeader { commit: None, ..next }]), (2, 41));
    }

    #[test]
    fn frame_of_another_run_does_not_go_on_with_a_commit() {
        assert_eq!(found(&[frame(), FrameHeader { run: 2, ..mark() }]), (0, 40));
        assert_eq!(found(&[frame(), FrameHeader { parent_run: 1, ..mark() }]), (0, 40));
    }

    /// Run 1 had commits 41 and 42, of which 41 failed. Run 2 put another 41 of equal length in its place, and the old 42
    /// is right behind that.
    #[test]
    fn commit_upon_one_that_another_has_replaced_is_not_taken() {
        let replaced = FrameHeader { run: 2, parent_run: 0, ..mark() };
        let stale = FrameHeader { sequence: 42, run: 1, parent_run: 1, ..mark() };
        assert_eq!(found(&[replaced, stale]), (1, 41));
        let fresh = FrameHeader { run: 2, parent_run: 2, ..stale };
        assert_eq!(found(&[replaced, fresh]), (2, 42));
    }

    /// The other way round: run 2 began upon 42 of run 1, and 42 was not there. A later 42 has not its place.
    #[test]
    fn commit_of_a_later_run_is_taken_upon_its_own_parent_only() {
        let second = FrameHeader { sequence: 42, parent_run: 1, ..mark() };
        let third = FrameHeader { sequence: 43, run: 2, parent_run: 1, ..mark() };
        assert_eq!(found(&[mark(), second, third]), (3, 43));
        let replaced = FrameHeader { run: 3, ..second };
        assert_eq!(found(&[mark(), replaced, third]), (2, 42));
        assert_eq!(found(&[FrameHeader { parent_run: 1, ..mark() }]), (0, 40), "the first has no parent");
    }

    #[test]
    fn frames_that_a_later_commit_calls_durable_need_no_hardening() {
        let durable_frames =
            |frames: &[FrameHeader]| scan(frames).finish(None).map(|prefix| prefix.durable_frames).ok();
        let next = |sequence, durable| FrameHeader { sequence, durable, parent_run: 1, ..mark() };
        assert_eq!(durable_frames(&[frame(), mark()]), Some(0));
        assert_eq!(durable_frames(&[frame(), mark(), next(42, 40)]), Some(0), "both were in flight");
        assert_eq!(durable_frames(&[frame(), mark(), next(42, 41)]), Some(2));
        assert_eq!(durable_frames(&[mark(), next(42, 40), next(43, 41), next(44, 43)]), Some(3));
        let torn = FrameHeader { commit: None, ..next(43, 42) };
        assert_eq!(durable_frames(&[mark(), next(42, 40), torn]), Some(2), "it was begun, so it says true");
    }

    #[test]
    fn sequences_follow_one_another_without_gaps_and_repeats() {
        for sequence in [0, 40, 41, 43, u64::MAX] {
            let next = FrameHeader { sequence, parent_run: 1, ..mark() };
            assert_eq!(found(&[mark(), next]), (1, 41), "{sequence}");
            assert_eq!(found(&[frame(), FrameHeader { sequence: sequence ^ 42, ..mark() }]), (0, 40));
        }
    }

    #[test]
    fn frame_with_another_salt_is_not_taken() {
        assert_eq!(found(&[FrameHeader { salt: 1, ..mark() }]), (0, 40));
    }

    #[test]
    fn nothing_is_taken_behind_a_frame_that_was_not() {
        assert_eq!(found(&[FrameHeader { salt: 1, ..mark() }, mark()]), (0, 40));
    }

    #[test]
    fn whole_frames_that_make_no_sense_are_a_problem() {
        for (name, header) in [
            ("page number", FrameHeader { page: 0, ..mark() }),
            ("page number", FrameHeader { page: 1, ..mark() }),
            ("page number", FrameHeader { page: 10, ..mark() }),
            ("freelist head", FrameHeader { commit: Some(CommitMark { free_head: 10, ..MARK }), ..mark() }),
            ("freelist length", FrameHeader { commit: Some(CommitMark { free_pages: 1, ..MARK }), ..mark() }),
        ] {
            let problem = scan(&[header]).finish(None).err();
            assert!(
                matches!(problem, Some((1, LogProblem::Field { name: told, .. })) if told == name),
                "{problem:?}"
            );
        }
    }

    /// The commit has spilled a page, and then cut it off.
    #[test]
    fn frame_beyond_the_page_count_is_taken_unless_it_has_the_mark() {
        let beyond = FrameHeader { page: 10, ..frame() };
        let last = FrameHeader { page: 9, ..frame() };
        let prefix = scan(&[beyond, last, mark()]).finish(None).unwrap_or_else(|_| panic!("refused"));
        assert_eq!((prefix.frames, prefix.index.newest(9)), (3, Some(2)));
        let header_page = FrameHeader { page: 1, ..frame() };
        let problem = scan(&[header_page, mark()]).finish(None).err();
        assert_eq!(problem, Some((2, LogProblem::Field { name: "page number", value: 1 })));
    }

    #[test]
    fn later_frames_are_evidence_of_what_is_missing() {
        let lost = FrameHeader { sequence: 44, durable: 43, parent_run: 1, ..mark() };
        let problem = scan(&[mark(), lost]).finish(None).err();
        assert_eq!(problem, Some((1, LogProblem::LostCommit { durable: 43, whole: 41 })));
        let other = FrameHeader { salt: 1, generation: 6, ..mark() };
        assert_eq!(scan(&[mark(), other]).finish(None).err(), Some((1, LogProblem::Header)));
        let older = FrameHeader { salt: 1, generation: 4, sequence: 99, durable: 98, ..mark() };
        assert_eq!(found(&[mark(), older]), (1, 41));
        let problem = scan(&[mark()]).finish(Some(42)).err();
        assert_eq!(problem, Some((1, LogProblem::BehindDatabase { log: 41, database: 42 })));
    }
}
