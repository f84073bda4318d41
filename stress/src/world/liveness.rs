//! Once faults have stopped, everything finishes within a bound of steps.

use crate::violation::Violation;

/// Nobody can run, nothing is in flight, and still somebody waits.
pub fn deadlock(step: u64, waiting: usize) -> Box<Violation> {
    let seen = format!("step {step}: {waiting} operations wait, nothing is in flight, nobody can run");
    Violation::liveness("liveness", "whoever waits is woken", seen)
}

/// Too many steps have passed.
pub fn too_late(step: u64, waiting: usize, what: &str, bound: u64) -> Box<Violation> {
    let expected = format!("at most {bound} steps without faults {what}");
    Violation::liveness("liveness", expected, format!("step {step}: {waiting} operations are not done"))
}
