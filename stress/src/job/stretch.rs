//! Stretches on real files wait for room on the disk.

use std::io;

use super::folder;
use super::ledger::Finished;

/// What a stretch of `run` has seen while there was room. On a full disk a write fails that should not, so what was seen beside one
/// is thrown away, and the stretch is run again. `None` if `waits` says that there is no more waiting.
pub(super) fn with_room(
    to_begin: impl Fn() -> io::Result<()>,
    is_left: impl Fn() -> bool,
    waits: impl Fn(&io::Error) -> bool,
    run: impl Fn() -> io::Result<Option<Finished>>,
) -> io::Result<Option<Finished>> {
    loop {
        while let Err(full) = to_begin() {
            if !waits(&full) {
                return Ok(None);
            }
        }
        let result = run();
        match result.as_ref().err().filter(|error| folder::is_full(error)) {
            // There may be room again, or a quota is full of which the disk says nothing.
            Some(full) if waits(full) => {}
            Some(_) => return Ok(None),
            None if is_left() => return result,
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;

    use super::*;
    use crate::job::row::{Mode, Row};

    fn full() -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn finished(seed: u64) -> Finished {
        Finished { mode: Mode::Crash, seed, row: Row::default(), named: Vec::new(), cases: Vec::new() }
    }

    #[test]
    fn what_was_seen_beside_a_full_disk_is_thrown_away() {
        let before = RefCell::new(VecDeque::from([full(), Ok(()), full(), Ok(())]));
        let after = RefCell::new(VecDeque::from([false, true]));
        let (runs, waited) = (Cell::new(0), Cell::new(0));
        let sent = with_room(
            || before.borrow_mut().pop_front().expect("no more questions"),
            || after.borrow_mut().pop_front().expect("no more questions"),
            |_| {
                waited.set(waited.get() + 1);
                true
            },
            || {
                runs.set(runs.get() + 1);
                Ok(Some(finished(runs.get())))
            },
        );
        let seed = sent.expect("no error").expect("a stretch").seed;
        assert_eq!((seed, runs.get(), waited.get()), (2, 2, 2));
    }

    #[test]
    fn a_stretch_that_met_a_full_disk_is_run_again() {
        let results = RefCell::new(VecDeque::from([full().map(|()| None), Ok(Some(finished(7)))]));
        let run = || results.borrow_mut().pop_front().expect("two runs");
        let waited = Cell::new(0);
        let waits = |_: &io::Error| {
            waited.set(waited.get() + 1);
            true
        };
        let result = with_room(|| Ok(()), || true, waits, run).expect("no error");
        assert_eq!((result.map(|unit| unit.seed), waited.get()), (Some(7), 1));
        let broken = || Err(io::ErrorKind::PermissionDenied.into());
        let error = with_room(|| Ok(()), || true, |_| true, broken).expect_err("not a full disk");
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn nothing_runs_on_a_full_disk() {
        let sent = with_room(full, || true, |_| false, || panic!("there is no room"));
        assert!(matches!(sent, Ok(None)));
    }
}
