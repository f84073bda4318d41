//! What the end of a life leaves.

use std::sync::Arc;

use super::super::Adapter;
use super::super::rig::Rig;
use super::{NAME, Seen, Verdict, difference, kept, pattern};

const LEN: usize = 2_000;

impl<A: Adapter> Rig<'_, A> {
    /// A file with `LEN` bytes that last, and whose name lasts.
    fn lasting(&mut self, name: &'static str) -> Result<Arc<A::File>, String> {
        let file = self.opened(name)?;
        self.filled(&file, 1, 0, LEN)?;
        self.synced(&file)?;
        let kept = self.call(move |adapter, call| adapter.keep_name(call, name))?;
        kept.map_err(|error| format!("to keep a name fails without a fault: {error}"))?;
        Ok(file)
    }
}

pub(super) fn a_sync_covers_what_was_written<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.lasting(NAME)?;
    rig.filled(&file, 2, 600, 600)?;
    rig.synced(&file)?;
    rig.lose_power();
    let mut expected = pattern(1, 0, LEN);
    expected[600..1_200].copy_from_slice(&pattern(2, 600, 600));
    let content = rig.content(NAME).unwrap_or_default();
    kept(content == expected, || {
        format!("a sync has ended, the power goes, and the file has {}", difference(&expected, &content))
    })
}

pub(super) fn the_length_lasts<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.lasting(NAME)?;
    for len in [700, 5_000] {
        rig.truncated(&file, len)?;
        rig.synced(&file)?;
    }
    drop(file);
    rig.lose_power();
    let file = rig.opened(NAME)?;
    let length = rig.length(&file)?;
    if length != 5_000 {
        return Err(format!("a length of 5000 was synced, the power goes, and the length is {length}"));
    }
    let content = rig.content(NAME).unwrap_or_default();
    let mut expected = pattern(1, 0, 700);
    expected.resize(5_000, 0);
    kept(content == expected, || {
        format!("a file was cut, extended and synced, the power goes, and it has {}", {
            difference(&expected, &content)
        })
    })
}

pub(super) fn a_name_lasts<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    drop(rig.lasting(NAME)?);
    rig.lose_power();
    kept(rig.content(NAME).is_some_and(|content| content == pattern(1, 0, LEN)), || {
        "a file was made and synced, the power goes, and there is none of its name".into()
    })
}

pub(super) fn a_new_name_lasts<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    drop(rig.lasting(NAME)?);
    match rig.call(|adapter, call| adapter.rename(call, NAME, "new"))? {
        None => return Ok(Seen::Absent),
        Some(renamed) => renamed.map_err(|error| format!("a renaming fails without a fault: {error}"))?,
    }
    if rig.content(NAME).is_some() || rig.content("new").is_none() {
        return Err("a file got a new name, and has the old one still".into());
    }
    let file = rig.opened("new")?;
    rig.synced(&file)?;
    let kept_name = rig.call(|adapter, call| adapter.keep_name(call, "new"))?;
    kept_name.map_err(|error| format!("to keep a name fails without a fault: {error}"))?;
    drop(file);
    rig.lose_power();
    let is_there = rig.content("new").is_some_and(|content| content == pattern(1, 0, LEN));
    kept(is_there && rig.content(NAME).is_none(), || {
        "a file got a new name that lasts, the power goes, and it has the old one".into()
    })
}

pub(super) fn a_call_that_is_cut_off_comes_back<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.lasting(NAME)?;
    let used = Arc::clone(&file);
    let under_way = rig.begin(0, move |adapter, call| adapter.read(call, &used, 0, &mut vec![0; LEN]));
    match rig.kill_during(under_way)? {
        Some(Ok(_)) => Err("a process dies during a read, which ends well".into()),
        Some(Err(_)) | None => Ok(Seen::Kept),
    }
}

/// Destructors of the engine call, when its life is over.
pub(super) fn later_calls_change_nothing<A: Adapter>(rig: &mut Rig<'_, A>) -> Verdict {
    let file = rig.lasting(NAME)?;
    let used = Arc::clone(&file);
    let under_way = rig.begin(0, move |adapter, call| {
        let _ = adapter.write(call, &used, 0, &pattern(2, 0, LEN));
        let _ = adapter.truncate(call, &used, 10);
        let _ = adapter.sync(call, &used);
        let _ = adapter.len(call, &used);
    });
    // The write may have reached the file before the process died, or not. What was called later has not.
    rig.kill_during(under_way)?;
    rig.settle()?;
    let content = rig.content(NAME).unwrap_or_default();
    kept(content.len() == LEN, || {
        format!(
            "a process has died, and a call after that leaves {}",
            difference(&pattern(1, 0, LEN), &content)
        )
    })
}
