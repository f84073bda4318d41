//! What befalls one child, and another not.

use std::time::Duration;

use tenterhook_runtime::io::OperationKind;

use super::harm::Harm;
use crate::real::layer::{INJECTED, Verdict};
use crate::rng;

/// What befalls the I/O of a child; all of it drawn from one number, of the harms that its system is made to survive.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Variety {
    number: u64,
    /// Every so many times that a connection waits it gives up what it waits for; 0 for never.
    pub(super) gives_up: u64,
    /// Whether syncs and truncations take long.
    slow_syncs: bool,
    faults: [Option<Fault>; 2],
}

/// One I/O that goes wrong.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct Fault {
    harm: Harm,
    /// Whether it befalls the opening.
    in_opening: bool,
    /// Whether only the writes of the log's headers count: one that fails is soon forgotten among the frames.
    of_header: bool,
    /// Which of its kind, counted from 1: of those of the opening, or of those after it.
    occurrence: u64,
    /// Whether it befalls every so many, too.
    repeats: bool,
}

/// An I/O that a harm may hit.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) kind: OperationKind,
    pub(super) in_opening: bool,
    /// Counts those of its kind from 1, in the opening or after it.
    pub(super) occurrence: u64,
    /// The same among the writes of the log's headers, for one of them.
    pub(super) header: Option<u64>,
}

impl Variety {
    /// Number 0 stands for the plain child. A log without headers, of which `has_headers` tells, has no faults that only they meet.
    pub(super) fn of(number: u64, harms: &[Harm], has_headers: bool) -> Variety {
        if number == 0 {
            return Variety { number, gives_up: 0, slow_syncs: false, faults: [None; 2] };
        }
        // At positions of the number at which no system that is known draws for itself.
        let one_of = |position: u64, choices: &[u64]| {
            choices[rng::below(rng::at(number, position), choices.len() as u64) as usize]
        };
        let has = |harm| harms.contains(&harm);
        let fault =
            |name| Fault::draw(rng::derive(number, name), has_headers).filter(|fault| has(fault.harm));
        Variety {
            number,
            gives_up: if has(Harm::GivenUp) { one_of(13, &[0, 0, 7, 40]) } else { 0 },
            slow_syncs: has(Harm::SlowSync) && one_of(14, &[0, 0, 1]) == 1,
            faults: [fault(0), fault(1)],
        }
    }

    /// The harms that may hit it.
    pub(super) fn harms(&self) -> Vec<Harm> {
        let mut harms: Vec<Harm> = self.faults.iter().flatten().map(|fault| fault.harm).collect();
        harms.extend(self.slow_syncs.then_some(Harm::SlowSync));
        harms.extend((self.gives_up > 0).then_some(Harm::GivenUp));
        harms
    }

    /// What befalls an I/O.
    pub(super) fn verdict(&self, target: Target) -> Option<(Harm, Verdict)> {
        let Target { kind, in_opening, occurrence, .. } = target;
        let struck = self.faults.iter().flatten().find(|fault| fault.strikes(target));
        if let Some(fault) = struck {
            let verdict = match fault.harm {
                // Late, so that others queue up behind it, or begin beside it.
                Harm::FailedWrite => Verdict::FailLate(self.delay(occurrence), INJECTED),
                Harm::RefusedWrite => Verdict::RefuseLate(self.delay(occurrence), INJECTED),
                // So late that another sync may begin and end beside it.
                Harm::DroppedSync => Verdict::FailLate(self.delay(occurrence) * 4, INJECTED),
                _ => Verdict::Refuse(INJECTED),
            };
            return Some((fault.harm, verdict));
        }
        let waits_for_the_device = matches!(kind, OperationKind::Sync | OperationKind::Truncate);
        let is_slow = self.slow_syncs && waits_for_the_device && !in_opening;
        is_slow.then(|| (Harm::SlowSync, Verdict::Delay(self.delay(occurrence))))
    }

    fn delay(&self, occurrence: u64) -> Duration {
        let micros = rng::below(rng::at(rng::derive(self.number, 2), occurrence), 4_000);
        Duration::from_micros(100 + micros)
    }

    /// Decides what a sync that drops what it covered spares.
    pub(super) fn spares(&self, occurrence: u64) -> u64 {
        rng::at(rng::derive(self.number, 3), occurrence)
    }
}

impl Fault {
    /// Three in five numbers bring one.
    fn draw(key: u64, has_headers: bool) -> Option<Fault> {
        let below = |position: u64, bound: u64| rng::below(rng::at(key, position), bound);
        let harms = [Harm::RefusedWrite, Harm::FailedWrite, Harm::RefusedSync, Harm::DroppedSync];
        let harm = harms[below(3, 4) as usize];
        let is_write = matches!(harm, Harm::RefusedWrite | Harm::FailedWrite);
        let in_opening = below(1, 4) == 0;
        let of_header = has_headers && is_write && !in_opening && below(5, 2) == 0;
        let most = if in_opening || of_header { 3 } else { [6, 20, 80][below(2, 3) as usize] };
        // A sync fails once: many systems refuse to write after that.
        let repeats = is_write && !in_opening && below(6, 2) == 0;
        let fault = Fault { harm, in_opening, of_header, occurrence: 1 + below(4, most), repeats };
        (below(0, 5) < 3).then_some(fault)
    }

    fn strikes(&self, target: Target) -> bool {
        let counted = if self.of_header { target.header } else { Some(target.occurrence) };
        (self.kind(), self.in_opening) == (target.kind, target.in_opening)
            && counted.is_some_and(|counted| match self.repeats {
                true => counted.is_multiple_of(self.occurrence),
                false => counted == self.occurrence,
            })
    }

    fn kind(&self) -> OperationKind {
        match self.harm {
            Harm::RefusedWrite | Harm::FailedWrite => OperationKind::Write,
            _ => OperationKind::Sync,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn children(harms: &[Harm]) -> Vec<Variety> {
        (1..400).map(|number| Variety::of(number, harms, true)).collect()
    }

    #[test]
    fn numbers_bring_every_kind_of_child_and_zero_the_plain_one() {
        assert!(Variety::of(0, &Harm::ALL, true).harms().is_empty());
        let all = children(&Harm::ALL);
        for harm in Harm::ALL {
            let children = all.iter().filter(|child| child.harms().contains(&harm)).count();
            assert!((40..360).contains(&children), "{harm}: {children}");
        }
        let in_opening = |child: &&Variety| child.faults.iter().flatten().any(|fault| fault.in_opening);
        assert!(all.iter().filter(in_opening).count() > 40);
    }

    #[test]
    fn a_system_meets_only_the_harms_that_it_is_made_to_survive() {
        let some = [Harm::RefusedWrite, Harm::SlowSync];
        let met: Vec<Harm> = children(&some).iter().flat_map(Variety::harms).collect();
        assert!(met.iter().all(|harm| some.contains(harm)) && some.iter().all(|harm| met.contains(harm)));
        let headless = (1..400).map(|number| Variety::of(number, &Harm::ALL, false));
        assert!(headless.flat_map(|child| child.faults).flatten().all(|fault| !fault.of_header));
    }

    #[test]
    fn a_fault_strikes_its_own_occurrence_and_no_other() {
        let fault = Fault {
            harm: Harm::FailedWrite,
            in_opening: false,
            of_header: false,
            occurrence: 7,
            repeats: false,
        };
        let target =
            |occurrence, header| Target { kind: OperationKind::Write, in_opening: false, occurrence, header };
        let strikes = |fault: Fault| [7, 14, 15].map(|occurrence| fault.strikes(target(occurrence, None)));
        assert_eq!(strikes(fault), [true, false, false]);
        assert_eq!(strikes(Fault { repeats: true, ..fault }), [true, true, false]);
        let of_header = Fault { of_header: true, ..fault };
        assert_eq!(strikes(of_header), [false; 3]);
        assert!(of_header.strikes(target(40, Some(7))));
        assert!(!fault.strikes(Target { in_opening: true, ..target(7, None) }));
        assert!(!fault.strikes(Target { kind: OperationKind::Sync, ..target(7, None) }));
    }
}
