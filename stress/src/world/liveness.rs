//! Once faults have stopped, everything finishes within a bound of steps.

use crate::violation::Violation;

/// No fiber can run, nothing is in flight, and operations still wait.
pub(super) fn deadlock(step: u64, waiting: usize) -> Box<Violation> {
    let seen = format!("step {step}: {waiting} operations wait, nothing is in flight, no fiber can run");
    Violation::liveness("liveness", "every waiter is woken", seen)
}

/// Too many steps have passed.
pub(super) fn too_late(step: u64, waiting: usize, what: &str, bound: u64) -> Box<Violation> {
    let expected = format!("at most {bound} steps without faults {what}");
    Violation::liveness("liveness", expected, format!("step {step}: {waiting} operations are not done"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::violation::Class;

    #[test]
    fn liveness_names_the_step_and_the_bound() {
        let violation = too_late(500, 3, "to boot", 200);
        assert_eq!(violation.class, Class::Liveness);
        assert!(violation.expected.contains("200") && violation.seen.contains("500"), "{violation}");
        assert_eq!(deadlock(7, 2).class, Class::Liveness);
    }
}
