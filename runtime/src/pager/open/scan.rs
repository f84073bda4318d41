//! Finding the commits in a log.

use super::super::PageNo;
use super::super::error::LogProblem;
use super::super::header::{FileState, HEADER_PAGE};
use super::super::log_format::{FrameHeader, LogHeader, follow_chain};
use super::super::log_index::LogIndex;

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
    /// Set at the first frame that does not follow. Later ones are only evidence.
    broken: bool,
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
    attempt: u64,
}

/// The longest prefix of a log that ends in a commit.
pub(super) struct Prefix {
    /// Frames in it.
    pub(super) frames: u64,
    /// Where in it the last commit begins.
    pub(super) last_commit: u64,
    /// The chain after it.
    pub(super) chain: u64,
    /// The attempt that wrote its last commit.
    pub(super) attempt: u64,
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
            last_commit: 0,
            chain,
            attempt: 0,
            sequence: header.base,
            state: None,
            index: LogIndex::default(),
        };
        let tip = Tip { frames: 0, chain, attempt: 0 };
        Self {
            salt: header.salt(),
            generation: header.generation,
            looked_at: 0,
            tip,
            pending: Vec::new(),
            broken: false,
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
        }
        header.is_some()
    }

    /// Whether the prefix has come to its end: what follows is evidence at most.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    pub(super) fn looked_at(&self) -> u64 {
        self.looked_at
    }

    /// Takes the frame in if it follows the ones before.
    fn follow(&mut self, header: &FrameHeader, frame: &mut [u8]) -> Option<()> {
        let in_turn = self.pending.is_empty() || header.attempt == self.tip.attempt;
        if !in_turn || header.sequence != self.found.sequence + 1 {
            return None;
        }
        let chain = follow_chain(frame, self.tip.chain)?;
        self.tip = Tip { frames: self.tip.frames + 1, chain, attempt: header.attempt };
        self.pending.push(header.page);
        let Some(mark) = header.commit else { return Some(()) };
        let state = mark.state(header.sequence);
        if let Some((name, value)) = self.implausible(&state) {
            self.problem = Some(LogProblem::Field { name, value });
            return None;
        }
        self.found.last_commit = self.found.frames;
        for page in self.pending.drain(..) {
            self.found.frames += 1;
            self.found.index.insert(page, self.found.frames);
        }
        self.found.chain = chain;
        self.found.attempt = header.attempt;
        self.found.sequence = header.sequence;
        self.found.state = Some(state);
        Some(())
    }

    fn implausible(&self, state: &FileState) -> Option<(&'static str, u64)> {
        let out_of_file = |page: &&PageNo| **page <= HEADER_PAGE || **page > state.page_count;
        let page = self.pending.iter().find(out_of_file).map(|page| ("page number", u64::from(*page)));
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
