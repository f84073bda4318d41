//! Errors arrive, each once, and as those of their own operation.

use super::super::rig::{NAME, Rig, Seen, Verdict, pattern, what};
use super::super::{Adapter, Request};
use super::transfers::compare;
use crate::disk::FaultKind;

const LEN: usize = 1_000;

/// Runs `request` while `fault` may strike. The engine must be told of an error if it has, and of none if it has not.
fn arrives<A: Adapter>(
    rig: &mut Rig<'_, A>,
    file: &A::File,
    request: Request<'_>,
    fault: FaultKind,
) -> Verdict {
    rig.strike(true);
    let before = rig.disk.fault_counts().delivered(fault);
    let operation = rig.adapter.submit(file, request);
    rig.settle()?;
    rig.strike(false);
    let has_struck = rig.disk.fault_counts().delivered(fault) > before;
    match (rig.ended(&operation, request)?, has_struck) {
        (Ok(_), true) => {
            Err(format!("{} has failed, and the engine is told that it ended well", what(request)))
        }
        (Err(error), false) => Err(format!("{} fails without a fault: {error}", what(request))),
        (Ok(_), false) | (Err(_), true) => {
            // The next operation is another one's error no more.
            rig.done(file, Request::Sync)?;
            let _ = rig.ended(&operation, request)?;
            Ok(Seen::Kept)
        }
    }
}

pub(super) fn of_a_read<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.open(NAME)?;
    rig.fill(&file, 1, 0, LEN)?;
    arrives(rig, &file, Request::Read { offset: 0, len: LEN }, FaultKind::ReadError)
}

pub(super) fn of_a_write<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.open(NAME)?;
    arrives(rig, &file, Request::Write { offset: 0, bytes: &pattern(1, 0, LEN) }, FaultKind::WriteError)
}

pub(super) fn of_a_full_disk<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.open(NAME)?;
    arrives(rig, &file, Request::Write { offset: 0, bytes: &pattern(1, 0, LEN) }, FaultKind::NoSpace)
}

pub(super) fn of_a_sync<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.open(NAME)?;
    rig.fill(&file, 1, 0, LEN)?;
    arrives(rig, &file, Request::Sync, FaultKind::SyncFailed)
}

pub(super) fn of_a_truncation<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.open(NAME)?;
    rig.fill(&file, 1, 0, LEN)?;
    arrives(rig, &file, Request::Truncate { len: 10 }, FaultKind::TruncateError)
}

/// The error is there before the call that submits returns.
pub(super) fn of_a_submission<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.open(NAME)?;
    rig.fill(&file, 1, 0, LEN)?;
    let bytes = pattern(2, 0, 100);
    for request in [
        Request::Read { offset: 0, len: LEN },
        Request::Write { offset: 0, bytes: &bytes },
        Request::Sync,
        Request::Truncate { len: 10 },
    ] {
        arrives(rig, &file, request, FaultKind::SubmitRefused)?;
    }
    Ok(Seen::Kept)
}

pub(super) fn of_an_opening<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    rig.strike(true);
    let opened = rig.adapter.open(NAME);
    let has_struck = rig.disk.fault_counts().delivered(FaultKind::OpenError) > 0;
    match (opened, has_struck) {
        (Ok(_), true) => {
            Err("the disk has refused to open a file, and the engine is told that it is open".into())
        }
        (Err(error), false) => Err(format!("a file is not opened, and no fault has struck: {error}")),
        (Ok(_), false) | (Err(_), true) => Ok(Seen::Kept),
    }
}

/// Short transfers and errors: what was told to have ended well is whole where the adapter continues, and there in any case.
pub(super) fn in_the_rest<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.open(NAME)?;
    rig.fill(&file, 1, 0, LEN)?;
    let bytes = pattern(2, 0, LEN);
    let is_partial = |rig: &Rig<'_, A>, count: u64| rig.adapter.continues() && count < LEN as u64;
    rig.strike(true);
    let read = Request::Read { offset: 0, len: LEN };
    let (operation, outcome) = rig.run_with(&file, read)?;
    if let Ok(count) = outcome {
        compare(rig, &operation, count, &pattern(1, 0, LEN))?;
        if is_partial(rig, count) {
            return Err(format!(
                "the rest of a read failed, and the engine is told that {count} bytes are all"
            ));
        }
    }
    let outcome = rig.run(&file, Request::Write { offset: 0, bytes: &bytes })?;
    let Ok(count) = outcome else { return Ok(Seen::Kept) };
    if rig.content(NAME).get(..count as usize) != Some(&bytes[..count as usize]) {
        return Err(format!("the engine is told of {count} bytes of a write, and fewer were written"));
    }
    if is_partial(rig, count) {
        return Err(format!("the rest of a write failed, and the engine is told that {count} bytes are all"));
    }
    Ok(Seen::Kept)
}

/// The disk honours the cancel, or not. The engine is told of one end, after the disk has let go of the buffer.
pub(super) fn a_cancelled_operation_ends_once<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.open(NAME)?;
    rig.fill(&file, 1, 0, LEN)?;
    rig.strike(true);
    let bytes = pattern(2, 0, LEN);
    for request in [
        Request::Read { offset: 0, len: LEN },
        Request::Write { offset: 0, bytes: &bytes },
        Request::Sync,
        Request::Truncate { len: 10 },
    ] {
        let operation = rig.begin(&file, request)?;
        if !rig.adapter.cancel(&operation) {
            return Ok(Seen::Absent);
        }
        if rig.is_told(&operation) && rig.due() > 0 {
            return Err(format!(
                "{} is cancelled and told to have ended while the disk still has it",
                what(request)
            ));
        }
        let before = rig.disk.fault_counts().delivered(FaultKind::Cancelled);
        rig.settle()?;
        let was_cancelled = rig.disk.fault_counts().delivered(FaultKind::Cancelled) > before;
        match rig.ended(&operation, request)? {
            Ok(_) if was_cancelled => {
                return Err(format!(
                    "{} was cancelled, and the engine is told that it ended well",
                    what(request)
                ));
            }
            Err(error) if !was_cancelled => {
                return Err(format!(
                    "a cancel came too late for {}, and the engine is told: {error}",
                    what(request)
                ));
            }
            Ok(_) | Err(_) => {}
        }
        // A second cancel, after the end, changes nothing.
        rig.adapter.cancel(&operation);
        rig.done(&file, Request::Sync)?;
        let _ = rig.ended(&operation, request)?;
    }
    Ok(Seen::Kept)
}
