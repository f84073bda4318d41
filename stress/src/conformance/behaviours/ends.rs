//! When the engine is told of an end, and of which.

use super::super::rig::{NAME, Rig, Seen, Verdict, pattern, what};
use super::super::{Adapter, Request};
use super::transfers::compare;

const LEN: usize = 1_000;

/// One request of each kind.
fn each_kind(bytes: &[u8]) -> [Request<'_>; 4] {
    [
        Request::Read { offset: 0, len: LEN },
        Request::Write { offset: 50, bytes },
        Request::Sync,
        Request::Truncate { len: 700 },
    ]
}

pub(super) fn the_engine_is_told_in_time<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.open(NAME)?;
    rig.fill(&file, 1, 0, LEN)?;
    let bytes = pattern(2, 50, 100);
    for request in each_kind(&bytes) {
        let operation = rig.begin(&file, request)?;
        if rig.is_told(&operation) {
            return Err(format!(
                "the engine is told that {} has ended before the disk has ended it",
                what(request)
            ));
        }
        rig.settle()?;
        rig.ended(&operation, request)?
            .map_err(|error| format!("{} fails without a fault: {error}", what(request)))?;
        // Nor later: another operation ends.
        rig.done(&file, Request::Sync)?;
        let _ = rig.ended(&operation, request)?;
    }
    Ok(Seen::Kept)
}

/// Operations in flight together end in both orders. Each kind with each.
pub(super) fn an_end_belongs_to_its_own_operation<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.open(NAME)?;
    rig.fill(&file, 1, 0, LEN)?;
    let bytes = pattern(2, 50, 100);
    for first in each_kind(&bytes) {
        for second in each_kind(&bytes) {
            for index in [0, 1] {
                let operations = [rig.begin(&file, first)?, rig.begin(&file, second)?];
                let kinds = [first, second];
                if rig.due() != 2 {
                    return Err(format!(
                        "{} and {} were submitted, and {} operations of the disk are in flight",
                        what(first),
                        what(second),
                        rig.due()
                    ));
                }
                rig.deliver(index as u32);
                let (ended, other) = (index, 1 - index);
                if rig.is_told(&operations[other]) {
                    return Err(format!(
                        "{} has ended, and the engine is told so of {}, submitted {} it",
                        what(kinds[ended]),
                        what(kinds[other]),
                        if other == 0 { "before" } else { "after" }
                    ));
                }
                let _ = rig.ended(&operations[ended], kinds[ended])?;
                rig.settle()?;
                for (operation, request) in operations.iter().zip(kinds) {
                    let _ = rig.ended(operation, request)?;
                }
            }
        }
    }
    Ok(Seen::Kept)
}

pub(super) fn operations_that_end_at_once<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.open(NAME)?;
    rig.fill(&file, 1, 0, LEN)?;
    let bytes = pattern(2, 50, 100);
    for request in each_kind(&bytes) {
        let operation = rig.begin(&file, request)?;
        let outcome = rig.ended(&operation, request)?;
        outcome.map_err(|error| format!("{} fails without a fault: {error}", what(request)))?;
    }
    Ok(Seen::Kept)
}

pub(super) fn overlapping_writes<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.open(NAME)?;
    rig.fill(&file, 1, 0, LEN)?;
    let (one, two) = (pattern(2, 100, 500), pattern(3, 300, 500));
    let requests = [Request::Write { offset: 100, bytes: &one }, Request::Write { offset: 300, bytes: &two }];
    for first_to_end in [0, 1] {
        let operations = [rig.begin(&file, requests[0])?, rig.begin(&file, requests[1])?];
        rig.deliver(first_to_end);
        rig.settle()?;
        for (operation, request) in operations.iter().zip(requests) {
            rig.ended(operation, request)?
                .map_err(|error| format!("{} fails without a fault: {error}", what(request)))?;
        }
        let mut expected = pattern(1, 0, LEN);
        let in_order = [(300, &two), (100, &one)];
        let (first, last) = (in_order[1 - first_to_end as usize], in_order[first_to_end as usize]);
        for (offset, bytes) in [first, last] {
            expected[offset..offset + 500].copy_from_slice(bytes);
        }
        let found = rig.content(NAME);
        if found != expected {
            let order = ["as they were submitted", "in the other order"][first_to_end as usize];
            return Err(format!(
                "two writes that overlap end {order}, and the file does not have the bytes of the one that ended last"
            ));
        }
        rig.fill(&file, 1, 0, LEN)?;
    }
    Ok(Seen::Kept)
}

pub(super) fn reads_have_buffers_of_their_own<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.open(NAME)?;
    rig.fill(&file, 1, 0, LEN)?;
    for first_to_end in [0, 1] {
        let requests = [Request::Read { offset: 0, len: 300 }, Request::Read { offset: 500, len: 300 }];
        let reads = [rig.begin(&file, requests[0])?, rig.begin(&file, requests[1])?];
        rig.deliver(first_to_end);
        rig.settle()?;
        // The file changes, and is read again: neither reaches a buffer that the engine has back.
        rig.fill(&file, 2, 0, LEN)?;
        rig.done(&file, Request::Read { offset: 0, len: 300 })?;
        for (read, offset) in reads.iter().zip([0, 500]) {
            let request = Request::Read { offset, len: 300 };
            let count = rig.ended(read, request)?;
            let count = count.map_err(|error| format!("{} fails without a fault: {error}", what(request)))?;
            compare(rig, read, count, &pattern(1, offset, 300))
                .map_err(|wrong| format!("of two reads that were in flight together: {wrong}"))?;
        }
        rig.fill(&file, 1, 0, LEN)?;
    }
    Ok(Seen::Kept)
}

/// Short writes too: the engine has its buffer back when it is told of the end, and what it then does to it must not reach the disk.
pub(super) fn buffers_after_the_end<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.open(NAME)?;
    rig.fill(&file, 1, 0, LEN)?;
    rig.strike(true);
    let bytes = pattern(2, 0, LEN);
    let request = Request::Write { offset: 0, bytes: &bytes };
    let write = rig.begin(&file, request)?;
    while !rig.is_told(&write) && rig.due() > 0 {
        rig.deliver(0);
    }
    rig.adapter.reuse(&write, 0xee);
    rig.strike(false);
    rig.settle()?;
    let Ok(count) = rig.ended(&write, request)? else { return Ok(Seen::Kept) };
    match rig.content(NAME).get(..count as usize) == Some(&bytes[..count as usize]) {
        true => Ok(Seen::Kept),
        false => {
            Err("the buffer of a write is used after the engine was told of its end, and has new bytes in it"
                .into())
        }
    }
}

pub(super) fn the_step_ends_what_is_in_flight<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    const STEPS: u32 = 1_000;
    let file = rig.open(NAME)?;
    if !rig.adapter.step() {
        return Ok(Seen::Absent);
    }
    let bytes = pattern(1, 0, LEN);
    let write = rig.begin(&file, Request::Write { offset: 0, bytes: &bytes })?;
    for _ in 0..STEPS {
        if rig.is_told(&write) {
            break;
        }
        rig.adapter.step();
    }
    if !rig.is_told(&write) {
        return Err(format!("after {STEPS} steps of its own the engine is not told that a write has ended"));
    }
    match rig.content(NAME) == bytes {
        true => Ok(Seen::Kept),
        false => Err("the engine's own step ends a write that the disk has not done".into()),
    }
}
