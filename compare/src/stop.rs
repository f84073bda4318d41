//! The wish to end early: Ctrl-C.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::measure::Unmeasured;
use crate::sync::AtomicBool;

/// Set by the handler of SIGINT, looked at between two runs. No data comes with it, so each access is Relaxed.
#[derive(Clone, Debug)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Follows Ctrl-C from now on.
    pub(crate) fn on_signals() -> Self {
        let stop = Self::never();
        let asked = stop.clone();
        // A process has one handler. Where one exists already, Ctrl-C ends the program as it would without this.
        let _ = ctrlc::set_handler(move || asked.ask());
        stop
    }

    /// Follows nothing but `ask`.
    pub(crate) fn never() -> Self {
        Self(Arc::new(AtomicBool::new(false)))
    }

    pub(crate) fn ask(&self) {
        // ORDERING: Relaxed: a flag alone, with the load of `is_asked`.
        self.0.store(true, Relaxed);
    }

    pub(crate) fn is_asked(&self) -> bool {
        // ORDERING: Relaxed: with the store of `ask`.
        self.0.load(Relaxed)
    }

    pub(crate) fn check(&self) -> Result<(), Unmeasured> {
        if self.is_asked() { Err(Unmeasured::Interrupted) } else { Ok(()) }
    }
}
