//! redb's storage on the simulated disk.

use std::io::{Error, ErrorKind};
use std::path::Path;

use redb::StorageBackend;
use tenterhook_runtime::io::OpenOptions;
use tenterhook_stress::blocking::{BlockingDisk, BlockingError, BlockingFile, Call};

use crate::plan::Broken;

const DIRECTORY: &str = "d";
pub(crate) const PATH: &str = "d/data.redb";

/// A file of the disk, used from whichever job runs.
#[derive(Debug)]
pub(crate) struct Backend {
    file: BlockingFile,
    /// On purpose: syncs end well and do nothing.
    ignores_syncs: bool,
}

impl Backend {
    /// Opens the file, or makes it; its name is to last.
    pub(crate) fn open(
        call: &Call,
        disk: &BlockingDisk,
        broken: Option<Broken>,
    ) -> Result<Backend, BlockingError> {
        let file = disk.open(Path::new(PATH), OpenOptions::creating())?;
        disk.sync_directory(call, Path::new(DIRECTORY))?;
        Ok(Backend { file, ignores_syncs: broken == Some(Broken::Sync) })
    }
}

/// The job in this thread. A database that is dropped after its life finds none.
fn call() -> Result<Call, Error> {
    Call::here().ok_or_else(|| Error::from(ErrorKind::NotConnected))
}

impl StorageBackend for Backend {
    fn len(&self) -> Result<u64, Error> {
        Ok(self.file.len()?)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        let call = call()?;
        let mut filled = 0;
        while filled < out.len() {
            match self.file.read(&call, offset + filled as u64, &mut out[filled..])? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        Ok(self.file.truncate(&call()?, len)?)
    }

    fn sync_data(&self) -> Result<(), Error> {
        if self.ignores_syncs {
            return Ok(());
        }
        Ok(self.file.sync(&call()?)?)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        let call = call()?;
        let mut written = 0;
        while written < data.len() {
            match self.file.write(&call, offset + written as u64, &data[written..])? {
                0 => return Err(ErrorKind::WriteZero.into()),
                count => written += count,
            }
        }
        Ok(())
    }
}
