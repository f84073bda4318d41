//! Cancelling what the kernel holds: a read from a pipe without a writer stays with it until it is cancelled.
#![cfg(target_os = "linux")]

use std::io::Write;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;
use tenterhook_runtime::io::{Buffer, File, IO, OpenOptions, Submission, UringIO};
use tenterhook_runtime::{Completion, CompletionError};

/// A ring for one operation at a time, and a pipe that it reads from.
struct Pipe {
    io: UringIO,
    file: Arc<dyn File>,
    folder: TempDir,
}

impl Pipe {
    fn new() -> Self {
        let io = UringIO::stepped(NonZero::<u32>::MIN).expect("io_uring");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pipe");
        mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).expect("a named pipe");
        let file = io.open(&path, OpenOptions::default()).expect("a named pipe opens");
        Self { io, file, folder }
    }

    /// A read that the kernel holds; the flag says whether its buffer has come back.
    fn read(&self) -> (Completion, Arc<AtomicBool>) {
        let returned = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&returned);
        let read = Submission::read(0, Buffer::zeroed(4), move |_, _| flag.store(true, SeqCst));
        (self.file.start(read), returned)
    }

    fn write(&self, bytes: &[u8]) {
        let mut writer =
            std::fs::OpenOptions::new().write(true).open(self.folder.path().join("pipe")).unwrap();
        writer.write_all(bytes).unwrap();
    }

    fn wait(&self, completion: &Completion) {
        while !completion.finished() {
            self.io.step().unwrap();
        }
    }
}

/// D15. Broken once by finishing in `cancel`: the buffer came back while the kernel could still write to it.
#[test]
fn a_cancelled_read_keeps_its_buffer_until_the_kernel_has_let_go() {
    let pipe = Pipe::new();
    let (read, returned) = pipe.read();
    assert_eq!(pipe.io.step(), Ok(0), "nothing is written");
    read.cancel();
    assert!(!read.finished() && !returned.load(SeqCst), "a cancel is a request");
    pipe.wait(&read);
    assert_eq!(read.result(), Some(Err(CompletionError::Cancelled)));
    assert!(returned.load(SeqCst));
}

/// A cancel that comes too late leaves the real outcome.
#[test]
fn a_read_that_was_done_when_the_cancel_came_is_done() {
    let pipe = Pipe::new();
    let (read, _) = pipe.read();
    pipe.io.step().unwrap();
    pipe.write(b"weft");
    read.cancel();
    pipe.wait(&read);
    assert!(matches!(read.result(), Some(Ok(4) | Err(CompletionError::Cancelled))), "{:?}", read.result());
    // The ring continues, and an answer to the old request hits no operation.
    let (next, _) = pipe.read();
    pipe.write(b"warp");
    pipe.wait(&next);
    assert_eq!(next.result(), Some(Ok(4)));
}

/// D16. What waits for a place in the ring is not started, so it ends at once, and never reaches the kernel.
#[test]
fn a_cancelled_operation_in_the_backlog_ends_at_once() {
    let pipe = Pipe::new();
    let (first, _) = pipe.read();
    let (second, returned) = pipe.read();
    pipe.io.step().unwrap();
    second.cancel();
    assert_eq!(second.result(), Some(Err(CompletionError::Cancelled)));
    assert!(returned.load(SeqCst));
    pipe.write(b"weft");
    pipe.wait(&first);
    assert_eq!(first.result(), Some(Ok(4)));
    // The place that the first one left is free, not taken by the second.
    let (third, _) = pipe.read();
    pipe.write(b"warp");
    pipe.wait(&third);
    assert_eq!(third.result(), Some(Ok(4)));
}

/// The kernel is asked for everything, and has let go of it, when the drop returns.
#[test]
fn dropping_the_ring_waits_for_the_kernel() {
    let pipe = Pipe::new();
    let (first, returned) = pipe.read();
    let (second, _) = pipe.read();
    pipe.io.step().unwrap();
    drop(pipe.io);
    assert_eq!(first.result(), Some(Err(CompletionError::Cancelled)));
    assert!(returned.load(SeqCst));
    assert_eq!(second.result(), Some(Err(CompletionError::Abandoned)));
}

/// The same with a thread that reaps.
#[test]
fn a_cancel_reaches_the_kernel_through_the_reaper() {
    let io = UringIO::new(NonZero::<u32>::MIN).expect("io_uring");
    let pipe = Pipe::new();
    let file = io.open(&pipe.folder.path().join("pipe"), OpenOptions::default()).unwrap();
    let read = file.start(Submission::read(0, Buffer::zeroed(4), |_, _| {}));
    read.cancel();
    assert_eq!(read.wait(), Err(CompletionError::Cancelled));
    let held = file.start(Submission::read(0, Buffer::zeroed(4), |_, _| {}));
    drop(io);
    assert_eq!(held.result(), Some(Err(CompletionError::Cancelled)));
}
