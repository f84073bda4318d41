//! Signatures; the bodies follow in files of their own.
#![allow(missing_docs, clippy::missing_errors_doc, clippy::unimplemented, unused_variables, dead_code)]

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use super::{Audit, PageNo, PagerError, PagerOptions};
use crate::IOResult;
use crate::io::IO;

type Step<T> = Result<IOResult<T>, PagerError>;

pub struct Pager(());
pub struct Open(());
#[derive(Clone)]
pub struct PageRef(Box<[u8]>);
pub struct ReadTransaction(());
pub struct BeginWrite(());
pub struct WriteTransaction(());
pub struct Commit(());
pub struct Checkpoint(());
pub struct IntegrityCheck(());

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointOutcome {
    /// Everything committed at the time is in the database file.
    Complete,
    /// A reader of an older snapshot kept some of it back.
    HeldBack,
    /// There was nothing to do.
    NothingToDo,
    /// Another checkpoint is under way.
    AlreadyRunning,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointReport {
    pub outcome: CheckpointOutcome,
    /// The newest commit that the database file holds.
    pub sequence: u64,
    pub frames: u64,
    pub pages_written: u64,
}
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IntegrityProblem {
    /// A page can't be read or fails its checks.
    Page { error: PagerError },
    /// Carries the mark of a free page but is not on the freelist: it is lost.
    Leaked { page: PageNo },
    /// On the freelist twice: the list runs in a circle.
    FreeTwice { page: PageNo },
    /// On the freelist but in use.
    FreeButInUse { page: PageNo },
    /// The freelist leads out of the file.
    FreelistOutOfRange { page: PageNo },
    /// The freelist's length is not what the commit says.
    FreelistLength { counted: u32, expected: u32 },
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntegrityReport {
    pub sequence: u64,
    pub pages: u32,
    pub free_pages: u32,
    /// The first 100.
    pub problems: Vec<IntegrityProblem>,
    pub problem_count: u64,
}
impl IntegrityReport {
    pub fn is_sound(&self) -> bool { unimplemented!() }
}

impl Pager {
    pub fn open(io: Arc<dyn IO>, path: &Path, options: PagerOptions) -> Open { unimplemented!() }
    pub fn begin_read(self: &Arc<Self>) -> Result<ReadTransaction, PagerError> { unimplemented!() }
    pub fn begin_write(self: &Arc<Self>) -> BeginWrite { unimplemented!() }
    /// Does not wait: [`PagerError::Busy`] when the right is taken.
    pub fn try_begin_write(self: &Arc<Self>) -> Result<WriteTransaction, PagerError> { unimplemented!() }
    pub fn checkpoint(self: &Arc<Self>) -> Checkpoint { unimplemented!() }
    pub fn checkpoint_due(&self) -> bool { unimplemented!() }
    pub fn check_integrity(self: &Arc<Self>) -> IntegrityCheck { unimplemented!() }
    pub fn audit(&self) -> Audit { unimplemented!() }
    pub fn page_size(&self) -> u32 { unimplemented!() }
    /// Bytes of a page that a caller may use.
    pub fn usable_size(&self) -> usize { unimplemented!() }
    pub fn page_count(&self) -> u32 { unimplemented!() }
    pub fn commit_sequence(&self) -> u64 { unimplemented!() }
}
impl Open { pub fn step(&mut self) -> Step<Arc<Pager>> { unimplemented!() } }
impl PageRef {
    pub fn number(&self) -> PageNo { unimplemented!() }
    /// Number of the commit that wrote it.
    pub fn sequence(&self) -> u64 { unimplemented!() }
}
impl Deref for PageRef { type Target = [u8]; fn deref(&self) -> &[u8] { &self.0 } }
impl ReadTransaction {
    pub fn page(&mut self, page: PageNo) -> Step<PageRef> { unimplemented!() }
    pub fn commit_sequence(&self) -> u64 { unimplemented!() }
    pub fn page_count(&self) -> u32 { unimplemented!() }
}
impl BeginWrite { pub fn step(&mut self) -> Step<WriteTransaction> { unimplemented!() } }
impl WriteTransaction {
    pub fn page(&mut self, page: PageNo) -> Step<PageRef> { unimplemented!() }
    pub fn page_mut(&mut self, page: PageNo) -> Step<&mut [u8]> { unimplemented!() }
    pub fn allocate(&mut self) -> Step<PageNo> { unimplemented!() }
    pub fn free(&mut self, page: PageNo) -> Step<()> { unimplemented!() }
    pub fn commit(self) -> Commit { unimplemented!() }
    pub fn rollback(self) { unimplemented!() }
    /// Of the snapshot that it started from.
    pub fn commit_sequence(&self) -> u64 { unimplemented!() }
    pub fn page_count(&self) -> u32 { unimplemented!() }
}
impl Commit { pub fn step(&mut self) -> Step<u64> { unimplemented!() } }
impl Checkpoint { pub fn step(&mut self) -> Step<CheckpointReport> { unimplemented!() } }
impl IntegrityCheck {
    pub fn step(&mut self) -> Step<IntegrityReport> { unimplemented!() }
    /// Pages checked, pages in all.
    pub fn progress(&self) -> (u32, u32) { unimplemented!() }
}
