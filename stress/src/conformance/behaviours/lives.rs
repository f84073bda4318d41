//! What the end of a life leaves.

use super::super::rig::{NAME, Rig, Seen, Verdict, pattern, what};
use super::super::{Adapter, Request};

const LEN: usize = 2_000;

pub(super) fn a_sync_covers_what_was_written<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.open(NAME)?;
    rig.fill(&file, 1, 0, LEN)?;
    rig.done(&file, Request::Sync)?;
    rig.done(&file, Request::Truncate { len: 1_500 })?;
    rig.fill(&file, 2, 600, 600)?;
    rig.done(&file, Request::Sync)?;
    rig.lose_power();
    let mut expected = pattern(1, 0, 1_500);
    expected[600..1_200].copy_from_slice(&pattern(2, 600, 600));
    match rig.content(NAME) == expected {
        true => Ok(Seen::Kept),
        false => {
            Err("a sync has ended, the power goes, and what had ended before the sync is not there".into())
        }
    }
}

/// The disk drops what was in flight, as it does when a world ends a life and memory is dropped.
pub(super) fn what_is_in_flight_is_never_told<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.open(NAME)?;
    rig.fill(&file, 1, 0, LEN)?;
    let bytes = pattern(2, 0, LEN);
    let requests = [
        Request::Read { offset: 0, len: LEN },
        Request::Write { offset: 0, bytes: &bytes },
        Request::Sync,
        Request::Truncate { len: 10 },
    ];
    let mut operations = Vec::new();
    for request in requests {
        operations.push(rig.begin(&file, request)?);
    }
    rig.kill_process();
    for (operation, request) in operations.iter().zip(requests) {
        if rig.is_told(operation) {
            return Err(format!(
                "the process was killed while {} was in flight, and the engine is told afterwards: {:?}",
                what(request),
                rig.adapter.outcome(operation)
            ));
        }
    }
    Ok(Seen::Kept)
}

pub(super) fn an_old_handle_does_nothing<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.open(NAME)?;
    rig.fill(&file, 1, 0, LEN)?;
    rig.done(&file, Request::Sync)?;
    rig.kill_process();
    let bytes = pattern(2, 0, LEN);
    for request in [Request::Write { offset: 0, bytes: &bytes }, Request::Truncate { len: 10 }, Request::Sync]
    {
        let operation = rig.adapter.submit(&file, request);
        rig.settle()?;
        if let Some(Ok(_)) = rig.adapter.outcome(&operation) {
            return Err(format!(
                "the process was killed, and {} through its old handle ends well",
                what(request)
            ));
        }
    }
    match rig.content(NAME) == pattern(1, 0, LEN) {
        true => Ok(Seen::Kept),
        false => {
            Err("the process was killed, and an operation through its old handle changes the file".into())
        }
    }
}
