//! What the author of an adapter writes for the suite.

use std::path::PathBuf;

use crate::blocking::Call;

/// An adapter whose calls block, as its engine sees it: each function calls the engine's trait as the engine does. Offsets and lengths
/// are in bytes. The suite makes one for each life.
pub trait Adapter: Send + Sync + 'static {
    /// An open file, as the engine has it.
    type File: Send + Sync + 'static;

    /// Opens the file `name`, and makes it if there is none.
    ///
    /// # Errors
    ///
    /// What the engine is told when the disk refuses.
    fn open(&self, call: &Call, name: &str) -> Result<Self::File, String>;

    /// Reads what is at `offset`. Returns how many bytes there were: all, unless the file ends before.
    ///
    /// # Errors
    ///
    /// What the engine is told when the read fails.
    fn read(&self, call: &Call, file: &Self::File, offset: u64, target: &mut [u8]) -> Result<usize, String>;

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    ///
    /// What the engine is told when the write fails.
    fn write(&self, call: &Call, file: &Self::File, offset: u64, bytes: &[u8]) -> Result<(), String>;

    /// Makes durable what was written.
    ///
    /// # Errors
    ///
    /// What the engine is told when the sync fails.
    fn sync(&self, call: &Call, file: &Self::File) -> Result<(), String>;

    /// Sets the file's length.
    ///
    /// # Errors
    ///
    /// What the engine is told when it fails.
    fn truncate(&self, call: &Call, file: &Self::File, len: u64) -> Result<(), String>;

    /// The file's length.
    ///
    /// # Errors
    ///
    /// What the engine is told when the length is not known.
    fn len(&self, call: &Call, file: &Self::File) -> Result<u64, String>;

    /// Whether a read that goes past the end of the file returns what there is. If not, it is an error.
    fn reads_past_the_end(&self) -> bool {
        true
    }

    /// What the engine does, beside [`sync`](Adapter::sync), so that the name of a file lasts. Nothing, if the adapter does it by itself.
    ///
    /// # Errors
    ///
    /// What the engine is told when it fails.
    fn keep_name(&self, call: &Call, name: &str) -> Result<(), String> {
        let _ = (call, name);
        Ok(())
    }

    /// Removes a file. `None` if the engine's trait has no such call.
    fn remove(&self, call: &Call, name: &str) -> Option<Result<(), String>> {
        let _ = (call, name);
        None
    }

    /// Gives a file another name. `None` if the engine's trait has no such call.
    fn rename(&self, call: &Call, from: &str, to: &str) -> Option<Result<(), String>> {
        let _ = (call, from, to);
        None
    }

    /// Locks the file against other processes, alone or with others that read. Returns whether it was granted; `None` if the engine's trait
    /// has no such call.
    fn lock(&self, call: &Call, file: &Self::File, alone: bool) -> Option<bool> {
        let _ = (call, file, alone);
        None
    }

    /// Gives up the lock.
    fn unlock(&self, call: &Call, file: &Self::File) {
        let _ = (call, file);
    }

    /// The path on the disk of the file that the engine calls `name`. Of an engine with one file, it is the same for each name.
    fn path(&self, name: &str) -> PathBuf {
        name.into()
    }
}
