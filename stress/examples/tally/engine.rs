//! The engine: a file of counts, one for each connection. It knows nothing of the tester.

use std::path::Path;
use std::sync::{Arc, Mutex};

use tenterhook_runtime::io::{Buffer, File, IO, IoError, OpenOptions, Submission};
use tenterhook_runtime::{Completion, CompletionError, IOCompletions, IOResult};

/// Counts lie apart, so that no two of them share a sector.
const BLOCK: usize = 512;
/// A count and its complement: a cell that was torn is not taken for one.
const CELL: usize = 16;

/// The file, opened.
pub(crate) fn open(io: &dyn IO, path: &Path) -> Result<Arc<dyn File>, IoError> {
    io.open(path, OpenOptions::creating())
}

/// Stores a count durably. Two cells take turns, so that a write which is torn spares the count before.
pub(crate) struct Store {
    file: Arc<dyn File>,
    number: usize,
    count: u64,
    /// The planted bug: it ends before the count is durable.
    hasty: bool,
    begun: u32,
    io: Option<Completion>,
}

impl Store {
    pub(crate) fn new(file: &Arc<dyn File>, number: usize, count: u64, hasty: bool) -> Store {
        Store { file: Arc::clone(file), number, count, hasty, begun: 0, io: None }
    }

    pub(crate) fn step(&mut self) -> Result<IOResult<()>, CompletionError> {
        loop {
            if let Some(io) = &self.io {
                let Some(outcome) = io.result() else {
                    return Ok(IOResult::IO(IOCompletions::Single(io.clone())));
                };
                if outcome? < CELL as u64 && self.begun == 1 {
                    return Err(CompletionError::NoSpace);
                }
            }
            self.begun += 1;
            let submission = match self.begun {
                1 => {
                    let cell = [self.count.to_le_bytes(), (!self.count).to_le_bytes()].concat();
                    let offset = self.number * BLOCK + self.count as usize % 2 * CELL;
                    Submission::write(offset as u64, Buffer::copy_of(&cell), |_, _| {})
                }
                2 if !self.hasty => Submission::sync(|_| {}),
                _ => return Ok(IOResult::Done(())),
            };
            self.io = Some(self.file.start(submission));
        }
    }
}

/// Reads the counts of so many connections, and makes them durable: they are written back and synced. What is read may be in the
/// kernel's cache alone, left there by a process that was killed or by a sync that has failed.
pub(crate) struct Load {
    file: Arc<dyn File>,
    found: Arc<Mutex<Buffer>>,
    begun: u32,
    io: Completion,
}

impl Load {
    pub(crate) fn new(file: &Arc<dyn File>, connections: usize) -> Load {
        let found = Arc::new(Mutex::new(Buffer::zeroed(0)));
        let landing = Arc::clone(&found);
        let land = move |_, buffer| *landing.lock().unwrap() = buffer;
        let io = file.start(Submission::read(0, Buffer::zeroed(connections * BLOCK), land));
        Load { file: Arc::clone(file), found, begun: 1, io }
    }

    pub(crate) fn step(&mut self) -> Result<IOResult<Vec<u64>>, CompletionError> {
        loop {
            let Some(outcome) = self.io.result() else {
                return Ok(IOResult::IO(IOCompletions::Single(self.io.clone())));
            };
            let length = outcome?;
            let found = self.found.lock().unwrap();
            self.begun += 1;
            let submission = match self.begun {
                2 => Submission::write(0, Buffer::copy_of(&found), |_, _| {}),
                3 if length < found.len() as u64 => return Err(CompletionError::NoSpace),
                3 => Submission::sync(|_| {}),
                _ => return Ok(IOResult::Done(found.chunks(BLOCK).map(newest).collect())),
            };
            self.io = self.file.start(submission);
        }
    }
}

/// The counts, for a caller that may block.
pub(crate) fn load(io: &dyn IO, path: &Path, connections: usize) -> Result<Vec<u64>, String> {
    let text = |error: CompletionError| error.to_string();
    let mut load = Load::new(&open(io, path).map_err(|error| error.to_string())?, connections);
    loop {
        match load.step().map_err(text)? {
            IOResult::Done(counts) => return Ok(counts),
            IOResult::IO(_) => drop(io.block_on(&load.io).map_err(|error| error.to_string())?),
        }
    }
}

/// The greater of the two counts, of those that are whole.
fn newest(block: &[u8]) -> u64 {
    let word = |at: usize| u64::from_le_bytes(block[at..at + 8].try_into().unwrap());
    let whole = [0, CELL].into_iter().filter(|&at| word(at) == !word(at + 8));
    whole.map(word).max().unwrap_or(0)
}
