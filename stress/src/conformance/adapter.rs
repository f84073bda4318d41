//! What the author of an adapter writes for the suite.

use std::path::PathBuf;

/// What the engine asks of a file. Offsets and lengths are in bytes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Read `len` bytes from `offset` on.
    Read {
        /// Where it begins.
        offset: u64,
        /// The size of the engine's buffer.
        len: usize,
    },
    /// Write `bytes` from `offset` on.
    Write {
        /// Where it begins.
        offset: u64,
        /// The engine's buffer.
        bytes: &'a [u8],
    },
    /// Make durable what has ended.
    Sync,
    /// Set the file's length.
    Truncate {
        /// The new length.
        len: u64,
    },
}

/// An adapter as its engine sees it: each function calls the engine's trait as the engine does. The suite makes one for each life.
///
/// The adapter submits to the disk when it is asked, with one operation of the disk for each request, and with further ones only for the
/// rest of a short transfer. The suite ends the disk's operations itself, in orders of its choice.
pub trait Adapter {
    /// An open file, as the engine has it.
    type File;
    /// An operation that was submitted, with its buffer: the engine's completion, for instance.
    type Operation;

    /// Opens the file `name`, and makes it if there is none.
    ///
    /// # Errors
    ///
    /// What the engine is told when the disk refuses.
    fn open(&mut self, name: &str) -> Result<Self::File, String>;

    /// Submits an operation. An error that the engine's trait returns at once is an end, too: it is what [`outcome`](Adapter::outcome)
    /// says from then on, and [`ends`](Adapter::ends) counts it.
    fn submit(&mut self, file: &Self::File, request: Request<'_>) -> Self::Operation;

    /// The file's length.
    ///
    /// # Errors
    ///
    /// What the engine is told when the length is not known.
    fn len(&mut self, file: &Self::File) -> Result<u64, String>;

    /// How often the engine was told that the operation has ended: calls of its callback, or wakes of its waker. If the engine only asks,
    /// 1 once the answer is yes.
    fn ends(&self, operation: &Self::Operation) -> u32;

    /// With what it has ended: the bytes moved (any number for a sync or a truncation), or the engine's error. `None` while it has not.
    fn outcome(&self, operation: &Self::Operation) -> Option<Result<u64, String>>;

    /// What the buffer of a read holds now. Asked from the end of the read on.
    fn buffer(&self, operation: &Self::Operation) -> Vec<u8>;

    /// The engine fills the buffer of a write that has ended with `byte`, as it may. Nothing to be done if the engine's trait takes
    /// the buffer away for good.
    fn reuse(&mut self, operation: &Self::Operation, byte: u8) {
        let _ = (operation, byte);
    }

    /// The engine cancels an operation. Returns whether its trait can.
    fn cancel(&mut self, operation: &Self::Operation) -> bool {
        let _ = operation;
        false
    }

    /// The engine's own step of its I/O. Returns whether its trait has one.
    fn step(&mut self) -> bool {
        false
    }

    /// Whether the adapter asks for the rest of a short transfer, so that the engine is told of whole ones. If not, the engine is told
    /// how much was moved.
    fn continues(&self) -> bool {
        true
    }

    /// The path on the disk of the file that the engine calls `name`.
    fn path(&self, name: &str) -> PathBuf {
        name.into()
    }
}
