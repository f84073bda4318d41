//! One-shot signals: what a completion is, in the words that the contenders share.
//!
//! The workloads on completions are written once, over these traits, so that all contenders do the same work by
//! construction. A signal carries a number; who observes it, and who is called back, adds it to a sum.

use std::future::Future;

use tenterhook_runtime::{Completer, Completion, CompletionGroup, Outcome};

use crate::contender::Tally;

/// A pair of one who finishes and one who observes.
pub(crate) trait Signal: 'static {
    const NAME: &'static str;
    /// Whether `pair` installs a callback that adds to the tally.
    const CALLS_BACK: bool;
    type Finisher: Send + 'static;
    type Observer: Send + Unpin + 'static;

    /// A pending signal. Where the API has callbacks, one that captures `tally` is installed.
    fn pair(tally: &'static Tally) -> (Self::Observer, Self::Finisher);

    fn finish(finisher: Self::Finisher, value: u64);

    /// The value, if there is one yet.
    fn check(observer: &mut Self::Observer) -> Option<u64>;
}

/// A signal that a task can await.
pub(crate) trait Await: Signal<Observer: Future<Output = Self::Output>> {
    type Output;

    /// The value that an await came to; `None` if the signal was dropped unfinished.
    fn value(output: Self::Output) -> Option<u64>;
}

/// A signal that a thread can wait for.
pub(crate) trait Block: Signal {
    fn block(observer: Self::Observer) -> Option<u64>;
}

/// A signal that many others can be folded into.
pub(crate) trait Grouping: Await {
    type Group;

    /// An empty group whose callback adds `amount` to `tally` if all went well.
    fn group(tally: &'static Tally, amount: u64) -> Self::Group;

    /// Gives the group a child, for good.
    fn adopt(group: &mut Self::Group, child: Self::Observer);

    fn build(group: Self::Group) -> Self::Observer;
}

/// [`Completion`], with callback, waker slot and parents on board.
pub(crate) struct Tenterhook;

impl Signal for Tenterhook {
    const NAME: &'static str = "tenterhook";
    const CALLS_BACK: bool = true;
    type Finisher = Completer;
    type Observer = Completion;

    #[inline]
    fn pair(tally: &'static Tally) -> (Completion, Completer) {
        Completion::new(move |outcome| tally.add(outcome.unwrap_or(0)))
    }

    #[inline]
    fn finish(finisher: Completer, value: u64) {
        let _ = finisher.complete(value);
    }

    #[inline]
    fn check(observer: &mut Completion) -> Option<u64> {
        observer.result()?.ok()
    }
}

impl Await for Tenterhook {
    type Output = Outcome;

    #[inline]
    fn value(output: Outcome) -> Option<u64> {
        output.ok()
    }
}

impl Block for Tenterhook {
    fn block(observer: Completion) -> Option<u64> {
        observer.wait().ok()
    }
}

impl Grouping for Tenterhook {
    type Group = CompletionGroup;

    #[inline]
    fn group(tally: &'static Tally, amount: u64) -> CompletionGroup {
        CompletionGroup::new(move |outcome| tally.add(outcome.map_or(0, |_| amount)))
    }

    #[inline]
    fn adopt(group: &mut CompletionGroup, child: Completion) {
        group.adopt(child);
    }

    #[inline]
    fn build(group: CompletionGroup) -> Completion {
        group.build()
    }
}

/// `tokio::sync::oneshot`.
pub(crate) struct Tokio;

impl Signal for Tokio {
    const NAME: &'static str = "tokio oneshot";
    const CALLS_BACK: bool = false;
    type Finisher = tokio::sync::oneshot::Sender<u64>;
    type Observer = tokio::sync::oneshot::Receiver<u64>;

    #[inline]
    fn pair(_: &'static Tally) -> (Self::Observer, Self::Finisher) {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        (receiver, sender)
    }

    #[inline]
    fn finish(finisher: Self::Finisher, value: u64) {
        // A receiver that is gone shows as a wrong sum.
        let _ = finisher.send(value);
    }

    #[inline]
    fn check(observer: &mut Self::Observer) -> Option<u64> {
        observer.try_recv().ok()
    }
}

impl Await for Tokio {
    type Output = Result<u64, tokio::sync::oneshot::error::RecvError>;

    #[inline]
    fn value(output: Self::Output) -> Option<u64> {
        output.ok()
    }
}

impl Block for Tokio {
    fn block(observer: Self::Observer) -> Option<u64> {
        observer.blocking_recv().ok()
    }
}

/// `futures::channel::oneshot`.
pub(crate) struct Futures;

impl Signal for Futures {
    const NAME: &'static str = "futures oneshot";
    const CALLS_BACK: bool = false;
    type Finisher = futures::channel::oneshot::Sender<u64>;
    type Observer = futures::channel::oneshot::Receiver<u64>;

    #[inline]
    fn pair(_: &'static Tally) -> (Self::Observer, Self::Finisher) {
        let (sender, receiver) = futures::channel::oneshot::channel();
        (receiver, sender)
    }

    #[inline]
    fn finish(finisher: Self::Finisher, value: u64) {
        // A receiver that is gone shows as a wrong sum.
        let _ = finisher.send(value);
    }

    #[inline]
    fn check(observer: &mut Self::Observer) -> Option<u64> {
        observer.try_recv().ok().flatten()
    }
}

impl Await for Futures {
    type Output = Result<u64, futures::channel::oneshot::Canceled>;

    #[inline]
    fn value(output: Self::Output) -> Option<u64> {
        output.ok()
    }
}

/// The `oneshot` crate, whose receiver either blocks or is awaited: this is the one that blocks.
pub(crate) struct Oneshot;

impl Signal for Oneshot {
    const NAME: &'static str = "oneshot";
    const CALLS_BACK: bool = false;
    type Finisher = oneshot::Sender<u64>;
    type Observer = oneshot::Receiver<u64>;

    #[inline]
    fn pair(_: &'static Tally) -> (Self::Observer, Self::Finisher) {
        let (sender, receiver) = oneshot::channel();
        (receiver, sender)
    }

    #[inline]
    fn finish(finisher: Self::Finisher, value: u64) {
        // A receiver that is gone shows as a wrong sum.
        let _ = finisher.send(value);
    }

    #[inline]
    fn check(observer: &mut Self::Observer) -> Option<u64> {
        observer.try_recv().ok()
    }
}

impl Block for Oneshot {
    fn block(observer: Self::Observer) -> Option<u64> {
        observer.recv().ok()
    }
}

/// The `oneshot` crate with the receiver that is awaited.
pub(crate) struct AsyncOneshot;

impl Signal for AsyncOneshot {
    const NAME: &'static str = "oneshot";
    const CALLS_BACK: bool = false;
    type Finisher = oneshot::Sender<u64>;
    type Observer = oneshot::AsyncReceiver<u64>;

    #[inline]
    fn pair(_: &'static Tally) -> (Self::Observer, Self::Finisher) {
        let (sender, receiver) = oneshot::async_channel();
        (receiver, sender)
    }

    #[inline]
    fn finish(finisher: Self::Finisher, value: u64) {
        // A receiver that is gone shows as a wrong sum.
        let _ = finisher.send(value);
    }

    #[inline]
    fn check(observer: &mut Self::Observer) -> Option<u64> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::Pin::new(observer).poll(&mut context) {
            std::task::Poll::Ready(Ok(value)) => Some(value),
            _ => None,
        }
    }
}

impl Await for AsyncOneshot {
    type Output = Result<u64, oneshot::RecvError>;

    #[inline]
    fn value(output: Self::Output) -> Option<u64> {
        output.ok()
    }
}
