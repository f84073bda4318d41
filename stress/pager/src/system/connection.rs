use tenterhook_runtime::IOCompletions;
use tenterhook_runtime::pager::{CheckpointMode, PagerError};

use super::{Injection, PagerPlan, cause};
use crate::oracle::{Kept, Observation, TransactionId};
use crate::workload::{
    Aside, CheckIntegrity, Checkpoints, Churn, Failure, Fixture, Job, MultiPageWrite, OperationKind, Plan,
    Progress, Read, SavepointRollback, Transfer, Write, WriteEnd,
};
use tenterhook_stress::disk::Struck;
use tenterhook_stress::history::Outcome;
use tenterhook_stress::sometimes;
use tenterhook_stress::system::{Context, Step};
use tenterhook_stress::tape::ChoicePoint;
use tenterhook_stress::violation::Violation;

const OPERATION: ChoicePoint = ChoicePoint::new(0, "operation");
const INTERLEAVE: ChoicePoint = ChoicePoint::new(1, "interleave");
const ABUSE: ChoicePoint = ChoicePoint::new(2, "injection");
const ROLLBACK: ChoicePoint = ChoicePoint::new(3, "rollback");
const RESTART: ChoicePoint = ChoicePoint::new(4, "restart");
const UPKEEP: ChoicePoint = ChoicePoint::new(5, "checkpoint that is due");
const CHANGE: ChoicePoint = ChoicePoint::new(6, "change to cancel");
const NAP: ChoicePoint = ChoicePoint::new(7, "nap");
const NAP_LENGTH: ChoicePoint = ChoicePoint::new(17, "length of a nap");
const LOOKS: ChoicePoint = ChoicePoint::new(21, "upgrade: pages read before");
const MODE: ChoicePoint = ChoicePoint::new(22, "mode of a checkpoint");
const ASIDE: ChoicePoint = ChoicePoint::new(27, "something aside first");
const GO_ON: ChoicePoint = ChoicePoint::new(28, "go on after an error");
const GIVE_UP: ChoicePoint = ChoicePoint::new(29, "cancel what is given up");

/// Passive ones, which block no writer, are the most frequent.
pub(super) const MODES: [CheckpointMode; 6] = {
    use CheckpointMode::{Full, Passive, Restart, Truncate};
    [Passive, Full, Restart, Truncate, Passive, Passive]
};

/// One connection: at most one operation at a time, one after the other.
#[derive(Default)]
pub(super) struct Connection {
    operation: Operation,
    /// Operations begun, to give transactions numbers.
    begun: u32,
    /// Faults that the disk had delivered when the operation began.
    struck: Struck,
    /// What the call waits for was asked to cancel: an error of this call proves nothing.
    cancelled: bool,
    /// The operation is to be dropped when it would be stepped next.
    doomed: bool,
    /// Steps for which the connection still does nothing, so that others find the pager to themselves and it comes back
    /// in a burst.
    nap: u16,
}

/// What a connection does. Boxed, so that a connection is one cache line: most of ten thousand wait, and those that
/// do not wait reuse each other's boxes.
#[derive(Default)]
enum Operation {
    #[default]
    None,
    Write(Box<Write>),
    Read(Box<Read>),
    Checkpoint(Box<Checkpoints>),
    Check(Box<CheckIntegrity>),
}

impl Connection {
    /// One or more calls of the pager, until the operation is suspended, ends, or lets others go first.
    pub(super) fn step(
        &mut self,
        plan: &PagerPlan,
        at_birth: Struck,
        fixture: &mut Fixture<'_>,
        context: &mut Context<'_>,
    ) -> Result<Step, Box<Violation>> {
        if self.doomed && !context.calm {
            context.remark(|| "its machine is dropped".into());
            return self.drop_machine(fixture);
        }
        self.doomed = false;
        let nap = std::mem::take(&mut self.nap);
        if nap > 0 && !context.calm {
            return Ok(Step::Stall { ticks: nap.into() });
        }
        loop {
            let progress = match &mut self.operation {
                Operation::None => self.begin(plan, fixture, context),
                Operation::Write(write) => write.step(fixture),
                Operation::Read(read) => read.step(fixture),
                Operation::Checkpoint(checkpoint) => checkpoint.step(fixture),
                Operation::Check(check) => check.step(fixture),
            };
            match progress {
                Ok(Progress::More) => {
                    // The call has ended well: what comes later is told to another one.
                    self.cancelled = false;
                    if context.stream.happens(INTERLEAVE, plan.interleave) {
                        return Ok(Step::Continue);
                    }
                }
                Ok(Progress::Wait(io)) => return self.suspended(io, plan, fixture, context),
                Ok(Progress::Done) => {
                    fixture.recorder.end(Outcome::Aborted);
                    fixture.tally.borrow_mut().operations += 1;
                    context.observe(
                        fixture.oracles.borrow().history().head() as u32,
                        fixture.tally.borrow().content,
                    );
                    self.forget();
                    return Ok(Step::Ended);
                }
                Err(failure) => return self.failed(failure, plan, at_birth, fixture, context),
            }
        }
    }

    /// Draws an operation and makes its machine.
    fn begin(
        &mut self,
        plan: &PagerPlan,
        fixture: &mut Fixture<'_>,
        context: &mut Context<'_>,
    ) -> Result<Progress, Failure> {
        if context.stream.happens(NAP, plan.injection.nap) {
            self.nap = context.stream.choose(NAP_LENGTH, 400) as u16;
        }
        self.begun += 1;
        self.struck = context.struck;
        let (shape, layout, stream) = (fixture.shape, fixture.layout, &mut *context.stream);
        if let Some(mode) = fixture.pager.checkpoint_due()
            && stream.choose(UPKEEP, 4) == 1
        {
            return Ok(self.checkpoint(mode, fixture));
        }
        let kind = match stream.maybe_weighted(OPERATION, 0, &plan.weights) {
            Some(kind) => OperationKind::ALL[kind],
            None => return Ok(Progress::Done),
        };
        let id: TransactionId = u64::from(context.fiber + 1) << 32 | u64::from(self.begun);
        let job = match kind {
            OperationKind::Transfer => Job::Transfer(Transfer::plan(id, layout, shape, stream)),
            OperationKind::MultiPageWrite => Job::MultiPageWrite(MultiPageWrite::plan(id, layout, stream)),
            OperationKind::Churn => Job::Churn(Churn::plan(id, layout, shape, stream)),
            OperationKind::SavepointRollback => {
                Job::SavepointRollback(Box::new(SavepointRollback::plan(id, layout, shape, stream)))
            }
            OperationKind::Upgrade => Job::Transfer(Transfer::plan(id, layout, shape, stream)),
            OperationKind::Vacuum => Job::Churn(Churn::plan(id, layout, shape, stream)),
            OperationKind::Sum => return self.read(Plan::sum(), fixture),
            OperationKind::ReadGroup => {
                let group = Plan::group(fixture, stream);
                return self.read(group, fixture);
            }
            OperationKind::ReadDirectory => {
                let directory = Plan::directory(fixture, stream);
                return self.read(directory, fixture);
            }
            OperationKind::LongReader => return self.read(Plan::long(stream), fixture),
            OperationKind::Checkpoint => {
                let mode = MODES[stream.choose(MODE, MODES.len() as u32) as usize];
                return Ok(self.checkpoint(mode, fixture));
            }
            OperationKind::CheckIntegrity => {
                self.operation = Operation::Check(Box::new(CheckIntegrity::new(false, fixture)));
                return Ok(Progress::More);
            }
        };
        let aside = stream.happens(ASIDE, plan.aside).then(|| Aside::plan(id, layout, stream));
        let end = if stream.happens(ROLLBACK, plan.rollback) { WriteEnd::Rollback } else { WriteEnd::Commit };
        let write = match kind {
            OperationKind::Upgrade => {
                let looks = stream.choose(LOOKS, 4) as usize;
                Write::upgrade(id, job, end, looks, fixture)?
            }
            OperationKind::Vacuum => Write::new(id, job, end, fixture).with_vacuum(),
            _ => Write::new(id, job, end, fixture),
        };
        let write = match aside {
            Some(aside) => write.with_aside(aside),
            None => write,
        };
        self.operation = Operation::Write(Box::new(write));
        Ok(Progress::More)
    }

    fn checkpoint(&mut self, mode: CheckpointMode, fixture: &Fixture<'_>) -> Progress {
        self.operation = Operation::Checkpoint(Box::new(Checkpoints::new(mode, fixture)));
        Progress::More
    }

    fn read(&mut self, plan: Plan, fixture: &mut Fixture<'_>) -> Result<Progress, Failure> {
        self.operation = Operation::Read(Box::new(Read::begin(plan, fixture)?));
        Ok(Progress::More)
    }

    /// The machine waits. What we may do to it now, a caller may do to it at any yield.
    fn suspended(
        &mut self,
        io: IOCompletions,
        plan: &PagerPlan,
        fixture: &mut Fixture<'_>,
        context: &mut Context<'_>,
    ) -> Result<Step, Box<Violation>> {
        let Injection { drop, drop_later, cancel, cancel_change, give_up, checkpoints, .. } = plan.injection;
        let times = if matches!(self.operation, Operation::Checkpoint(_)) { checkpoints } else { 1 };
        let [drop, drop_later, cancel] = [drop, drop_later, cancel].map(|chance| chance.parts() * times);
        let injection = [drop, drop_later, cancel, cancel_change.parts(), give_up.parts()];
        let gentle = 1_000_000_u32.saturating_sub(injection.iter().sum());
        let drawn = if context.calm || gentle == 1_000_000 {
            None
        } else {
            context.stream.maybe_weighted(ABUSE, gentle, &injection)
        };
        match drawn {
            Some(0) => {
                context.remark(|| "its machine is dropped".into());
                return self.drop_machine(fixture);
            }
            Some(1) => self.doomed = true,
            Some(2) => {
                if let Some(completion) = io.completion() {
                    context.remark(|| "cancels what it waits for".into());
                    fixture.tally.borrow_mut().cancels += 1;
                    self.cancelled = true;
                    completion.cancel();
                }
            }
            Some(4) if self.give_up(&io, fixture, context) => return Ok(Step::Continue),
            Some(4) => {}
            Some(_) => {
                let stream = &mut *context.stream;
                fixture.tally.borrow_mut().cancels +=
                    u64::from(context.disk.cancel_change(|count| stream.choose(CHANGE, count)));
            }
            None => {}
        }
        Ok(match io {
            IOCompletions::Single(completion) => Step::Wait(completion),
            IOCompletions::Yield => Step::Yield,
        })
    }

    /// The caller loses interest in the call, and not in the transaction. Whether there was such a call.
    fn give_up(&mut self, io: &IOCompletions, fixture: &mut Fixture<'_>, context: &mut Context<'_>) -> bool {
        let Operation::Write(write) = &mut self.operation else { return false };
        let cancels = context.stream.choose(GIVE_UP, 2) == 1;
        let is_given_up = write.give_up(cancels, fixture.layout, context.stream);
        if is_given_up {
            fixture.tally.borrow_mut().given_up += 1;
            context.remark(|| "gives up the call that waits".into());
            // The outcome of what it waited for is told to no caller.
            if let Some(completion) = io.completion().filter(|_| cancels) {
                fixture.tally.borrow_mut().cancels += 1;
                completion.cancel();
            }
        }
        is_given_up
    }

    /// The caller loses interest: whatever the machine held must be let go of by this alone.
    fn drop_machine(&mut self, fixture: &mut Fixture<'_>) -> Result<Step, Box<Violation>> {
        match &mut self.operation {
            Operation::Write(write) => write.dropped(fixture).or_else(oracle_fired)?,
            Operation::Checkpoint(checkpoint) => checkpoint.leave(fixture).or_else(oracle_fired)?,
            _ => {}
        }
        fixture.recorder.end(Outcome::Aborted);
        fixture.tally.borrow_mut().drops += 1;
        self.forget();
        Ok(Step::Ended)
    }

    fn failed(
        &mut self,
        failure: Failure,
        plan: &PagerPlan,
        at_birth: Struck,
        fixture: &mut Fixture<'_>,
        context: &mut Context<'_>,
    ) -> Result<Step, Box<Violation>> {
        let error = match failure {
            Failure::Violation(violation) => {
                return Err(violation.note(format!("while in {}", self.describe())));
            }
            Failure::Pager(error) => error,
        };
        fixture.tally.borrow_mut().notice(&error);
        context.remark(|| format!("gets: {error}"));
        sometimes!(matches!(error, PagerError::Poisoned { .. }), "writes are refused after a failed sync");
        sometimes!(matches!(error, PagerError::NoSpace { .. }), "the file has its maximum size");
        sometimes!(matches!(error, PagerError::Corrupt { .. }), "a damaged page is noticed");
        sometimes!(self.cancelled, "an operation ends after a cancel");
        let was_cancelled =
            self.cancelled && matches!(error, PagerError::Io { .. } | PagerError::OutcomeUnknown { .. });
        let cause = match &error {
            _ if was_cancelled => Some("cancel"),
            PagerError::NoSpace { .. } if self.has_all_pages(plan) => Some("max_pages"),
            _ => cause(&error, self.struck, at_birth, context),
        };
        let what = self.what();
        if let Operation::Write(write) = &self.operation {
            write.failed(&error, fixture).or_else(oracle_fired)?;
        }
        let described = self.describe();
        let continues = self.continues_after(&error, plan, context);
        if continues {
            fixture.tally.borrow_mut().went_on += 1;
            sometimes!(true, "a transaction continues after an error");
            self.cancelled = false;
        } else {
            fixture.recorder.end(Outcome::Aborted);
            self.forget();
        }
        let seen = Observation::Failed { what, error: &error, cause };
        fixture
            .oracles
            .borrow_mut()
            .observe(&seen)
            .map_err(|violation| violation.note(format!("while in {described}")))?;
        let is_poisoned = matches!(error, PagerError::Poisoned { .. });
        if is_poisoned && !context.calm && context.stream.happens(RESTART, plan.restart) {
            fixture.tally.borrow_mut().restarts += 1;
            return Ok(Step::Restart);
        }
        Ok(if continues { Step::Continue } else { Step::Ended })
    }

    /// Whether the file of its transaction has as many pages as it may have, or more: a fixture may be from a larger one.
    fn has_all_pages(&self, plan: &PagerPlan) -> bool {
        let is_full = |pages: u32| pages >= plan.pager.max_pages;
        matches!(&self.operation, Operation::Write(write) if write.page_count().is_some_and(is_full))
    }

    /// Whether the caller makes the call again that was told of an error, in the same transaction.
    fn continues_after(&self, error: &PagerError, plan: &PagerPlan, context: &mut Context<'_>) -> bool {
        let is_passing = matches!(error, PagerError::Io { .. } | PagerError::Corrupt { .. });
        let may_go_on = matches!(&self.operation, Operation::Write(write) if write.may_go_on());
        is_passing && may_go_on && !context.calm && context.stream.happens(GO_ON, plan.go_on)
    }

    /// Whether it has pages of a transaction in the log whose commit was not requested.
    pub(super) fn has_spilled(&self) -> bool {
        matches!(&self.operation, Operation::Write(write) if write.has_spilled())
    }

    /// What it keeps over the end of a life.
    pub(super) fn kept(&self) -> Kept {
        Kept { begun: self.begun, nap: self.nap }
    }

    /// It has kept that.
    pub(super) fn resume(&mut self, kept: Kept) {
        (self.begun, self.nap) = (kept.begun, kept.nap);
    }

    /// Back to between two operations.
    pub(super) fn forget(&mut self) {
        self.operation = Operation::None;
        self.cancelled = false;
        self.doomed = false;
    }

    fn what(&self) -> &'static str {
        match &self.operation {
            Operation::None => "the beginning of an operation",
            Operation::Write(_) => "a write transaction",
            Operation::Read(_) => "a read transaction",
            Operation::Checkpoint(_) => "a checkpoint",
            Operation::Check(_) => "an integrity check",
        }
    }

    /// What it is doing.
    pub(super) fn describe(&self) -> String {
        match &self.operation {
            Operation::Write(write) => write.describe(),
            Operation::Read(read) => read.describe(),
            Operation::None | Operation::Checkpoint(_) | Operation::Check(_) => self.what().into(),
        }
    }
}

/// Reporting itself cannot fail with the pager's errors.
fn oracle_fired(failure: Failure) -> Result<(), Box<Violation>> {
    match failure {
        Failure::Violation(violation) => Err(violation),
        Failure::Pager(_) => Ok(()),
    }
}
