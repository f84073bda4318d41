//! Bytes and lengths.

use super::super::rig::{NAME, Rig, Seen, Verdict, pattern};
use super::super::{Adapter, Request};

/// Odd, so that nothing is a multiple of a sector.
const LEN: usize = 3_001;

/// What a read that ended well has to have in its buffer.
pub(super) fn compare<A: Adapter>(
    rig: &Rig<'_, A>,
    read: &A::Operation,
    count: u64,
    expected: &[u8],
) -> Result<(), String> {
    let buffer = rig.adapter.buffer(read);
    let count = count as usize;
    if buffer.len() < count {
        return Err(format!("a read of {count} bytes has a buffer of {}", buffer.len()));
    }
    match (0..count).find(|&place| expected.get(place) != Some(&buffer[place])) {
        None => Ok(()),
        Some(place) => Err(format!(
            "a read returns {:#04x} at byte {place} of {count}, and the file has {:x?} there",
            buffer[place],
            expected.get(place)
        )),
    }
}

pub(super) fn reads_back_what_was_written<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let (file, other) = (rig.open(NAME)?, rig.open("another")?);
    rig.fill(&other, 9, 0, 100)?;
    rig.fill(&file, 1, 0, LEN)?;
    rig.fill(&file, 2, 700, 600)?;
    let mut expected = pattern(1, 0, LEN);
    expected[700..1_300].copy_from_slice(&pattern(2, 700, 600));
    let found = rig.content(NAME);
    if found != expected {
        let place = (0..LEN).find(|&place| found.get(place) != expected.get(place)).unwrap_or(LEN);
        return Err(format!(
            "after two writes of {LEN} bytes at 0 and of 600 at 700 the file has {} bytes, wrong from byte {place} on",
            found.len()
        ));
    }
    for (offset, len) in [(0, LEN), (650, 100), (1_299, 2)] {
        let (read, outcome) = rig.run_with(&file, Request::Read { offset: offset as u64, len })?;
        let count = outcome.map_err(|error| format!("a read fails without a fault: {error}"))?;
        if count != len as u64 {
            return Err(format!("a read of {len} bytes at {offset} returns {count}"));
        }
        compare(rig, &read, count, &expected[offset..])?;
    }
    match rig.content("another") == pattern(9, 0, 100) {
        true => Ok(Seen::Kept),
        false => Err("a write to one file changes another".into()),
    }
}

pub(super) fn a_read_ends_at_the_end_of_the_file<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.open(NAME)?;
    rig.fill(&file, 1, 0, LEN)?;
    for (offset, expected) in [(LEN - 40, 40), (LEN, 0), (10 * LEN, 0)] {
        let (read, outcome) = rig.run_with(&file, Request::Read { offset: offset as u64, len: 100 })?;
        // An adapter may also refuse: the engine is not deceived.
        let Ok(count) = outcome else { continue };
        if count != expected {
            return Err(format!(
                "a read of 100 bytes at {offset} of a file of {LEN} returns {count}, not {expected}"
            ));
        }
        compare(rig, &read, count, &pattern(1, offset as u64, count as usize))?;
    }
    Ok(Seen::Kept)
}

pub(super) fn a_truncation_sets_the_length<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.open(NAME)?;
    let expect = |rig: &mut Rig<'_, A>, expected: u64| match rig.adapter.len(&file) {
        Ok(len) if len == expected => Ok(()),
        other => Err(format!("the length is {expected}, and the engine is told {other:?}")),
    };
    expect(rig, 0)?;
    rig.fill(&file, 1, 0, LEN)?;
    expect(rig, LEN as u64)?;
    rig.done(&file, Request::Truncate { len: 300 })?;
    expect(rig, 300)?;
    rig.done(&file, Request::Truncate { len: 600 })?;
    expect(rig, 600)?;
    let mut expected = pattern(1, 0, 300);
    expected.resize(600, 0);
    match rig.content(NAME) == expected {
        true => Ok(Seen::Kept),
        false => {
            Err("after truncations to 300 and to 600 bytes the file is not 300 bytes and 300 zeros".into())
        }
    }
}

pub(super) fn a_short_read_is_no_whole_one<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.open(NAME)?;
    rig.fill(&file, 1, 0, LEN)?;
    rig.strike(true);
    let (read, outcome) = rig.run_with(&file, Request::Read { offset: 100, len: 2_000 })?;
    rig.strike(false);
    let count = outcome.map_err(|error| format!("a short read is told as an error: {error}"))?;
    if count > 2_000 {
        return Err(format!("a read of 2000 bytes returns {count}"));
    }
    compare(rig, &read, count, &pattern(1, 100, 2_000))?;
    is_whole(rig, count, 2_000, "read")
}

pub(super) fn a_short_write_is_no_whole_one<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.open(NAME)?;
    rig.fill(&file, 1, 0, LEN)?;
    rig.strike(true);
    let bytes = pattern(2, 100, 2_000);
    let outcome = rig.run(&file, Request::Write { offset: 100, bytes: &bytes })?;
    rig.strike(false);
    let count = outcome.map_err(|error| format!("a short write is told as an error: {error}"))?;
    if count > 2_000 {
        return Err(format!("a write of 2000 bytes has written {count}"));
    }
    if rig.content(NAME).get(100..100 + count as usize) != Some(&bytes[..count as usize]) {
        return Err(format!("the engine is told of {count} bytes, and fewer were written"));
    }
    is_whole(rig, count, 2_000, "write")
}

/// Where the adapter continues, the engine is told of whole transfers only.
fn is_whole<A: Adapter>(rig: &Rig<'_, A>, count: u64, len: u64, kind: &str) -> Verdict {
    if rig.adapter.continues() && count < len {
        return Err(format!("a short {kind} is not continued: the engine is told of {count} bytes of {len}"));
    }
    Ok(Seen::Kept)
}
