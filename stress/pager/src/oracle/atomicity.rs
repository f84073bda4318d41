use super::history::Candidate;
use super::{ABSENT, History, Observation, Oracle, Verdict};
use tenterhook_stress::violation::Violation;

/// A transaction has happened as a whole or not at all: in what recovery brings back, and in what readers see.
#[derive(Debug, Default)]
pub struct Atomicity;

impl Oracle for Atomicity {
    fn judge(&mut self, history: &History, seen: &Observation<'_>) -> Verdict {
        match *seen {
            Observation::Recovered { pages } => whole_transactions(history, pages),
            Observation::Invariant { sequence, what, expected, seen } if expected != seen => {
                let expected = format!("{what} {expected} in every committed state");
                Err(Violation::safety(
                    "atomicity",
                    expected,
                    format!("{what} {seen} in the snapshot of commit {sequence}"),
                ))
            }
            Observation::CommitFailed { id } | Observation::CommitDropped { id, submitted: false } => {
                match history.seen_early(id) {
                    Some(sequence) => {
                        let expected = format!(
                            "transaction {id}, whose commit failed or was dropped early, not to be visible"
                        );
                        Err(Violation::safety(
                            "atomicity",
                            expected,
                            format!("it was read as commit {sequence}"),
                        ))
                    }
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

/// The recovered pages are those of one of the states that may come back.
fn whole_transactions(history: &History, pages: &[u64]) -> Verdict {
    let Some(sequence) = history.opened() else { return Ok(()) };
    let mut nearest = None;
    for candidate in history.candidates(sequence) {
        match history.mismatch(candidate, sequence, pages) {
            None => return Ok(()),
            Some((page, expected)) => nearest = Some((candidate, page, expected)),
        }
    }
    let Some((candidate, page, expected)) = nearest else { return Ok(()) };
    let state = match candidate {
        Candidate::Chain => format!("the state after commit {sequence}"),
        Candidate::With(flight) => format!("transaction {} whole upon commit {}", flight.id, flight.base),
    };
    let found = pages.get(page as usize).copied().unwrap_or(ABSENT);
    let (written, whole) = (history.origin(page, expected), history.origin(page, found));
    let violation = Violation::safety(
        "atomicity",
        format!("{state}: page {page} with digest {expected:#x}, as {written} left it"),
        format!("recovered to commit {sequence}: page {page} has digest {found:#x}, which is from {whole}"),
    );
    Err(violation.note(format!("acknowledged up to commit {}", history.acknowledged())))
}
