//! What makes one child unlike another.

use std::time::Duration;

use tenterhook_runtime::io::OperationKind;
use tenterhook_runtime::pager::{Durability, PagerOptions};

use super::OPTIONS;
use super::harm::Harm;
use tenterhook_stress::real::layer::{INJECTED, Verdict};
use tenterhook_stress::rng;

/// How a child works, and what befalls its I/O; all of it drawn from one number.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Variety {
    number: u64,
    options: PagerOptions,
    /// Every so many commits of a connection takes back part of itself; 0 for none.
    pub(super) strays: u64,
    /// How many pages it strays over.
    pub(super) stray_pages: u64,
    /// Every so many commits of a connection are followed by a vacuum; 0 for none.
    pub(super) vacuums: u64,
    /// Every so many times that a connection waits it gives up what it waits for; 0 for never.
    pub(super) gives_up: u64,
    /// Every so many checkpoints of a connection cut the log; 0 for none.
    pub(super) truncates: u64,
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
pub(super) struct Subject {
    pub(super) kind: OperationKind,
    pub(super) in_opening: bool,
    /// Counts those of its kind from 1, in the opening or after it.
    pub(super) occurrence: u64,
    /// The same among the writes of the log's headers, for one of them.
    pub(super) header: Option<u64>,
}

impl Variety {
    /// Number 0 stands for the plain child.
    pub(super) fn of(number: u64) -> Variety {
        let plain = Variety {
            number,
            options: OPTIONS,
            strays: 0,
            stray_pages: 0,
            vacuums: 0,
            gives_up: 0,
            truncates: 0,
            slow_syncs: false,
            faults: [None; 2],
        };
        if number == 0 {
            return plain;
        }
        let one_of = |position: u64, choices: &[u64]| {
            choices[rng::below(rng::at(number, position), choices.len() as u64) as usize]
        };
        let checkpoint_frames = one_of(9, &[60, 60, 10, 400]) as u32;
        Variety {
            options: PagerOptions {
                spill_pages: one_of(4, &[2048, 1, 2, 3, 5, 8]) as usize,
                cache_pages: one_of(5, &[48, 1, 4, 400]) as usize,
                checkpoint_frames,
                restart_frames: checkpoint_frames * one_of(10, &[4, 2, 1]) as u32,
                durability: [Durability::Full, Durability::Full, Durability::Normal]
                    [one_of(11, &[0, 1, 2]) as usize],
                ..OPTIONS
            },
            strays: one_of(6, &[0, 1, 3]),
            stray_pages: 1 + one_of(7, &[0, 1, 2, 4, 7, 11]),
            vacuums: one_of(12, &[0, 5, 20]),
            gives_up: one_of(13, &[0, 0, 7, 40]),
            truncates: one_of(15, &[0, 1, 3]),
            slow_syncs: one_of(14, &[0, 0, 1]) == 1,
            faults: [Fault::draw(rng::derive(number, 0)), Fault::draw(rng::derive(number, 1))],
            ..plain
        }
    }

    pub(super) fn options(&self) -> PagerOptions {
        self.options
    }

    /// Whether what was acknowledged survives a power loss.
    pub(super) fn keeps_what_it_tells(&self) -> bool {
        self.options.durability == Durability::Full
    }

    /// The harms that may hit it.
    pub(super) fn harms(&self) -> Vec<Harm> {
        let mut harms: Vec<Harm> = self.faults.iter().flatten().map(|fault| fault.harm).collect();
        harms.extend(self.slow_syncs.then_some(Harm::SlowSync));
        harms.extend((self.gives_up > 0).then_some(Harm::GivenUp));
        harms
    }

    /// What befalls an I/O.
    pub(super) fn verdict(&self, subject: Subject) -> Option<(Harm, Verdict)> {
        let Subject { kind, in_opening, occurrence, .. } = subject;
        let struck = self.faults.iter().flatten().find(|fault| fault.strikes(subject));
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
    fn draw(key: u64) -> Option<Fault> {
        let below = |position: u64, bound: u64| rng::below(rng::at(key, position), bound);
        let harms = [Harm::RefusedWrite, Harm::FailedWrite, Harm::RefusedSync, Harm::DroppedSync];
        let harm = harms[below(3, 4) as usize];
        let is_write = matches!(harm, Harm::RefusedWrite | Harm::FailedWrite);
        let in_opening = below(1, 4) == 0;
        let of_header = is_write && !in_opening && below(5, 2) == 0;
        let most = if in_opening || of_header { 3 } else { [6, 20, 80][below(2, 3) as usize] };
        // A sync fails once: after that the pager refuses to write.
        let repeats = is_write && !in_opening && below(6, 2) == 0;
        let fault = Fault { harm, in_opening, of_header, occurrence: 1 + below(4, most), repeats };
        (below(0, 5) < 3).then_some(fault)
    }

    fn strikes(&self, subject: Subject) -> bool {
        let counted = if self.of_header { subject.header } else { Some(subject.occurrence) };
        (self.kind(), self.in_opening) == (subject.kind, subject.in_opening)
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

    #[test]
    fn numbers_bring_every_kind_of_child_and_zero_the_plain_one() {
        assert_eq!(Variety::of(0).options(), OPTIONS);
        assert!(Variety::of(0).harms().is_empty());
        let all: Vec<Variety> = (1..400).map(Variety::of).collect();
        assert!(all.iter().any(|child| child.options.spill_pages == 1 && child.strays == 1));
        assert!(all.iter().any(|child| !child.keeps_what_it_tells() && child.vacuums > 0));
        for harm in Harm::ALL {
            let children = all.iter().filter(|child| child.harms().contains(&harm)).count();
            assert!((40..360).contains(&children), "{harm}: {children}");
        }
        let in_opening = |child: &&Variety| child.faults.iter().flatten().any(|fault| fault.in_opening);
        assert!(all.iter().filter(in_opening).count() > 40);
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
        let subject = |occurrence, header| Subject {
            kind: OperationKind::Write,
            in_opening: false,
            occurrence,
            header,
        };
        let strikes = |fault: Fault| [7, 14, 15].map(|occurrence| fault.strikes(subject(occurrence, None)));
        assert_eq!(strikes(fault), [true, false, false]);
        assert_eq!(strikes(Fault { repeats: true, ..fault }), [true, true, false]);
        let of_header = Fault { of_header: true, ..fault };
        assert_eq!(strikes(of_header), [false; 3]);
        assert!(of_header.strikes(subject(40, Some(7))));
        assert!(!fault.strikes(Subject { in_opening: true, ..subject(7, None) }));
        assert!(!fault.strikes(Subject { kind: OperationKind::Sync, ..subject(7, None) }));
    }
}
