//! The work of the stepping rows: a dozen bytes of state that yields after every step.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tenterhook_runtime::{IOCompletions, IOResult, StateMachine, StateTransition, TransitionResult};

/// A sum over `left` steps that alternate between two stages, as a machine that takes exactly `left` steps.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mixing {
    Adding { left: u32, sum: u32 },
    Xoring { left: u32, sum: u32 },
}

impl Mixing {
    /// Machines start in different stages, as connections are at different points of their statements.
    pub(super) fn new(number: u64, steps: u32) -> Self {
        if number.is_multiple_of(2) {
            Self::Adding { left: steps, sum: 1 }
        } else {
            Self::Xoring { left: steps, sum: 1 }
        }
    }

    /// Takes a step; the sum after the last.
    #[inline]
    fn advance(&mut self) -> Option<u32> {
        let (left, sum) = match *self {
            Self::Adding { left, sum } => (left, sum.wrapping_mul(3).wrapping_add(left)),
            Self::Xoring { left, sum } => (left, sum.rotate_left(5) ^ left),
        };
        if left <= 1 {
            return Some(sum);
        }
        *self = match self {
            Self::Adding { .. } => Self::Xoring { left: left - 1, sum },
            Self::Xoring { .. } => Self::Adding { left: left - 1, sum },
        };
        None
    }

    fn result(mut self) -> u64 {
        loop {
            if let Some(sum) = self.advance() {
                return u64::from(sum);
            }
        }
    }
}

/// What all machines of a row together come to.
pub(super) fn expected(steps_in_all: u64, machines: u64) -> u64 {
    let steps = steps_each(steps_in_all, machines);
    // Even numbers start in one stage, odd ones in the other.
    machines.div_ceil(2) * Mixing::new(0, steps).result() + machines / 2 * Mixing::new(1, steps).result()
}

/// Steps of one machine.
pub(super) fn steps_each(steps_in_all: u64, machines: u64) -> u32 {
    u32::try_from(steps_in_all / machines).expect("calibration stops long before 2^32 passes")
}

impl StateTransition for Mixing {
    type Context = ();
    type Output = u32;
    type Error = Infallible;

    #[inline]
    fn step(&mut self, (): &()) -> Result<TransitionResult<u32>, Infallible> {
        Ok(match self.advance() {
            Some(sum) => TransitionResult::Done(sum),
            None => TransitionResult::Io(IOCompletions::Yield),
        })
    }
}

/// A machine whose type its driver does not know.
pub(super) trait Steppable {
    fn step(&mut self) -> IOResult<u32>;
}

impl Steppable for StateMachine<Mixing> {
    fn step(&mut self) -> IOResult<u32> {
        let Ok(result) = Self::step(self, &());
        result
    }
}

/// The same as an `async` function; `yield_now` is the executor's own.
pub(super) async fn mix<Y: Future<Output = ()>>(mut state: Mixing, yield_now: impl Fn() -> Y) -> u64 {
    loop {
        if let Some(sum) = state.advance() {
            return u64::from(sum);
        }
        yield_now().await;
    }
}

/// Pending once, and woken at once: what `yield_now` is where the executor has none.
#[derive(Default)]
pub(super) struct YieldOnce {
    yielded: bool,
}

impl Future for YieldOnce {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_a_dozen_bytes() {
        assert_eq!(size_of::<Mixing>(), 12);
    }

    #[test]
    fn the_expected_sum_depends_on_every_step() {
        let sums: Vec<u64> = (1..50).map(|steps| expected(steps * 10, 10)).collect();
        assert!(sums.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
