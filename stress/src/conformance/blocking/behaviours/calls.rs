//! Calls wait, and connections see each other.

use std::sync::Arc;

use super::super::Adapter;
use super::super::rig::Rig;
use super::{NAME, Seen, Verdict, difference, kept, pattern};

const LEN: usize = 1_000;

pub(super) fn a_call_comes_back_when_it_has_ended<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.opened(NAME)?;
    rig.filled(&file, 1, 0, LEN)?;
    let (written, synced, cut) = (Arc::clone(&file), Arc::clone(&file), Arc::clone(&file));
    let calls = [
        rig.call(move |adapter, call| adapter.write(call, &written, 0, &pattern(2, 0, LEN)))
            .map(|_| ("a write", rig.disk.load().0))?,
        rig.call(move |adapter, call| adapter.sync(call, &synced)).map(|_| ("a sync", rig.disk.load().0))?,
        rig.call(move |adapter, call| adapter.truncate(call, &cut, 10))
            .map(|_| ("a truncation", rig.disk.load().0))?,
    ];
    match calls.into_iter().find(|(_, in_flight)| *in_flight > 0) {
        Some((what, _)) => Err(format!("{what} has come back, and the disk still has it in flight")),
        None => Ok(Seen::Kept),
    }
}

/// One waits for the disk. The other goes through whole.
pub(super) fn another_connection_may_call_meanwhile<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.opened(NAME)?;
    rig.filled(&file, 1, 0, LEN)?;
    let used = Arc::clone(&file);
    let under_way = rig.begin(0, move |adapter, call| {
        let mut bytes = vec![0; LEN];
        adapter.read(call, &used, 0, &mut bytes).map(|count| (bytes, count))
    });
    if !under_way.waits() {
        return Err("a read does not wait for the disk".into());
    }
    let written = rig.call_as(1, move |adapter, call| {
        let file = adapter.open(call, NAME)?;
        adapter.write(call, &file, LEN as u64, &pattern(2, 0, LEN))
    })?;
    written.map_err(|error| format!("a write beside a read fails without a fault: {error}"))?;
    let read = rig.finish(under_way)?;
    let (found, count) =
        read.map_err(|error| format!("a read beside a write fails without a fault: {error}"))?;
    kept(count == LEN && found == pattern(1, 0, LEN), || {
        format!("beside a write of another connection a read brings {}", {
            difference(&pattern(1, 0, LEN), &found[..count.min(LEN)])
        })
    })
}

pub(super) fn locks_keep_others_out<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let mut files = Vec::new();
    for fiber in [0, 1] {
        let file = rig.call_as(fiber, |adapter, call| adapter.open(call, NAME))?;
        files.push(Arc::new(file.map_err(|error| format!("a file is not opened again: {error}"))?));
    }
    let lock = |rig: &mut Rig<'_, A>, fiber: u32, alone| {
        let file = Arc::clone(&files[fiber as usize]);
        rig.call_as(fiber, move |adapter, call| adapter.lock(call, &file, alone))
    };
    let unlock = |rig: &mut Rig<'_, A>, fiber: u32| {
        let file = Arc::clone(&files[fiber as usize]);
        rig.call_as(fiber, move |adapter, call| adapter.unlock(call, &file))
    };
    if lock(rig, 0, false)?.is_none() {
        return Ok(Seen::Absent);
    }
    if lock(rig, 1, false)? != Some(true) {
        return Err("one reads, and another one that reads gets no lock".into());
    }
    if lock(rig, 1, true)? != Some(false) {
        return Err("one reads, and another one has the lock alone".into());
    }
    unlock(rig, 1)?;
    unlock(rig, 0)?;
    if lock(rig, 1, true)? != Some(true) {
        return Err("all have given up their locks, and none is had alone".into());
    }
    if lock(rig, 0, false)? != Some(false) {
        return Err("one has the lock alone, and another one reads".into());
    }
    unlock(rig, 1)?;
    unlock(rig, 0)?;
    kept(lock(rig, 0, false)? == Some(true), || {
        "a lock was had alone and given up, and no other one reads".into()
    })
}

pub(super) fn a_removed_file_is_gone<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.opened(NAME)?;
    rig.filled(&file, 1, 0, LEN)?;
    drop(file);
    match rig.call(|adapter, call| adapter.remove(call, NAME))? {
        None => Ok(Seen::Absent),
        Some(Err(error)) => Err(format!("a removal fails without a fault: {error}")),
        Some(Ok(())) => kept(rig.content(NAME).is_none(), || "a file was removed, and is there".into()),
    }
}
