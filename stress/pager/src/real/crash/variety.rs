//! What makes one child unlike another.

use tenterhook_runtime::io::OperationKind;
use tenterhook_runtime::pager::PagerOptions;

use super::OPTIONS;
use tenterhook_stress::real::layer::{INJECTED, Verdict};
use tenterhook_stress::rng;

/// How a child works, and what befalls its I/O; all of it drawn from one number.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Variety {
    /// A transaction that changes more pages than this spills.
    spill_pages: usize,
    cache_pages: usize,
    /// Every so many commits of a connection takes back part of itself; 0 for none.
    pub(super) strays: u64,
    /// How many pages it strays over.
    pub(super) stray_pages: u64,
    fault: Option<Fault>,
}

/// One I/O that goes wrong.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct Fault {
    kind: OperationKind,
    /// Which of its kind, counted from 1 after the file was opened.
    occurrence: u64,
    verdict: Verdict,
}

impl Variety {
    /// Number 0 stands for the plain child.
    pub(super) fn of(number: u64) -> Variety {
        let plain = Variety {
            spill_pages: OPTIONS.spill_pages,
            cache_pages: OPTIONS.cache_pages,
            strays: 0,
            stray_pages: 0,
            fault: None,
        };
        if number == 0 {
            return plain;
        }
        let below = |position: u64, bound: u64| rng::below(rng::at(number, position), bound);
        let fault = Fault {
            kind: [OperationKind::Write, OperationKind::Write, OperationKind::Sync][below(0, 3) as usize],
            occurrence: 1 + below(1, [8, 40, 160][below(2, 3) as usize]),
            verdict: [Verdict::Refuse(INJECTED), Verdict::FailAfter(INJECTED)][below(3, 2) as usize],
        };
        let is_sync = fault.kind == OperationKind::Sync;
        let verdict = if is_sync { Verdict::Refuse(INJECTED) } else { fault.verdict };
        Variety {
            spill_pages: [2048, 1, 2, 3, 5, 8][below(4, 6) as usize],
            cache_pages: [48, 1, 4, 400][below(5, 4) as usize],
            strays: [0, 1, 3][below(6, 3) as usize],
            stray_pages: 1 + below(7, 12),
            fault: (below(8, 3) == 0).then_some(Fault { verdict, ..fault }),
        }
    }

    pub(super) fn options(&self) -> PagerOptions {
        PagerOptions { spill_pages: self.spill_pages, cache_pages: self.cache_pages, ..OPTIONS }
    }

    /// What befalls the `occurrence`-th I/O of `kind` after the file was opened.
    pub(super) fn verdict(&self, kind: OperationKind, occurrence: u64) -> Verdict {
        let fault = self.fault.filter(|fault| fault.kind == kind && fault.occurrence == occurrence);
        fault.map_or(Verdict::Pass, |fault| fault.verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_bring_every_kind_of_child_and_zero_the_plain_one() {
        assert_eq!(Variety::of(0).options(), OPTIONS);
        let all: Vec<Variety> = (1..400).map(Variety::of).collect();
        assert!(all.iter().any(|child| child.spill_pages == 1 && child.strays == 1));
        let faults =
            |kind| all.iter().filter(move |child| child.fault.is_some_and(|fault| fault.kind == kind));
        assert!(faults(OperationKind::Write).count() > 40 && faults(OperationKind::Sync).count() > 20);
        assert!(all.iter().filter(|child| child.fault.is_none()).count() > 200);
    }
}
