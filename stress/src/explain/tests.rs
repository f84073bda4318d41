use tenterhook_runtime::io::IO;

use super::*;
use crate::schedule::SchedulerKind;
use crate::system::{Context, Crash, Step, System};
use crate::tape::{ChoicePoint, TapeFile};
use crate::watch::Watch;
use crate::world::{World, WorldOptions};

const ARMS: ChoicePoint = ChoicePoint::new(0, "arms");
const FIRES: ChoicePoint = ChoicePoint::new(1, "fires");

/// Connection 0 arms a fault in one operation of 200, which is seldom; from then on each operation of 4 fires.
#[derive(Default)]
struct Fuse {
    operations: u64,
    armed_at: Option<u64>,
}

impl System for Fuse {
    fn connections(&self) -> u32 {
        2
    }

    fn boot(&mut self, _: &std::sync::Arc<dyn IO>, _: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        Ok(Step::Ended)
    }

    fn step(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        self.operations += 1;
        let arms = context.fiber == 0 && context.stream.choose(ARMS, 400) == 399;
        if arms && self.armed_at.is_none() {
            self.armed_at = Some(self.operations);
            context.remark(|| "the fuse is armed".into());
        }
        if self.armed_at.is_some() && context.stream.choose(FIRES, 12) == 11 {
            return Err(Violation::safety("fuse", "no fire", "fire"));
        }
        Ok(Step::Ended)
    }

    fn describe(&self, _: u32) -> String {
        if self.armed_at.is_some() { "works beside an armed fuse".into() } else { "works".into() }
    }

    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        Ok(())
    }
}

#[derive(Clone)]
struct Fused;

impl Replay for Fused {
    fn play(&self, source: &Source, keep: Keep) -> RunOutcome {
        let options =
            WorldOptions { steps: 120, scheduler: SchedulerKind::Random, ..WorldOptions::default() };
        World::new(Fuse::default(), options, source, keep).run(&Watch::default())
    }

    fn smaller(&self, _: &Source, _: u64) -> Vec<Fused> {
        Vec::new()
    }

    fn file(&self, _: &Source, _: Option<String>) -> TapeFile {
        unreachable!("nothing is saved")
    }
}

/// A seed that fails late enough to have something before it.
fn failing() -> Source {
    let fails = |&seed: &u64| {
        let outcome = Fused.play(&Source::Seed(seed), Keep::Hash);
        outcome.violation.is_some() && outcome.steps > 40
    };
    Source::Seed((0..2_000).find(fails).expect("one of them fails"))
}

#[test]
fn the_share_of_failing_continuations_jumps_where_the_fuse_is_armed() {
    let explained = explain(&Fused, &failing(), Question::default(), |_| true).expect("it fails");
    let (first, last) = (explained.curve[0], explained.curve[explained.curve.len() - 1]);
    assert!(first.part() < 0.5, "{first:?}");
    assert_eq!(last.failed, last.of, "the whole run was followed");
    assert!(explained.curve.is_sorted_by_key(|share| share.after));
    let jump = explained.jump.as_ref().expect("it rises");
    assert_eq!(jump.after.after - jump.before.after, 1);
    assert!(jump.lines.iter().any(|line| line.contains("the fuse is armed")), "{jump:#?}");
}

#[test]
fn the_nearest_run_that_does_not_fail_differs_in_the_choice_that_fires_or_arms() {
    let explained = explain(&Fused, &failing(), Question::default(), |_| true).expect("it fails");
    let Search::Found(pair) = explained.pair else { panic!("without the fuse it does not fail") };
    assert!(pair.choice.contains("arms is 399") || pair.choice.contains("fires is 11"), "{pair:#?}");
    assert!(pair.decisive.0 >= 1 && pair.decisive.0 <= pair.decisive.1);
    assert_ne!(pair.failing, pair.passing);
}

#[test]
fn a_branch_follows_the_tape_and_then_its_seed() {
    let recorded = Fused.play(&failing(), Keep::Events);
    let branch = |after, seed| Fused.play(&Source::branch(recorded.tape.clone(), after, seed), Keep::Events);
    let whole = branch(u64::MAX, 1);
    assert_eq!((whole.steps, whole.violation.is_some()), (recorded.steps, true));
    let [one, again, other] = [branch(20, 1), branch(20, 1), branch(20, 2)];
    assert_eq!(one.trace_hash, again.trace_hash);
    let (differs, ..) = one.trace.first_difference(&other.trace).expect("another seed");
    let (from_tape, ..) = one.trace.first_difference(&whole.trace).expect("it was left");
    assert!(differs.min(from_tape) >= 20, "{differs}, {from_tape}");
}

#[test]
fn a_run_that_does_not_fail_has_no_explanation_and_a_person_may_stop_it() {
    let passes = |&seed: &u64| Fused.play(&Source::Seed(seed), Keep::Hash).violation.is_none();
    let passing = Source::Seed((0..100).find(passes).expect("most do not fail"));
    let refused = explain(&Fused, &passing, Question::default(), |_| true);
    assert_eq!(refused.expect_err("it does not fail"), Unexplained::NoFailure);
    let stopped = explain(&Fused, &failing(), Question::default(), |runs| runs < 100).expect("it fails");
    assert!(stopped.runs < 200 && !stopped.curve.is_empty(), "{} runs", stopped.runs);
    assert!(matches!(stopped.pair, Search::StoppedAfter(0)), "{:?}", stopped.pair);
}

#[test]
fn the_picture_has_a_point_for_each_share() {
    let explained = explain(&Fused, &failing(), Question { continuations: 4, points: 4 }, |_| true);
    let explained = explained.expect("it fails");
    assert_eq!(explained.svg().matches("<circle").count(), explained.curve.len());
}
