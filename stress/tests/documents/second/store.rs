//! An append-only store: each value has a slot of its own. Nothing here knows of the tester.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use tenterhook_runtime::prelude::*;

/// Slots are a sector apart, so that a torn write harms one value only.
const SLOT: usize = 512;

pub struct Store {
    file: Arc<dyn File>,
    len: Cell<usize>,
}

/// Appends a value; done once the value is durable, with the number of its slot.
pub struct Append {
    store: Rc<Store>,
    value: u64,
    slot: usize,
    stage: Stage,
}

enum Stage {
    Start,
    Write(Completion),
    Sync(Completion),
}

impl Append {
    pub fn new(store: &Rc<Store>, value: u64) -> Append {
        Append { store: Rc::clone(store), value, slot: 0, stage: Stage::Start }
    }

    /// One step. It is called again once the completion that it returns has finished.
    pub fn step(&mut self) -> Result<IOResult<usize>, CompletionError> {
        loop {
            self.stage = match &self.stage {
                Stage::Start => {
                    // Taken before the first yield: the next append sees a store that is one longer.
                    self.slot = self.store.len.replace(self.store.len.get() + 1);
                    let record = [self.value.to_le_bytes(), (!self.value).to_le_bytes()].concat();
                    let offset = (self.slot * SLOT) as u64;
                    let write = Submission::write(offset, Buffer::copy_of(&record), |_, _| {});
                    Stage::Write(self.store.file.start(write))
                }
                Stage::Write(io) => {
                    let Some(outcome) = io.result() else { io_yield_one!(io.clone()) };
                    outcome?;
                    Stage::Sync(self.store.file.start(Submission::sync(|_| {})))
                }
                Stage::Sync(io) => {
                    let Some(outcome) = io.result() else { io_yield_one!(io.clone()) };
                    outcome?;
                    return Ok(IOResult::Done(self.slot));
                }
            };
        }
    }
}

/// A store that was opened, and the values in it, each with its slot.
pub type Found = (Store, Vec<(usize, u64)>);

/// Opens a store and reads what is in it.
pub struct Open {
    file: Arc<dyn File>,
    bytes: Arc<Mutex<Vec<u8>>>,
    read: Completion,
    sync: Completion,
}

impl Open {
    pub fn new(io: &dyn IO, path: &Path) -> Result<Open, IoError> {
        let file = io.open(path, OpenOptions::creating())?;
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let landing = Arc::clone(&bytes);
        let length = file.len().unwrap_or(0) as usize;
        let land = move |_, buffer: Buffer| *landing.lock().unwrap() = buffer.to_vec();
        let read = file.start(Submission::read(0, Buffer::zeroed(length), land));
        // A process that was killed may have left values in the page cache alone: they count once they are durable.
        let sync = file.start(Submission::sync(|_| {}));
        Ok(Open { file, bytes, read, sync })
    }

    /// One step; in the end what was found.
    pub fn step(&mut self) -> Result<IOResult<Found>, CompletionError> {
        for io in [&self.read, &self.sync] {
            let Some(outcome) = io.result() else { io_yield_one!(io.clone()) };
            outcome?;
        }
        let bytes = self.bytes.lock().unwrap();
        let slots = bytes.chunks(SLOT).map(value_of).enumerate();
        let found: Vec<(usize, u64)> = slots.map_while(|(slot, value)| Some((slot, value?))).collect();
        let len = Cell::new(found.last().map_or(0, |&(slot, _)| slot + 1));
        Ok(IOResult::Done((Store { file: Arc::clone(&self.file), len }, found)))
    }
}

/// The value of a slot; none if the slot is empty or its record is torn.
fn value_of(slot: &[u8]) -> Option<u64> {
    let word = |at: usize| Some(u64::from_le_bytes(slot.get(at..at + 8)?.try_into().ok()?));
    word(0).filter(|&value| word(8) == Some(!value))
}
