//! What was done.

use strum::VariantArray as _;

/// A kind of action that the storms ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
#[repr(u8)]
pub enum Action {
    /// A completer ended its operation.
    Ended,
    /// A completer was dropped.
    Abandoned,
    /// An operation was started before it was ended.
    Started,
    /// A cancel ended an operation, and its callback ran in the canceller's thread.
    CancelEnded,
    /// A started operation saw a request to cancel.
    CancelAsked,
    /// A thread saw an end and read what the callback had written.
    Looked,
    /// A thread blocked until the end.
    Blocked,
    /// A waker was left that had to be woken.
    Stayed,
    /// A handle that waited was dropped.
    Left,
    /// A waker was replaced by another one.
    Replaced,
    /// A waiter left a completion that was pending until the end of the round.
    LeftPending,
    /// A group was built.
    Built,
    /// A group was a member of another one.
    Nested,
    /// A completion was a member of groups of several threads.
    Shared,
    /// A group was cancelled, half built or whole.
    GroupCancelled,
    /// A group was dropped half built.
    HalfBuilt,
    /// A cancel of a group ended a member of a member.
    CancelReached,
    /// A callback panicked.
    CallbackPanicked,
    /// A waker failed a sibling of the operation whose end woke it.
    WakerFailed,
    /// A machine ended with its value.
    TaskDone,
    /// A machine was cancelled.
    TaskCancelled,
    /// A handle was dropped while the machine went on.
    TaskDetached,
    /// A machine was waited for by a thread that blocks.
    TaskJoined,
    /// A machine was spawned while its executor was shut down.
    SpawnedLate,
    /// A machine blocked its worker until another one had run.
    WorkerBlocked,
    /// A machine was spawned on a worker that had run out of work.
    SleeperWoken,
    /// A round of threads that share one processor.
    Pinned,
    /// A round of threads with processors of their own.
    Apart,
    /// A round with a thread of low priority.
    Niced,
    /// A delay.
    Delayed,
    /// A delay in which another thread came to the same case.
    Met,
}

impl Action {
    /// What every storm asks for if it is perturbed.
    pub const PERTURBATIONS: [Action; 5] =
        [Action::Pinned, Action::Apart, Action::Niced, Action::Delayed, Action::Met];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// How often each was done.
#[derive(Clone, Debug)]
pub(super) struct Counts([u64; Action::VARIANTS.len()]);

impl Default for Counts {
    fn default() -> Self {
        Counts([0; Action::VARIANTS.len()])
    }
}

impl Counts {
    pub(super) fn add(&mut self, action: Action) {
        self.0[action as usize] += 1;
    }

    pub(super) fn add_if(&mut self, condition: bool, action: Action) {
        self.0[action as usize] += u64::from(condition);
    }

    pub(super) fn of(&self, action: Action) -> u64 {
        self.0[action as usize]
    }

    pub(super) fn merge(&mut self, other: &Counts) {
        self.0.iter_mut().zip(other.0).for_each(|(count, more)| *count += more);
    }

    /// Those that were done at all.
    pub(super) fn list(&self) -> Vec<Count> {
        let all =
            Action::VARIANTS.iter().map(|&action| Count { action: action.name(), count: self.of(action) });
        all.filter(|count| count.count > 0).collect()
    }
}

/// One kind of action.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Count {
    /// Its name.
    pub action: &'static str,
    /// How often.
    pub count: u64,
}
