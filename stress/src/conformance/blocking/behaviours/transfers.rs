//! Bytes arrive where they belong.

use super::super::Adapter;
use super::super::rig::Rig;
use super::{NAME, Verdict, difference, kept, pattern};

const LEN: usize = 3_000;

pub(super) fn reads_back_what_was_written<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.opened(NAME)?;
    rig.filled(&file, 1, 0, LEN)?;
    rig.filled(&file, 2, 700, 900)?;
    if rig.adapter.path("other") != rig.adapter.path(NAME) {
        let other = rig.opened("other")?;
        rig.filled(&other, 3, 0, LEN)?;
    }
    let mut expected = pattern(1, 0, LEN);
    expected[700..1_600].copy_from_slice(&pattern(2, 700, 900));
    let content = rig.content(NAME).unwrap_or_default();
    if content != expected {
        return Err(format!("writes have ended, and the file has {}", difference(&expected, &content)));
    }
    for (from, to) in [(0, LEN), (650, 1_700), (1, 2)] {
        let found = rig.read(&file, from as u64, to - from)?;
        let found = found.map_err(|error| format!("a read fails without a fault: {error}"))?;
        if found != expected[from..to] {
            return Err(format!("a read at {from} brings {}", difference(&expected[from..to], &found)));
        }
    }
    let length = rig.length(&file)?;
    kept(length == LEN as u64, || format!("{LEN} bytes were written, and the length is {length}"))
}

pub(super) fn a_read_ends_at_the_end_of_the_file<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.opened(NAME)?;
    rig.filled(&file, 1, 0, 100)?;
    match rig.read(&file, 60, 100)? {
        Ok(found) if !rig.adapter.reads_past_the_end() => {
            Err(format!("40 of 100 bytes are there, and a read tells of {} and no error", found.len()))
        }
        Ok(found) => kept(found == pattern(1, 60, 40), || {
            format!("40 bytes are there, and a read brings {}", difference(&pattern(1, 60, 40), &found))
        }),
        Err(error) => kept(!rig.adapter.reads_past_the_end(), || {
            format!("a read past the end of the file is an error: {error}")
        }),
    }
}

pub(super) fn a_truncation_sets_the_length<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.opened(NAME)?;
    rig.filled(&file, 1, 0, LEN)?;
    let mut expected = pattern(1, 0, 1_000);
    for len in [1_000, 2_000] {
        rig.truncated(&file, len)?;
        let told = rig.length(&file)?;
        if told != len {
            return Err(format!("a file was truncated to {len} bytes, and the length is {told}"));
        }
    }
    expected.resize(2_000, 0);
    let content = rig.content(NAME).unwrap_or_default();
    kept(content == expected, || {
        format!("a file was cut and extended, and has {}", difference(&expected, &content))
    })
}

pub(super) fn a_short_read_is_continued<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.opened(NAME)?;
    rig.filled(&file, 1, 0, LEN)?;
    rig.strike(true);
    let found = rig.read(&file, 0, LEN)?;
    let found = found.map_err(|error| format!("a short read is told as an error: {error}"))?;
    kept(found == pattern(1, 0, LEN), || {
        format!("the disk has read less than it was asked for, and the engine gets {}", {
            difference(&pattern(1, 0, LEN), &found)
        })
    })
}

pub(super) fn a_short_write_is_continued<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.opened(NAME)?;
    rig.strike(true);
    rig.filled(&file, 1, 0, LEN)?;
    let content = rig.content(NAME).unwrap_or_default();
    kept(content == pattern(1, 0, LEN), || {
        format!("the disk has written less than it was asked for, and the file has {}", {
            difference(&pattern(1, 0, LEN), &content)
        })
    })
}
