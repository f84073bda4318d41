//! Groups over members that several threads end, share, and build groups of.

use std::sync::Arc;
use std::time::Duration;

use tenterhook_runtime::{Completer, Completion, CompletionError, CompletionGroup, Outcome};

use super::completions::{Ended, end, look};
use super::counts::{Action, Counts};
use super::group_plan::{MOST, OneGroup, Plan};
use super::group_waker::waker_fails_a_sibling;
use super::meeting::Meeting;
use super::near::Point;
use super::storm::{Storm, nothing_left, wrong};
use super::told::{Plain, Told, code};
use crate::real::storm::planned;
use crate::violation::Violation;

/// One case in so many has a waker that fails a sibling.
const WAKER_FAILS: u64 = 64;

pub(super) struct Groups {
    threads: usize,
}

/// What is the same for all threads of a case.
struct Scene {
    key: u64,
    plan: Plan,
    leaves: [Told; MOST],
    /// The group that is there when the threads come.
    inner: Told,
    groups: [Told; MOST],
    /// By thread: how many members' callbacks its group's callback has seen.
    saw: [Plain; MOST],
}

pub(super) struct Case {
    scene: Arc<Scene>,
    leaves: Vec<Completion>,
    inner: Option<Completion>,
}

pub(super) struct Hand {
    scene: Arc<Scene>,
    leaves: Vec<Completion>,
    inner: Option<Completion>,
    /// The members that this thread ends.
    completers: [Option<Completer>; MOST],
}

#[derive(Default)]
pub(super) struct Seen {
    /// By member: what this thread did with its completer.
    ended: [Option<Ended>; MOST],
    group: Made,
    cancelled: bool,
}

/// What became of a thread's group.
#[derive(Default)]
enum Made {
    #[default]
    None,
    Dropped,
    Built(Completion),
}

impl Scene {
    fn leaf(self: &Arc<Self>, index: usize) -> (Completion, Completer) {
        let scene = Arc::clone(self);
        let panics = self.plan.panics == Some(index);
        Completion::new(move |outcome| {
            scene.leaves[index].tell(outcome, scene.key);
            if panics {
                planned::panic(1);
            }
        })
    }

    /// How many of `members` have been called back, for a callback that is promised to see them.
    fn called(&self, members: u8) -> u64 {
        (0..self.plan.leaves)
            .filter(|index| Plan::has(members, *index) && self.leaves[*index].mark() == self.key)
            .count() as u64
    }

    /// What the callback of thread `index`'s group does.
    fn group_ended(&self, index: usize, outcome: Outcome) {
        let group = self.plan.groups[index];
        // After a failure that did not wait, the others may still run.
        if outcome.is_ok() || group.drains {
            self.saw[index].set(self.called(group.members));
        }
        self.groups[index].tell(outcome, self.key);
        if self.plan.groups_panic {
            planned::panic(1);
        }
    }

    /// A group that was asked to end, and that waits for all its members, has asked this member.
    fn reaches(&self, group: OneGroup, leaf: usize) -> bool {
        let by_inner = group.nests && self.plan.inner_drains && Plan::has(self.plan.inner, leaf);
        group.drains && (Plan::has(group.members, leaf) || by_inner)
    }
}

pub(super) fn builder(drains: bool, callback: impl FnOnce(Outcome) + Send + 'static) -> CompletionGroup {
    if drains { CompletionGroup::drain(callback) } else { CompletionGroup::new(callback) }
}

impl Hand {
    /// Builds this thread's group, or drops it half built.
    fn build(&self, meeting: &mut Meeting<'_>, seen: &mut Seen) {
        let (own, plan) = (meeting.thread, self.scene.plan.groups[meeting.thread]);
        let scene = Arc::clone(&self.scene);
        let mut group = builder(plan.drains, move |outcome| scene.group_ended(own, outcome));
        let fate = meeting.below(12);
        let members = (0..self.leaves.len()).filter(|index| Plan::has(plan.members, *index));
        for index in members {
            meeting.point(Point::Add);
            group.add(&self.leaves[index]);
            if plan.twice && index == 0 {
                group.add(&self.leaves[0]);
            }
        }
        if let Some(inner) = self.inner.as_ref().filter(|_| plan.nests) {
            group.add(inner);
            meeting.counts.add(Action::Nested);
        }
        if fate == 0 {
            meeting.counts.add(Action::HalfBuilt);
            drop(group);
            seen.group = Made::Dropped;
            return;
        }
        if fate == 1 {
            seen.cancelled = true;
            meeting.counts.add(Action::GroupCancelled);
            meeting.point(Point::Cancel);
            group.cancel();
        }
        meeting.point(Point::Build);
        let group = group.build();
        meeting.counts.add(Action::Built);
        if fate == 2 {
            seen.cancelled = true;
            meeting.counts.add(Action::GroupCancelled);
            meeting.point(Point::Cancel);
            group.cancel();
        }
        seen.group = Made::Built(group);
    }

    /// Ends one of this thread's members. After a cancel that has to have reached it, there is nothing left to end.
    fn end(
        &mut self,
        index: usize,
        meeting: &mut Meeting<'_>,
        seen: &mut Seen,
    ) -> Result<(), Box<Violation>> {
        let Some(completer) = self.completers[index].take() else { return Ok(()) };
        let group = self.scene.plan.groups[meeting.thread];
        let reached = seen.cancelled && self.scene.reaches(group, index);
        let ended = end(completer, (self.scene.key as u32) << 2 | index as u32, meeting);
        if reached && ended.won == Some(true) {
            let expected = "a member, at any depth, that a cancel of a pending group ends before it returns";
            return Err(wrong(expected, format!("its completer ended it afterwards: {ended:?}")));
        }
        meeting.counts.add_if(reached, Action::CancelReached);
        seen.ended[index] = Some(ended);
        Ok(())
    }

    fn end_all(&mut self, meeting: &mut Meeting<'_>, seen: &mut Seen) -> Result<(), Box<Violation>> {
        let from = meeting.below(MOST as u64) as usize;
        (0..MOST).try_for_each(|turn| self.end((from + turn) % MOST, meeting, seen))
    }

    fn run(&mut self, meeting: &mut Meeting<'_>, seen: &mut Seen) -> Result<(), Box<Violation>> {
        match meeting.below(3) {
            0 => {
                self.build(meeting, seen);
                self.end_all(meeting, seen)
            }
            1 => {
                self.end_all(meeting, seen)?;
                self.build(meeting, seen);
                Ok(())
            }
            _ => {
                let first = meeting.below(MOST as u64) as usize;
                self.end(first, meeting, seen)?;
                self.build(meeting, seen);
                self.end_all(meeting, seen)
            }
        }
    }
}

impl Storm for Groups {
    type Case = Case;
    type Hand = Hand;
    type Seen = Seen;

    const CASES: usize = 96;
    const ACTIONS: &'static [Action] = &[
        Action::Ended,
        Action::Abandoned,
        Action::Started,
        Action::Built,
        Action::Nested,
        Action::Shared,
        Action::GroupCancelled,
        Action::HalfBuilt,
        Action::CancelReached,
        Action::CallbackPanicked,
        Action::WakerFailed,
    ];

    fn begin(_: u64, threads: usize, _: Duration) -> Self {
        Groups { threads }
    }

    fn set_up(&self, key: u64, hands: &mut Vec<Hand>) -> Case {
        let plan = Plan::draw(key, self.threads);
        let scene = Arc::new(Scene {
            key,
            plan,
            leaves: Default::default(),
            inner: Told::default(),
            groups: Default::default(),
            saw: Default::default(),
        });
        let (leaves, completers): (Vec<_>, Vec<_>) = (0..plan.leaves).map(|index| scene.leaf(index)).unzip();
        let inner = (plan.inner > 0).then(|| {
            let own = Arc::clone(&scene);
            let mut group = builder(plan.inner_drains, move |outcome| own.inner.tell(outcome, key));
            let members = (0..plan.leaves).filter(|index| Plan::has(plan.inner, *index));
            members.for_each(|index| group.add(&leaves[index]));
            group.build()
        });
        for _ in 0..self.threads {
            let (scene, leaves, inner) = (Arc::clone(&scene), leaves.clone(), inner.clone());
            hands.push(Hand { scene, leaves, inner, completers: Default::default() });
        }
        for (index, completer) in completers.into_iter().enumerate() {
            let holder = (index + (key % 7) as usize) % self.threads;
            hands[holder].completers[index] = Some(completer);
        }
        Case { scene, leaves, inner }
    }

    fn act(&self, mut hand: Hand, meeting: &mut Meeting<'_>) -> Result<Seen, Box<Violation>> {
        let mut seen = Seen::default();
        let (mut ran, hand_panics) = (Ok(()), hand.scene.plan.panics.is_some());
        let mut run = || ran = hand.run(meeting, &mut seen);
        let contained = if hand_panics {
            planned::contain(run)
        } else {
            run();
            Ok(())
        };
        if let Err(violation) = contained.map_err(Violation::panic).and(ran) {
            // The members that are left have callbacks that panic.
            std::mem::forget(hand);
            return Err(violation);
        }
        // What a panic has left undone: its callbacks may panic as well.
        planned::contain(|| drop(hand)).map_err(Violation::panic)?;
        if meeting.one_in(WAKER_FAILS) {
            waker_fails_a_sibling(meeting)?;
        }
        Ok(seen)
    }

    fn judge(&self, case: Case, seen: &mut Vec<Seen>, counts: &mut Counts) -> Result<(), Box<Violation>> {
        let Case { scene, leaves, inner } = case;
        let cancelled = seen.iter().any(|seen| seen.cancelled);
        let mut results = [Ok(0); MOST];
        for (index, leaf) in leaves.iter().enumerate() {
            look("a member", scene.key, &scene.leaves[index], leaf)?;
            results[index] = leaf.result().expect("looked at above");
            judge_leaf(&scene, index, results[index], cancelled, seen)?;
        }
        let inner_result =
            inner.as_ref().map(|group| scene.inner.judge("an inner group", group)).transpose()?;
        if let Some(result) = inner_result {
            explained(result, scene.plan.inner, &results, None)?;
        }
        let mut owners = 0;
        for (thread, seen) in seen.iter_mut().enumerate() {
            owners += usize::from(judge_group(&scene, thread, seen, &results, inner_result)?);
        }
        let shared = scene.plan.groups[..self.threads].iter().filter(|group| group.members != 0).count() > 1;
        counts.add_if(shared && owners > 1, Action::Shared);
        counts.add_if(results.contains(&Err(CompletionError::CallbackPanicked)), Action::CallbackPanicked);
        seen.clear();
        drop((leaves, inner));
        nothing_left("a callback", Arc::strong_count(&scene))
    }
}

/// The end of a member is that of its completer, or of a cancel.
fn judge_leaf(
    scene: &Scene,
    index: usize,
    result: Outcome,
    cancelled: bool,
    seen: &[Seen],
) -> Result<(), Box<Violation>> {
    if scene.plan.panics == Some(index) {
        // The panic took away what its completer was told.
        return match result {
            Err(CompletionError::CallbackPanicked) => Ok(()),
            result => Err(wrong("the failure of a member whose callback panics", format!("{result:?}"))),
        };
    }
    // A panic of another member's callback went through its thread before it could say what it did.
    let Some(ended) = seen.iter().find_map(|seen| seen.ended[index]) else { return Ok(()) };
    if ended.explains(result, cancelled) {
        return Ok(());
    }
    let expected = format!("the end of a member whose completer did {ended:?}");
    Err(wrong(expected, format!("{result:?}, with a cancel of a group: {cancelled}")))
}

/// A group ends well when all its members did, and otherwise with the error of one of them.
fn explained(
    result: Outcome,
    members: u8,
    results: &[Outcome; MOST],
    inner: Option<Outcome>,
) -> Result<(), Box<Violation>> {
    let own = results.iter().enumerate().filter(|(index, _)| Plan::has(members, *index));
    let all: Vec<Outcome> = own.map(|(_, result)| *result).chain(inner).collect();
    let right = match result {
        Ok(_) => all.iter().all(Result::is_ok),
        Err(_) => all.iter().any(|member| code(*member) == code(result)),
    };
    let expected = "the end of a group that is explained by its members'";
    if right { Ok(()) } else { Err(wrong(expected, format!("{result:?} of members {all:?}"))) }
}

/// Whether there was a group of this thread.
fn judge_group(
    scene: &Scene,
    thread: usize,
    seen: &mut Seen,
    results: &[Outcome; MOST],
    inner: Option<Outcome>,
) -> Result<bool, Box<Violation>> {
    let (told, plan) = (&scene.groups[thread], scene.plan.groups[thread]);
    let group = match std::mem::take(&mut seen.group) {
        // `build` did not return if a callback panicked in it.
        Made::None => return Ok(false),
        Made::Dropped if told.calls() == 0 => return Ok(true),
        Made::Dropped => {
            return Err(wrong("no call of a half-built group's callback", told.calls().to_string()));
        }
        Made::Built(group) => group,
    };
    let result = told.judge("a group", &group)?;
    if scene.plan.groups_panic {
        let expected = "the failure of a group whose callback panics";
        let panicked = result == Err(CompletionError::CallbackPanicked);
        return if panicked { Ok(true) } else { Err(wrong(expected, format!("{result:?}"))) };
    }
    explained(result, plan.members, results, inner.filter(|_| plan.nests))?;
    let saw = scene.saw[thread].get();
    let (members, must) = (u64::from(plan.members.count_ones()), result.is_ok() || plan.drains);
    if must && saw != members {
        let expected =
            format!("the effects of {members} members' callbacks, for the callback of their group");
        return Err(wrong(expected, format!("those of {saw}")));
    }
    Ok(true)
}
