//! A waker that fails a sibling of the operation whose end has woken it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use parking_lot::Mutex;
use tenterhook_runtime::{Completer, Completion, CompletionError};

use super::counts::Action;
use super::groups::builder;
use super::meeting::Meeting;
use super::near::Point;
use super::storm::wrong;
use crate::violation::Violation;

/// Fails a sibling when it is woken.
struct FailingWaker(Mutex<Option<Completer>>);

impl Wake for FailingWaker {
    fn wake(self: Arc<Self>) {
        let completer = self.0.lock().take();
        if let Some(completer) = completer {
            let _ = completer.fail(CompletionError::NoSpace);
        }
    }
}

/// A member fails, and one of its waiters fails another member from its waker: the group ends with the first failure.
pub(super) fn waker_fails_a_sibling(meeting: &mut Meeting<'_>) -> Result<(), Box<Violation>> {
    let ((first, fails), (second, follows)) = (Completion::new(|_| {}), Completion::new(|_| {}));
    let mut group = builder(meeting.one_in(2), |_| {});
    group.add(&first);
    group.add(&second);
    let group = group.build();
    let waker = Waker::from(Arc::new(FailingWaker(Mutex::new(Some(follows)))));
    let mut waiter = first.clone();
    let polled = Pin::new(&mut waiter).poll(&mut Context::from_waker(&waker));
    meeting.point(Point::End);
    let error = CompletionError::Corrupt { page: 1 };
    let won = fails.fail(error);
    meeting.counts.add(Action::WakerFailed);
    let result = group.result();
    if polled.is_ready()
        || !won
        || result != Some(Err(error))
        || second.result() != Some(Err(CompletionError::NoSpace))
    {
        let expected = "the failure of the member that woke the one who failed the other";
        return Err(wrong(expected, format!("{result:?}")));
    }
    Ok(())
}
