//! A backend, a folder for its files, and the way to make it go on.

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;
use tenterhook_runtime::io::{
    Buffer, File, IO, IoError, MemoryIO, OpenOptions, Submission, ThreadsIO, UringIO, YieldingIO,
};
use tenterhook_runtime::{Completion, Outcome};

/// A backend in one of its modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Memory,
    Yielding,
    Threads,
    ThreadsStepped,
    Uring,
    UringStepped,
}

impl Backend {
    pub(crate) const ALL: [Self; 6] =
        [Self::Memory, Self::Yielding, Self::Threads, Self::ThreadsStepped, Self::Uring, Self::UringStepped];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Yielding => "yielding",
            Self::Threads => "threads",
            Self::ThreadsStepped => "threads-stepped",
            Self::Uring => "uring",
            Self::UringStepped => "uring-stepped",
        }
    }

    /// Whether its files are the system's.
    pub(crate) fn is_real(self) -> bool {
        !matches!(self, Self::Memory | Self::Yielding)
    }
}

/// No file in memory grows beyond this; on a real disk the process's limit is set to it where it matters.
pub(crate) const DISK: u64 = 64 << 20;

/// Few, so that the ring fills up.
const ENTRIES: NonZero<u32> = NonZero::new(8).unwrap();
const THREADS: NonZero<usize> = NonZero::new(3).unwrap();

enum Steps {
    /// By calling [`IO::step`].
    Step,
    /// By releasing what is deferred.
    Release(Arc<YieldingIO>),
}

pub(crate) struct Rig {
    pub(crate) backend: Backend,
    io: Option<Arc<dyn IO>>,
    steps: Steps,
    folder: TempDir,
}

impl Rig {
    pub(crate) fn new(backend: Backend) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut steps = Steps::Step;
        let io: Arc<dyn IO> = match backend {
            Backend::Memory => Arc::new(MemoryIO::limited(DISK)),
            Backend::Yielding => {
                let io = Arc::new(YieldingIO::limited(DISK));
                steps = Steps::Release(Arc::clone(&io));
                io
            }
            Backend::Threads => Arc::new(ThreadsIO::new(THREADS).expect("threads")),
            Backend::ThreadsStepped => Arc::new(ThreadsIO::stepped(THREADS).expect("threads")),
            Backend::Uring => Arc::new(UringIO::new(ENTRIES).expect("io_uring")),
            Backend::UringStepped => Arc::new(UringIO::stepped(ENTRIES).expect("io_uring")),
        };
        Self { backend, io: Some(io), steps, folder }
    }

    pub(crate) fn io(&self) -> &Arc<dyn IO> {
        self.io.as_ref().expect("not dropped yet")
    }

    /// Drops the backend.
    pub(crate) fn drop_io(mut self) -> TempDir {
        self.io = None;
        self.steps = Steps::Step;
        self.folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn open(&self, name: &str) -> Arc<dyn File> {
        self.try_open(name, OpenOptions::creating()).expect("a new file")
    }

    pub(crate) fn try_open(&self, name: &str, options: OpenOptions) -> Result<Arc<dyn File>, IoError> {
        self.io().open(&self.path(name), options)
    }

    /// Brings operations forward without waiting for any.
    pub(crate) fn step(&self) {
        match &self.steps {
            Steps::Step => {
                self.io().step().expect("the backend continues");
            }
            Steps::Release(io) => io.release_all(),
        }
    }

    /// Makes the backend go on until `completion` has finished.
    pub(crate) fn wait(&self, completion: &Completion) -> Outcome {
        loop {
            self.step();
            if let Some(outcome) = completion.result() {
                return outcome;
            }
            self.io().pause(completion).expect("the backend continues");
        }
    }

    pub(crate) fn write(&self, file: &Arc<dyn File>, offset: u64, bytes: &[u8]) -> Outcome {
        self.wait(&file.start(Submission::write(offset, Buffer::copy_of(bytes), |_, _| {})))
    }

    /// What is in the file from `offset` on: at most `len` bytes.
    pub(crate) fn read(&self, file: &Arc<dyn File>, offset: u64, len: usize) -> Vec<u8> {
        let (sender, receiver) = std::sync::mpsc::channel();
        let callback = move |outcome: Outcome, buffer: Buffer| {
            let read = outcome.expect("a read ends well");
            sender.send(buffer[..usize::try_from(read).unwrap()].to_vec()).expect("the reader waits");
        };
        self.wait(&file.start(Submission::read(offset, Buffer::zeroed(len), callback)))
            .expect("a read ends well");
        receiver.recv().expect("the callback ran")
    }
}
