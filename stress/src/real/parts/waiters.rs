//! Wakers that come, change and go while the operation ends.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tenterhook_runtime::{Completer, Completion};

use super::completions::{end, look};
use super::counts::{Action, Counts};
use super::meeting::Meeting;
use super::near::Point;
use super::storm::{Storm, nothing_left, wrong};
use super::told::Told;
use crate::violation::Violation;

const WHAT: &str = "a completion with waiters";

pub(super) struct Waiters {
    threads: usize,
}

pub(super) struct Case {
    key: u64,
    told: Arc<Told>,
    completion: Completion,
}

pub(super) struct Hand {
    key: u64,
    told: Arc<Told>,
    completion: Completion,
    completer: Option<Completer>,
}

#[derive(Default)]
pub(super) struct Seen {
    /// The right to end it, if it stays pending until the end of the round.
    late: Option<Completer>,
    waits: Vec<Wait>,
}

/// One handle that has been polled.
struct Wait {
    /// The handle, unless it was dropped.
    stays: Option<Completion>,
    /// Whether its last poll was in vain.
    pending: bool,
    /// All its wakers, the last one last; each was polled with once.
    wakers: Vec<Arc<Woken>>,
}

/// Counts its wakes.
///
/// ORDERING: Relaxed. Read behind the barrier at the end of a round.
#[derive(Default)]
struct Woken(AtomicU32);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

impl Wait {
    /// Polls `completion` with one to three wakers, then stays or leaves.
    fn begin(completion: &Completion, meeting: &mut Meeting<'_>) -> Wait {
        let mut wait = Wait { stays: None, pending: true, wakers: Vec::with_capacity(2) };
        let mut handle = completion.clone();
        for turn in 0..=meeting.below(3) {
            meeting.counts.add_if(turn > 0, Action::Replaced);
            meeting.point(Point::Poll);
            let woken = Arc::new(Woken::default());
            let waker = Waker::from(Arc::clone(&woken));
            let polled = Pin::new(&mut handle).poll(&mut Context::from_waker(&waker));
            wait.pending = polled == Poll::Pending;
            wait.wakers.push(woken);
            if !wait.pending {
                break;
            }
        }
        if meeting.one_in(2) {
            meeting.point(Point::Leave);
            drop(handle);
            meeting.counts.add(Action::Left);
        } else {
            meeting.counts.add_if(wait.pending, Action::Stayed);
            wait.stays = Some(handle);
        }
        wait
    }

    /// While the operation is pending: a waiter that has left has taken its waker along.
    fn judge_pending(&self, counts: &mut Counts) -> Result<(), Box<Violation>> {
        let kept = usize::from(self.stays.is_some());
        let (last, others) = self.wakers.split_last().expect("polled once at least");
        others.iter().try_for_each(|woken| nothing_left("a replaced waker", Arc::strong_count(woken)))?;
        counts.add_if(kept == 0, Action::LeftPending);
        nothing_left("the waker of a handle that has left", Arc::strong_count(last) - kept)
    }

    /// When it has ended.
    fn judge(&self) -> Result<(), Box<Violation>> {
        // A poll that finds the end may have left its waker to the one that ends.
        if let Some(woken) = self.wakers.iter().find(|woken| woken.0.load(Relaxed) > 1) {
            let wakes = woken.0.load(Relaxed);
            return Err(wrong("one wake at most of a waker that was polled with once", wakes.to_string()));
        }
        let last = self.wakers.last().expect("polled once at least");
        if self.stays.is_some() && self.pending && last.0.load(Relaxed) == 0 {
            let expected = "a wake of each handle that waits when its operation ends";
            return Err(Violation::liveness("storm", expected, "none, although it has ended"));
        }
        Ok(())
    }
}

impl Storm for Waiters {
    type Case = Case;
    type Hand = Hand;
    type Seen = Seen;

    const CASES: usize = 128;
    const ACTIONS: &'static [Action] = &[
        Action::Ended,
        Action::Abandoned,
        Action::Started,
        Action::Stayed,
        Action::Left,
        Action::Replaced,
        Action::LeftPending,
    ];

    fn begin(_: u64, threads: usize, _: Duration) -> Self {
        Waiters { threads }
    }

    fn set_up(&self, key: u64, hands: &mut Vec<Hand>) -> Case {
        let told = Arc::new(Told::default());
        let teller = Arc::clone(&told);
        let (completion, completer) = Completion::new(move |outcome| teller.tell(outcome, key));
        let holder = (key % self.threads as u64) as usize;
        let mut completer = Some(completer);
        for thread in 0..self.threads {
            let completer = completer.take_if(|_| thread == holder);
            hands.push(Hand { key, told: Arc::clone(&told), completion: completion.clone(), completer });
        }
        Case { key, told, completion }
    }

    fn act(&self, hand: Hand, meeting: &mut Meeting<'_>) -> Result<Seen, Box<Violation>> {
        let Hand { key, told, completion, mut completer } = hand;
        let mut seen = Seen::default();
        let before = meeting.below(3);
        if completer.is_some() && meeting.one_in(8) {
            seen.late = completer.take();
        }
        if let Some(completer) = completer.take_if(|_| before == 0) {
            end(completer, key as u32, meeting);
        }
        for _ in 0..=meeting.below(2) {
            let wait = Wait::begin(&completion, meeting);
            if !wait.pending {
                look(WHAT, key, &told, &completion)?;
            }
            seen.waits.push(wait);
        }
        if let Some(completer) = completer {
            end(completer, key as u32, meeting);
        }
        Ok(seen)
    }

    fn judge(&self, case: Case, seen: &mut Vec<Seen>, counts: &mut Counts) -> Result<(), Box<Violation>> {
        let Case { key, told, completion } = case;
        if let Some(completer) = seen.iter_mut().find_map(|seen| seen.late.take()) {
            seen.iter().flat_map(|seen| &seen.waits).try_for_each(|wait| wait.judge_pending(counts))?;
            drop(completer);
        }
        look(WHAT, key, &told, &completion)?;
        for wait in seen.iter_mut().flat_map(|seen| &mut seen.waits) {
            wait.judge()?;
            wait.stays = None;
            let kept = wait.wakers.iter().map(Arc::strong_count).max();
            nothing_left("a waker of a completion that has ended", kept.unwrap_or(1))?;
        }
        drop(completion);
        nothing_left("a callback", Arc::strong_count(&told))
    }
}
