use super::{History, Observation, Oracle, Verdict};
use tenterhook_stress::violation::Violation;

/// Every reported error is explained by a fault. (That corruption is never returned as content is for the
/// oracles that compare content.)
#[derive(Debug, Default)]
pub struct UnexplainedError;

impl Oracle for UnexplainedError {
    fn judge(&mut self, _: &History, seen: &Observation<'_>) -> Verdict {
        let Observation::Failed { what, error, cause: None } = *seen else { return Ok(()) };
        let expected =
            format!("{what} to go well: no fault that explains this error struck while it was under way");
        Err(Violation::safety("unexplained error", expected, error.to_string()))
    }
}
