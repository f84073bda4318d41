//! The tester as a library: systems as ordinary tests.

#[path = "../examples/log_store.rs"]
mod log_store;

use log_store::LogStore;
use tenterhook_stress::check::Check;
use tenterhook_stress::disk::FaultKind;
use tenterhook_stress::shrink::Replay as _;
use tenterhook_stress::simulate;
use tenterhook_stress::system::{Context, Crash, Step, System};
use tenterhook_stress::tape::{Source, Tape};
use tenterhook_stress::violation::Violation;
use tenterhook_stress::world::Keep;

simulate! {
    /// Without faults there is nothing that recovery could get wrong.
    fn a_store_without_faults_keeps_everything(seeds = 20) => |connections| LogStore::new(connections, false)

    /// The log store as it should be.
    fn a_store_survives_power_losses_and_errors(
        connections = 4,
        seeds = 100,
        faults = [FaultKind::PowerLoss, FaultKind::SectorTorn, FaultKind::SyncFailed, FaultKind::WriteError],
    ) => |connections| LogStore::new(connections, true)
}

#[test]
fn recovery_that_believes_every_record_is_found_and_made_small() {
    // Of a run that is short before it is shrunk, less can go.
    let mut first = 0;
    let broken = loop {
        let found = log_store::check(false).search(first, 1_000);
        let broken = found.expect("one of a thousand seeds finds it");
        if broken.shrunk.before.steps >= 1_200 {
            break broken;
        }
        first = broken.seed.expect("a seed has found it") + 1;
    };
    let (before, after) = (broken.shrunk.before, broken.shrunk.after);
    assert_eq!(broken.shrunk.violation.oracle, "durability");
    assert!(after.steps < before.steps / 4 && after.choices < before.choices / 10, "{before:?} {after:?}");
}

/// What recovery believes is on the disk of the life before: a life earlier, the store is sound, and the history before can go.
#[test]
fn the_past_of_a_store_that_offers_its_oracle_s_knowledge_can_be_cut_off() {
    let check = log_store::check(true);
    let mut begun = 0;
    for seed in 0..30 {
        let drawn = check.play(&Source::Seed(seed), Keep::Tape);
        let whole = check.play(&Source::from(drawn.tape.in_turns()), Keep::Beginnings);
        let tape = &whole.tape;
        for beginning in &whole.beginnings {
            let rest = check.play(&Source::from(tape.since(beginning)), Keep::Tape);
            assert!(rest.violation.is_none(), "seed {seed}: {:?}", rest.violation);
            let asked = tape.since(beginning);
            let choices = |tape: &Tape| tape.choices().collect::<Vec<_>>();
            assert_eq!(choices(&rest.tape), choices(&asked), "seed {seed}: other choices were drawn");
            begun += 1;
        }
    }
    assert!(begun > 30, "{begun}");
}

#[test]
fn a_failure_says_what_broke_and_how_to_repeat_it_and_its_tape_can_be_played() {
    let check = || Check::new("slip", |connections| Slip { connections, steps: 0 });
    let panic = std::panic::catch_unwind(|| check().run()).expect_err("it slips");
    let text = panic.downcast_ref::<String>().expect("a message");
    assert!(text.contains("VIOLATION of footing"), "{text}");
    let last = text.lines().last().expect("a last line");
    assert_eq!(last, "TENTERHOOK_SEED=0x0 cargo test slip");
    let tape = text.lines().find_map(|line| line.strip_prefix("TENTERHOOK_TAPE=")).expect("a tape");
    let tape = std::fs::read(tape.split(' ').next().expect("a path")).expect("it was written");
    let panic = std::panic::catch_unwind(|| check().replay(&tape)).expect_err("it slips again");
    assert!(panic.downcast_ref::<String>().expect("a message").contains("VIOLATION of footing"));
    let other = Check::new("other", |connections| Slip { connections, steps: 0 });
    std::panic::catch_unwind(|| other.replay(&tape)).expect_err("a tape means nothing to another test");
}

/// Slips at its third step.
struct Slip {
    connections: u32,
    steps: u32,
}

impl System for Slip {
    fn connections(&self) -> u32 {
        self.connections
    }

    fn step(&mut self, _: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        self.steps += 1;
        if self.steps < 3 { Ok(Step::Ended) } else { Err(Violation::safety("footing", "to stand", "a fall")) }
    }

    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        Ok(())
    }
}
