//! A transaction that is larger than the memory it may have: its pages in the log before its commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::snapshot_reader::SnapshotReader;
use crate::pager::cache::Key;
use crate::pager::format::page::{Page, Seal};
use crate::pager::latch::{Latch, Wait};
use crate::pager::log::frames::{LaidOut, Place, lay_out};
use crate::pager::log::index::FrameNo;
use crate::pager::log::prepare::PrepareLog;
use crate::pager::pager::Pager;
use crate::pager::readers::Snapshot;
use crate::pager::state::{flight_frames, refuse_if_poisoned};
use crate::pager::transfer::{self, Piece, ReadBatch};
use crate::pager::{PageNo, PageProblem, PagerError};
use crate::{IOResult, return_if_io};

/// What a write transaction has in the log before its commit.
#[derive(Default)]
pub(super) struct Spill {
    /// Made with the first frames: most transactions have none.
    spilled: Option<Box<Spilled>>,
    prepare: PrepareLog,
}

/// Frames behind the newest commit that no commit mark follows yet. Dropping it ends the run, so that none ever does, and
/// the next commit goes where they are. Its owner has the write lock for as long.
pub(super) struct Spilled {
    pager: Arc<Pager>,
    /// Where the next frame goes.
    place: Place,
    /// The newest frame of each page. Pages that a vacuum has cut off since may be among them.
    frames: BTreeMap<PageNo, FrameNo>,
    write: Write,
    /// The one read that the transaction waits for, of a page in one version.
    reading: Option<(Key, ReadBatch)>,
    /// Images of pages as their newest frames have them: what was read lately.
    images: BTreeMap<PageNo, Arc<Page>>,
    handed_over: bool,
}

/// What becomes of the frames that were handed to the log last.
enum Write {
    Ended,
    UnderWay(Wait<Outcome>),
    /// Their pages are nowhere any more: the transaction can't be committed.
    Failed(PagerError),
}

type Outcome = Result<(), PagerError>;

impl Drop for Spilled {
    fn drop(&mut self) {
        if !self.handed_over {
            self.pager.state.lock().log.run_is_over = true;
        }
    }
}

impl Spill {
    /// The frames of the transaction, if the newest image of `page` that is not in memory is in one of them.
    pub(super) fn of(&mut self, page: PageNo) -> Option<&mut Spilled> {
        self.spilled.as_deref_mut().filter(|spilled| spilled.frames.contains_key(&page))
    }

    /// The first page with a frame, if the file has `page_count` pages.
    pub(super) fn first_page(&self, page_count: u32) -> Option<PageNo> {
        self.spilled.as_ref()?.frames.range(..=page_count).next().map(|(page, _)| *page)
    }

    /// For the commit.
    pub(super) fn take_spilled(&mut self) -> Option<Box<Spilled>> {
        self.spilled.take()
    }

    /// Pages that have a frame.
    pub(super) fn frames(&self) -> usize {
        self.spilled.as_ref().map_or(0, |spilled| spilled.frames.len())
    }

    /// Images that were read from the log and have not changed.
    pub(super) fn images(&self) -> usize {
        self.spilled.as_ref().map_or(0, |spilled| spilled.images.len())
    }

    pub(super) fn forget_images(&mut self) {
        if let Some(spilled) = &mut self.spilled {
            spilled.images.clear();
        }
    }

    /// Forgets what a call waited for that its caller has given up. What was handed to the log continues.
    pub(super) fn give_up(&mut self) {
        self.prepare = PrepareLog::default();
        if let Some(spilled) = &mut self.spilled {
            spilled.reading = None;
            if let Write::UnderWay(wait) = &mut spilled.write {
                wait.renew();
            }
        }
    }

    /// Waits for the frames that were handed to the log last.
    pub(super) fn settle(&mut self) -> Result<IOResult<()>, PagerError> {
        self.spilled.as_mut().map_or(Ok(IOResult::Done(())), |spilled| spilled.settle())
    }

    /// Where the transaction's next frames go.
    pub(super) fn place(&mut self, reader: &SnapshotReader) -> Result<IOResult<Place>, PagerError> {
        match &self.spilled {
            Some(spilled) => spilled.renew_place(&reader.snapshot).map(IOResult::Done),
            None => self.prepare.step(&reader.pager, &reader.snapshot),
        }
    }

    /// Hands pages to the log, without a commit mark, and forgets their images. Those of earlier frames are gone already.
    pub(super) fn begin_write(
        &mut self,
        reader: &SnapshotReader,
        place: Place,
        pages: BTreeMap<PageNo, Arc<Page>>,
    ) {
        let pager = &reader.pager;
        let LaidOut { pieces, tip, pages } = lay_out(&pager.sealer, &place, None, pages);
        let spilled = self.spilled.get_or_insert_with(|| Box::new(Spilled::new(pager, place)));
        spilled.frames.extend(flight_frames(&tip, &pages).map(|(frame, page)| (page.number, frame)));
        spilled.place.tip = tip;
        debug_assert!(spilled.images.is_empty());
        spilled.write = match pager.submit_spill(&reader.snapshot, pieces) {
            Ok(wait) => Write::UnderWay(wait),
            Err(error) => Write::Failed(error),
        };
    }
}

impl Spilled {
    fn new(pager: &Arc<Pager>, place: Place) -> Self {
        Self {
            pager: Arc::clone(pager),
            place,
            frames: BTreeMap::new(),
            write: Write::Ended,
            reading: None,
            images: BTreeMap::new(),
            handed_over: false,
        }
    }

    /// A commit in flight has the frames from now on.
    pub(super) fn hand_over(&mut self) -> BTreeMap<PageNo, FrameNo> {
        self.handed_over = true;
        std::mem::take(&mut self.frames)
    }

    pub(super) fn settle(&mut self) -> Result<IOResult<()>, PagerError> {
        match &mut self.write {
            Write::Ended => Ok(IOResult::Done(())),
            Write::Failed(error) => Err(error.clone()),
            Write::UnderWay(wait) => match wait.poll() {
                Ok(IOResult::IO(io)) => Ok(IOResult::IO(io)),
                Ok(IOResult::Done(Ok(()))) => {
                    self.write = Write::Ended;
                    Ok(IOResult::Done(()))
                }
                Ok(IOResult::Done(Err(error))) => {
                    self.write = Write::Failed(error.clone());
                    Err(error)
                }
                Err(error) => {
                    wait.renew();
                    Err(self.pager.log.error("wait for a write to", error))
                }
            },
        }
    }

    /// Where the next frames go, if what goes before them is still there.
    fn renew_place(&self, snapshot: &Snapshot) -> Result<Place, PagerError> {
        let state = self.pager.state.lock();
        refuse_if_poisoned(&state)?;
        state.require_base(snapshot)?;
        Ok(Place { durable: state.durable_sequence, ..self.place })
    }

    /// A page that has a frame, from there, and not through the cache: that knows frames by their numbers, and this one's is
    /// given again if the transaction fails. `room` images may stay.
    pub(super) fn read_back(
        &mut self,
        snapshot: &Snapshot,
        page: PageNo,
        room: usize,
    ) -> Result<IOResult<Arc<Page>>, PagerError> {
        return_if_io!(self.settle());
        if let Some(image) = self.images.get(&page) {
            return Ok(IOResult::Done(Arc::clone(image)));
        }
        let key = Key { page, frame: self.frames[&page] };
        let (log, offset, _) = self.pager.locate(key);
        let pending = self.reading.take().filter(|(pending, _)| *pending == key);
        let (_, mut read) = pending
            .unwrap_or_else(|| (key, ReadBatch::one(&*log.file, offset, self.pager.sealer.page_size())));
        let mut bytes = match read.poll().map_err(|error| log.error("read a page of", error))? {
            IOResult::Done(bytes) => bytes,
            IOResult::IO(io) => {
                self.reading = Some((key, read));
                return Ok(IOResult::IO(io));
            }
        };
        // A sync that has failed meanwhile may have dropped what is in the frame.
        self.renew_place(snapshot)?;
        let image = Arc::new(self.admit(key, bytes.swap_remove(0), snapshot.state.sequence)?);
        if self.images.len() >= room {
            self.images.clear();
        }
        self.images.insert(page, Arc::clone(&image));
        Ok(IOResult::Done(image))
    }

    /// What was read from a frame, if it is what was written there. In memory it is as if it had never been away: a page of
    /// a transaction that started from commit `base`.
    fn admit(&self, key: Key, bytes: transfer::Filled, base: u64) -> Result<Page, PagerError> {
        let Key { page, .. } = key;
        let (log, _, place) = self.pager.locate(key);
        let Seal { kind, sequence } = self.pager.check_page(page, place, &bytes)?;
        if sequence != self.place.tip.state.sequence + 1 {
            let problem = PageProblem::Field { name: "commit sequence", value: sequence };
            return Err(PagerError::Corrupt { page, place, problem });
        }
        let bytes = bytes.require_whole().map_err(|error| log.error("read a page of", error))?;
        Ok(Page { number: page, seal: Seal { kind, sequence: base }, bytes })
    }
}

impl Pager {
    /// Writes frames of a commit that is not in flight yet. The write continues if the transaction is dropped.
    fn submit_spill(
        self: &Arc<Self>,
        snapshot: &Snapshot,
        pieces: Vec<Piece>,
    ) -> Result<Wait<Outcome>, PagerError> {
        {
            let mut state = self.state.lock();
            // As for a commit: whatever has ended the run since they were laid out has taken what they were laid out upon.
            refuse_if_poisoned(&state)?;
            state.require_base(snapshot)?;
            debug_assert!(state.tip().end == snapshot.mark && !state.log.run_is_over);
            state.log_io.begin();
        }
        let latch: Arc<Latch<Outcome>> = Latch::new();
        let wait = Wait::new(Arc::clone(&latch));
        let pager = Arc::downgrade(self);
        transfer::write_all(&*self.log.file, pieces, move |ended| {
            if let Some(pager) = pager.upgrade() {
                pager.end_on_log(&latch, ended.map_err(|error| pager.log.error("write frames to", error)));
            }
        });
        Ok(wait)
    }
}
