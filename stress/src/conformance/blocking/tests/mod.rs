//! A sound adapter has every behaviour, and each one that is wrong on purpose is told what it did.

mod sound;

use std::collections::BTreeSet;

use strum::VariantArray as _;

use self::sound::{Flaw, Sound};
use super::{Report, check};

fn report(flaw: Option<Flaw>) -> Report {
    check(move |disk, io| Sound::new(io, disk, flaw))
}

#[test]
fn a_sound_adapter_has_every_behaviour() {
    let report = report(None);
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.absent().count(), 0, "{report}");
}

/// What the report must say of each flaw: the behaviour that names it, and words of what it says.
fn expected(flaw: Flaw) -> (&'static str, &'static str) {
    match flaw {
        Flaw::WrongOffset => ("reads back what was written", "3001 bytes instead of 3000"),
        Flaw::OneFile => ("reads back what was written", "wrong from byte 0 on"),
        Flaw::LengthOfTheOpening => ("reads back what was written", "the length is 0"),
        Flaw::ReadsPastTheEnd => ("a read ends at the end of the file", "100 bytes instead of 40"),
        Flaw::TruncatesNothing => ("a truncation sets the length", "the length is 3000"),
        Flaw::ExtendsNothing => ("a truncation sets the length", "the length is 1000"),
        Flaw::WaitsForNoSync => {
            ("a call comes back when the disk has ended it", "the disk still has it in flight")
        }
        Flaw::HoldsALock => ("another connection may call meanwhile", "does not come back"),
        Flaw::GrantsAllLocks => {
            ("a lock that is held alone keeps others out", "another one has the lock alone")
        }
        Flaw::KeepsLocks => ("a lock that is held alone keeps others out", "none is had alone"),
        Flaw::RemovesNothing => ("a removed file is gone", "and is there"),
        Flaw::ShortReadIsWhole => ("a short read is continued", "instead of 3000"),
        Flaw::ShortWriteIsWhole => ("a short write is continued", "instead of 3000"),
        Flaw::HidesReadErrors => ("a read error is handed on", "ended well"),
        Flaw::HidesWriteErrors => ("a write error is handed on", "ended well"),
        Flaw::HidesNoSpace => ("a full disk is an error", "ended well"),
        Flaw::HidesSyncErrors => ("a sync error is handed on", "ended well"),
        Flaw::TellsSyncErrorsTwice => {
            ("a sync error is handed on", "without a fault: an earlier sync failed")
        }
        Flaw::HidesTruncationErrors => ("a truncation error is handed on", "ended well"),
        Flaw::OpensAgain => ("a refused opening is an error", "told that it is open"),
        Flaw::PartOfAReadIsEnough => {
            ("an error in the rest of a transfer is handed on", "the rest of a read failed")
        }
        Flaw::PartOfAWriteIsEnough => {
            ("an error in the rest of a transfer is handed on", "the rest of a write failed")
        }
        Flaw::SyncsNothing => {
            ("a sync covers what was written before it", "the power goes, and the file has")
        }
        Flaw::SyncsOnce => ("the length lasts", "the power goes, and"),
        Flaw::KeepsNoName => ("a name lasts", "there is none of its name"),
        Flaw::RenamesNothing => ("a new name lasts", "has the old one still"),
        Flaw::KeepsNoNewName => ("a new name lasts", "the power goes, and it has the old one"),
        Flaw::CallsOnWhenDead => {
            ("a call that the end of a life cuts off comes back", "a call does not come back")
        }
        Flaw::ReadsWhenDead => ("a call that the end of a life cuts off comes back", "which ends well"),
        Flaw::WritesWhenDead => {
            ("calls after the end of a life change nothing", "a call after that leaves 5 bytes")
        }
        Flaw::Panics => ("a read error is handed on", "it panics: the adapter gives up"),
    }
}

#[test]
fn each_flaw_is_named_by_its_behaviour() {
    for &flaw in Flaw::VARIANTS {
        let report = report(Some(flaw));
        let (behaviour, words) = expected(flaw);
        let said = report.wrong().find(|(name, _)| *name == behaviour).map(|(_, wrong)| wrong);
        assert!(said.is_some_and(|said| said.contains(words)), "{flaw:?}: {said:?}\n{report}");
    }
}

#[test]
fn each_behaviour_was_seen_to_name_a_flaw() {
    let named: BTreeSet<&str> = Flaw::VARIANTS.iter().map(|&flaw| expected(flaw).0).collect();
    let text = report(None).to_string();
    let behaviours: BTreeSet<&str> = text.lines().map(|line| line.trim_start_matches("ok      ")).collect();
    assert_eq!(named, behaviours);
}

#[test]
fn the_same_adapter_gives_the_same_report() {
    for flaw in [None, Some(Flaw::ShortReadIsWhole), Some(Flaw::SyncsNothing)] {
        assert_eq!(report(flaw).to_string(), report(flaw).to_string());
    }
}
