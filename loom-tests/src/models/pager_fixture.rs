//! What the pager's models begin with: a pager over a backend in memory, and what a model's main thread does to it.

use std::path::Path;
use std::sync::Arc;

use tenterhook_runtime::io::{IO, MemoryIO};
use tenterhook_runtime::pager::{
    CheckpointMode, PageRef, Pager, PagerError, PagerOptions, ReadTransaction, WriteTransaction,
};
use tenterhook_runtime::{Completion, IOCompletions, IOResult};

pub(super) type Step<T> = Result<IOResult<T>, PagerError>;

/// A pager, and the backend that the model's main thread steps.
pub(super) struct Fixture {
    pub(super) io: Arc<MemoryIO>,
    pub(super) pager: Arc<Pager>,
}

impl Fixture {
    /// Pages 2 and up, as many, filled with 1 in commit 1, in the log only.
    pub(super) fn with(pages: u32, cache_pages: usize) -> Self {
        let io = Arc::new(MemoryIO::new());
        let options = PagerOptions { page_size: 512, cache_pages, ..PagerOptions::default() };
        let mut open = Pager::open(io.clone(), Path::new("model.db"), options);
        let pager = drive(&io, || open.step());
        let fixture = Self { io, pager };
        let mut writer = fixture.begin();
        for _ in 0..pages {
            let page = drive(&fixture.io, || writer.allocate());
            fixture.fill(&mut writer, page, 1);
        }
        fixture.commit(writer);
        fixture
    }

    pub(super) fn begin(&self) -> WriteTransaction {
        let mut begin = self.pager.begin_write();
        drive(&self.io, || begin.step())
    }

    pub(super) fn fill(&self, writer: &mut WriteTransaction, page: u32, fill: u8) {
        drive(&self.io, || writer.page_mut(page).map(|bytes| bytes.map(|bytes| bytes.fill(fill))));
    }

    pub(super) fn commit(&self, writer: WriteTransaction) {
        let mut commit = writer.commit();
        drive(&self.io, || commit.step());
    }

    /// Page 2 again.
    pub(super) fn commit_fill(&self, fill: u8) {
        let mut writer = self.begin();
        self.fill(&mut writer, 2, fill);
        self.commit(writer);
    }

    pub(super) fn checkpoint(&self) {
        let mut checkpoint = self.pager.checkpoint(CheckpointMode::Passive);
        drive(&self.io, || checkpoint.step());
    }

    pub(super) fn read(&self, reader: &mut ReadTransaction, page: u32) -> PageRef {
        drive(&self.io, || reader.page(page))
    }

    /// Nothing is left behind, and the write lock is there to be had.
    pub(super) fn assert_idle(&self) {
        while self.io.step().unwrap() > 0 {}
        let audit = self.pager.audit();
        assert!(audit.is_idle(), "{audit:?}");
        drop(self.pager.try_begin_write().expect("the write lock is free"));
    }
}

pub(super) fn drive<T>(io: &MemoryIO, mut step: impl FnMut() -> Step<T>) -> T {
    loop {
        match step().expect("no fault") {
            IOResult::Done(value) => return value,
            IOResult::IO(_) => drop(io.step()),
        }
    }
}

/// The completion that a step waits for.
pub(super) fn waits_for<T>(step: Step<T>) -> Completion {
    match step {
        Ok(IOResult::IO(IOCompletions::Single(completion))) => completion,
        _ => panic!("it has to wait"),
    }
}
