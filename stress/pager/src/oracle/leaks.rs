use super::{History, Observation, Oracle, Verdict};
use tenterhook_stress::violation::Violation;

/// Nothing stays pinned, registered, locked or in flight at rest, and nothing stays alive without
/// a handle.
#[derive(Debug, Default)]
pub struct Leaks;

impl Oracle for Leaks {
    fn judge(&mut self, _: &History, seen: &Observation<'_>) -> Verdict {
        match *seen {
            Observation::AtRest(audit) if !audit.is_idle() => {
                let expected =
                    "no reader, pin, writer, waiter, load, write or checkpoint when all are at rest";
                Err(Violation::safety("leaks", expected, format!("{audit:?}")))
            }
            Observation::Freed { owners } if owners > 0 => {
                let seen = format!("{owners} owners are left after every handle and operation was dropped");
                Err(Violation::safety("leaks", "the pager freed with its last handle", seen))
            }
            _ => Ok(()),
        }
    }
}
