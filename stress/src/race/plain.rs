//! Without shuttle there are no deterministic threads.

/// Nothing stops a thread here.
#[derive(Debug)]
pub(crate) struct Hold;

impl Hold {
    #[inline(always)]
    pub(crate) fn new() -> Hold {
        Hold
    }
}

/// Runs `run`, in an execution where that means something.
#[inline(always)]
pub(crate) fn enter<R>(run: impl FnOnce() -> R) -> R {
    run()
}
