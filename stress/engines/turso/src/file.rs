//! A file of the simulated disk as turso_core's `File`.

use std::sync::Arc;

use tenterhook_runtime::CompletionError as DiskError;
use tenterhook_runtime::io::{Buffer, File as DiskFile, Submission};
use turso_core::io::FileSyncType;
use turso_core::{Completion, CompletionError, File};

#[derive(Clone)]
pub(crate) struct SimFile {
    file: Arc<dyn DiskFile>,
    /// On purpose: syncs end well and do nothing.
    ignores_syncs: bool,
}

impl SimFile {
    pub(crate) fn new(file: Arc<dyn DiskFile>, ignores_syncs: bool) -> SimFile {
        SimFile { file, ignores_syncs }
    }

    /// Reads what is left of a read. A device may return less than there is, and the backends of turso_core ask again then.
    fn read_rest(&self, position: u64, read: usize, completion: Completion) {
        let length = completion.as_read().buf().len();
        let file = self.clone();
        let land = move |outcome: Result<u64, DiskError>, bytes: Buffer| {
            let count = match outcome {
                Ok(count) => (count as usize).min(bytes.len()),
                Err(error) => return fail(&completion, error, "read"),
            };
            // SAFETY of the slice is turso_core's: the buffer is the completion's, and no one else has it until that has finished.
            completion.as_read().buf().as_mut_slice()[read..read + count].copy_from_slice(&bytes[..count]);
            let read = read + count;
            let end = file.file.len().unwrap_or(0);
            if count == 0 || read == length || position + read as u64 >= end {
                return completion.complete(read as i32);
            }
            file.read_rest(position, read, completion);
        };
        self.file.submit(Submission::read(position + read as u64, Buffer::zeroed(length - read), land).1);
    }

    /// Writes what is left of a write. Its bytes were copied when it began.
    fn write_rest(&self, position: u64, written: usize, bytes: Arc<[u8]>, completion: Completion) {
        let file = self.clone();
        let buffer = Buffer::copy_of(&bytes[written..]);
        let land = move |outcome: Result<u64, DiskError>, _: Buffer| {
            let written = match outcome {
                Ok(count) => written + count as usize,
                Err(error) => return fail(&completion, error, "write"),
            };
            if written >= bytes.len() {
                return completion.complete(bytes.len() as i32);
            }
            file.write_rest(position, written, bytes, completion);
        };
        self.file.submit(Submission::write(position + written as u64, buffer, land).1);
    }
}

/// An operation that died with its life never ends, as in a process that was killed.
fn fail(completion: &Completion, error: DiskError, what: &'static str) {
    let kind = match error {
        DiskError::Abandoned => return,
        DiskError::NoSpace => std::io::ErrorKind::StorageFull,
        DiskError::Io { kind, .. } => kind,
        _ => std::io::ErrorKind::Other,
    };
    completion.error(CompletionError::IOError(kind, what));
}

impl File for SimFile {
    fn lock_file(&self, _exclusive: bool) -> turso_core::Result<()> {
        Ok(())
    }

    fn unlock_file(&self) -> turso_core::Result<()> {
        Ok(())
    }

    fn pread(&self, position: u64, completion: Completion) -> turso_core::Result<Completion> {
        self.read_rest(position, 0, completion.clone());
        Ok(completion)
    }

    fn pwrite(
        &self,
        position: u64,
        buffer: Arc<turso_core::Buffer>,
        completion: Completion,
    ) -> turso_core::Result<Completion> {
        self.write_rest(position, 0, buffer.as_slice().into(), completion.clone());
        Ok(completion)
    }

    fn pwritev(
        &self,
        position: u64,
        buffers: Vec<Arc<turso_core::Buffer>>,
        completion: Completion,
    ) -> turso_core::Result<Completion> {
        let bytes: Vec<u8> = buffers.iter().flat_map(|buffer| buffer.as_slice()).copied().collect();
        self.write_rest(position, 0, bytes.into(), completion.clone());
        Ok(completion)
    }

    fn sync(&self, completion: Completion, _: FileSyncType) -> turso_core::Result<Completion> {
        if self.ignores_syncs {
            completion.complete(0);
            return Ok(completion);
        }
        let ended = completion.clone();
        let sync = Submission::sync(move |outcome| match outcome {
            Ok(_) => ended.complete(0),
            Err(error) => fail(&ended, error, "sync"),
        });
        self.file.submit(sync.1);
        Ok(completion)
    }

    fn size(&self) -> turso_core::Result<u64> {
        self.file.len().map_err(|_| CompletionError::IOError(std::io::ErrorKind::NotConnected, "size").into())
    }

    fn truncate(&self, length: u64, completion: Completion) -> turso_core::Result<Completion> {
        let ended = completion.clone();
        let truncate = Submission::truncate(length, move |outcome| match outcome {
            Ok(_) => ended.complete(0),
            Err(error) => fail(&ended, error, "truncate"),
        });
        self.file.submit(truncate.1);
        Ok(completion)
    }
}
