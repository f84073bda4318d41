//! The memory backend: what it does to operations that never run.

use std::sync::Arc;

use tenterhook_runtime::CompletionError;
use tenterhook_runtime::io::{Buffer, File, IO, MemoryIO, OpenOptions, Submission};

fn open(io: &MemoryIO) -> Arc<dyn File> {
    io.open("file".as_ref(), OpenOptions::creating()).expect("memory opens")
}

/// Broke once: the callback held the file, the file the queue, the queue the operation, and nothing ever ended.
#[test]
fn dropped_backend_abandons_what_is_queued() {
    let io = MemoryIO::new();
    let file = open(&io);
    let held = Arc::clone(&file);
    let completion = file.start(Submission::sync(move |_| drop(held)));
    drop(io);
    assert_eq!(completion.result(), Some(Err(CompletionError::Abandoned)));
}

#[test]
fn dropped_backend_abandons_what_is_submitted_later() {
    let io = MemoryIO::new();
    let file = open(&io);
    drop(io);
    let completion = file.start(Submission::sync(|_| {}));
    assert_eq!(completion.result(), Some(Err(CompletionError::Abandoned)));
}

#[test]
fn read_stops_at_the_end_and_empty_writes_move_nothing() {
    let io = MemoryIO::new();
    let file = open(&io);
    let empty = file.start(Submission::write(100, Buffer::default(), |_, _| {}));
    let write = file.start(Submission::write(2, Buffer::copy_of(b"warp"), |_, _| {}));
    let read = file.start(Submission::read(0, Buffer::zeroed(16), |outcome, buffer| {
        assert_eq!(outcome, Ok(6));
        assert_eq!(&buffer[..6], b"\0\0warp");
    }));
    assert_eq!(io.step(), Ok(3));
    assert_eq!((empty.result(), write.result(), read.result()), (Some(Ok(0)), Some(Ok(4)), Some(Ok(6))));
    assert_eq!(file.len(), Ok(6));
}
