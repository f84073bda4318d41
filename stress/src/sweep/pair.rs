//! Two operations at a time: one is suspended at a yield while another runs.

use tenterhook_runtime::{IOCompletions, IOResult};

use super::golden_run::{CaseOutcome, GoldenRun, caught, no_such_case};
use super::harness::Harness;
use super::operation::Ending;
use crate::disk::{Script, SimDisk};
use crate::violation::Violation;

/// The other operation runs to its end.
pub(super) const TO_THE_END: u32 = u32::MAX;

/// Steps after which two operations that do not end are said never to end.
const PATIENCE: u32 = 10_000;

/// Which of the two.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Who {
    Operation,
    Partner,
}

/// The disk at a moment at which the power may fail.
pub(super) struct Moment {
    disk: SimDisk,
    /// Whether the operation and its partner have ended well.
    acknowledged: [bool; 2],
    /// Whether the operation has ended with an error.
    was_refused: bool,
}

/// How one of them stands.
enum Standing {
    Ended(Ending),
    Waits(IOCompletions),
}

impl GoldenRun<'_> {
    /// The operation waits at its yield `at` while the partner `which` runs, to its end or to its yield `until`; then it continues,
    /// and then the partner. What both leave is what they leave one after the other, and a crash takes none of it. Whether
    /// the partner has come so far.
    ///
    /// The power may fail before that, too: when the partner has come so far, and when the operation has ended. If the partner has run
    /// to its end, it may also fail after each I/O. What was acknowledged by then is there, nothing of what was refused, and of what
    /// is under way all or nothing.
    pub(super) fn judge_pair(&self, at: u32, which: u32, until: u32) -> Result<bool, Box<Violation>> {
        caught(|| {
            self.count_run();
            let mut harness = Harness::prepare(self.subject)?;
            harness.disk.follow(Script::default());
            if !harness.advance(Who::Operation, at)? {
                return Err(no_such_case(format!("it yields {} times", self.extent().yields)));
            }
            if !harness.stage.begin_partner(which) {
                return Ok(false);
            }
            let is_there = harness.advance(Who::Partner, until)? != (until == TO_THE_END);
            harness.remember_moment();
            harness.remembers = until == TO_THE_END;
            let ending = harness.finish(Who::Operation, Who::Partner)?;
            harness.acknowledged[Who::Operation as usize] = matches!(ending, Some(Ok(_)));
            harness.was_refused = matches!(ending, Some(Err(_)));
            harness.remember_moment();
            harness.endings[Who::Operation as usize].clone_from(&ending);
            match harness.finish(Who::Partner, Who::Operation)? {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(refused("the other operation", error)),
                None if harness.stage.partner_may_wait() => {}
                None => return Err(refused("the other operation", "it never ends".into())),
            }
            harness.stage.drop_partner();
            self.judge_moments(std::mem::take(&mut harness.moments), which)?;
            let alone = match ending {
                Some(Err(error)) if !self.subject.may_be_refused(&error) => {
                    return Err(refused("the operation", error));
                }
                Some(Err(_)) => true,
                Some(Ok(_)) => false,
                None => return Err(refused("the operation", "it never ends".into())),
            };
            let expected = self.one_after_the_other(which, alone)?;
            let state = harness.state()?;
            expected.judge("state", &state, false)?;
            let disk = harness.cut_power();
            let killed = disk.copy();
            disk.lose_unsynced();
            for disk in [disk, killed] {
                disk.oblige();
                self.judge_recovery(&disk, &CaseOutcome::only(&state), true)?;
            }
            Ok(is_there)
        })
    }

    /// What a restart finds if the process dies, or the power fails, at each of these moments.
    fn judge_moments(&self, moments: Vec<Moment>, which: u32) -> Result<(), Box<Violation>> {
        let partner = self.one_after_the_other(which, true)?.after;
        let CaseOutcome { before, after } = self.one_after_the_other(which, false)?;
        for Moment { disk, acknowledged: [operation, other], was_refused } in moments {
            let neither = (!operation && !other).then_some(&self.now.before);
            let one = (!other && !was_refused).then_some(&self.now.after);
            let the_other = (!operation).then_some(&partner);
            let both = (!was_refused).then_some([&before, &after]);
            let allowed: Vec<&String> =
                [neither, one, the_other].into_iter().flatten().chain(both.into_iter().flatten()).collect();
            let killed = disk.copy();
            disk.lose_unsynced();
            for (disk, how) in [(disk, "the power failed"), (killed, "the process was killed")] {
                disk.oblige();
                self.count_run();
                let found = self.subject.recover(&disk.io());
                let found = found.map_err(|problem| Violation::safety("recovery", "a usable file", problem));
                let noted = |violation: Box<Violation>| {
                    violation.note(format!("{how}; had ended by then: operation {operation}, other {other}"))
                };
                if let Some(state) = found.map_err(noted)?
                    && !allowed.contains(&&state)
                {
                    let expected = format!("one of {allowed:?}");
                    return Err(noted(Violation::safety("durability", expected, state)));
                }
            }
        }
        Ok(())
    }

    /// What the two leave in either order; the partner alone if the operation `was_refused`.
    fn one_after_the_other(&self, which: u32, was_refused: bool) -> Result<CaseOutcome, Box<Violation>> {
        let key = (which, was_refused);
        if let Some(known) = self.pairs.borrow().get(&key) {
            return Ok(known.clone());
        }
        let in_order = |order: &[Who]| {
            let mut harness = Harness::prepare(self.subject)?;
            harness.stage.begin_partner(which);
            for &who in order {
                harness.finish(who, who)?;
            }
            harness.stage.drop_partner();
            harness.stage.drop_operation();
            harness.state()
        };
        let course = match was_refused {
            true => CaseOutcome::only(&in_order(&[Who::Partner])?),
            false => CaseOutcome::either(
                in_order(&[Who::Operation, Who::Partner])?,
                in_order(&[Who::Partner, Who::Operation])?,
            ),
        };
        self.pairs.borrow_mut().insert(key, course.clone());
        Ok(course)
    }
}

fn refused(who: &str, error: String) -> Box<Violation> {
    Violation::safety(
        "re-entrancy",
        format!("{who} to end well beside the other"),
        format!("the error: {error}"),
    )
}

impl Harness {
    /// Steps one of them up to its yield `yields`, and delivers what was submitted last while it waits, so that what the other
    /// has in flight stays there. False when it has ended before, or waits for the other.
    fn advance(&mut self, who: Who, yields: u32) -> Result<bool, Box<Violation>> {
        for seen in 0..PATIENCE {
            let io = match self.step_one(who) {
                Standing::Ended(ending) => {
                    self.keep(who, ending);
                    return Ok(false);
                }
                Standing::Waits(io) => io,
            };
            if seen == yields {
                return Ok(true);
            }
            if let IOCompletions::Single(completion) = io {
                while !completion.finished() {
                    if !self.deliver_newest() {
                        return Ok(false);
                    }
                }
            }
        }
        Err(endless())
    }

    /// Runs one of them to its end, and the other as far as the first waits for it. `None` if it waits for a third one without end.
    fn finish(&mut self, who: Who, other: Who) -> Result<Option<Ending>, Box<Violation>> {
        if let Some(ending) = self.endings[who as usize].take() {
            return Ok(Some(ending));
        }
        for _ in 0..PATIENCE {
            let io = match self.step_one(who) {
                Standing::Ended(ending) => return Ok(Some(ending)),
                Standing::Waits(io) => io,
            };
            let IOCompletions::Single(completion) = io else { continue };
            while !completion.finished() {
                if self.deliver_newest() {
                    if self.remembers {
                        self.remember_moment();
                    }
                    continue;
                }
                if other == who || self.endings[other as usize].is_some() {
                    return Ok(None);
                }
                match self.step_one(other) {
                    Standing::Ended(ending) => self.keep(other, ending),
                    Standing::Waits(_) if self.disk.load().0 == 0 && !completion.finished() => {
                        return Ok(None);
                    }
                    Standing::Waits(_) => {}
                }
            }
        }
        Err(endless())
    }

    fn keep(&mut self, who: Who, ending: Ending) {
        self.acknowledged[who as usize] = ending.is_ok();
        self.endings[who as usize] = Some(ending);
    }

    /// What is in flight has not reached the disk yet.
    fn remember_moment(&mut self) {
        let disk = self.disk.copy_without_what_is_in_flight();
        let (acknowledged, was_refused) = (self.acknowledged, self.was_refused);
        self.moments.push(Moment { disk, acknowledged, was_refused });
    }

    fn step_one(&mut self, who: Who) -> Standing {
        let step = match who {
            Who::Operation => self.stage.step(),
            Who::Partner => self.stage.step_partner(),
        };
        match step {
            IOResult::Done(ending) => Standing::Ended(ending),
            IOResult::IO(io) => Standing::Waits(io),
        }
    }
}

fn endless() -> Box<Violation> {
    Violation::liveness("liveness", "two operations that end", format!("{PATIENCE} steps and no end"))
}
