//! Every way in which a completion can end, against everything that may be done to it meanwhile.
//!
//! One thread ends the completion, the other does the other thing; both ends name the model. All are exhaustive.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use loom::thread;
use tenterhook_runtime::{Completer, Completion, CompletionError, CompletionGroup, Outcome};

use crate::model::{Bound, Model};
use crate::panics::OnPurpose;
use crate::support::{CountingWaker, Trace, poll, settled};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    Complete,
    Fail,
    CompleterDropped,
    Cancel,
    CallbackPanics,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Observer {
    Poll,
    PollWithAnotherWaker,
    Wait,
    WaitWithTimeout,
    HandleDropped,
    FutureDropped,
    Cancel,
    AddToAGroup,
    AddToTwoGroups,
    Build,
}

const ENDINGS: [Ending; 5] =
    [Ending::Complete, Ending::Fail, Ending::CompleterDropped, Ending::Cancel, Ending::CallbackPanics];

const OBSERVERS: [Observer; 10] = [
    Observer::Poll,
    Observer::PollWithAnotherWaker,
    Observer::Wait,
    Observer::WaitWithTimeout,
    Observer::HandleDropped,
    Observer::FutureDropped,
    Observer::Cancel,
    Observer::AddToAGroup,
    Observer::AddToTwoGroups,
    Observer::Build,
];

/// The full product.
pub(crate) fn models() -> Vec<Model> {
    let pairs = ENDINGS.iter().flat_map(|ending| OBSERVERS.iter().map(move |observer| (*ending, *observer)));
    pairs
        .map(|(ending, observer)| {
            let name = format!("{}_vs_{}", snake(ending), snake(observer));
            Model::new(name, Bound::Exhaustive, move || match observer {
                Observer::HandleDropped => race_with_the_last_handle(ending),
                _ => race(ending, observer),
            })
        })
        .collect()
}

fn snake(value: impl std::fmt::Debug) -> String {
    let mut name = String::new();
    for letter in format!("{value:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

impl Ending {
    /// What the completion ends with, if it is not cancelled first.
    fn outcome(self) -> Outcome {
        match self {
            Self::Complete => Ok(7),
            Self::Fail => Err(CompletionError::NoSpace),
            Self::CompleterDropped => Err(CompletionError::Abandoned),
            Self::Cancel => Err(CompletionError::Cancelled),
            Self::CallbackPanics => Err(CompletionError::CallbackPanicked),
        }
    }

    fn end(self, completion: &Completion, completer: Completer) {
        match self {
            Self::Complete => {
                let _ = completer.complete(7);
            }
            Self::Fail => {
                let _ = completer.fail(CompletionError::NoSpace);
            }
            Self::CompleterDropped => drop(completer),
            Self::Cancel => {
                completion.cancel();
                drop(completer);
            }
            // The other thread may have cancelled first, and then the panic was its.
            Self::CallbackPanics => contain(|| {
                let _ = completer.complete(7);
            }),
        }
    }
}

/// Runs `f`; a panic that a callback raised on purpose ends here.
fn contain(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f))
        && !payload.is::<OnPurpose>()
    {
        resume_unwind(payload);
    }
}

fn pair(ending: Ending, trace: &Trace) -> (Completion, Completer) {
    if ending == Ending::CallbackPanics {
        Completion::new(trace.panicking_callback())
    } else {
        Completion::new(trace.callback())
    }
}

/// The last one frees the node: the handle, or the completer that has just ended it.
fn race_with_the_last_handle(ending: Ending) {
    let trace = Trace::new();
    let (completion, completer) = pair(ending, &trace);
    // Only a cancel needs a handle of its own to be an ending.
    let cancels = if ending == Ending::Cancel { completion.clone() } else { Completion::new(|_| {}).0 };
    let ender = thread::spawn(move || ending.end(&cancels, completer));
    drop(completion);
    ender.join().expect("the ending does not panic");
    let told = if ending == Ending::CallbackPanics { Ok(7) } else { ending.outcome() };
    assert_eq!(trace.only(), told);
}

fn race(ending: Ending, observer: Observer) {
    let trace = Trace::new();
    let (completion, completer) = pair(ending, &trace);
    // A build that races has its child added before the race starts.
    let prepared = (observer == Observer::Build).then(|| {
        let trace = Trace::new();
        let mut group = CompletionGroup::new(trace.callback());
        group.add(&completion);
        (group, trace)
    });
    let ender = {
        let completion = completion.clone();
        thread::spawn(move || ending.end(&completion, completer))
    };
    let left = observe(observer, ending.outcome(), &completion, &trace, prepared);
    ender.join().expect("the ending does not panic");
    left.check(ending);

    let outcome = settled(&completion);
    let cancelled_first = observer == Observer::Cancel && outcome == Err(CompletionError::Cancelled);
    assert!(outcome == ending.outcome() || cancelled_first, "{outcome:?}");
    if ending == Ending::CallbackPanics {
        let told = trace.only();
        assert!(told == Ok(7) || told == Err(CompletionError::Cancelled), "{told:?}");
    } else {
        assert_eq!(trace.only(), outcome);
    }
}

/// What can be judged only once the other thread is through.
#[derive(Default)]
struct Left {
    /// A waiter that was told to wait, and the waker that has to be called.
    waiter: Option<(Completion, std::sync::Arc<CountingWaker>)>,
    /// Groups that have to have ended like their only child.
    groups: Vec<(Completion, Trace)>,
}

impl Left {
    fn check(self, ending: Ending) {
        if let Some((mut waiter, counter)) = self.waiter {
            counter.assert_woken_if(true);
            let (_, waker) = CountingWaker::new();
            assert_eq!(poll(&mut waiter, &waker), std::task::Poll::Ready(ending.outcome()));
        }
        for (group, trace) in self.groups {
            assert_eq!(settled(&group), ending.outcome().map(|_| 0));
            assert_eq!(trace.only(), ending.outcome().map(|_| 0));
        }
    }
}

fn observe(
    observer: Observer,
    expected: Outcome,
    completion: &Completion,
    trace: &Trace,
    prepared: Option<(CompletionGroup, Trace)>,
) -> Left {
    let mut left = Left::default();
    match observer {
        Observer::Poll => {
            let (counter, waker) = CountingWaker::new();
            let mut waiter = completion.clone();
            if poll(&mut waiter, &waker).is_pending() {
                left.waiter = Some((waiter, counter));
            } else {
                trace.assert_called();
            }
        }
        Observer::PollWithAnotherWaker => {
            let mut waiter = completion.clone();
            let _ = poll(&mut waiter, &CountingWaker::new().1);
            let (counter, waker) = CountingWaker::new();
            if poll(&mut waiter, &waker).is_pending() {
                left.waiter = Some((waiter, counter));
            } else {
                trace.assert_called();
            }
        }
        Observer::Wait => {
            assert_eq!(completion.wait(), expected);
            trace.assert_called();
        }
        Observer::WaitWithTimeout => {
            if let Some(outcome) = completion.wait_timeout(Duration::from_secs(1)) {
                assert_eq!(outcome, expected);
                trace.assert_called();
            }
        }
        Observer::HandleDropped => unreachable!("a race of its own"),
        Observer::FutureDropped => {
            let mut waiter = completion.clone();
            let _ = poll(&mut waiter, &CountingWaker::new().1);
        }
        Observer::Cancel => contain(|| completion.cancel()),
        Observer::AddToAGroup => left.groups.push(group_of(completion)),
        Observer::AddToTwoGroups => left.groups.extend([group_of(completion), group_of(completion)]),
        Observer::Build => {
            let (group, trace) = prepared.expect("prepared before the race");
            left.groups.push((group.build(), trace));
        }
    }
    left
}

fn group_of(child: &Completion) -> (Completion, Trace) {
    let trace = Trace::new();
    let mut group = CompletionGroup::new(trace.callback());
    group.add(child);
    (group.build(), trace)
}
