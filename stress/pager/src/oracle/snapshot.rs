use super::{ABSENT, History, Observation, Oracle, Verdict};
use tenterhook_stress::violation::Violation;

/// A reader sees one committed state, all of it and nothing else, and none older than what was acknowledged when it
/// began. A transaction sees, besides, what it has changed itself.
#[derive(Debug, Default)]
pub struct Snapshot;

impl Oracle for Snapshot {
    #[inline]
    fn judge(&mut self, history: &History, seen: &Observation<'_>) -> Verdict {
        match *seen {
            Observation::PageRead { sequence, page, digest } => {
                let expected = history.digest(page, sequence);
                if expected == digest {
                    Ok(())
                } else {
                    Err(mismatch(history, sequence, page, expected, digest))
                }
            }
            Observation::OwnPage { sequence, page, expected, seen } if expected != seen => {
                let was =
                    if seen == history.digest(page, sequence) { ", as its snapshot has it" } else { "" };
                let expected =
                    format!("page {page} as the transaction has left it, with digest {expected:#x}");
                Err(Violation::safety("snapshot", expected, format!("digest {seen:#x}{was}")))
            }
            Observation::TakenBack { sequence, expected, seen } if expected != seen => {
                let upon =
                    format!("after a rollback to a savepoint, in a transaction upon commit {sequence}");
                Err(Violation::safety(
                    "snapshot",
                    format!("{expected} pages {upon}"),
                    format!("{seen} pages"),
                ))
            }
            Observation::ReadBegan { sequence, floor } => can_be_read(history, sequence, floor),
            Observation::PinnedAgain { page, before, after } if before != after => {
                let expected = format!("page {page} with digest {before:#x} for as long as it is pinned");
                let seen = format!("digest {after:#x}, which is from {}", history.origin(page, after));
                Err(Violation::safety("snapshot", expected, seen))
            }
            _ => Ok(()),
        }
    }
}

fn can_be_read(history: &History, sequence: u64, acknowledged: u64) -> Verdict {
    if sequence < acknowledged {
        let expected =
            format!("a snapshot no older than commit {acknowledged}, which was acknowledged before");
        return Err(Violation::safety("snapshot", expected, format!("a snapshot of commit {sequence}")));
    }
    if !history.can_be_seen(sequence) {
        let expected =
            format!("a snapshot of commit {} or of one that was asked for upon it", history.head());
        let seen = format!("a snapshot of commit {sequence}, which was never made");
        return Err(Violation::safety("snapshot", expected, seen));
    }
    Ok(())
}

#[cold]
fn mismatch(history: &History, sequence: u64, page: u32, expected: u64, digest: u64) -> Box<Violation> {
    let describe = |digest: u64| {
        if digest == ABSENT {
            format!("page {page} absent")
        } else {
            format!("page {page} with digest {digest:#x}, which is from {}", history.origin(page, digest))
        }
    };
    let expected = format!("in the snapshot of commit {sequence}: {}", describe(expected));
    Violation::safety("snapshot", expected, describe(digest)).note(format!(
        "acknowledged up to commit {}, seen up to {}",
        history.acknowledged(),
        history.head()
    ))
}
