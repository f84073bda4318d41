//! A sound adapter has every behaviour, and each one that is wrong on purpose is told what it did.

mod sound;

use std::collections::BTreeSet;
use std::sync::Arc;

use strum::VariantArray as _;

use self::sound::{Flaw, Sound};
use super::{Report, check};

fn report(flaw: Option<Flaw>) -> Report {
    check(move |_, io| Sound::new(Arc::clone(io), flaw))
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
        Flaw::WrongOffset => ("reads back what was written", "wrong from byte"),
        Flaw::OneFile => ("reads back what was written", "changes another"),
        Flaw::ReadsPastTheEnd => ("a read ends at the end of the file", "not 40"),
        Flaw::LengthOfTheOpening => ("a truncation sets the length", "the length is 3001"),
        Flaw::TruncatesNothing => ("a truncation sets the length", "the disk was asked for nothing"),
        Flaw::EndsEarly => {
            ("the engine is told when the disk has ended, and once", "before the disk has ended it")
        }
        Flaw::TellsTwice => ("the engine is told when the disk has ended, and once", "2 times"),
        Flaw::WakesNever => ("the engine is told when the disk has ended, and once", "not woken"),
        Flaw::NeverEnds => ("the engine is told when the disk has ended, and once", "never told"),
        Flaw::EndsAll => ("an end belongs to its own operation", "told so of"),
        Flaw::EndsTheOldest => ("an end belongs to its own operation", "submitted before it"),
        Flaw::MissesEndsAtOnce => ("operations that end at once are told once", "never told"),
        Flaw::OldestBytesLast => {
            ("of overlapping writes the one that ends last stays", "the one that ended last")
        }
        Flaw::OneReadBuffer => ("reads in flight have buffers of their own", "in flight together"),
        Flaw::StepsNothing => ("the engine's own step ends what is in flight", "steps of its own"),
        Flaw::ShortReadIsWhole => ("a short read is no whole one", "returns 0xdb"),
        Flaw::ShortReadStays => ("a short read is no whole one", "not continued"),
        Flaw::ShortWriteIsWhole => ("a short write is no whole one", "fewer were written"),
        Flaw::ShortWriteStays => ("a short write is no whole one", "not continued"),
        Flaw::WritesOnAfterTheEnd => ("buffers are the engine's after the end", "after the engine was told"),
        Flaw::HidesReadErrors => ("a read error arrives once", "ended well"),
        Flaw::HidesWriteErrors => ("a write error arrives once", "ended well"),
        Flaw::HidesNoSpace => ("a full disk is told as an error", "ended well"),
        Flaw::HidesSyncErrors => ("a sync error arrives once", "ended well"),
        Flaw::HidesTruncationErrors => ("a truncation error arrives once", "ended well"),
        Flaw::TellsErrorsTwice => ("a sync error arrives once", "2 times"),
        Flaw::DropsRefusals => ("a refused submission arrives once", "never told"),
        Flaw::OpensAgain => ("a refused opening is an error", "told that it is open"),
        Flaw::PartIsEnough => ("an error in the rest of a transfer is the operation's", "bytes are all"),
        Flaw::EndsWhenCancelled => ("a cancelled operation ends once", "the disk still has it"),
        Flaw::CancelledIsDone => ("a cancelled operation ends once", "ended well"),
        Flaw::SyncsNothing => ("a sync covers what was written before it", "the disk was asked for nothing"),
        Flaw::SyncsTheFirst => ("a sync covers what was written before it", "is not there"),
        Flaw::TellsTheDead => ("what is in flight at a crash is never told", "told afterwards"),
        Flaw::OldHandlesWork => ("a handle of an earlier life does nothing", "ends well"),
        Flaw::Panics => ("a read error arrives once", "it panics: the adapter gives up"),
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
    for flaw in [None, Some(Flaw::ShortReadIsWhole)] {
        assert_eq!(report(flaw).to_string(), report(flaw).to_string());
    }
}
