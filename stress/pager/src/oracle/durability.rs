use super::{History, Observation, Oracle, Verdict};
use tenterhook_stress::sometimes;
use tenterhook_stress::violation::Violation;

/// A commit that was acknowledged or read survives every crash. With durability normal: after
/// every end of the process; after a power loss, or a sync that drops what was written, if a checkpoint had copied it.
#[derive(Debug, Default)]
pub struct Durability;

impl Oracle for Durability {
    fn judge(&mut self, history: &History, seen: &Observation<'_>) -> Verdict {
        let Observation::Opened { sequence } = *seen else { return Ok(()) };
        let (survives, head) = (history.must_survive(), history.head());
        if sequence < survives {
            let expected = format!("commit {survives}, which was acknowledged or read, or a newer one");
            return Err(Violation::safety("durability", expected, format!("recovered to commit {sequence}")));
        }
        let was_under_way = history.candidates(head + 1).next().is_some();
        sometimes!(sequence == head && was_under_way, "a crash loses an unacknowledged commit");
        sometimes!(sequence > head, "a crash keeps an unacknowledged commit");
        sometimes!(sequence < head, "a power loss takes commits that were acknowledged before their sync");
        if history.candidates(sequence).next().is_none() {
            let expected = format!("a commit from {survives} to {head}, or one that was asked for");
            let seen = format!("recovered to commit {sequence}, which was never requested");
            return Err(Violation::safety("durability", expected, seen));
        }
        Ok(())
    }
}
