//! Errors are handed on, each as that of its own call.

use std::sync::Arc;

use super::super::Adapter;
use super::super::rig::Rig;
use super::{NAME, Seen, Verdict, difference, pattern};
use crate::blocking::Call;
use crate::disk::FaultKind;

const LEN: usize = 1_000;

/// Calls while `fault` may strike. The engine must be told of an error if it has, and of none if it has not.
fn arrives<A: Adapter, R: Send + 'static>(
    rig: &mut Rig<'_, A>,
    file: &Arc<A::File>,
    (what, fault): (&str, FaultKind),
    call: impl FnOnce(&A, &Call, &A::File) -> Result<R, String> + Send + 'static,
) -> Verdict {
    rig.strike(true);
    let before = rig.delivered(fault);
    let used = Arc::clone(file);
    let done = rig.call(move |adapter, here| call(adapter, here, &used).map(drop))?;
    rig.strike(false);
    match (done, rig.delivered(fault) > before) {
        (Ok(()), true) => Err(format!("{what} has failed, and the engine is told that it ended well")),
        (Err(error), false) => Err(format!("{what} fails without a fault: {error}")),
        (Ok(()), false) | (Err(_), true) => {
            // The next call is another one's error no more.
            rig.synced(file)?;
            Ok(Seen::Kept)
        }
    }
}

pub(super) fn of_a_read<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.opened(NAME)?;
    rig.filled(&file, 1, 0, LEN)?;
    arrives(rig, &file, ("a read", FaultKind::ReadError), |adapter, call, file| {
        adapter.read(call, file, 0, &mut vec![0; LEN])
    })
}

fn write<A: Adapter>(adapter: &A, call: &Call, file: &A::File) -> Result<(), String> {
    adapter.write(call, file, 0, &pattern(2, 0, LEN))
}

pub(super) fn of_a_write<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.opened(NAME)?;
    arrives(rig, &file, ("a write", FaultKind::WriteError), write)
}

pub(super) fn of_a_full_disk<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.opened(NAME)?;
    arrives(rig, &file, ("a write", FaultKind::NoSpace), write)
}

pub(super) fn of_a_sync<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.opened(NAME)?;
    rig.filled(&file, 1, 0, LEN)?;
    arrives(rig, &file, ("a sync", FaultKind::SyncFailed), |adapter, call, file| adapter.sync(call, file))
}

pub(super) fn of_a_truncation<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.opened(NAME)?;
    rig.filled(&file, 1, 0, LEN)?;
    arrives(rig, &file, ("a truncation", FaultKind::TruncateError), |adapter, call, file| {
        adapter.truncate(call, file, 10)
    })
}

pub(super) fn of_an_opening<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    rig.strike(true);
    let opened = rig.call(|adapter, call| adapter.open(call, NAME).map(drop))?;
    match (opened, rig.delivered(FaultKind::OpenError) > 0) {
        (Ok(()), true) => {
            Err("the disk has refused to open a file, and the engine is told that it is open".into())
        }
        (Err(error), false) => Err(format!("a file is not opened, and no fault has struck: {error}")),
        (Ok(()), false) | (Err(_), true) => Ok(Seen::Kept),
    }
}

/// Short transfers and errors: what was told to have ended well is whole.
pub(super) fn in_the_rest<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.opened(NAME)?;
    rig.filled(&file, 1, 0, LEN)?;
    rig.strike(true);
    if let Ok(found) = rig.read(&file, 0, LEN)?
        && found != pattern(1, 0, LEN)
    {
        let seen = difference(&pattern(1, 0, LEN), &found);
        return Err(format!("the rest of a read failed, and the engine is told of {seen}"));
    }
    let used = Arc::clone(&file);
    let written = rig.call(move |adapter, call| write(adapter, call, &used))?;
    let content = rig.content(NAME).unwrap_or_default();
    if written.is_ok() && content != pattern(2, 0, LEN) {
        let seen = difference(&pattern(2, 0, LEN), &content);
        return Err(format!(
            "the rest of a write failed, it is told to have ended well, and the file has {seen}"
        ));
    }
    Ok(Seen::Kept)
}
