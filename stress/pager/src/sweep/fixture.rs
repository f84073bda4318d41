//! A pager with pages in it.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use tenterhook_runtime::io::IO;
use tenterhook_runtime::pager::{
    CheckpointMode, Durability, PageNo, Pager, PagerError, PagerOptions, ReadTransaction,
};
use tenterhook_runtime::{IOCompletions, IOResult};
use xxhash_rust::xxh3::xxh3_64;

use super::Machine;
use super::job::{Act, End, transaction};
use super::machines::{self, checkpoint};

/// Small pages and a small cache, so that little data is many pages and most of them are evicted.
const OPTIONS: PagerOptions = PagerOptions {
    page_size: 512,
    cache_pages: 6,
    spill_pages: SPILL_PAGES,
    checkpoint_frames: 0,
    restart_frames: 0,
    max_pages: u32::MAX,
    durability: Durability::Full,
    id_seed: 7,
};

/// A transaction that changes more pages than this spills.
const SPILL_PAGES: usize = 6;

/// Pages that no operation touches: reading them evicts the others.
const FILLERS: std::ops::RangeInclusive<PageNo> = 12..=24;

/// Ways to [go on].
pub(super) const WAYS_ON: u32 = 3;

/// Pages of a fixture, the header page included.
pub(super) const PAGES: PageNo = 24;

const DATABASE: &str = "swept.db";

/// Where the pager is, if the fixture is not closed. Who opens it puts it here.
type Slot = Rc<RefCell<Option<Arc<Pager>>>>;

/// A pager, and what there has to be beside it.
pub(super) struct Fixture {
    io: Arc<dyn IO>,
    pager: Slot,
    /// A reader of an old snapshot, until the operation is over.
    reader: Option<ReadTransaction>,
}

impl Fixture {
    /// Whether a reader holds a snapshot.
    pub(super) fn has_reader(&self) -> bool {
        self.reader.is_some()
    }

    /// A file with pages 2 to 24, all in the log.
    pub(super) fn new(io: &Arc<dyn IO>) -> Result<Fixture, PagerError> {
        let pager = Rc::new(RefCell::new(Some(open(io)?)));
        let fixture = Fixture { io: Arc::clone(io), pager, reader: None };
        let fill = (2..=PAGES).flat_map(|page| [Act::Allocate, Act::Edit(page, 1)]).collect();
        fixture.commit(fill)?;
        Ok(fixture)
    }

    pub(super) fn io(&self) -> &Arc<dyn IO> {
        &self.io
    }

    /// The pager that there is, or a new one. Who opens a file waits for what an opening that was dropped had begun.
    pub(super) fn pager_now(&self) -> Result<Arc<Pager>, PagerError> {
        if let Some(pager) = self.pager.borrow().clone() {
            return Ok(pager);
        }
        while self.io.step()? > 0 {}
        open(&self.io)
    }

    /// The pager, unless the fixture is closed.
    pub(super) fn if_opened(&self) -> Option<Arc<Pager>> {
        self.pager.borrow().clone()
    }

    /// The pager of a fixture that has not been closed.
    pub(super) fn opened(&self) -> Arc<Pager> {
        self.pager.borrow().clone().expect("only those who closed the fixture find it closed")
    }

    /// Runs a machine to its end.
    pub(super) fn finish(&self, machine: Machine) -> Result<String, PagerError> {
        finish(&self.io, machine)
    }

    pub(super) fn commit(&self, acts: Vec<Act>) -> Result<(), PagerError> {
        self.finish(transaction(&self.opened(), acts, End::Commit)).map(drop)
    }

    pub(super) fn checkpoint(&self) -> Result<(), PagerError> {
        self.finish(checkpoint(&self.opened(), CheckpointMode::Passive)).map(drop)
    }

    /// From here on a reader holds the present snapshot.
    pub(super) fn begin_reading(&mut self) -> Result<(), PagerError> {
        self.reader = Some(self.opened().begin_read()?);
        Ok(())
    }

    /// The reader beside the operation ends.
    pub(super) fn leave(&mut self) {
        self.reader = None;
    }

    /// The pager is gone, the files are there.
    pub(super) fn close(&mut self) {
        self.leave();
        self.pager.take();
    }

    /// Has all pages but the fillers evicted.
    pub(super) fn evict(&self) -> Result<(), PagerError> {
        let Some(pager) = self.pager.borrow().clone() else { return Ok(()) };
        self.finish(machines::read(&pager, FILLERS.collect())?).map(drop)
    }
}

/// A change after all that: into the log as it is; into a log that is reset; and from the log into the file.
pub(super) fn go_on(io: &Arc<dyn IO>, pager: &Arc<Pager>, way: u32) -> Result<(), PagerError> {
    let finish = |machine| finish(io, machine).map(drop);
    let change = || transaction(pager, vec![Act::Allocate, Act::Edit(8, 77)], End::Commit);
    match way {
        0 => finish(change()),
        1 => {
            finish(checkpoint(pager, CheckpointMode::Restart))?;
            finish(change())
        }
        _ => {
            finish(change())?;
            finish(checkpoint(pager, CheckpointMode::Passive))
        }
    }
}

/// Opens the file.
pub(super) fn open(io: &Arc<dyn IO>) -> Result<Arc<Pager>, PagerError> {
    let mut open = Pager::open(Arc::clone(io), Path::new(DATABASE), OPTIONS);
    loop {
        match open.step()? {
            IOResult::Done(pager) => return Ok(pager),
            IOResult::IO(pending) => wait(io, pending),
        }
    }
}

/// A machine that opens the file.
pub(super) fn opening(fixture: &Fixture) -> Machine {
    let mut open = Pager::open(Arc::clone(fixture.io()), Path::new(DATABASE), OPTIONS);
    let slot = Rc::clone(&fixture.pager);
    Box::new(move || {
        Ok(open.step()?.map(|pager| {
            let ending = format!("{} pages", pager.page_count());
            slot.replace(Some(pager));
            ending
        }))
    })
}

/// The content of every page in the newest snapshot, in one line; what is unsound, in another.
pub(super) fn read_all(io: &Arc<dyn IO>, pager: &Arc<Pager>) -> Result<Result<String, String>, PagerError> {
    let mut check = pager.check_integrity();
    let report = loop {
        match check.step()? {
            IOResult::Done(report) => break report,
            IOResult::IO(pending) => wait(io, pending),
        }
    };
    if !report.is_sound() {
        return Ok(Err(format!("unsound: {:?}", report.problems)));
    }
    let mut read = pager.begin_read()?;
    let (mut digests, mut free) = (Vec::new(), Vec::new());
    for page in 2..=read.page_count() {
        let digest = loop {
            match read.page(page) {
                Ok(IOResult::Done(page)) => break xxh3_64(&page),
                Ok(IOResult::IO(pending)) => wait(io, pending),
                Err(PagerError::PageNotAllocated { .. }) => {
                    free.push(page);
                    break 0;
                }
                Err(error) => return Err(error),
            }
        };
        digests.extend_from_slice(&digest.to_le_bytes());
    }
    let (count, content) = (read.page_count(), xxh3_64(&digests));
    Ok(Ok(format!("{count} pages, free {free:?}, content {content:#018x}")))
}

fn finish(io: &Arc<dyn IO>, mut machine: Machine) -> Result<String, PagerError> {
    loop {
        match machine.step()? {
            IOResult::Done(ending) => return Ok(ending),
            IOResult::IO(pending) => wait(io, pending),
        }
    }
}

fn wait(io: &Arc<dyn IO>, pending: IOCompletions) {
    if let IOCompletions::Single(completion) = pending {
        while !completion.finished() && io.step().is_ok_and(|ended| ended > 0) {}
    }
}
