//! A bounded run, the same each time, and what it must have reached to mean anything.

use tenterhook_fuzz::campaign::{Tally, run};
use tenterhook_fuzz::{corpus, property};

#[test]
fn every_seed_is_sound_as_it_is() {
    for (name, seed) in corpus::seeds() {
        assert_eq!(property::check(&seed).as_deref(), Ok("opened and sound"), "{name}");
    }
}

/// A change of the format needs a new corpus; an old one would be refused at its first byte, case by case.
#[test]
fn corpus_is_what_the_pager_writes() {
    for (name, seed) in corpus::seeds() {
        let made = corpus::make(name).expect("a pager on memory");
        assert!(made == seed, "{name}: run tenterhook-fuzz --write-corpus runtime/fuzz/corpus");
    }
}

#[test]
fn arbitrary_files_are_refused_or_usable() {
    let mut tally = Tally::default();
    for batch in 0..20 {
        tally.add(run(batch, 500).unwrap_or_else(|failure| panic!("batch {batch}: {failure}")));
    }
    // Reached: the code behind the checksums, and each of the refusals.
    assert!(tally.beginning_with("opened and sound") > 1000, "{tally:#?}");
    assert!(tally.beginning_with("opened: ") > 500, "{tally:#?}");
    for refusal in [
        "NotADatabase",
        "UnsupportedVersion",
        "CorruptHeader",
        "Truncated",
        "CorruptLog",
        "ForeignLog",
        "LogWithoutDatabase",
    ] {
        assert!(tally.beginning_with(&format!("refused: {refusal}")) > 0, "{refusal}: {tally:#?}");
    }
}
