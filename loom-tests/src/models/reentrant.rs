//! Callbacks and wakers that use the runtime themselves.

use std::sync::Arc;
use std::task::{Wake, Waker};

use loom::sync::Mutex;
use loom::thread;
use tenterhook_runtime::{Completer, Completion, CompletionGroup};

use crate::model::{EXHAUSTIVE, Model, models};
use crate::support::{CountingWaker, Trace, poll, settled};

pub(crate) fn models() -> Vec<Model> {
    models![
        EXHAUSTIVE => callback_completes_another_vs_group_build, callback_cancels_its_sibling_vs_build,
            callback_builds_a_group_over_itself_vs_poll, callback_drops_the_last_handle_vs_complete,
            callback_polls_itself_vs_poll, group_callback_cancels_its_own_child_vs_finish, waker_polls_inline_vs_complete;
    ]
}

fn pair() -> (Completion, Completer) {
    Completion::new(|_| {})
}

fn callback_completes_another_vs_group_build() {
    let (second, finish_second) = pair();
    let (first, finish_first) = Completion::new(move |_| {
        let _ = finish_second.complete(2);
    });
    let trace = Trace::new();
    let mut group = CompletionGroup::new(trace.callback());
    group.add(&first);
    group.add(&second);
    let ender = thread::spawn(move || finish_first.complete(1));
    let built = group.build();
    ender.join().unwrap();
    assert_eq!(settled(&built), Ok(0));
    assert_eq!(trace.only(), Ok(0));
}

fn callback_cancels_its_sibling_vs_build() {
    let (sibling, _finish_sibling) = pair();
    let other = sibling.clone();
    let (child, finish) = Completion::new(move |_| other.cancel());
    let trace = Trace::new();
    let mut group = CompletionGroup::new(trace.callback());
    group.add(&child);
    group.add(&sibling);
    let ender = thread::spawn(move || finish.complete(1));
    let built = group.build();
    ender.join().unwrap();
    assert!(settled(&built).is_err());
    assert_eq!(trace.only(), settled(&built));
}

/// The completion is not finished inside its own callback, so the group over it ends after it.
fn callback_builds_a_group_over_itself_vs_poll() {
    let own = Arc::new(std::sync::Mutex::new(None::<Completion>));
    let built = Arc::new(std::sync::Mutex::new(None::<Completion>));
    let (completion, finish) = {
        let (own, built) = (Arc::clone(&own), Arc::clone(&built));
        Completion::new(move |_| {
            let own = own.lock().unwrap().take().unwrap();
            assert!(!own.finished());
            let mut group = CompletionGroup::new(move |_| {});
            group.add(&own);
            *built.lock().unwrap() = Some(group.build());
        })
    };
    *own.lock().unwrap() = Some(completion.clone());
    let ender = thread::spawn(move || finish.complete(1));
    let (counter, waker) = CountingWaker::new();
    let mut waiter = completion.clone();
    let pending = poll(&mut waiter, &waker).is_pending();
    ender.join().unwrap();
    counter.assert_woken_if(pending);
    let built = built.lock().unwrap().take().unwrap();
    assert_eq!(settled(&built), Ok(0));
}

fn callback_drops_the_last_handle_vs_complete() {
    let own = Arc::new(Mutex::new(None::<Completion>));
    let (completion, finish) = {
        let own = Arc::clone(&own);
        Completion::new(move |_| drop(own.lock().unwrap().take()))
    };
    *own.lock().unwrap() = Some(completion);
    let ender = thread::spawn(move || finish.complete(1));
    drop(own.lock().unwrap().take());
    ender.join().unwrap();
}

fn callback_polls_itself_vs_poll() {
    let own = Arc::new(std::sync::Mutex::new(None::<Completion>));
    let (completion, finish) = {
        let own = Arc::clone(&own);
        Completion::new(move |_| {
            let mut own = own.lock().unwrap().take().unwrap();
            assert!(poll(&mut own, &CountingWaker::new().1).is_pending(), "finished only after its callback");
        })
    };
    *own.lock().unwrap() = Some(completion.clone());
    let ender = thread::spawn(move || finish.complete(1));
    let (counter, waker) = CountingWaker::new();
    let mut waiter = completion;
    let pending = poll(&mut waiter, &waker).is_pending();
    ender.join().unwrap();
    counter.assert_woken_if(pending);
}

fn group_callback_cancels_its_own_child_vs_finish() {
    let ((left, finish_left), (right, finish_right)) = (pair(), pair());
    let other = right.clone();
    let mut group = CompletionGroup::new(move |_| other.cancel());
    group.add(&left);
    group.add(&right);
    let built = group.build();
    let ender = thread::spawn(move || finish_left.fail(tenterhook_runtime::CompletionError::NoSpace));
    let _ = finish_right.complete(1);
    ender.join().unwrap();
    assert!(settled(&built).is_err());
    assert!(right.finished());
}

/// D14: a waker that polls the same completion from inside `wake`.
struct PollsInline(std::sync::Mutex<Option<Completion>>);

impl Wake for PollsInline {
    fn wake(self: Arc<Self>) {
        let mut waiter = self.0.lock().unwrap().take().expect("woken once");
        assert!(poll(&mut waiter, &CountingWaker::new().1).is_ready());
    }
}

fn waker_polls_inline_vs_complete() {
    let (completion, finish) = pair();
    let inline = Arc::new(PollsInline(std::sync::Mutex::new(Some(completion.clone()))));
    let mut waiter = completion.clone();
    let ender = thread::spawn(move || finish.complete(1));
    let pending = poll(&mut waiter, &Waker::from(Arc::clone(&inline))).is_pending();
    ender.join().unwrap();
    assert_eq!(inline.0.lock().unwrap().is_none(), pending);
}
