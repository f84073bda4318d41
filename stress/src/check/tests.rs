use super::*;
use crate::system::{Context, Crash, Step};
use crate::violation::Violation;

struct Idler(u32);

impl System for Idler {
    fn connections(&self) -> u32 {
        self.0
    }

    fn step(&mut self, _: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        Ok(Step::Ended)
    }

    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        Ok(())
    }
}

/// A tape of a test whose system could once begin with a later life.
#[test]
fn a_fixture_that_the_system_does_not_take_up_is_one_clear_line() {
    let check = Check::new("idling", Idler);
    let mut tape = crate::tape::Tape::default();
    tape.begin_with(crate::tape::Fixture::default().into());
    let bytes = check.file(&Source::from(tape), None).encode();
    let panic = std::panic::catch_unwind(|| check.replay(&bytes)).expect_err("it is refused");
    let text = panic.downcast_ref::<String>().expect("a message");
    assert!(text.contains("begins with a fixture that this system does not take up"), "{text}");
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn a_failure_is_not_shrunk_below_the_connections_that_the_test_needs() {
    let fewest = |least| {
        let check = Check::new("idling", Idler).connections(6).min_connections(least);
        let smaller = check.smaller(&Source::Seed(0), 100);
        smaller.iter().map(|check| check.setup.connections).min()
    };
    assert_eq!(fewest(1), Some(1));
    assert_eq!(fewest(4), Some(4));
    assert_eq!(fewest(0), Some(1), "a system has a connection");
}
