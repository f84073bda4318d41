//! How long work is told to stop.

use std::convert::Infallible;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

/// Told to stop when its [`Stopper`] goes. Clones are told together.
#[derive(Clone, Debug)]
pub struct Stop(Receiver<Infallible>);

/// Tells to stop by being dropped, in whichever thread, and also by a panic.
#[derive(Debug)]
pub struct Stopper(#[expect(dead_code, reason = "its drop closes the channel")] Sender<Infallible>);

impl Stop {
    /// Work may go on for as long as the stopper is there.
    pub fn new() -> (Stopper, Stop) {
        let (sender, receiver) = bounded(0);
        (Stopper(sender), Stop(receiver))
    }

    /// Whether it has been told.
    pub fn is_told(&self) -> bool {
        self.0.try_recv() == Err(TryRecvError::Disconnected)
    }

    /// Becomes ready when it is told, for a `select!`.
    pub(crate) fn told(&self) -> &Receiver<Infallible> {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_is_told_to_every_clone_when_the_stopper_goes_and_not_before() {
        let (stopper, stop) = Stop::new();
        let other = stop.clone();
        assert!(!stop.is_told() && !other.is_told());
        drop(stopper);
        assert!(stop.is_told() && other.is_told());
        assert!(stop.told().recv().is_err());
    }
}
