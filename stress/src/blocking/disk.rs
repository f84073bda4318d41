//! Files, names and directories of the simulated disk, for code that blocks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tenterhook_runtime::io::{Buffer, File, IO, IoError, OpenOptions, Submission};
use tenterhook_runtime::{Completion, CompletionError};

use super::{Call, Gone};
use crate::disk::SimDisk;

/// What an operation of a blocking engine's disk ends with when it does not end well.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockingError {
    /// The life has ended.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// The operation failed.
    #[error("{0}")]
    Io(CompletionError),
    /// A file could not be opened, removed or renamed.
    #[error("{0:?}")]
    Open(IoError),
}

impl From<IoError> for BlockingError {
    fn from(error: IoError) -> BlockingError {
        BlockingError::Open(error)
    }
}

impl From<BlockingError> for std::io::Error {
    fn from(error: BlockingError) -> std::io::Error {
        let kind = match &error {
            BlockingError::Gone(_) => std::io::ErrorKind::NotConnected,
            BlockingError::Io(CompletionError::NoSpace) => std::io::ErrorKind::StorageFull,
            BlockingError::Io(_) => std::io::ErrorKind::Other,
            BlockingError::Open(error) => error.kind,
        };
        std::io::Error::new(kind, error)
    }
}

/// The disk in one life of the engine. Each function that takes a [`Call`] is a scheduling point.
///
/// A name that is made, removed or given to another file lasts through a power loss only once [`BlockingDisk::sync_directory`] has
/// synced its directory; until then it may be there or not, whatever was synced of the file.
pub struct BlockingDisk {
    io: Arc<dyn IO>,
    disk: SimDisk,
    life: u64,
}

impl std::fmt::Debug for BlockingDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockingDisk").finish_non_exhaustive()
    }
}

impl BlockingDisk {
    /// The disk of the life that `io` belongs to. From here on names last only when their directory is synced.
    pub fn new(io: &Arc<dyn IO>, disk: &SimDisk) -> BlockingDisk {
        disk.set_strict_names();
        BlockingDisk { io: Arc::clone(io), disk: disk.clone(), life: disk.life() }
    }

    /// Opens a file, and makes it if that is asked for. No scheduling point.
    ///
    /// # Errors
    ///
    /// When there is no such file, or the disk refuses.
    pub fn open(&self, path: &Path, options: OpenOptions) -> Result<BlockingFile, BlockingError> {
        Ok(BlockingFile { file: self.io.open(path, options)? })
    }

    /// Whether there is a file of this name. No scheduling point.
    pub fn exists(&self, path: &Path) -> bool {
        self.io.exists(path)
    }

    /// Removes a name. Who has the file open keeps it.
    ///
    /// # Errors
    ///
    /// When there is no such file, or the life has ended.
    pub fn remove(&self, call: &Call, path: &Path) -> Result<(), BlockingError> {
        call.pause()?;
        Ok(self.io.remove(path)?)
    }

    /// Gives the file `from` the name `to`, which another file may have had. Both must be in one directory.
    ///
    /// # Errors
    ///
    /// When there is no such file, or the life has ended.
    pub fn rename(&self, call: &Call, from: &Path, to: &Path) -> Result<(), BlockingError> {
        call.pause()?;
        Ok(self.disk.rename(from, to)?)
    }

    /// The names in a directory, in order. No scheduling point.
    pub fn list(&self, directory: &Path) -> Vec<PathBuf> {
        self.disk.list(directory)
    }

    /// Makes what has happened to the names of a directory last. It takes its time and may fail, as any sync.
    ///
    /// # Errors
    ///
    /// When the sync fails, or the life has ended.
    pub fn sync_directory(&self, call: &Call, directory: &Path) -> Result<(), BlockingError> {
        let directory = self.disk.directory_in(self.life, directory);
        finish(call, || directory.start(Submission::sync(|_| {}))).map(drop)
    }
}

/// An open file, for code that blocks. Offsets and lengths are in bytes.
pub struct BlockingFile {
    file: Arc<dyn File>,
}

impl std::fmt::Debug for BlockingFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockingFile").finish_non_exhaustive()
    }
}

impl BlockingFile {
    /// Reads what is at `offset`. Returns how many bytes there were; the rest of `target` is left as it was.
    ///
    /// # Errors
    ///
    /// When the read fails, or the life has ended.
    pub fn read(&self, call: &Call, offset: u64, target: &mut [u8]) -> Result<usize, BlockingError> {
        let landed = Arc::new(Mutex::new(None));
        let landing = Arc::clone(&landed);
        let land = move |_, buffer: Buffer| *landing.lock() = Some(buffer);
        let read =
            finish(call, || self.file.start(Submission::read(offset, Buffer::zeroed(target.len()), land)))?;
        let count = (read as usize).min(target.len());
        let buffer = landed.lock().take();
        buffer.inspect(|buffer| target[..count].copy_from_slice(&buffer[..count]));
        Ok(count)
    }

    /// Writes `source` at `offset`. Returns how many of its bytes were written, from the first on: a disk may write less.
    ///
    /// # Errors
    ///
    /// When the write fails, or the life has ended.
    pub fn write(&self, call: &Call, offset: u64, source: &[u8]) -> Result<usize, BlockingError> {
        let write = Submission::write(offset, Buffer::copy_of(source), |_, _| {});
        finish(call, || self.file.start(write)).map(|written| written as usize)
    }

    /// Makes what was written last.
    ///
    /// # Errors
    ///
    /// When the sync fails, or the life has ended.
    pub fn sync(&self, call: &Call) -> Result<(), BlockingError> {
        finish(call, || self.file.start(Submission::sync(|_| {}))).map(drop)
    }

    /// Cuts or extends the file.
    ///
    /// # Errors
    ///
    /// When it fails, or the life has ended.
    pub fn truncate(&self, call: &Call, len: u64) -> Result<(), BlockingError> {
        finish(call, || self.file.start(Submission::truncate(len, |_| {}))).map(drop)
    }

    /// How long the file is. No scheduling point.
    ///
    /// # Errors
    ///
    /// When the life has ended.
    pub fn len(&self) -> Result<u64, BlockingError> {
        self.file.len().map_err(BlockingError::Io)
    }

    /// Whether the file has no bytes.
    ///
    /// # Errors
    ///
    /// When the life has ended.
    pub fn is_empty(&self) -> Result<bool, BlockingError> {
        self.len().map(|len| len == 0)
    }
}

/// Starts an operation and waits for it. After the life has ended none is started.
fn finish(call: &Call, start: impl FnOnce() -> Completion) -> Result<u64, BlockingError> {
    if call.is_gone() {
        // It counts as a late call.
        call.pause()?;
    }
    call.wait(&start())?.map_err(BlockingError::Io)
}
