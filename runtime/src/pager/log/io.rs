//! What is under way on the log file.

use std::sync::Arc;

use crate::pager::latch::{Latch, Wait};

/// Operations on the log file that have not ended, whether a caller waits for them or not.
#[derive(Debug, Default)]
pub(in crate::pager) struct LogIo {
    running: usize,
    quiet: Option<Quiet>,
}

/// Set when nothing is under way.
type Quiet = Arc<Latch<()>>;

/// To be told once no lock is held; a drop tells it, too, when a waker before it has panicked.
#[must_use = "the waiter for a quiet log has to be woken"]
#[derive(Debug, Default)]
pub(super) struct Ended(Option<Quiet>);

impl Ended {
    pub(super) fn tell(self) {}
}

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(quiet) = self.0.take() {
            quiet.set(());
        }
    }
}

impl LogIo {
    /// An operation, or a group of them, is about to be submitted.
    pub(in crate::pager) fn begin(&mut self) {
        self.running += 1;
    }

    /// It has ended, well or not.
    pub(super) fn end(&mut self) -> Ended {
        self.running -= 1;
        Ended(if self.running == 0 { self.quiet.take() } else { None })
    }

    pub(in crate::pager) fn running(&self) -> usize {
        self.running
    }

    /// A wait for the moment at which nothing is under way; `None` when it is now. Look again after it: that moment may
    /// have passed.
    pub(in crate::pager) fn wait_for_quiet(&mut self) -> Option<Wait<()>> {
        (self.running > 0).then(|| Wait::new(Arc::clone(self.quiet.get_or_insert_with(Latch::new))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IOResult;

    #[test]
    fn log_is_quiet_when_the_last_operation_has_ended() {
        let mut io = LogIo::default();
        assert!(io.wait_for_quiet().is_none());
        io.begin();
        io.begin();
        let mut waits = [(); 2].map(|()| io.wait_for_quiet().expect("two are running"));
        io.end().tell();
        assert!(waits.iter_mut().all(|wait| wait.poll().expect("not cancelled").is_io()));
        io.end().tell();
        assert!(waits.iter_mut().all(|wait| matches!(wait.poll(), Ok(IOResult::Done(())))));
        assert!(io.wait_for_quiet().is_none());
    }
}
