//! What an oracle has to say when it fires.

use serde::{Deserialize, Serialize};

/// The sort of promise that was broken; it decides the exit code.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Something happened that must never happen.
    Safety,
    /// Something did not happen although nothing stood in its way any more.
    Liveness,
    /// The system under test panicked.
    Panic,
}

/// A broken promise: what was expected and what was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The oracle that fired.
    pub oracle: String,
    /// The sort of promise.
    pub class: Class,
    /// What had to be.
    pub expected: String,
    /// What was.
    pub seen: String,
    /// Whatever else helps: who waits for what, where the panic was.
    pub notes: Vec<String>,
}

impl Violation {
    /// A broken promise of safety. Boxed, so that a step that goes well returns little.
    pub fn safety(oracle: &str, expected: impl Into<String>, seen: impl Into<String>) -> Box<Violation> {
        Violation::of(Class::Safety, oracle, expected, seen)
    }

    /// A broken promise of progress.
    pub fn liveness(oracle: &str, expected: impl Into<String>, seen: impl Into<String>) -> Box<Violation> {
        Violation::of(Class::Liveness, oracle, expected, seen)
    }

    /// A panic.
    pub fn panic(seen: impl Into<String>) -> Box<Violation> {
        Violation::of(Class::Panic, "panic", "no panic, whatever the faults", seen)
    }

    /// The same with one more note.
    #[must_use]
    pub fn note(mut self: Box<Self>, note: impl Into<String>) -> Box<Violation> {
        self.notes.push(note.into());
        self
    }

    /// Whether `other` is of the same oracle and says the same in its words, whatever the numbers.
    pub fn is_alike(&self, other: &Violation) -> bool {
        self.oracle == other.oracle
            && self.class == other.class
            && words(&self.expected) == words(&other.expected)
            && words(&self.seen) == words(&other.seen)
    }

    fn of(
        class: Class,
        oracle: &str,
        expected: impl Into<String>,
        seen: impl Into<String>,
    ) -> Box<Violation> {
        Box::new(Violation {
            oracle: oracle.into(),
            class,
            expected: expected.into(),
            seen: seen.into(),
            notes: Vec::new(),
        })
    }
}

/// The words of `text`: each that has a digit, such as a page's number or a digest, is left out.
pub(crate) fn words(text: &str) -> Vec<&str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let words = text.split(|c| !is_word(c)).filter(|word| !word.is_empty());
    words.filter(|word| !word.contains(|c: char| c.is_ascii_digit())).collect()
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "VIOLATION of {}", self.oracle)?;
        writeln!(f, "  expected  {}", self.expected)?;
        write!(f, "  seen      {}", self.seen)?;
        for note in &self.notes {
            write!(f, "\n  note      {note}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn violations_are_alike_if_only_their_numbers_differ() {
        let lost = Violation::safety("durability", "commit 7", "commit 3, digest 0xab");
        assert!(lost.is_alike(&Violation::safety("durability", "commit 40", "commit 12, digest 0x0")));
        assert!(!lost.is_alike(&Violation::safety("durability", "commit 7", "an empty file")));
        assert!(!lost.is_alike(&Violation::safety("order", "commit 7", "commit 3, digest 0xab")));
        assert!(!lost.is_alike(&Violation::safety("durability", "page 7", "commit 3, digest 0xab")));
        assert!(!lost.is_alike(&Violation::liveness("durability", "commit 7", "commit 3, digest 0xab")));
    }
}
