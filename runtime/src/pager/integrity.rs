//! Checking a whole file.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use super::cache::{IN_DATABASE, Key};
use super::latch::transition_if_io;
use super::pager::Pager;
use super::transfer::ReadBatch;
use super::{PageNo, PageProblem, PagerError};
use crate::pager::format::header::{self, HEADER_PAGE};
use crate::pager::format::page::{PageKind, Seal, next_free};
use crate::pager::transaction::snapshot_reader::SnapshotReader;
use crate::{IOResult, StateMachine, StateTransition, TransitionResult};

/// Bytes of pages that are in memory at a time, at least one page.
const BATCH_SIZE: usize = 256 << 10;
/// Problems that are described; further ones are counted.
const DESCRIBED: usize = 100;

/// Reads every page of one commit, past the cache, and follows the freelist. Other transactions and checkpoints go on.
///
/// Needs one bit for each page, besides a batch of pages.
#[must_use = "it does nothing until it is stepped"]
pub struct IntegrityCheck {
    machine: StateMachine<Checking>,
    progress: Cell<(u32, u32)>,
}

/// What an integrity check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntegrityReport {
    /// The commit that was checked.
    pub sequence: u64,
    /// Its pages, the header page included.
    pub pages: u32,
    /// Pages on the freelist.
    pub free_pages: u32,
    /// The first hundred problems.
    pub problems: Vec<IntegrityProblem>,
    /// All of them.
    pub problem_count: u64,
}

impl Pager {
    /// Reads every page of the newest commit and follows the freelist.
    pub fn check_integrity(self: &Arc<Self>) -> IntegrityCheck {
        IntegrityCheck::new(self)
    }
}

impl IntegrityReport {
    /// Whether there is no problem.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problem_count == 0
    }
}

/// Something that is not as it must be. Each page but the header is either on the freelist, once, or allocated.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IntegrityProblem {
    /// The page is damaged; the error says how.
    Damaged(PagerError),
    /// The page is marked as free but not on the freelist: it can never be allocated.
    Leaked {
        /// The page.
        page: PageNo,
    },
    /// The freelist comes to this page a second time.
    FreeTwice {
        /// The page.
        page: PageNo,
    },
    /// The page is on the freelist but marked as allocated.
    FreeButInUse {
        /// The page.
        page: PageNo,
    },
    /// The freelist leads to a page that no caller can have freed.
    FreelistLeadsAstray {
        /// The page.
        page: PageNo,
    },
    /// The freelist does not have as many pages as the commit says.
    FreelistLength {
        /// Pages found on it.
        found: u32,
        /// Pages that the commit says it has.
        expected: u32,
    },
}

impl fmt::Display for IntegrityProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(error) => error.fmt(f),
            Self::Leaked { page } => write!(f, "page {page} is marked as free but not on the freelist"),
            Self::FreeTwice { page } => write!(f, "page {page} is on the freelist twice"),
            Self::FreeButInUse { page } => {
                write!(f, "page {page} is on the freelist but marked as allocated")
            }
            Self::FreelistLeadsAstray { page } => {
                write!(f, "the freelist leads to page {page}, which can't be free")
            }
            Self::FreelistLength { found, expected } => {
                write!(f, "the freelist has {found} pages, not the {expected} that the commit says")
            }
        }
    }
}

impl IntegrityCheck {
    fn new(pager: &Arc<Pager>) -> Self {
        let checking = Checking { pager: Arc::clone(pager), run: None, stage: Stage::Begin };
        Self { machine: StateMachine::new(checking), progress: Cell::new((0, 0)) }
    }

    /// Pages that have been read, and pages in all (0 before the first step).
    #[must_use]
    pub fn progress(&self) -> (u32, u32) {
        self.progress.get()
    }

    /// Steps until everything has been read.
    ///
    /// # Errors
    ///
    /// [`PagerError::Io`]; [`PagerError::Poisoned`] when a sync fails before the commit that is checked is durable, also during the check. Damage is no
    /// error but a problem in the report.
    ///
    /// # Panics
    ///
    /// When it has ended already.
    #[track_caller]
    pub fn step(&mut self) -> Result<IOResult<IntegrityReport>, PagerError> {
        self.machine.step(&self.progress)
    }
}

impl fmt::Debug for IntegrityCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntegrityCheck").field("progress", &self.progress()).finish_non_exhaustive()
    }
}

struct Checking {
    pager: Arc<Pager>,
    run: Option<Run>,
    stage: Stage,
}

/// A check that has begun.
struct Run {
    reader: SnapshotReader,
    report: IntegrityReport,
    /// One bit for each page.
    on_freelist: Vec<u64>,
    /// Whether the freelist could be followed to its end. If not, what is missing on it says nothing.
    followed: bool,
    /// The free page that was damaged when the freelist was followed: reported, whatever a second read of it says.
    damaged_free_page: Option<PageNo>,
}

/// A check, from top to bottom.
enum Stage {
    Begin,
    FollowFreelist { page: PageNo },
    ReadFreePage { key: Key, read: ReadBatch },
    ChoosePages { after: PageNo },
    ReadPages { keys: Vec<Key>, read: ReadBatch },
    ReadHeader(ReadBatch),
}

type Transition = Result<TransitionResult<IntegrityReport>, PagerError>;

impl StateTransition for Checking {
    type Context = Cell<(u32, u32)>;
    type Output = IntegrityReport;
    type Error = PagerError;

    fn step(&mut self, progress: &Self::Context) -> Transition {
        let transition = self.advance(progress);
        if !matches!(transition, Ok(TransitionResult::Continue | TransitionResult::Io(_))) {
            self.run = None;
        }
        transition
    }
}

impl Checking {
    fn advance(&mut self, progress: &Cell<(u32, u32)>) -> Transition {
        let read_error = |error| self.pager.database.error("read", error);
        let run = self.run.get_or_insert_with(|| Run::begin(&self.pager));
        self.stage = match &mut self.stage {
            Stage::Begin => {
                run.require_sound()?;
                Stage::FollowFreelist { page: run.reader.snapshot.state.free_head }
            }
            Stage::FollowFreelist { page } => run.follow_freelist(*page),
            Stage::ReadFreePage { key, read } => {
                let bytes = transition_if_io!(read.poll().map_err(read_error));
                run.require_sound()?;
                run.look_at_free_page(*key, &bytes[0])
            }
            Stage::ChoosePages { after } => {
                progress.set((*after, run.report.pages));
                match run.choose_pages(*after) {
                    Some(next) => next,
                    None if run.reader.snapshot.reads_log => return Ok(run.finish()),
                    None => Stage::ReadHeader(read_one(&self.pager, HEADER_KEY)),
                }
            }
            Stage::ReadPages { keys, read } => {
                let bytes = transition_if_io!(read.poll().map_err(read_error));
                run.require_sound()?;
                for (key, bytes) in keys.iter().zip(&bytes) {
                    run.look_at_page(*key, bytes);
                }
                Stage::ChoosePages { after: keys.last().map_or(HEADER_PAGE, |key| key.page) }
            }
            Stage::ReadHeader(read) => {
                let bytes = transition_if_io!(read.poll().map_err(read_error));
                run.require_sound()?;
                run.look_at_header(&bytes[0]);
                return Ok(run.finish());
            }
        };
        Ok(TransitionResult::Continue)
    }
}

const HEADER_KEY: Key = Key { page: HEADER_PAGE, frame: IN_DATABASE };

fn read_one(pager: &Pager, key: Key) -> ReadBatch {
    let (file, offset, _) = pager.locate(key);
    ReadBatch::one(&*file.file, offset, pager.sealer.page_size())
}

impl Run {
    fn begin(pager: &Arc<Pager>) -> Self {
        let snapshot = pager.state.lock().take_snapshot();
        let state = snapshot.state;
        let report = IntegrityReport {
            sequence: state.sequence,
            pages: state.page_count,
            free_pages: 0,
            problems: Vec::new(),
            problem_count: 0,
        };
        let on_freelist = vec![0; state.page_count as usize / 64 + 1];
        let reader = SnapshotReader::new(pager, snapshot);
        Self { reader, report, on_freelist, followed: true, damaged_free_page: None }
    }

    /// To be asked before anything that was read is judged: while it was read, a sync may have failed and taken it back.
    fn require_sound(&self) -> Result<(), PagerError> {
        self.reader.pager.state.lock().require_sound(&self.reader.snapshot)
    }

    fn key(&self, page: PageNo) -> Key {
        Key { page, frame: self.reader.pager.resolve(page, &self.reader.snapshot) }
    }

    fn follow_freelist(&mut self, page: PageNo) -> Stage {
        if page == 0 {
            return Stage::ChoosePages { after: HEADER_PAGE };
        }
        if page == HEADER_PAGE || page > self.report.pages {
            return self.stop_following(IntegrityProblem::FreelistLeadsAstray { page });
        }
        if self.is_on_freelist(page) {
            return self.stop_following(IntegrityProblem::FreeTwice { page });
        }
        self.on_freelist[page as usize / 64] |= 1 << (page % 64);
        self.report.free_pages += 1;
        let key = self.key(page);
        Stage::ReadFreePage { key, read: read_one(&self.reader.pager, key) }
    }

    fn look_at_free_page(&mut self, key: Key, bytes: &[u8]) -> Stage {
        match self.check(key, bytes) {
            Ok(Seal { kind: PageKind::Free, .. }) => Stage::FollowFreelist { page: next_free(bytes) },
            Ok(_) => self.stop_following(IntegrityProblem::FreeButInUse { page: key.page }),
            Err(error) => {
                self.damaged_free_page = Some(key.page);
                self.stop_following(IntegrityProblem::Damaged(error))
            }
        }
    }

    fn stop_following(&mut self, problem: IntegrityProblem) -> Stage {
        self.note(problem);
        self.followed = false;
        Stage::ChoosePages { after: HEADER_PAGE }
    }

    /// The next pages, in ascending order; `None` after the last.
    fn choose_pages(&self, after: PageNo) -> Option<Stage> {
        let pager = &self.reader.pager;
        let count = (BATCH_SIZE / pager.sealer.page_size()).max(1);
        let pages = (after..self.report.pages).map(|before| before + 1);
        let keys: Vec<Key> = pages.take(count).map(|page| self.key(page)).collect();
        if keys.is_empty() {
            return None;
        }
        let read = ReadBatch::start(keys.iter().map(|key| {
            let (file, offset, _) = pager.locate(*key);
            (&*file.file, offset, pager.sealer.page_size())
        }));
        Some(Stage::ReadPages { keys, read })
    }

    fn look_at_page(&mut self, key: Key, bytes: &[u8]) {
        let page = key.page;
        match (self.check(key, bytes), self.is_on_freelist(page)) {
            (Err(_), true) if self.damaged_free_page == Some(page) => {}
            (Err(error), _) => self.note(IntegrityProblem::Damaged(error)),
            (Ok(Seal { kind: PageKind::Free, .. }), false) if self.followed => {
                self.note(IntegrityProblem::Leaked { page });
            }
            (Ok(_), _) => {}
        }
    }

    /// With no frame of the log to go before it, the header page has to say what the commit said.
    fn look_at_header(&mut self, bytes: &[u8]) {
        let pager = &self.reader.pager;
        let expected = self.reader.snapshot.state;
        let problem = match header::decode(&pager.sealer, bytes) {
            Ok(state) if state == expected => return,
            Ok(state) => PageProblem::Field { name: "commit sequence", value: state.sequence },
            Err(problem) => problem,
        };
        let path = Arc::clone(&pager.database.path);
        self.note(IntegrityProblem::Damaged(PagerError::CorruptHeader { path, problem }));
    }

    fn check(&self, key: Key, bytes: &[u8]) -> Result<Seal, PagerError> {
        let (_, _, place) = self.reader.pager.locate(key);
        let seal = self.reader.pager.check_page(key.page, place, bytes)?;
        let (sequence, snapshot) = (seal.sequence, self.report.sequence);
        let problem = match seal.kind {
            _ if sequence > snapshot => PageProblem::FromTheFuture { sequence, snapshot },
            PageKind::Header => PageProblem::Kind { found: PageKind::Header as u8 },
            PageKind::Data | PageKind::Free => return Ok(seal),
        };
        Err(PagerError::Corrupt { page: key.page, place, problem })
    }

    fn is_on_freelist(&self, page: PageNo) -> bool {
        self.on_freelist[page as usize / 64] >> (page % 64) & 1 == 1
    }

    fn note(&mut self, problem: IntegrityProblem) {
        self.report.problem_count += 1;
        if self.report.problems.len() < DESCRIBED {
            self.report.problems.push(problem);
        }
    }

    fn finish(&mut self) -> TransitionResult<IntegrityReport> {
        let (found, expected) = (self.report.free_pages, self.reader.snapshot.state.free_pages);
        if self.followed && found != expected {
            self.note(IntegrityProblem::FreelistLength { found, expected });
        }
        TransitionResult::Done(self.report.clone())
    }
}
