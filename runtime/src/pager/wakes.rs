//! Waiters to be woken once no lock is held.

use std::collections::VecDeque;

use crate::Completer;

/// Completers to be completed once no lock is held, each of them, although a waker may panic: the waiters left then would take
/// a dropped completer for a failure.
#[must_use = "they have waiters"]
#[derive(Debug, Default)]
pub(super) struct Wakes(VecDeque<Completer>);

impl Wakes {
    pub(super) fn wake(mut self) {
        self.complete_all();
    }

    fn complete_all(&mut self) {
        while let Some(completer) = self.0.pop_front() {
            let _ = completer.complete(0);
        }
    }
}

impl FromIterator<Completer> for Wakes {
    fn from_iter<I: IntoIterator<Item = Completer>>(completers: I) -> Self {
        Self(completers.into_iter().collect())
    }
}

impl Drop for Wakes {
    /// After a panic, wakes the rest. A second one is swallowed by the code that completes while the thread unwinds.
    fn drop(&mut self) {
        self.complete_all();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::Completion;

    #[test]
    fn waiters_behind_a_panic_are_woken() {
        let (completions, completers): (Vec<_>, Vec<_>) = (0..3)
            .map(|number| Completion::new(move |_| assert!(number > 0, "the first one's user fails")))
            .unzip();
        let wakes: Wakes = completers.into_iter().collect();
        assert!(catch_unwind(AssertUnwindSafe(|| wakes.wake())).is_err());
        assert!(completions.iter().skip(1).all(Completion::succeeded));
    }
}
