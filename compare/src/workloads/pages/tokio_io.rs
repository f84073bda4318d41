//! A backend as one writes it on tokio: a blocking call for each operation, on the pool that tokio has for that.

use std::fs::File as StdFile;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use tenterhook_runtime::io::{File, IO, InFlight, IoError, OpenOptions, Operation, Submission};
use tenterhook_runtime::{CompletionError, Outcome};
use tokio::runtime::Handle;

/// See the module.
pub(super) struct TokioIO {
    runtime: Handle,
}

impl TokioIO {
    pub(super) fn new(runtime: Handle) -> Self {
        Self { runtime }
    }
}

struct TokioFile {
    file: Arc<StdFile>,
    runtime: Handle,
}

impl IO for TokioIO {
    fn open(&self, path: &Path, options: OpenOptions) -> Result<Arc<dyn File>, IoError> {
        let opened =
            StdFile::options().read(true).write(true).create(options.create).truncate(false).open(path);
        let file = opened.map_err(|error| refusal("open", path, &error))?;
        if options.exclusive {
            file.try_lock().map_err(|_| IoError::locked(path, 0))?;
        }
        Ok(Arc::new(TokioFile { file: Arc::new(file), runtime: self.runtime.clone() }))
    }

    fn remove(&self, path: &Path) -> Result<(), IoError> {
        std::fs::remove_file(path).map_err(|error| refusal("remove", path, &error))
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    /// Its own threads bring everything forward.
    fn step(&self) -> Result<usize, IoError> {
        Ok(0)
    }
}

fn refusal(operation: &'static str, path: &Path, error: &io::Error) -> IoError {
    IoError {
        operation,
        path: Some(path.to_owned()),
        kind: error.kind(),
        os_code: error.raw_os_error().unwrap_or(0),
    }
}

impl File for TokioFile {
    fn submit(&self, submission: Submission) {
        let file = Arc::clone(&self.file);
        self.runtime.spawn_blocking(move || {
            if let Ok(mut operation) = submission.start(None) {
                let outcome = run(&file, &mut operation);
                operation.finish(outcome);
            }
        });
    }

    fn len(&self) -> Result<u64, CompletionError> {
        self.file.metadata().map(|data| data.len()).map_err(|error| CompletionError::from_io(&error))
    }
}

fn run(file: &StdFile, operation: &mut InFlight) -> Outcome {
    let moved = match operation.operation() {
        Operation::Read { offset, buffer } => read(file, offset, buffer),
        Operation::Write { offset, buffers } => {
            let mut at = offset;
            buffers
                .iter()
                .try_for_each(|buffer| {
                    file.write_all_at(buffer, at)?;
                    at += buffer.len() as u64;
                    Ok(())
                })
                .map(|()| at - offset)
        }
        Operation::Sync => file.sync_data().map(|()| 0),
        Operation::Truncate { len } => file.set_len(len).map(|()| 0),
    };
    moved.map_err(|error| CompletionError::from_io(&error))
}

fn read(file: &StdFile, offset: u64, buffer: &mut [u8]) -> io::Result<u64> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled as u64)
}
