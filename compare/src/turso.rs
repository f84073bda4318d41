//! The contender of the feature `turso`: completions and groups of `turso_core`, the best known of their kind.

use turso_core::io::CompletionGroup;
use turso_core::{Completion, LimboError};

use crate::contender::Tally;
use crate::signal::{Await, Grouping, Signal};

/// `turso_core::Completion`, as its backends use it: a clone is the right to finish.
pub(crate) struct Turso;

/// Finished completions don't say with what, so all values here are 1.
const VALUE: u64 = 1;

impl Signal for Turso {
    const NAME: &'static str = "turso_core";
    const CALLS_BACK: bool = true;
    type Finisher = Completion;
    type Observer = Completion;

    #[inline]
    fn pair(tally: &'static Tally) -> (Completion, Completion) {
        let completion = Completion::new_write(move |bytes| tally.add(bytes.map_or(0, |_| VALUE)));
        (completion.clone(), completion)
    }

    #[inline]
    fn finish(finisher: Completion, _: u64) {
        finisher.complete(1);
    }

    #[inline]
    fn check(observer: &mut Completion) -> Option<u64> {
        observer.succeeded().then_some(VALUE)
    }
}

impl Await for Turso {
    type Output = Result<(), LimboError>;

    #[inline]
    fn value(output: Self::Output) -> Option<u64> {
        output.ok().map(|()| VALUE)
    }
}

impl Grouping for Turso {
    type Group = CompletionGroup;

    #[inline]
    fn group(tally: &'static Tally, amount: u64) -> CompletionGroup {
        CompletionGroup::new(move |outcome| tally.add(outcome.map_or(0, |_| amount)))
    }

    #[inline]
    fn adopt(group: &mut CompletionGroup, child: Completion) {
        group.add(&child);
    }

    #[inline]
    fn build(group: CompletionGroup) -> Completion {
        group.build()
    }
}
