//! The seeds: small files as the pager leaves them. `tenterhook-fuzz --write-corpus` writes them again after a change of the
//! format.

use std::path::Path;
use std::sync::Arc;

use tenterhook_runtime::io::{Buffer, IO, MemoryIO, OpenOptions, Submission, drive};
use tenterhook_runtime::pager::{CheckpointMode, Pager, PagerError, PagerOptions, WriteTransaction};

use crate::input::Input;

macro_rules! seeds {
    ($($name:literal),+ $(,)?) => {
        [$((
            $name,
            include_bytes!(concat!("../corpus/", $name, ".db")),
            include_bytes!(concat!("../corpus/", $name, ".db-wal")),
        )),+]
    };
}

type Seed = (&'static str, &'static [u8], &'static [u8]);

static SEEDS: [Seed; 6] = seeds!["fresh", "log-only", "half-copied", "log-reset", "freelist", "shortened"];

/// All seeds with their names.
pub fn seeds() -> impl Iterator<Item = (&'static str, Input)> {
    SEEDS
        .iter()
        .map(|(name, database, log)| (*name, Input { database: database.to_vec(), log: log.to_vec() }))
}

/// A seed, by a number that goes round.
pub(crate) fn seed(number: u8) -> Input {
    let (_, database, log) = SEEDS[usize::from(number) % SEEDS.len()];
    Input { database: database.to_vec(), log: log.to_vec() }
}

/// Makes the seed of this name with the pager as it is.
///
/// # Errors
///
/// None that a pager on memory would have.
pub fn make(name: &str) -> Result<Input, PagerError> {
    let io = Arc::new(MemoryIO::new());
    let options = PagerOptions { page_size: 512, ..PagerOptions::default() };
    let mut open = Pager::open(io.clone(), Path::new("seed.db"), options);
    let house = House { pager: drive(&*io, || open.step())?, io };
    match name {
        "fresh" => {}
        "log-only" => {
            house.fill(1, 3)?;
            house.fill(2, 1)?;
            house.fill(3, 2)?;
        }
        "half-copied" => {
            house.fill(1, 3)?;
            let reader = house.pager.begin_read()?;
            house.fill(2, 2)?;
            house.checkpoint()?;
            drop(reader);
            house.fill(3, 1)?;
        }
        "log-reset" => {
            house.fill(1, 5)?;
            house.checkpoint()?;
            house.fill(2, 2)?;
        }
        "freelist" => {
            house.fill(1, 6)?;
            house.free(&[3, 5])?;
            house.checkpoint()?;
            house.free(&[2])?;
        }
        "shortened" => {
            house.fill(1, 6)?;
            house.checkpoint()?;
            house.free(&[7, 6, 3])?;
            let mut vacuum = house.begin()?.vacuum();
            let (writer, _) = drive(&*house.io, || vacuum.step())?;
            house.commit(writer)?;
        }
        _ => unreachable!("the names are in one list"),
    }
    let read = |path: &str| contents(&house.io, path);
    Ok(Input { database: read("seed.db"), log: read("seed.db-wal") })
}

struct House {
    io: Arc<MemoryIO>,
    pager: Arc<Pager>,
}

impl House {
    fn begin(&self) -> Result<WriteTransaction, PagerError> {
        let mut begin = self.pager.begin_write();
        drive(&*self.io, || begin.step())
    }

    fn commit(&self, writer: WriteTransaction) -> Result<(), PagerError> {
        let mut commit = writer.commit();
        drive(&*self.io, || commit.step()).map(drop)
    }

    /// Fills pages 2 and up, as many, with a byte; they are allocated where the file is too short.
    fn fill(&self, fill: u8, count: u32) -> Result<(), PagerError> {
        let mut writer = self.begin()?;
        for page in 2..2 + count {
            if page > writer.page_count() {
                drive(&*self.io, || writer.allocate())?;
            }
            drive(&*self.io, || writer.page_mut(page).map(|bytes| bytes.map(|bytes| bytes.fill(fill))))?;
        }
        self.commit(writer)
    }

    fn free(&self, pages: &[u32]) -> Result<(), PagerError> {
        let mut writer = self.begin()?;
        for page in pages {
            drive(&*self.io, || writer.free(*page))?;
        }
        self.commit(writer)
    }

    fn checkpoint(&self) -> Result<(), PagerError> {
        let mut checkpoint = self.pager.checkpoint(CheckpointMode::Passive);
        drive(&*self.io, || checkpoint.step()).map(drop)
    }
}

/// All of a file; nothing when there is none.
pub(crate) fn contents(io: &MemoryIO, path: &str) -> Vec<u8> {
    let file = io.open(Path::new(path), OpenOptions::creating()).expect("memory");
    let len = file.len().expect("memory") as usize;
    let (sender, receiver) = std::sync::mpsc::channel();
    file.start(Submission::read(0, Buffer::zeroed(len), move |_, buffer| {
        // Received below, in this thread.
        let _ = sender.send(buffer.to_vec());
    }));
    io.step().expect("memory");
    receiver.recv().expect("the read has ended")
}
