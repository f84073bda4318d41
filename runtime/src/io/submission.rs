//! An operation in flight through a backend.

use std::fmt;
use std::ptr::NonNull;
use std::sync::Weak;

use super::operation::Payload;
use super::{Buffer, DIRECT_ALIGNMENT, Descriptor, Operation, OperationKind};
use crate::completion::{CompleterOf, Head, Header, Kind};
use crate::sync::UnsafeCell;
use crate::{Completer, Completion, CompletionError, Outcome};

/// Where a backend takes requests to cancel what it has started.
pub trait Canceller: Send + Sync {
    /// A caller requests the end of the operation that was started with `token`. Called at most once for each, from
    /// any thread, possibly before [`Submission::start`] has returned, and possibly after the operation has ended. So a
    /// backend that has made the token findable looks at [`InFlight::cancel_requested`] once. Must not block. The backend ends the operation when it
    /// has let go of its buffers, with [`CompletionError::Cancelled`] or with the real outcome.
    fn cancel(&self, token: u64);
}

/// The part of a completion's node that only I/O has.
struct IoCore {
    descriptor: Descriptor,
    /// Whether direct I/O can move the payload. Noted at birth: later only the payload's owner may look at it.
    aligned: bool,
    /// With the backend from a won `start` on, with the callback from a won claim on; never with both, because a
    /// started operation is only claimed by its backend.
    payload: UnsafeCell<Payload>,
    /// Written before `start` publishes it, then read-only. Weak: a backend owns its operations, not they it.
    canceller: UnsafeCell<Option<(Weak<dyn Canceller>, u64)>>,
}

impl Kind for IoCore {
    fn cancel(head: &Head<Self>, _: &mut Vec<NonNull<Header>>) {
        // SAFETY: the caller saw STARTED with Acquire, and no thread writes after `start`.
        let canceller = head.kind.canceller.with(|cell| unsafe { (*cell).clone() });
        if let Some((canceller, token)) = canceller
            && let Some(canceller) = canceller.upgrade()
        {
            canceller.cancel(token);
        }
    }
}

impl IoCore {
    /// # Safety
    ///
    /// The caller is the operation's callback, which runs once.
    unsafe fn take_payload(&self) -> Payload {
        // SAFETY: the claimer is alone with the payload, see the field.
        self.payload.with_mut(|cell| unsafe { std::mem::take(&mut *cell) })
    }
}

/// An operation that no backend has started.
///
/// Dropping it abandons the operation: its callback runs at once, with [`CompletionError::Abandoned`]. A pattern that
/// names no variable drops it, too: `let (read, _) = Submission::read(..)` abandons the read in that line.
#[must_use = "an operation that is not submitted is abandoned"]
pub struct Submission {
    completer: CompleterOf<IoCore>,
}

/// An operation that was not started: it was cancelled before, or no file can do it.
///
/// Dropping it ends an operation that was refused, and that runs the operation's callback: drop it where no lock is held.
#[must_use = "dropping it can run a callback, which must not happen under a lock"]
pub struct Unstarted {
    /// Nothing when it was cancelled; then it has ended.
    refused: Option<(Completer, CompletionError)>,
}

/// An operation that a backend has started. Dropping it abandons the operation: only do that when nothing can touch
/// its buffers any more.
#[must_use = "an operation in flight has to be finished"]
pub struct InFlight {
    completer: CompleterOf<IoCore>,
}

impl Submission {
    /// Fill `buffer` from byte `offset`. The callback gets the buffer back, whatever the outcome.
    pub fn read(
        offset: u64,
        buffer: Buffer,
        callback: impl FnOnce(Outcome, Buffer) + Send + 'static,
    ) -> (Completion, Self) {
        let descriptor = Descriptor { kind: OperationKind::Read, offset, len: buffer.len() as u64 };
        Self::pair(descriptor, Payload::One(buffer), |outcome, payload| callback(outcome, payload.into_one()))
    }

    /// Write `buffer` from byte `offset` on. The callback gets the buffer back, whatever the outcome.
    pub fn write(
        offset: u64,
        buffer: Buffer,
        callback: impl FnOnce(Outcome, Buffer) + Send + 'static,
    ) -> (Completion, Self) {
        let descriptor = Descriptor { kind: OperationKind::Write, offset, len: buffer.len() as u64 };
        Self::pair(descriptor, Payload::One(buffer), |outcome, payload| callback(outcome, payload.into_one()))
    }

    /// Write `buffers`, one after the other, from byte `offset` on. The callback gets them back.
    pub fn write_vectored(
        offset: u64,
        buffers: Vec<Buffer>,
        callback: impl FnOnce(Outcome, Vec<Buffer>) + Send + 'static,
    ) -> (Completion, Self) {
        let len = buffers.iter().map(|buffer| buffer.len() as u64).sum();
        let descriptor = Descriptor { kind: OperationKind::Write, offset, len };
        Self::pair(descriptor, Payload::Many(buffers), |outcome, payload| {
            callback(outcome, payload.into_many())
        })
    }

    /// Make everything that ended before this was submitted durable.
    pub fn sync(callback: impl FnOnce(Outcome) + Send + 'static) -> (Completion, Self) {
        let descriptor = Descriptor { kind: OperationKind::Sync, offset: 0, len: 0 };
        Self::pair(descriptor, Payload::None, |outcome, _| callback(outcome))
    }

    /// Set the file's length to `len` bytes.
    pub fn truncate(len: u64, callback: impl FnOnce(Outcome) + Send + 'static) -> (Completion, Self) {
        let descriptor = Descriptor { kind: OperationKind::Truncate, offset: len, len: 0 };
        Self::pair(descriptor, Payload::None, |outcome, _| callback(outcome))
    }

    fn pair(
        descriptor: Descriptor,
        payload: Payload,
        callback: impl FnOnce(Outcome, Payload) + Send + 'static,
    ) -> (Completion, Self) {
        let core = IoCore {
            descriptor,
            aligned: payload.is_aligned(),
            payload: UnsafeCell::new(payload),
            canceller: UnsafeCell::new(None),
        };
        let (completion, completer) = Completion::of_kind(core, move |core: &IoCore, outcome| {
            // SAFETY: this is the callback.
            callback(outcome, unsafe { core.take_payload() });
        });
        (completion, Self { completer })
    }

    /// What is asked for.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        self.completer.kind().descriptor
    }

    /// Whether direct I/O can do the operation: offset, lengths and addresses are multiples of
    /// [`DIRECT_ALIGNMENT`](super::DIRECT_ALIGNMENT).
    pub(super) fn is_aligned(&self) -> bool {
        let core = self.completer.kind();
        let moves_bytes = matches!(core.descriptor.kind, OperationKind::Read | OperationKind::Write);
        !moves_bytes || core.aligned && core.descriptor.offset.is_multiple_of(DIRECT_ALIGNMENT as u64)
    }

    /// Takes the operation up, unless it was cancelled before. An operation that reaches beyond byte `i64::MAX` is
    /// refused with [`InvalidInput`](std::io::ErrorKind::InvalidInput).
    ///
    /// Without a canceller a later cancel leaves only a mark, see [`InFlight::cancel_requested`].
    pub fn start(mut self, canceller: Option<(Weak<dyn Canceller>, u64)>) -> Result<InFlight, Unstarted> {
        if let Err(error) = self.descriptor().check() {
            return Err(self.refuse(error));
        }
        // SAFETY: before `start` no thread reads the cell, and only the holder of the submission writes it.
        self.completer.kind().canceller.with_mut(|cell| unsafe { *cell = canceller });
        if self.completer.start() {
            Ok(InFlight { completer: self.completer })
        } else {
            Err(Unstarted { refused: None })
        }
    }

    /// Has the operation end with `error` when the result is dropped.
    pub(super) fn refuse(self, error: CompletionError) -> Unstarted {
        Unstarted { refused: Some((self.completer.into_completer(), error)) }
    }

    /// Ends the operation as though its callback had panicked. The callback is not called, and is leaked.
    pub(super) fn end_without_callback(self) {
        self.completer.into_completer().end_without_callback();
    }

    /// Refuses the operation: it ends with `error`.
    pub fn fail(self, error: CompletionError) {
        let _ = self.completer.into_completer().fail(error);
    }
}

impl InFlight {
    /// What was asked for.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        self.completer.kind().descriptor
    }

    /// The operation and its bytes. They stay where they are until the operation is finished, however this handle
    /// moves.
    pub fn operation(&mut self) -> Operation<'_> {
        self.split().0
    }

    /// The operation, and who knows whether it is still wanted.
    pub(super) fn split(&mut self) -> (Operation<'_>, &Completer) {
        let core = self.completer.kind();
        // SAFETY: started, so the payload is the backend's, and `&mut self` makes this its only view.
        let payload = core.payload.with_mut(|cell| unsafe { &mut *cell });
        (payload.view(core.descriptor), &self.completer)
    }

    /// Whether the operation's end was requested.
    #[must_use]
    pub fn cancel_requested(&self) -> bool {
        self.completer.cancel_requested()
    }

    /// Ends the operation. Nothing may touch its buffers any more.
    pub fn finish(self, outcome: Outcome) {
        let _ = self.completer.into_completer().finish(outcome);
    }
}

impl Unstarted {
    /// Why it was refused; `None` when it was cancelled.
    #[must_use]
    pub fn error(&self) -> Option<CompletionError> {
        self.refused.as_ref().map(|(_, error)| *error)
    }
}

impl Unstarted {
    /// Ends a refused operation as though its callback had panicked. The callback is not called, and is leaked.
    pub(super) fn end_without_callback(mut self) {
        if let Some((completer, _)) = self.refused.take() {
            completer.end_without_callback();
        }
    }
}

impl Drop for Unstarted {
    fn drop(&mut self) {
        if let Some((completer, error)) = self.refused.take() {
            let _ = completer.fail(error);
        }
    }
}

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Submission").field(&self.descriptor()).finish()
    }
}

impl fmt::Debug for Unstarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unstarted").field("error", &self.error()).finish()
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InFlight").field(&self.descriptor()).finish()
    }
}
