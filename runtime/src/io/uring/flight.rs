//! One operation in flight through the ring, possibly in several pieces.

use std::sync::Arc;

use io_uring::opcode;
use io_uring::squeue::Entry;
use io_uring::types::{Fd, FsyncFlags};
use rustix::io::Errno;
use std::os::fd::AsRawFd;

use crate::io::DIRECT_ALIGNMENT;
use crate::io::posix::{PosixFile, short_write, slices_from};
use crate::io::{Buffer, InFlight, Operation};
use crate::{CompletionError, Outcome};

/// The most bytes in one piece: a length in the ring has 32 bits, and the kernel stops a page short of 2 GiB.
const PIECE: usize = 1 << 30;

/// Holds what the kernel may touch: the operation's buffers, the file, and the list of the buffers' parts.
pub(super) struct Flight {
    file: Arc<PosixFile>,
    in_flight: InFlight,
    /// Bytes moved so far.
    done: usize,
    /// What the kernel reads a vectored write's parts from; replaced when the next piece is built.
    parts: Vec<Part>,
    /// Whether the kernel has been asked to cancel it: once is enough, and bounds the number of answers.
    cancel_sent: bool,
    /// Whether it has been submitted again after the kernel had lost the thread that it came from.
    moved: bool,
}

/// The system's `iovec`.
#[repr(C)]
struct Part {
    address: *const u8,
    len: usize,
}

// SAFETY: the addresses are those of the operation's buffers, which go where the flight goes.
unsafe impl Send for Flight {}

/// What a completion queue entry makes of a flight.
pub(super) enum Advance {
    /// To be submitted again: the next piece, or the same one.
    Again,
    /// To be done without the ring, see [`Flight::run`].
    Here,
    Ended(Outcome),
}

impl Flight {
    pub(super) fn new(file: Arc<PosixFile>, in_flight: InFlight) -> Self {
        Self { file, in_flight, done: 0, parts: Vec::new(), cancel_sent: false, moved: false }
    }

    /// Whether a request to cancel is still to be sent; true once.
    pub(super) fn wants_cancel(&mut self) -> bool {
        !std::mem::replace(&mut self.cancel_sent, true)
    }

    /// Does the whole operation in this thread. The kernel has let go of it.
    pub(super) fn run(mut self) {
        let outcome = self.file.run(&mut self.in_flight);
        self.finish(outcome);
    }

    /// Ends the operation. The kernel has let go of it.
    pub(super) fn finish(self, outcome: Outcome) {
        let Self { file, in_flight, .. } = self;
        // Close the file first: a callback may open it again.
        drop(file);
        in_flight.finish(outcome);
    }

    /// The entry for the next piece. It points into this flight's buffers and `parts`, which must not go before the
    /// kernel has answered.
    pub(super) fn entry(&mut self) -> Entry {
        let fd = Fd(self.file.as_fd().as_raw_fd());
        let done = self.done;
        match self.in_flight.operation() {
            Operation::Read { offset, buffer } => {
                let rest = &mut buffer[done..];
                let len = rest.len().min(PIECE) as u32;
                opcode::Read::new(fd, rest.as_mut_ptr(), len).offset(offset + done as u64).build()
            }
            Operation::Write { offset, buffers: [buffer] } => {
                let rest = &buffer[done..];
                let len = rest.len().min(PIECE) as u32;
                opcode::Write::new(fd, rest.as_ptr(), len).offset(offset + done as u64).build()
            }
            Operation::Write { offset, buffers } => {
                self.parts = parts(buffers, done);
                opcode::Writev::new(fd, self.parts.as_ptr().cast(), self.parts.len() as u32)
                    .offset(offset + done as u64)
                    .build()
            }
            Operation::Sync => opcode::Fsync::new(fd).flags(FsyncFlags::DATASYNC).build(),
            Operation::Truncate { len } => opcode::Ftruncate::new(fd, len).build(),
        }
    }

    /// Takes the kernel's answer to the last entry: a number of bytes, or a negated error. When the ring is `closed` no one
    /// wants the rest.
    pub(super) fn advance(&mut self, answer: i32, closed: bool) -> Advance {
        let is_wanted = !closed && !self.in_flight.cancel_requested();
        let Ok(moved) = usize::try_from(answer) else {
            return self.refused(Errno::from_raw_os_error(-answer), is_wanted);
        };
        self.done += moved;
        let (wanted, reads) = match self.in_flight.operation() {
            Operation::Read { buffer, .. } => (buffer.len(), true),
            Operation::Write { buffers, .. } => (buffers.iter().map(|buffer| buffer.len()).sum(), false),
            Operation::Sync | Operation::Truncate { .. } => return Advance::Ended(Ok(0)),
        };
        let at_the_end = moved == 0 || (self.file.is_direct() && !moved.is_multiple_of(DIRECT_ALIGNMENT));
        match () {
            () if self.done == wanted || (reads && at_the_end) => Advance::Ended(Ok(self.done as u64)),
            () if moved == 0 => Advance::Ended(Err(short_write(wanted, self.done))),
            // A short transfer continues, unless the rest is not wanted.
            () if !is_wanted => Advance::Ended(Err(CompletionError::Cancelled)),
            () => Advance::Again,
        }
    }

    /// What an error makes of the flight.
    ///
    /// The kernel ties an entry to the thread that entered the kernel with it, which is not always the one that submitted
    /// it. When that thread ends, entries that have not begun are answered with CANCELED, and reads that wait for a page
    /// to come into the cache with FAULT, because the thread's memory is gone. Neither is the operation's own end.
    fn refused(&mut self, error: Errno, is_wanted: bool) -> Advance {
        match error {
            Errno::CANCELED | Errno::INTR | Errno::AGAIN | Errno::FAULT if !is_wanted => {
                Advance::Ended(Err(CompletionError::Cancelled))
            }
            Errno::CANCELED | Errno::INTR | Errno::AGAIN => Advance::Again,
            // Once more through the ring, since nearly always that is enough. The second time it may be a fault of the file's
            // own, or another thread has ended: a plain system call tells them apart.
            Errno::FAULT if self.moved => Advance::Here,
            Errno::FAULT => {
                self.moved = true;
                Advance::Again
            }
            error => Advance::Ended(Err(CompletionError::from_io(&error.into()))),
        }
    }
}

fn parts(buffers: &[Buffer], done: usize) -> Vec<Part> {
    slices_from(buffers, done)
        .iter()
        .map(|slice| Part { address: slice.as_ptr(), len: slice.len() })
        .collect()
}

#[cfg(all(test, not(any(tenterhook_loom, tenterhook_shuttle))))]
mod tests {
    use super::*;
    use crate::Completion;
    use crate::io::{OpenOptions, Submission};

    /// A vectored write of 3 x 8 bytes that the kernel has been given.
    fn flight() -> (Completion, Flight, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let file = PosixFile::open(&folder.path().join("file"), OpenOptions::creating()).unwrap();
        let buffers = (0..3).map(|_| Buffer::zeroed(8)).collect();
        let (completion, submission) = Submission::write_vectored(0, buffers, |_, _| {});
        let in_flight = submission.start(None).expect("not cancelled");
        (completion, Flight::new(Arc::new(file), in_flight), folder)
    }

    fn parts_of(flight: &mut Flight) -> Vec<usize> {
        let _ = flight.entry();
        flight.parts.iter().map(|part| part.len).collect()
    }

    #[test]
    fn a_short_write_continues_where_it_stopped() {
        let (_, mut flight, _folder) = flight();
        assert_eq!(parts_of(&mut flight), [8, 8, 8]);
        assert!(matches!(flight.advance(11, false), Advance::Again));
        assert_eq!(parts_of(&mut flight), [5, 8]);
        assert!(matches!(flight.advance(13, false), Advance::Ended(Ok(24))));
        flight.finish(Ok(24));
    }

    /// D16. Broken once by leaving out the question: the rest of a cancelled write was submitted.
    #[test]
    fn a_short_write_that_was_cancelled_does_not_go_on() {
        let (completion, mut flight, _folder) = flight();
        completion.cancel();
        assert!(matches!(flight.advance(11, false), Advance::Ended(Err(CompletionError::Cancelled))));
        flight.finish(Err(CompletionError::Cancelled));
    }

    /// D19. A negative answer is an error, whatever came before it.
    #[test]
    fn an_error_in_the_second_piece_is_the_write_s() {
        let (_, mut flight, _folder) = flight();
        assert!(matches!(flight.advance(11, false), Advance::Again));
        let answer = -Errno::NOSPC.raw_os_error();
        assert!(matches!(flight.advance(answer, false), Advance::Ended(Err(CompletionError::NoSpace))));
        flight.finish(Err(CompletionError::NoSpace));
    }

    /// Broke once: every FAULT was the operation's end, although the thread that had submitted was gone and not the memory.
    #[test]
    fn fault_of_an_ended_thread_is_told_from_the_file_s_own() {
        let (completion, mut flight, _folder) = flight();
        let answer = -Errno::FAULT.raw_os_error();
        assert!(matches!(flight.advance(answer, false), Advance::Again));
        assert!(matches!(flight.advance(answer, false), Advance::Here));
        flight.run();
        assert_eq!(completion.result(), Some(Ok(24)));
    }

    #[test]
    fn fault_of_a_cancelled_operation_ends_it() {
        let (completion, mut flight, _folder) = flight();
        completion.cancel();
        let answer = -Errno::FAULT.raw_os_error();
        assert!(matches!(flight.advance(answer, false), Advance::Ended(Err(CompletionError::Cancelled))));
        flight.finish(Err(CompletionError::Cancelled));
    }

    #[test]
    fn operation_that_the_kernel_gave_up_is_submitted_again_unless_cancelled() {
        for error in [Errno::INTR, Errno::AGAIN, Errno::CANCELED] {
            let (completion, mut flight, _folder) = flight();
            let answer = -error.raw_os_error();
            assert!(matches!(flight.advance(answer, false), Advance::Again));
            let cancelled = Err(CompletionError::Cancelled);
            assert!(matches!(flight.advance(answer, true), Advance::Ended(end) if end == cancelled));
            completion.cancel();
            assert!(matches!(flight.advance(answer, false), Advance::Ended(end) if end == cancelled));
            flight.finish(cancelled);
        }
    }
}
