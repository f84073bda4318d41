//! What the disk writes to the trace, as numbers and in words.

use tenterhook_runtime::io::OperationKind;
use tenterhook_runtime::{CompletionError, Outcome};

use super::queue::Pending;
use super::{FaultKind, Place, State};
use crate::tape::Actor;
use crate::trace::{Event, EventKind};

impl State {
    pub(super) fn log(&mut self, kind: EventKind, pending: &mut Pending, value: u64) {
        self.keep_place(pending);
        let operation = pending.operation.descriptor().kind;
        let fault = pending.fault.map_or(0, |fault| fault as u32 + 1);
        let detail = operation_code(operation) | (pending.file & 0xff) << 4 | fault << 12;
        self.events.push(Event { actor: Actor::DISK, kind, detail, value });
    }
}

fn operation_code(kind: OperationKind) -> u32 {
    match kind {
        OperationKind::Read => 1,
        OperationKind::Write => 2,
        OperationKind::Sync => 3,
        OperationKind::Truncate => 4,
    }
}

/// The kind of operation that a disk's event is about.
pub(crate) fn operation_kind(detail: u32) -> Option<OperationKind> {
    match detail & 0xf {
        1 => Some(OperationKind::Read),
        2 => Some(OperationKind::Write),
        3 => Some(OperationKind::Sync),
        4 => Some(OperationKind::Truncate),
        _ => None,
    }
}

/// Whether a disk's event is the end of an operation that was cancelled.
pub(crate) fn is_cancelled(event: &Event) -> bool {
    event.kind == EventKind::Delivered && event.detail >> 12 == FaultKind::Cancelled as u32 + 1
}

const CANCELLED: u64 = 1 << 33;
const NO_SPACE: u64 = 1 << 34;
const FAILED: u64 = 1 << 35;

/// A number that stands for an outcome in the trace: bytes, or a bit above them.
pub(super) fn outcome_code(outcome: Outcome) -> u64 {
    match outcome {
        Ok(bytes) => bytes,
        Err(CompletionError::Cancelled) => CANCELLED,
        Err(CompletionError::NoSpace) => NO_SPACE,
        Err(_) => FAILED,
    }
}

/// Bits of a submission's value that say how many bytes it is about; those above say from where on.
pub(super) const LEN_BITS: u32 = 24;

/// What a disk's event is about, for people: the operation, and the fault that will hit it.
pub(crate) fn describe_operation(detail: u32) -> String {
    let operation = ["?", "read", "write", "sync", "truncate"].get(detail as usize & 0xf).unwrap_or(&"?");
    let fault = (detail >> 12).checked_sub(1).and_then(|fault| FaultKind::ALL.get(fault as usize));
    fault.map_or((*operation).into(), |fault| format!("{operation} ({})", fault.name()))
}

/// What a disk's event says, for people.
pub(crate) fn describe_event(detail: u32, value: u64) -> String {
    format!("{} of file {}, {value:#x}", describe_operation(detail), detail >> 4 & 0xff)
}

/// How an operation on `place` ended, for people, from the value of its event.
pub(crate) fn describe_end(place: &Place, value: u64) -> String {
    let moves = matches!(place.kind, OperationKind::Read | OperationKind::Write);
    match value {
        NO_SPACE => "no space is left".into(),
        CANCELLED => "cancelled".into(),
        FAILED => "I/O error".into(),
        bytes if moves && bytes != place.len => format!("{bytes} of {} bytes", place.len),
        _ => "done".into(),
    }
}
