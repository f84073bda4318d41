use super::{History, Observation, Oracle, Verdict};
use crate::violation::Violation;

/// A commit that was acknowledged is there after every crash.
#[derive(Debug, Default)]
pub struct Durability;

impl Oracle for Durability {
    fn judge(&mut self, history: &History, seen: &Observation<'_>) -> Verdict {
        let Observation::Opened { sequence } = *seen else { return Ok(()) };
        let (acknowledged, head) = (history.acknowledged(), history.head());
        if sequence < acknowledged {
            let expected = format!("commit {acknowledged}, which was acknowledged, or a newer one");
            return Err(Violation::safety("durability", expected, format!("recovered to commit {sequence}")));
        }
        if history.candidates(sequence).next().is_none() {
            let expected = format!("a commit from {acknowledged} to {head}, or one that was asked for");
            let seen = format!("recovered to commit {sequence}, which nobody has asked for");
            return Err(Violation::safety("durability", expected, seen));
        }
        Ok(())
    }
}
