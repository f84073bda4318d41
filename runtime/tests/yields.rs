//! Yields, and state machines that are stepped again after them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tenterhook_runtime::{
    Completion, IOCompletions, IOResult, StateMachine, StateTransition, TransitionResult, io_yield_one,
    return_if_io,
};

#[test]
fn a_yield_has_no_completion_to_wait_for() {
    let yielded: IOResult<()> = IOResult::IO(IOCompletions::Yield);
    assert!(yielded.is_io());
    let io = yielded.io().expect("a yield is suspended");
    assert!(io.is_yield());
    assert!(io.completion().is_none(), "it can't be waited on, completed, or found finished");
}

#[test]
fn a_suspended_step_hands_up_what_it_waits_for_untouched() {
    let (completion, completer) = Completion::new(|_| {});
    let step = || -> Result<IOResult<u64>, ()> { io_yield_one!(completion.clone()) };
    let outer = || -> Result<IOResult<u64>, ()> { Ok(IOResult::Done(return_if_io!(step()) + 1)) };
    let io = outer().expect("no error").io().expect("suspended");
    let _ = completer.complete(3);
    assert_eq!(io.completion().and_then(Completion::result), Some(Ok(3)));
}

/// Which of its points yield, once each: bit n is the n-th.
struct Yields(u32);

impl Yields {
    fn at(&mut self, point: u32) -> Result<IOResult<()>, ()> {
        let bit = 1 << point;
        if self.0 & bit != 0 {
            self.0 &= !bit;
            return Ok(IOResult::IO(IOCompletions::Yield));
        }
        Ok(IOResult::Done(()))
    }
}

/// Appends two records. What it has to keep over a yield is in the variant; it mutates after the last yield of an arm.
enum Append {
    First,
    Second { first: usize },
}

struct Appending<'a> {
    state: Append,
    yields: Yields,
    log: &'a mut Vec<&'static str>,
}

impl Appending<'_> {
    fn step(&mut self) -> Result<IOResult<usize>, ()> {
        loop {
            match self.state {
                Append::First => {
                    return_if_io!(self.yields.at(0));
                    return_if_io!(self.yields.at(1));
                    self.log.push("first");
                    self.state = Append::Second { first: self.log.len() };
                }
                Append::Second { first } => {
                    return_if_io!(self.yields.at(2));
                    self.log.push("second");
                    return Ok(IOResult::Done(first));
                }
            }
        }
    }
}

#[test]
fn arms_that_mutate_last_come_to_the_same_whatever_yields() {
    for subset in 0..8 {
        let mut log = Vec::new();
        let mut machine = Appending { state: Append::First, yields: Yields(subset), log: &mut log };
        let mut suspended = 0;
        let first = loop {
            match machine.step().expect("no error") {
                IOResult::Done(first) => break first,
                IOResult::IO(_) => suspended += 1,
            }
        };
        assert_eq!(
            (first, &*log, suspended),
            (1, &["first", "second"][..], subset.count_ones()),
            "{subset:03b}"
        );
    }
}

struct Once;

impl StateTransition for Once {
    type Context = ();
    type Output = ();
    type Error = ();

    fn step(&mut self, (): &()) -> Result<TransitionResult<()>, ()> {
        Ok(TransitionResult::Done(()))
    }
}

#[test]
fn stepping_a_finished_machine_panics_at_the_callers_line() {
    let mut machine = StateMachine::new(Once);
    assert!(matches!(machine.step(&()), Ok(IOResult::Done(()))));
    assert!(machine.is_finished());
    let line = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let seen = std::sync::Arc::clone(&line);
    std::panic::set_hook(Box::new(move |info| {
        let here = info.location().filter(|location| location.file().ends_with("yields.rs"));
        seen.store(here.map_or(0, std::panic::Location::line), std::sync::atomic::Ordering::SeqCst);
    }));
    let panicked = catch_unwind(AssertUnwindSafe(|| machine.step(&())));
    drop(std::panic::take_hook());
    assert!(panicked.is_err());
    assert_ne!(line.load(std::sync::atomic::Ordering::SeqCst), 0, "the caller's file, not the runtime's");
}
