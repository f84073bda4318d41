//! A toy that fails only once much is on its disk, and what cutting its past off makes of it.

use std::path::Path;
use std::sync::Arc;

use tenterhook_runtime::Completion;
use tenterhook_runtime::io::{Buffer, File, IO, OpenOptions, Submission};

use super::super::*;
use crate::disk::SimDisk;
use crate::rng;
use crate::system::{Context, Crash, Step, System};
use crate::tape::{Chance, ChoicePoint};
use crate::violation::Violation;
use crate::watch::Watch;
use crate::world::{Keep, NemesisOptions, World, WorldOptions};

const AMOUNT: ChoicePoint = ChoicePoint::new(0, "amount");
const FILE: &str = "hoard";
/// With fewer on the disk nothing is lost.
const MANY: u64 = 20;
/// And with fewer than these, if what is lost depends on all that was added.
const VERY_MANY: u64 = 60;

/// When the toy looks whether something is lost.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Looks {
    /// At rest.
    AtRest,
    /// In the next life.
    AtBoot,
}

/// What loses an addition.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum LosesBy {
    /// Its amount.
    Amount,
    /// All amounts of its life in their order: whatever is taken off, others are lost.
    History,
    /// Nothing but how many there are.
    Count,
}

/// A count on a disk. Each operation adds one; a large amount adds nothing if there is much already.
struct Hoard {
    hoard: Hoarding,
    file: Option<Arc<dyn File>>,
    count: u64,
    /// Stands for all amounts of this life.
    history: u64,
    /// The write, then the sync.
    wait: Option<(Completion, bool)>,
    /// The oracle's.
    known: u64,
    resumed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Hoarding {
    looks: Looks,
    loses: LosesBy,
    /// Its life may end at any moment.
    crashes: bool,
    offers: bool,
    /// With it a fixture means something else.
    odd: bool,
}

impl Hoard {
    fn start(&mut self, submission: (Completion, Submission), is_sync: bool) -> Step {
        let completion = self.file.as_ref().expect("booted").start(submission);
        self.wait = Some((completion.clone(), is_sync));
        Step::Wait(completion)
    }

    fn look(&self) -> Result<(), Box<Violation>> {
        if self.hoard.odd && self.resumed {
            return Err(Violation::safety("count", "what was added", "less"));
        }
        match self.count < self.known {
            true => Err(Violation::safety("count", "what was added", "less")),
            false => Ok(()),
        }
    }
}

impl System for Hoard {
    fn connections(&self) -> u32 {
        1
    }
    fn boot(&mut self, io: &Arc<dyn IO>, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        // What a killed process has left counts once it is durable.
        if self.wait.take().is_none() {
            self.file = io.open(FILE.as_ref(), OpenOptions::creating()).ok();
            return Ok(self.start(Submission::sync(|_| {}), true));
        }
        let content = context.disk.content(Path::new(FILE)).unwrap_or_default();
        self.count = content.get(..8).map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
        // What was asked for when the life ended may be there.
        if self.count > self.known + 1 {
            return Err(Violation::safety("made up", "what was added", "more"));
        }
        if self.hoard.looks == Looks::AtBoot {
            self.look()?;
        }
        self.known = self.count;
        Ok(Step::Ended)
    }
    fn step(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        match self.wait.take() {
            Some((_, true)) => {
                self.known += 1;
                return Ok(Step::Ended);
            }
            Some((_, false)) => return Ok(self.start(Submission::sync(|_| {}), true)),
            None => {}
        }
        let amount = context.stream.choose(AMOUNT, 16);
        self.history = rng::derive(self.history, u64::from(amount));
        let is_lost = match self.hoard.loses {
            LosesBy::Amount => amount == 7 && self.count >= MANY,
            LosesBy::History => self.history.is_multiple_of(32) && self.count >= VERY_MANY,
            LosesBy::Count => self.count >= VERY_MANY,
        };
        self.count += u64::from(!is_lost);
        let bytes = self.count.to_le_bytes();
        Ok(self.start(Submission::write(0, Buffer::copy_of(&bytes), |_, _| {}), false))
    }
    fn quiesce(&mut self, _: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        if self.hoard.looks == Looks::AtRest {
            self.look()?;
        }
        Ok(Step::Ended)
    }
    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        (self.file, self.wait, self.history) = (None, None, 0);
        Ok(())
    }
    fn knowledge(&self, _: &SimDisk) -> Option<Vec<u8>> {
        self.hoard.offers.then(|| self.known.to_le_bytes().to_vec())
    }
    fn resume(&mut self, _: &SimDisk, knowledge: &[u8]) -> Result<(), String> {
        let known = knowledge.try_into().map_err(|_| "it must be eight bytes".to_owned())?;
        (self.known, self.resumed) = (u64::from_le_bytes(known), true);
        Ok(())
    }
}

impl Replay for Hoarding {
    fn play(&self, source: &Source, keep: Keep) -> RunOutcome {
        let hoard = self.clone();
        let system = Hoard { hoard, file: None, count: 0, history: 0, wait: None, known: 0, resumed: false };
        let mean_life = match self.loses {
            LosesBy::Amount => 120,
            // It has one life, although it may be killed.
            LosesBy::History | LosesBy::Count => 1_000_000 * u32::from(self.crashes),
        };
        // Nothing is lost at a crash but the last addition.
        let nemesis =
            NemesisOptions { mean_life, killed: Chance::per_mille(1000), ..NemesisOptions::default() };
        let options = WorldOptions { steps: 1_500, nemesis, ..WorldOptions::default() };
        World::new(system, options, source, keep).run(&Watch::default())
    }
    fn smaller(&self, _: &Source, _: u64) -> Vec<Hoarding> {
        let is_last = self.odd || self.loses != LosesBy::Amount;
        if is_last { Vec::new() } else { vec![Hoarding { odd: true, ..self.clone() }] }
    }
    fn file(&self, source: &Source, oracle: Option<String>) -> TapeFile {
        let tape = source.tape().cloned().unwrap_or_default();
        TapeFile { system: "hoard".into(), oracle, setup: format!("{self:?}"), tape }
    }
}

fn shrunk(looks: Looks, offers: bool, odd: bool) -> Shrunk<Hoarding> {
    // One that is odd has no setup that is smaller.
    let hoarding = Hoarding { looks, loses: LosesBy::Amount, crashes: true, offers, odd };
    let fails = |seed: &u64| {
        let outcome = hoarding.play(&Source::Seed(*seed), Keep::Hash);
        outcome.lives > 3 && outcome.violation.is_some_and(|seen| seen.oracle == "count")
    };
    let seed = (0..200).find(fails).expect("one of them fails in a late life");
    shrink(&hoarding, &Source::Seed(seed), Budget::default()).expect("it fails")
}

fn tape(shrunk: &Shrunk<Hoarding>) -> &Tape {
    shrunk.source.tape().expect("a shrunk run is recorded")
}

#[test]
fn a_long_past_gives_way_to_a_fixture_if_the_run_fails_in_the_same_way() {
    let whole = shrunk(Looks::AtRest, false, true);
    assert!(tape(&whole).fixture().is_none(), "the system offers none");
    assert!(whole.after.operations > MANY as usize, "{:?}", whole.after);
    let cut = shrunk(Looks::AtRest, true, false);
    let fixture = tape(&cut).fixture().expect("the past is cut off");
    assert!(fixture.lives > 0 && fixture.files.len() == 1, "{}", fixture.describe());
    assert_eq!((cut.violation.oracle.as_str(), cut.after.operations), ("count", 1));
    assert!(cut.after.choices <= 3, "{:?}", cut.after);
}

#[test]
fn a_tape_with_a_fixture_survives_its_file_and_fails_in_the_same_way() {
    let cut = shrunk(Looks::AtRest, true, false);
    let read = TapeFile::decode(&cut.file().encode()).expect("just written");
    let again = cut.setup.play(&Source::from(read.tape.clone()), Keep::Tape);
    assert_eq!(again.trace_hash, cut.setup.play(&cut.source, Keep::Hash).trace_hash);
    assert_eq!(again.violation.expect("it fails").oracle, "count");
    assert_eq!(again.tape.fixture(), read.tape.fixture(), "what was played is what was recorded");
    let again = shrink(&cut.setup, &Source::from(read.tape), Budget::default()).expect("it fails");
    assert_eq!(again.after, cut.after, "it is shrunk already");
}

/// What is lost in one life shows in the next. With the files of that one alone the run fails, too, and it would after the mend.
#[test]
fn files_that_are_broken_already_are_no_fixture() {
    let cut = shrunk(Looks::AtBoot, true, false);
    assert!(tape(&cut).fixture().is_some(), "a life before is one");
    assert_eq!(cut.after.operations, 1, "the one that loses is still there");
    let dull = cut.setup.play(&Source::from(tape(&cut).dull()), Keep::Hash);
    assert!(dull.violation.is_none(), "{:?}", dull.violation);
}

/// The odd setup fails whenever it begins with a fixture, in the same words.
#[test]
fn a_setup_with_which_the_fixture_alone_fails_is_refused() {
    let cut = shrunk(Looks::AtRest, true, false);
    let setups = cut.setup.smaller(&cut.source, 0);
    let begun_odd = setups.iter().any(|odd| odd.play(&cut.source, Keep::Hash).violation.is_some());
    assert!(cut.setup.odd || begun_odd);
    let dull = cut.setup.play(&Source::from(tape(&cut).dull()), Keep::Hash);
    assert!(dull.violation.is_none(), "{:?}", dull.violation);
}

const BY_HISTORY: Hoarding =
    Hoarding { looks: Looks::AtRest, loses: LosesBy::History, crashes: true, offers: true, odd: false };

/// Shrunk on so many cores, with so many steps.
fn shrunk_on(hoarding: &Hoarding, cores: usize, steps: u64) -> Shrunk<Hoarding> {
    let cores = rayon::ThreadPoolBuilder::new().num_threads(cores).build().expect("a few threads");
    cores.install(|| shrink(hoarding, &Source::Seed(1), Budget { steps }).expect("it fails"))
}

/// It has one life, and an operation that is taken off changes all that comes later.
#[test]
fn a_fresh_run_fails_from_a_moment_shortly_before_the_failure() {
    let whole = shrunk_on(&Hoarding { offers: false, ..BY_HISTORY }, 1, 12_000_000);
    assert!(whole.after.operations > VERY_MANY as usize, "{:?}", whole.after);
    let near = shrunk_on(&BY_HISTORY, 1, 12_000_000);
    let fixture = tape(&near).fixture().expect("it begins shortly before");
    assert!(near.after.operations < MANY as usize, "{:?} {}", near.after, fixture.describe());
    assert_eq!(near.violation.oracle, "count");
    let dull = near.setup.play(&Source::from(tape(&near).dull()), Keep::Hash);
    assert!(dull.violation.is_none(), "{:?}", dull.violation);
}

#[test]
fn the_same_fresh_run_is_found_on_any_number_of_cores() {
    let mut has_fresh = false;
    for budget in [100_000, 200_000, 400_000, 800_000] {
        let [one, three] = [1, 3].map(|cores| shrunk_on(&BY_HISTORY, cores, budget));
        assert_eq!(tape(&one), tape(&three), "{budget}");
        assert_eq!((one.runs, one.ending), (three.runs, three.ending), "{budget}");
        has_fresh |= tape(&one).fixture().is_some();
    }
    assert!(has_fresh, "with none of these budgets fresh runs were tried");
}

/// A caller that stops the search gets what it was told of, and no fresh run that was not small yet.
#[test]
fn what_a_caller_is_told_of_never_grows() {
    let mut told = Vec::new();
    let small = shrink_while(&BY_HISTORY, &Source::Seed(1), Symptom::Same, Budget::default(), |so_far| {
        told.push(so_far.operations);
        true
    });
    assert!(small.expect("it fails").source.tape().expect("it is recorded").fixture().is_some());
    assert!(told.is_sorted_by(|before, after| before >= after), "{told:?}");
}

/// What is on the disk then may be damaged: a test that begins with it would fail after the mend, too.
#[test]
fn a_moment_from_which_every_fresh_run_fails_is_not_taken() {
    let whole = shrunk_on(&Hoarding { loses: LosesBy::Count, ..BY_HISTORY }, 1, 2_000_000);
    assert!(tape(&whole).fixture().is_none(), "{}", tape(&whole).fixture().expect("some").describe());
    assert!(whole.after.operations > VERY_MANY as usize, "{:?}", whole.after);
}

/// No life of it begins with what a killed process has left.
#[test]
fn a_run_whose_life_ends_at_no_moment_is_not_cut_at_one() {
    let whole = shrunk_on(&Hoarding { crashes: false, ..BY_HISTORY }, 1, 2_000_000);
    assert!(tape(&whole).fixture().is_none(), "{}", tape(&whole).fixture().expect("some").describe());
}

#[test]
fn a_branch_ends_as_its_source_says() {
    let tape = BY_HISTORY.play(&Source::Seed(1), Keep::Tape).tape;
    for keep in [Keep::Hash, Keep::Beginnings] {
        let killed = BY_HISTORY.play(&Source::first_steps(tape.clone(), 50), keep);
        assert!(killed.interrupted && killed.violation.is_none(), "{keep:?}");
        assert_eq!((killed.steps, killed.lives), (50, 2), "{keep:?}");
        let fresh = BY_HISTORY.play(&Source::fresh(&tape, 1, 50), keep);
        assert!(!fresh.interrupted && fresh.steps > 50, "{keep:?}: it comes to rest and is checked");
        assert_eq!(killed.beginnings.len(), usize::from(keep == Keep::Beginnings));
    }
}
