//! A moment of the virtual clock that a thread can wait for.

use std::path::Path;

use tenterhook_runtime::Completion;
use tenterhook_runtime::io::{Buffer, Submission};

use super::queue::Pending;
use super::sample::Sample;
use super::{LEN_BITS, SimDisk};
use crate::trace::EventKind;

/// What waits in the queue is an operation. This is what it is about, for people.
const NO_FILE: &str = "a stalled thread";

impl SimDisk {
    /// A completion that finishes no sooner than `ticks` from now. It goes with the life, as an operation does.
    pub(crate) fn nap(&self, ticks: u64) -> Completion {
        let (completion, submission) = Submission::read(0, Buffer::zeroed(0), |_, _| {});
        let Ok(operation) = submission.start(None) else { return completion };
        let mut state = self.shared.lock();
        let state = &mut *state;
        let file = state.directory(Path::new(NO_FILE));
        let (token, now) = (state.submitted, state.now);
        state.submitted += 1;
        let due_at = now + ticks;
        let sample = Sample::AtDelivery;
        let mut pending = Pending {
            operation,
            token,
            file,
            _claim: None,
            fault: None,
            sample,
            covered: 0,
            due_at,
            address: state.owner(),
            turn: 0,
            cancels: 0,
            changes: 0,
        };
        state.log(EventKind::Submitted, &mut pending, ticks << LEN_BITS);
        state.queue.insert(pending, now);
        completion
    }
}
