use super::{History, Observation, Oracle, Verdict};
use tenterhook_stress::violation::Violation;

/// One writer at a time: each starts from the newest commit, be it in flight, and its own gets the next number.
#[derive(Debug, Default)]
pub struct CommitOrder;

impl Oracle for CommitOrder {
    fn judge(&mut self, history: &History, seen: &Observation<'_>) -> Verdict {
        match *seen {
            Observation::WriteBegan { base, raced } => starts_from_the_newest(history, base, raced),
            Observation::Committed { id, sequence } => gets_the_next_number(history, id, sequence),
            _ => Ok(()),
        }
    }
}

fn starts_from_the_newest(history: &History, base: u64, raced: bool) -> Verdict {
    // What it starts from may have failed since.
    let was_there = history.can_be_seen(base) || raced && history.was_requested(base);
    if base >= history.head() && was_there {
        return Ok(());
    }
    let expected = format!("a writer that starts from commit {}, the newest that was seen", history.head());
    Err(Violation::safety("commit order", expected, format!("it starts from commit {base}")))
}

fn gets_the_next_number(history: &History, id: u64, sequence: u64) -> Verdict {
    let fault = |expected: String| {
        let seen = format!("transaction {id} was acknowledged as commit {sequence}");
        Err(Violation::safety("commit order", expected, seen))
    };
    if let Some(early) = history.seen_early(id) {
        return if early == sequence {
            Ok(())
        } else {
            fault(format!("commit {early}, as which it was read"))
        };
    }
    match history.flight(id) {
        None => fault("no acknowledgement: this commit was never requested, or it ended before".into()),
        Some(flight) if flight.after_crash => {
            fault(format!("no acknowledgement: another writer has started from commit {} since", flight.base))
        }
        Some(flight) if flight.base + 1 != sequence => fault(format!("commit {}", flight.base + 1)),
        Some(_) if !history.can_be_seen(sequence) => {
            fault(format!("none: what it was built on, after commit {}, has failed", history.head()))
        }
        Some(_) => Ok(()),
    }
}
