//! The one word that says who may touch a task: its phase, what was asked of it, and how many hold it.
//!
//! ```text
//!   bit 0  READY      in a queue or in a worker's hands; clear: parked on a completion
//!   bit 1  WOKEN      a wake came while READY: the next attempt to park fails
//!   bit 2  CANCELLED  the machine is to be dropped instead of stepped
//!   bit 3  ENDED      the machine is gone, its result is in its place
//!   bit 4  JOINED     a completer waits in the join slot
//!   rest   the number of references
//! ```
//!
//! READY is the right to run the task, and there is one of it: the thread that sets the bit puts the task into a queue, the one that
//! takes it from there runs it, and only that worker clears the bit. `README.md` has the proof.

use crate::sync::atomic::AtomicU32;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

const READY: u32 = 1;
const WOKEN: u32 = 2;
const CANCELLED: u32 = 4;
const ENDED: u32 = 8;
const JOINED: u32 = 16;
const REFERENCE: u32 = 32;

/// See the module.
#[derive(Debug)]
pub(super) struct Word(AtomicU32);

/// Whether the caller has become the one who must put the task into a queue.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schedule {
    /// It was parked: put it into a queue.
    Enqueue,
    /// It is in a queue, it runs, or it has ended: another thread takes care of it.
    Nothing,
}

/// What came of an attempt to park.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Park {
    /// The task is parked, and no longer the worker's.
    Parked,
    /// A wake or a cancel came in between; the task is still the worker's.
    Awake,
}

impl Word {
    /// Ready, held by `references`.
    pub(super) fn ready(references: u32) -> Self {
        Self(AtomicU32::new(READY + references * REFERENCE))
    }

    /// Worker: whether the machine is to be dropped. A hint before a step; [`Word::park`] doesn't miss a request.
    #[inline]
    pub(super) fn is_cancelled(&self) -> bool {
        // ORDERING: Acquire, with the Release in `park`: the first look of the worker that takes a task from a queue, which
        // so sees what the last one did to it. With the Release in `raise`: what happens before the first request to
        // cancel is visible to the drop of the machine. `executor_cancel_vs_drop_of_the_machine`.
        self.0.load(Acquire) & CANCELLED != 0
    }

    /// Worker: parks, unless a wake or a cancel came since the last attempt.
    pub(super) fn park(&self) -> Park {
        let mut seen = self.0.load(Relaxed);
        loop {
            let interrupted = seen & (WOKEN | CANCELLED) != 0;
            let next = if interrupted { seen & !WOKEN } else { seen & !READY };
            // ORDERING: Release, with the Acquire of `is_cancelled`: who runs the task next sees what this worker did to it,
            // since it reads what `raise` wrote, which is in the release sequence of this. No Acquire: what WOKEN is
            // about is asked of the completion, whose poll ends with a read-modify-write of its word, and CANCELLED is
            // read again by `is_cancelled`.
            match self.0.compare_exchange_weak(seen, next, Release, Relaxed) {
                Ok(_) if interrupted => return Park::Awake,
                Ok(_) => return Park::Parked,
                Err(now) => seen = now,
            }
        }
    }

    /// Any thread: the completion that the task waits for may have finished.
    pub(super) fn wake(&self) -> Schedule {
        self.raise(WOKEN)
    }

    /// Any thread: requests the machine's end.
    pub(super) fn cancel(&self) -> Schedule {
        self.raise(CANCELLED)
    }

    fn raise(&self, flag: u32) -> Schedule {
        let mut seen = self.0.load(Relaxed);
        loop {
            // A second request to cancel adds nothing. A second wake may: `seen` may be old, and WOKEN spent since.
            if seen & ENDED != 0 || seen & flag & CANCELLED != 0 {
                return Schedule::Nothing;
            }
            let parked = seen & READY == 0;
            // A wake of a parked task needs no flag: the worker that takes it from its queue polls the completion.
            let next = if parked && flag == WOKEN { seen | READY } else { seen | READY | flag };
            // ORDERING: Release, with the Acquire of `is_cancelled`: what came before the request. No Acquire: nothing of
            // the task is touched before it is in its queue.
            match self.0.compare_exchange_weak(seen, next, Release, Relaxed) {
                Ok(_) if parked => return Schedule::Enqueue,
                Ok(_) => return Schedule::Nothing,
                Err(now) => seen = now,
            }
        }
    }

    /// Worker: the result is in its place. True when a completer waits in the join slot, which is then the caller's.
    pub(super) fn end(&self) -> bool {
        // ORDERING: Release, with the Acquire of `has_ended` and `join`: the result. Acquire, with the Release of
        // `join`: the completer in the slot.
        self.0.fetch_or(ENDED, AcqRel) & JOINED != 0
    }

    /// Joiner, once: a completer is in the slot. False when the task has ended before; then the slot stays the
    /// joiner's.
    pub(super) fn join(&self) -> bool {
        // ORDERING: Release, with the Acquire of `end`: the completer. Acquire, with its Release: the result.
        self.0.fetch_or(JOINED, AcqRel) & ENDED == 0
    }

    /// Whether the machine has ended; then its result may be read.
    pub(super) fn has_ended(&self) -> bool {
        // ORDERING: Acquire, with the Release of `end`.
        self.0.load(Acquire) & ENDED != 0
    }

    /// One more reference, for a thread that holds one.
    pub(super) fn retain(&self) {
        // ORDERING: Relaxed: a new reference is made from one that exists.
        let before = self.0.fetch_add(REFERENCE, Relaxed);
        if before > u32::MAX / 2 {
            // Only leaked handles get here. A wrapped count would free the task under its holders, and a panic would leave
            // the count as it is for the next one.
            std::process::abort();
        }
    }

    /// One reference less; true when it was the last, and the caller frees the task.
    #[must_use]
    pub(super) fn release(&self) -> bool {
        // ORDERING: Release, with the Acquire below: what every holder did comes before the end.
        if self.0.fetch_sub(REFERENCE, Release) / REFERENCE != 1 {
            return false;
        }
        // ORDERING: Acquire, with the Release of all others' `release`. A load and not a fence, because
        // ThreadSanitizer doesn't know fences.
        self.0.load(Acquire);
        true
    }
}

#[cfg(all(test, not(any(tenterhook_loom, tenterhook_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_wake_between_two_attempts_to_park_fails_the_second_only() {
        let word = Word::ready(1);
        assert_eq!(word.wake(), Schedule::Nothing);
        assert_eq!(word.park(), Park::Awake);
        assert_eq!(word.park(), Park::Parked);
    }

    #[test]
    fn a_parked_task_is_enqueued_once() {
        let word = Word::ready(1);
        assert_eq!(word.park(), Park::Parked);
        assert_eq!(word.wake(), Schedule::Enqueue);
        assert_eq!(word.wake(), Schedule::Nothing);
        assert_eq!(word.cancel(), Schedule::Nothing);
    }

    #[test]
    fn a_cancelled_task_never_parks() {
        let word = Word::ready(1);
        assert_eq!(word.cancel(), Schedule::Nothing);
        assert_eq!(word.park(), Park::Awake);
        assert_eq!(word.park(), Park::Awake);
        assert!(word.is_cancelled());
    }

    #[test]
    fn an_ended_task_is_left_alone_and_tells_its_joiner_once() {
        let word = Word::ready(2);
        assert!(word.join());
        assert!(word.end());
        assert_eq!(word.wake(), Schedule::Nothing);
        assert_eq!(word.cancel(), Schedule::Nothing);
        assert!(word.has_ended());
        assert!(!word.release());
        assert!(word.release());
    }

    #[test]
    fn who_joins_after_the_end_keeps_the_slot() {
        let word = Word::ready(1);
        assert!(!word.end());
        assert!(!word.join());
    }
}
