//! The simulated disk as raft-engine's `FileSystem`.
//!
//! raft-engine asks its file system for files. It lists its directory, locks it and syncs it through the standard library, past the file
//! system. So there is a real directory too, in which each file of the simulated one has an empty file of its name. A sync of the real
//! directory does nothing for the simulated one. Instead the first sync of a file in a life, or after it got a new name, makes its name
//! last, as common file systems of Linux do.

use std::collections::BTreeSet;
use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use raft_engine::env::{FileSystem, Handle, Permission, WriteExt};
use tenterhook_runtime::io::{IO, OpenOptions};
use tenterhook_stress::blocking::{BlockingDisk, BlockingError, BlockingFile, Call};
use tenterhook_stress::disk::SimDisk;

use crate::plan::{Ask, Broken, Plan};

/// The directory on the simulated disk.
const DIRECTORY: &str = "d";

/// The machine in one life of the engine.
pub(crate) struct Disk {
    disk: BlockingDisk,
    folder: tempfile::TempDir,
    /// The job that opens the engine: recovery reads in a thread of a pool, while that job waits for it.
    opens: Mutex<Option<Call>>,
    /// Names that were given to files, with no sync of such a file since.
    unsynced: Mutex<BTreeSet<PathBuf>>,
    is_dead: AtomicBool,
    /// On purpose: syncs end well and do nothing.
    ignores_syncs: bool,
    /// Only where a name was given in this life does a file's sync make it last.
    is_strict: bool,
}

impl Disk {
    pub(crate) fn new(io: &Arc<dyn IO>, disk: &SimDisk, plan: &Plan) -> Result<Disk> {
        let folder = tempfile::tempdir()?;
        let disk = BlockingDisk::new(io, disk);
        for path in disk.list(Path::new(DIRECTORY)) {
            std::fs::File::create(folder.path().join(path.file_name().unwrap_or_default()))?;
        }
        let (opens, unsynced, is_dead) = (Mutex::default(), Mutex::default(), AtomicBool::new(false));
        let (ignores_syncs, is_strict) =
            (plan.broken == Some(Broken::Sync), plan.ask == Some(Ask::StrictNames));
        Ok(Disk { disk, folder, opens, unsynced, is_dead, ignores_syncs, is_strict })
    }

    /// The directory, as raft-engine is told of it.
    pub(crate) fn directory(&self) -> &Path {
        self.folder.path()
    }

    /// Runs `open` as the job `call`, also what it does in other threads.
    pub(crate) fn opening<R>(&self, call: &Call, open: impl FnOnce() -> R) -> R {
        *self.opens.lock() = Some(call.clone());
        let opened = open();
        *self.opens.lock() = None;
        opened
    }

    /// The life has ended. What destructors do from here on reaches nothing.
    pub(crate) fn die(&self) {
        // ORDERING: Relaxed: destructors run in this thread, after this.
        self.is_dead.store(true, Ordering::Relaxed);
    }

    /// The job that calls, while its life lasts. A destructor that panics would end the tester: to what runs on after its life
    /// every change seems to succeed. The same holds for an engine that unwinds: in its process nothing more would come.
    fn call(&self) -> Option<Call> {
        // ORDERING: Relaxed, see `die`.
        if self.is_dead.load(Ordering::Relaxed) || std::thread::panicking() {
            return None;
        }
        Call::here().or_else(|| self.opens.lock().clone()).filter(|call| !call.is_gone())
    }

    fn change(&self, change: impl FnOnce(&Call) -> std::result::Result<(), BlockingError>) -> Result<()> {
        match self.call().map(|call| change(&call)) {
            None | Some(Ok(()) | Err(BlockingError::Gone(_))) => Ok(()),
            Some(Err(error)) => Err(told(error)),
        }
    }

    /// The same file's name on the simulated disk.
    fn path(path: &Path) -> PathBuf {
        Path::new(DIRECTORY).join(path.file_name().unwrap_or_default())
    }

    fn open_as(self: &Arc<Self>, path: &Path, options: OpenOptions) -> Result<SimFile> {
        self.call().ok_or_else(gone)?;
        let path = Self::path(path);
        let file = self.disk.open(&path, options).map_err(told)?;
        // A file of an earlier life may have a name that was never synced, too.
        if options.create || !self.is_strict {
            self.unsynced.lock().insert(path.clone());
        }
        Ok(SimFile { file, path, disk: Arc::clone(self) })
    }
}

fn gone() -> Error {
    Error::from(ErrorKind::NotConnected)
}

/// An error as the engine's own file system tells it: by the word "nospace" it knows a full disk.
fn told(error: BlockingError) -> Error {
    let error = Error::from(error);
    match error.kind() {
        ErrorKind::StorageFull => Error::other("nospace"),
        _ => error,
    }
}

/// The simulated disk, for raft-engine.
#[derive(Clone)]
pub(crate) struct SimFileSystem(pub(crate) Arc<Disk>);

/// An open file.
pub(crate) struct SimFile {
    file: BlockingFile,
    path: PathBuf,
    disk: Arc<Disk>,
}

impl SimFile {
    fn read(&self, mut offset: usize, target: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < target.len() {
            let call = self.disk.call().ok_or_else(gone)?;
            match self.file.read(&call, offset as u64, &mut target[filled..]).map_err(told)? {
                0 => break,
                count => (filled, offset) = (filled + count, offset + count),
            }
        }
        Ok(filled)
    }

    fn write(&self, offset: usize, source: &[u8]) -> Result<usize> {
        let mut written = 0;
        while written < source.len() {
            let mut count = source.len() - written;
            self.disk.change(|call| {
                count = self.file.write(call, (offset + written) as u64, &source[written..])?;
                Ok(())
            })?;
            written += count;
        }
        Ok(written)
    }
}

impl Handle for SimFile {
    fn truncate(&self, offset: usize) -> Result<()> {
        self.disk.change(|call| self.file.truncate(call, offset as u64))
    }

    fn file_size(&self) -> Result<usize> {
        match self.disk.call() {
            None => Ok(0),
            Some(_) => Ok(self.file.len().map_err(told)? as usize),
        }
    }

    fn sync(&self) -> Result<()> {
        if self.disk.ignores_syncs {
            return Ok(());
        }
        self.disk.change(|call| {
            self.file.sync(call)?;
            if self.disk.unsynced.lock().contains(&self.path) {
                self.disk.disk.sync_directory(call, Path::new(DIRECTORY))?;
                self.disk.unsynced.lock().remove(&self.path);
            }
            Ok(())
        })
    }
}

/// A place in a file.
pub(crate) struct Cursor {
    file: Arc<SimFile>,
    offset: usize,
}

impl Read for Cursor {
    fn read(&mut self, target: &mut [u8]) -> Result<usize> {
        let count = self.file.read(self.offset, target)?;
        self.offset += count;
        Ok(count)
    }
}

impl Write for Cursor {
    fn write(&mut self, source: &[u8]) -> Result<usize> {
        let count = self.file.write(self.offset, source)?;
        self.offset += count;
        Ok(count)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        self.offset = match to {
            SeekFrom::Start(offset) => offset as usize,
            SeekFrom::Current(by) => (self.offset as i64 + by) as usize,
            SeekFrom::End(by) => (self.file.file_size()? as i64 + by) as usize,
        };
        Ok(self.offset as u64)
    }
}

impl WriteExt for Cursor {
    fn truncate(&mut self, offset: usize) -> Result<()> {
        Handle::truncate(&*self.file, offset)?;
        self.offset = offset;
        Ok(())
    }

    /// As `fallocate` does: the file is that long afterwards, and reads as zeros there.
    fn allocate(&mut self, offset: usize, size: usize) -> Result<()> {
        match self.file.file_size()? < offset + size {
            true => Handle::truncate(&*self.file, offset + size),
            false => Ok(()),
        }
    }
}

impl FileSystem for SimFileSystem {
    type Handle = SimFile;
    type Reader = Cursor;
    type Writer = Cursor;

    fn create<P: AsRef<Path>>(&self, path: P) -> Result<SimFile> {
        let file = self.0.open_as(path.as_ref(), OpenOptions::creating())?;
        std::fs::File::create(path)?;
        Ok(file)
    }

    fn open<P: AsRef<Path>>(&self, path: P, _: Permission) -> Result<SimFile> {
        self.0.open_as(path.as_ref(), OpenOptions::default())
    }

    fn delete<P: AsRef<Path>>(&self, path: P) -> Result<()> {
        self.0.change(|call| self.0.disk.remove(call, &Disk::path(path.as_ref())))?;
        std::fs::remove_file(path)
    }

    fn rename<P: AsRef<Path>>(&self, from: P, to: P) -> Result<()> {
        let (old, new) = (Disk::path(from.as_ref()), Disk::path(to.as_ref()));
        self.0.change(|call| self.0.disk.rename(call, &old, &new))?;
        self.0.unsynced.lock().insert(new);
        std::fs::rename(from, to)
    }

    fn new_reader(&self, file: Arc<SimFile>) -> Result<Cursor> {
        Ok(Cursor { file, offset: 0 })
    }

    fn new_writer(&self, file: Arc<SimFile>) -> Result<Cursor> {
        Ok(Cursor { file, offset: 0 })
    }
}
