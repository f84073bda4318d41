//! What failures of one cause have in common.

use xxhash_rust::xxh3::xxh3_64;

use crate::timeline;
use crate::trace::EventKind;
use crate::violation::{Class, Violation};
use crate::world::{RunOutcome, WAITS};

/// So many operations at the end of a shrunk run count.
const LAST: usize = 2;

/// The oracle of seeds of which two runs differ.
pub(super) const DETERMINISM: &str = "determinism";

/// The cause of a failure, as far as it can be told from outside: what was tested, which oracle fired, what it said without its
/// numbers, and what connections were doing at the end of the shrunk run. Never a stack: it changes with the compiler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    /// The oracle and a hash of all parts.
    pub(super) name: String,
    pub(super) oracle: String,
    pub(super) class: String,
    /// The violation, normalised.
    pub(super) text: String,
    /// Kinds of operations in the last steps.
    pub(super) operations: String,
}

impl Signature {
    /// Of a violation, of the shrunk run if there is one, and of what was being done.
    pub(super) fn new(subject: &str, violation: &Violation, operations: &str) -> Signature {
        let class = match violation.class {
            Class::Safety => "safety",
            Class::Liveness => "liveness",
            Class::Panic => "panic",
        };
        let text =
            format!("expected {}; seen {}", normalised(&violation.expected), normalised(&violation.seen));
        Signature::of_parts(subject, &violation.oracle, class, text, operations.to_owned())
    }

    /// Of a seed of which two runs differ.
    pub(super) fn nondeterminism(subject: &str) -> Signature {
        let text = "expected one trace; seen two".to_owned();
        Signature::of_parts(subject, DETERMINISM, "nondeterminism", text, String::new())
    }

    fn of_parts(subject: &str, oracle: &str, class: &str, text: String, operations: String) -> Signature {
        let whole = [subject, oracle, class, &text, &operations].join("\n");
        let word: String = oracle.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        Signature {
            name: format!("{word}-{:08x}", xxh3_64(whole.as_bytes()) >> 32),
            oracle: oracle.to_owned(),
            class: class.to_owned(),
            text,
            operations,
        }
    }
}

/// Whether `name` can be that of a signature. It is the name of a folder too, and may come from another machine's database.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// Kinds of operations that connections did last in a shrunk run, without those that they do in the `dull` one, whose choices are all
/// default: the shrinker has no way to take them out, so that they tell nothing. Both runs have kept their story.
pub(super) fn last_operations(shrunk: &RunOutcome, dull: &RunOutcome) -> String {
    let dull = deeds(dull);
    let mut last: Vec<String> = deeds(shrunk).into_iter().rev().filter(|deed| !dull.contains(deed)).collect();
    last.truncate(LAST);
    last.sort_unstable();
    last.dedup();
    last.join(", ")
}

/// Kinds of operations of connections, in the order in which they began.
fn deeds(outcome: &RunOutcome) -> Vec<String> {
    let of_fibers = timeline::moments(outcome).into_iter().filter(|moment| {
        moment.kind == EventKind::Step && moment.actor.as_fiber().is_some() && !moment.struck
    });
    let deeds = of_fibers.map(|moment| normalised(moment.text.strip_suffix(WAITS).unwrap_or(&moment.text)));
    deeds
        .filter(|deed| deed != "operation ended" && deed != "nothing more to do" && !deed.is_empty())
        .collect()
}

/// `text` without what differs from seed to seed: numbers and hexadecimal are #, a path is its last part, and a list of numbers is one #.
pub(super) fn normalised(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let word = if word.contains('/') { word.rsplit('/').next().unwrap_or(word) } else { word };
        let word = without_numbers(word);
        let is_number = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric() && c != '#') == "#";
        if is_number(&word) && words.last().is_some_and(|last| is_number(last)) {
            words.pop();
        }
        words.push(word);
    }
    words.join(" ")
}

/// Each run of digits, and each run of hexadecimal digits that has a digit, as #; `0x` belongs to it.
fn without_numbers(word: &str) -> String {
    let mut text = String::new();
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        let length = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        if length == 0 {
            text.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (part, after) = rest.split_at(length);
        rest = after;
        let digits = part.strip_prefix("0x").unwrap_or(part);
        let is_hexadecimal =
            digits.chars().all(|c| c.is_ascii_hexdigit()) && digits.contains(|c: char| c.is_ascii_digit());
        if is_hexadecimal {
            text.push('#');
        } else {
            let mut in_number = false;
            for letter in part.chars() {
                if !letter.is_ascii_digit() {
                    text.push(letter);
                } else if !in_number {
                    text.push('#');
                }
                in_number = letter.is_ascii_digit();
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_no_other_folder() {
        let own = Signature::of_parts("store", "own slot/..", "safety", String::new(), String::new());
        assert!(is_name(&own.name), "{}", own.name);
        assert!(["", "..", "a/b", "../../x", "a.b"].iter().all(|name| !is_name(name)));
    }

    #[test]
    fn what_differs_from_seed_to_seed_is_left_out() {
        for (text, expected) in [
            ("9, or one more", "#, or one more"),
            ("commit 5, digest 0xab12", "commit #, digest #"),
            ("pages 1, 2, 3 and 17", "pages # and #"),
            ("the cat snapped at stress/src/job/cat.rs:17:5", "the cat snapped at cat.rs:#:#"),
            ("/tmp/x1/db-wal: gone", "db-wal: gone"),
            ("fiber7 at 3f2a9c", "fiber# at #"),
            ("a dead beef", "a dead beef"),
            ("é 5", "é #"),
        ] {
            assert_eq!(normalised(text), expected, "{text}");
        }
    }

    #[test]
    fn signatures_differ_by_subject_oracle_words_and_operations_and_not_by_numbers() {
        let name = |subject, oracle, seen: &str, operations| {
            Signature::new(subject, &Violation::safety(oracle, "all", seen), operations).name
        };
        let one = name("tally", "durability", "commit 7", "store");
        assert_eq!(one, name("tally", "durability", "commit 19", "store"));
        for other in [
            name("ledger", "durability", "commit 7", "store"),
            name("tally", "order", "commit 7", "store"),
            name("tally", "durability", "page 7", "store"),
            name("tally", "durability", "commit 7", "load"),
        ] {
            assert_ne!(one, other);
        }
    }
}
