//! Once faults have stopped, everything finishes within a bound of steps.

use std::collections::BTreeSet;

use crate::violation::{Violation, words};

/// Who waits, and in which phase. Two failures are the same kind if this is the same, whatever the numbers: `seen` says it.
#[derive(Debug)]
pub(super) struct Waiting {
    /// How many operations.
    pub(super) count: usize,
    pub(super) phase: &'static str,
    /// What each of them does.
    pub(super) doing: Vec<String>,
}

impl Waiting {
    /// Kinds of operations, each once and in an order that does not depend on who waits first: neither two connections that do the
    /// same nor their numbers make another failure of it.
    fn kinds(&self) -> String {
        let kinds: BTreeSet<String> = self.doing.iter().map(|doing| words(doing).join(" ")).collect();
        kinds.into_iter().filter(|kind| !kind.is_empty()).collect::<Vec<_>>().join(", ")
    }
}

/// No fiber can run, nothing is in flight, and operations still wait.
pub(super) fn deadlock(step: u64, waiting: &Waiting) -> Box<Violation> {
    let Waiting { count, phase, .. } = waiting;
    let kinds = waiting.kinds();
    let seen = format!(
        "step {step}: {count} operations wait {phase}, nothing is in flight, no fiber can run: {kinds}"
    );
    Violation::liveness("liveness", "every waiter is woken", seen)
}

/// Too many steps have passed.
pub(super) fn too_late(step: u64, waiting: &Waiting, what: &str, bound: u64) -> Box<Violation> {
    let expected = format!("at most {bound} steps without faults {what}");
    let Waiting { count, phase, .. } = waiting;
    let seen = format!("step {step}: {count} operations are not done {phase}: {}", waiting.kinds());
    Violation::liveness("liveness", expected, seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::violation::Class;
    use crate::world::phase::{Boot, Phase, Rest};

    fn waiting(phase: Phase, doing: &[&str]) -> Waiting {
        let doing: Vec<String> = doing.iter().map(|&doing| doing.to_owned()).collect();
        Waiting { count: doing.len(), phase: phase.name(), doing }
    }

    #[test]
    fn liveness_names_the_step_the_bound_the_phase_and_who_waits() {
        let violation = too_late(500, &waiting(Phase::Booting(Boot::Calm), &["opens"]), "to boot", 200);
        assert_eq!(violation.class, Class::Liveness);
        assert!(violation.expected.contains("200") && violation.seen.contains("500"), "{violation}");
        assert!(violation.seen.contains("while the system boots: opens"), "{violation}");
        assert_eq!(deadlock(7, &waiting(Phase::Running, &["reads"])).class, Class::Liveness);
    }

    #[test]
    fn failures_of_liveness_are_alike_if_phase_and_who_waits_are_the_same() {
        let stuck = |phase, doing: &[&str]| deadlock(7, &waiting(phase, doing));
        let one = stuck(Phase::Running, &["commit 5 of connection 1", "reads page 2"]);
        let same = ["reads page 9", "commit 80 of connection 0", "reads page 1"];
        assert!(one.is_alike(&stuck(Phase::Running, &same)), "numbers, order and repetitions are left out");
        assert!(!one.is_alike(&stuck(Phase::Running, &["reads page 2"])), "a commit does not wait");
        let resting = Phase::Draining(Rest::Final);
        assert!(
            !one.is_alike(&stuck(resting, &["commit 5 of connection 1", "reads page 2"])),
            "another phase"
        );
        let late = |phase, doing: &[&str]| too_late(9, &waiting(phase, doing), "to end", 200);
        assert!(
            late(resting, &["reads 1"])
                .is_alike(&late(Phase::Draining(Rest::Pause), &["reads 2", "reads 3"]))
        );
        assert!(!late(resting, &["reads 1"]).is_alike(&late(resting, &["commit 1"])));
    }
}
