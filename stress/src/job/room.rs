//! Stretches on real files wait for room on the disk.

use std::io;

use super::work::Sent;

/// What a stretch of `run` has seen while there was room. On a full disk a write fails that should not, so what was seen beside one
/// is thrown away, and the stretch is run again. `None` if `waits` says that there is no more waiting.
pub(super) fn with_room(
    to_begin: impl Fn() -> io::Result<()>,
    is_left: impl Fn() -> bool,
    waits: impl Fn(&io::Error) -> bool,
    run: impl Fn() -> Sent,
) -> Sent {
    loop {
        while let Err(full) = to_begin() {
            if !waits(&full) {
                return Ok(None);
            }
        }
        let sent = run();
        if is_left() {
            return sent;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;

    use super::*;
    use crate::job::ledger::Finished;
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
    fn nothing_runs_on_a_full_disk() {
        let sent = with_room(full, || true, |_| false, || panic!("there is no room"));
        assert!(matches!(sent, Ok(None)));
    }
}
