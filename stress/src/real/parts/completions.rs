//! One operation, ended by one thread, cancelled, looked at and waited for by the others.

use std::sync::Arc;
use std::time::Duration;

use tenterhook_runtime::{Completer, Completion, CompletionError, Outcome};

use super::counts::{Action, Counts};
use super::meeting::Meeting;
use super::near::Point;
use super::storm::{Storm, nothing_left, stalled, wrong};
use super::told::Told;
use crate::violation::Violation;

const WHAT: &str = "a completion";
/// How often a thread looks for an end.
const LOOKS: u64 = 48;

pub(super) struct Completions {
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
    ended: Option<Ended>,
    cancelled: bool,
}

/// What its holder did with a completer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    /// What the outcome is, if no cancel was first.
    pub(super) outcome: Outcome,
    /// Whether no cancel was first, where the holder is told.
    pub(super) won: Option<bool>,
}

impl Ended {
    /// Whether `result` can be, with or without a request to cancel by any thread.
    pub(super) fn explains(self, result: Outcome, cancelled: bool) -> bool {
        let by_cancel = cancelled && result == Err(CompletionError::Cancelled);
        match self.won {
            Some(true) => result == self.outcome,
            Some(false) => by_cancel,
            None => result == self.outcome || by_cancel,
        }
    }
}

/// Ends an operation in one of the ways that there are: `value` tells it from others.
pub(super) fn end(mut completer: Completer, value: u32, meeting: &mut Meeting<'_>) -> Ended {
    let well = Ok(u64::from(value));
    let how = meeting.below(8);
    if how >= 5 {
        meeting.point(Point::Start);
        if !completer.start() {
            drop(completer);
            return Ended { outcome: well, won: Some(false) };
        }
        meeting.counts.add(Action::Started);
    }
    meeting.point(Point::End);
    meeting.counts.add_if(how != 4 && how != 7, Action::Ended);
    match how {
        0..3 => Ended { outcome: well, won: Some(completer.complete(u64::from(value))) },
        3 => {
            let error = CompletionError::Corrupt { page: value };
            Ended { outcome: Err(error), won: Some(completer.fail(error)) }
        }
        5 | 6 => {
            let requested = completer.cancel_requested();
            meeting.counts.add_if(requested, Action::CancelAsked);
            let outcome = if requested { Err(CompletionError::Cancelled) } else { well };
            // A started operation is its completer's alone.
            let _ = completer.finish(outcome);
            Ended { outcome, won: Some(true) }
        }
        _ => {
            meeting.counts.add(Action::Abandoned);
            drop(completer);
            Ended { outcome: Err(CompletionError::Abandoned), won: (how == 7).then_some(true) }
        }
    }
}

/// A thread that sees an end sees what the callback has written.
pub(super) fn look(what: &str, key: u64, told: &Told, completion: &Completion) -> Result<(), Box<Violation>> {
    let _ = told.judge(what, completion)?;
    match told.mark() {
        mark if mark == key => Ok(()),
        mark => Err(wrong(
            format!("{key:#x}, which the callback of {what} has written"),
            format!("{mark:#x}, although it has finished"),
        )),
    }
}

/// A completion whose callback takes a moment and tells `told`.
fn told_completion(key: u64) -> (Arc<Told>, Completion, Completer) {
    let told = Arc::new(Told::default());
    let teller = Arc::clone(&told);
    let (completion, completer) = Completion::new(move |outcome| {
        (0..key % 32).for_each(|_| std::hint::spin_loop());
        teller.tell(outcome, key);
    });
    (told, completion, completer)
}

impl Storm for Completions {
    type Case = Case;
    type Hand = Hand;
    type Seen = Seen;

    const CASES: usize = 128;
    const ACTIONS: &'static [Action] = &[
        Action::Ended,
        Action::Abandoned,
        Action::Started,
        Action::CancelEnded,
        Action::CancelAsked,
        Action::Looked,
        Action::Blocked,
    ];

    fn begin(_: u64, threads: usize, _: Duration) -> Self {
        Completions { threads }
    }

    fn set_up(&self, key: u64, hands: &mut Vec<Hand>) -> Case {
        let (told, completion, completer) = told_completion(key);
        let holder = (key % self.threads as u64) as usize;
        let mut completer = Some(completer);
        for thread in 0..self.threads {
            hands.push(Hand {
                key,
                told: Arc::clone(&told),
                completion: completion.clone(),
                completer: completer.take_if(|_| thread == holder),
            });
        }
        Case { key, told, completion }
    }

    fn act(&self, hand: Hand, meeting: &mut Meeting<'_>) -> Result<Seen, Box<Violation>> {
        let Hand { key, told, completion, completer } = hand;
        if let Some(completer) = completer {
            let ended = Some(end(completer, key as u32, meeting));
            // After a cancel that was first the callback may still run in the canceller's thread.
            if ended.is_some_and(|ended: Ended| ended.won == Some(true)) || completion.finished() {
                look(WHAT, key, &told, &completion)?;
            }
            return Ok(Seen { ended, cancelled: false });
        }
        let cancelled = meeting.one_in(3);
        if cancelled {
            meeting.point(Point::Cancel);
            completion.cancel();
        }
        meeting.point(Point::Look);
        if meeting.one_in(64) {
            meeting.counts.add(Action::Blocked);
            if completion.wait_timeout(meeting.stall).is_none() {
                let seen = format!("it has not in {:?}", meeting.stall);
                return Err(stalled("a completion that ends for a thread that blocks", seen));
            }
        }
        let looks = meeting.below(LOOKS);
        if (0..=looks).any(|_| completion.finished()) {
            look(WHAT, key, &told, &completion)?;
            meeting.counts.add(Action::Looked);
        }
        Ok(Seen { ended: None, cancelled })
    }

    fn judge(&self, case: Case, seen: &mut Vec<Seen>, counts: &mut Counts) -> Result<(), Box<Violation>> {
        let Case { key, told, completion } = case;
        let result = told.judge(WHAT, &completion)?;
        look(WHAT, key, &told, &completion)?;
        let cancelled = seen.iter().any(|seen| seen.cancelled);
        let ended = seen.iter().find_map(|seen| seen.ended).expect("one thread has the completer");
        counts.add_if(ended.won == Some(false), Action::CancelEnded);
        if !ended.explains(result, cancelled) {
            let expected = format!("the end of a completion whose completer did {ended:?}");
            return Err(wrong(expected, format!("{result:?}, with a request to cancel: {cancelled}")));
        }
        drop(completion);
        nothing_left("a callback", Arc::strong_count(&told))
    }
}
