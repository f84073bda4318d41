//! Under loom: what it watches beside atomics and locks.

pub(crate) use loom::cell::UnsafeCell;

/// An allocation that loom watches: a leaked one fails the model, and so does a touch that is not ordered before its end.
///
/// loom's `Track` sees the leak only, and its `get_ref` checks nothing. The touch is a read of the cell, the end a write,
/// so a touch that races with the end, on whichever side of it this execution puts it, is a race that loom reports.
#[derive(Debug)]
pub struct Tracked {
    _leak: loom::alloc::Track<()>,
    alive: UnsafeCell<()>,
}

impl Tracked {
    /// Alive from now on.
    #[allow(clippy::new_without_default, reason = "the other facades have none")]
    pub fn new() -> Self {
        Self { _leak: loom::alloc::Track::new(()), alive: UnsafeCell::new(()) }
    }

    /// By a holder that relies on its being alive.
    pub fn touch(&self) {
        self.alive.with(|_| ());
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.alive.with_mut(|_| ());
    }
}
