//! State machines in async Rust.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::{Completion, IOCompletions, IOResult};

/// How often a machine whose I/O is always done already is stepped in one poll.
const STEPS_IN_A_ROW: usize = 64;

/// A state machine as a [`Future`]: it is stepped when it is polled, and wakes its task when its completion has finished.
///
/// Works under any async runtime. Another thread has to run the I/O: a backend with threads of its own, or a thread that
/// calls [`IO::step`](crate::io::IO::step).
///
/// ```
/// use std::convert::Infallible;
/// use tenterhook_runtime::{IOCompletions, IOResult, MachineFuture};
/// let mut left = 3;
/// let countdown = MachineFuture::new(move || {
///     if left == 0 {
///         return Ok::<_, Infallible>(IOResult::Done("lift-off"));
///     }
///     left -= 1;
///     Ok(IOResult::IO(IOCompletions::Yield))
/// });
/// assert_eq!(futures_executor_of_your_choice(countdown), Ok("lift-off"));
/// # fn futures_executor_of_your_choice<F: Future>(future: F) -> F::Output {
/// #     let mut future = std::pin::pin!(future);
/// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// #     loop {
/// #         if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
/// #             return output;
/// #         }
/// #     }
/// # }
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct MachineFuture<M> {
    /// `None` once it has ended.
    machine: Option<M>,
    waiting: Option<Completion>,
}

// The machine is called through `&mut` and never pinned.
impl<M> Unpin for MachineFuture<M> {}

impl<M> MachineFuture<M> {
    /// Around `machine`, a step to be called until it is done.
    pub fn new<T, E>(machine: M) -> Self
    where
        M: FnMut() -> Result<IOResult<T>, E>,
    {
        Self { machine: Some(machine), waiting: None }
    }
}

impl<M, T, E> Future for MachineFuture<M>
where
    M: FnMut() -> Result<IOResult<T>, E>,
{
    type Output = Result<T, E>;

    /// # Panics
    ///
    /// When polled again after it was ready, and with the panics of the machine.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { machine, waiting } = self.get_mut();
        for _ in 0..STEPS_IN_A_ROW {
            if let Some(completion) = waiting {
                match Pin::new(completion).poll(context) {
                    Poll::Ready(_) => *waiting = None,
                    Poll::Pending => return Poll::Pending,
                }
            }
            let step = machine.as_mut().expect("a future that has ended is not polled again");
            match step() {
                Ok(IOResult::IO(IOCompletions::Single(completion))) => *waiting = Some(completion),
                Ok(IOResult::IO(IOCompletions::Yield)) => break,
                Ok(IOResult::Done(value)) => {
                    *machine = None;
                    return Poll::Ready(Ok(value));
                }
                Err(error) => {
                    *machine = None;
                    return Poll::Ready(Err(error));
                }
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<M> fmt::Debug for MachineFuture<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MachineFuture")
            .field("ended", &self.machine.is_none())
            .field("waiting", &self.waiting)
            .finish()
    }
}
