use std::rc::Rc;
use std::sync::Arc;

use tenterhook_runtime::IOResult;
use tenterhook_runtime::io::IO;
use tenterhook_runtime::pager::{Open, Pager, PagerError, ReadTransaction};

use super::explanations::is_damage;
use super::{PagerPlan, PagerSystem, cause, database, fixture};
use crate::oracle::{ABSENT, Observation};
use crate::workload::layout::{Layout, stamp};
use crate::workload::record::{Recorder, Recording};
use crate::workload::{Failure, Job, Prepare, Progress, Write, WriteEnd};
use tenterhook_stress::disk::{FaultKind, Flippable, Struck};
use tenterhook_stress::history::{Access, Outcome};
use tenterhook_stress::system::{Context, Step};
use tenterhook_stress::violation::Violation;

/// Opening, recovering and, the first time, furnishing a file; then reading all of it.
#[derive(Default)]
pub(super) struct Boot {
    stage: Stage,
    /// Delivered faults when the open began.
    struck: Struck,
}

#[derive(Default)]
enum Stage {
    #[default]
    Begin,
    /// The pager creates or recovers.
    Open(Open),
    /// Nothing was ever committed: the first transaction.
    Prepare(Box<Write>),
    /// Reads every page and tells the oracles what is there.
    Verify(Verify),
}

struct Verify {
    transaction: ReadTransaction,
    digests: Vec<u64>,
    layout: Option<Layout>,
}

/// Transactions of the control fiber have numbers of their own.
const PREPARATION: u64 = u64::MAX >> 1;

impl Boot {
    /// What it is doing, if anything.
    pub(super) fn describe(&self) -> Option<String> {
        match &self.stage {
            Stage::Begin => None,
            Stage::Open(_) => Some("the opening of the pager".into()),
            Stage::Prepare(write) => Some(write.describe()),
            Stage::Verify(verify) => {
                Some(format!("verification after opening, at page {}", verify.digests.len()))
            }
        }
    }
}

/// One step of bringing `system` to life.
pub(super) fn step(
    system: &mut PagerSystem,
    io: &Arc<dyn IO>,
    context: &mut Context<'_>,
) -> Result<Step, Box<Violation>> {
    match advance(system, io, context) {
        Ok(step) => Ok(step),
        Err(Failure::Violation(violation)) => Err(violation.note("while coming back to life")),
        Err(Failure::Pager(error)) => failed(system, &error, context),
    }
}

fn advance(system: &mut PagerSystem, io: &Arc<dyn IO>, context: &mut Context<'_>) -> Result<Step, Failure> {
    match &mut system.boot.stage {
        Stage::Begin => {
            let flippable = match system.plan.flips_in_recovery {
                true => Flippable::Everything,
                false => Flippable::Nothing,
            };
            context.disk.set_flippable(flippable);
            context.disk.set_opening(true);
            system.boot.struck = context.struck;
            system.struck_at_birth = context.struck;
            system.boot.stage = Stage::Open(Pager::open(Arc::clone(io), database(system), system.plan.pager));
            Ok(Step::Continue)
        }
        Stage::Open(open) => match open.step()? {
            IOResult::Done(pager) => {
                context.disk.set_opening(false);
                no_other_may_open(system, io)?;
                if context
                    .disk
                    .struck_since(&[FaultKind::SyncDropped], system.struck_at_verification)
                    .is_some()
                {
                    system.oracles.borrow_mut().observe(&Observation::WritesDropped)?;
                }
                system.struck_at_verification = context.struck;
                opened(system, pager)
            }
            IOResult::IO(io) => Ok(Step::from(io)),
        },
        Stage::Prepare(write) => {
            let Some(pager) = &system.pager else { return Ok(Step::Restart) };
            match write.step(&mut fixture!(system, pager, system.plan.connections))? {
                Progress::More => Ok(Step::Continue),
                Progress::Wait(io) => Ok(Step::from(io)),
                Progress::Done => {
                    system.layout = Rc::new(write.prepared().cloned().unwrap_or_default());
                    system.boot.stage = Stage::Begin;
                    Ok(Step::Ended)
                }
            }
        }
        Stage::Verify(_) => verify(system),
    }
}

/// The file is open: a second opener is told so, whatever other fault may hit it.
fn no_other_may_open(system: &PagerSystem, io: &Arc<dyn IO>) -> Result<(), Failure> {
    let seen = match Pager::open(Arc::clone(io), database(system), system.plan.pager).step() {
        Err(PagerError::Locked { path, .. }) if &*path == database(system) => return Ok(()),
        // The backend refuses before it looks.
        Err(PagerError::Backend(_)) => return Ok(()),
        Err(error) => format!("the error: {error}"),
        Ok(_) => "it was let in".into(),
    };
    Err(Violation::safety("exclusion", "a second opener to be told that the file is open", seen).into())
}

/// The pager is there. What it says of its newest commit is the first thing to judge.
fn opened(system: &mut PagerSystem, pager: Arc<Pager>) -> Result<Step, Failure> {
    let sequence = pager.commit_sequence();
    system.oracles.borrow_mut().observe(&Observation::Opened { sequence })?;
    let pager = system.pager.insert(pager);
    if sequence == 0 {
        system.oracles.borrow_mut().observe(&Observation::Recovered { pages: &[] })?;
        let job = Job::Prepare(Box::new(Prepare::new(PREPARATION, system.plan.extent)));
        let fixture = fixture!(system, pager, system.plan.connections);
        let write = Write::new(PREPARATION, job, WriteEnd::Commit, &fixture);
        system.boot.stage = Stage::Prepare(Box::new(write));
    } else {
        let transaction = pager.begin_read()?;
        recorder(&system.recorded, &system.plan).begin(Access::Read);
        let digests = Vec::with_capacity(transaction.page_count() as usize + 1);
        system.boot.stage = Stage::Verify(Verify { transaction, digests, layout: None });
    }
    Ok(Step::Continue)
}

/// What is read here is one transaction of a client of its own.
fn recorder<'a>(recorded: &'a Recording, plan: &PagerPlan) -> Recorder<'a> {
    Recorder { kept: recorded, client: plan.connections }
}

/// Reads the next page; after the last one the oracles judge all of them.
fn verify(system: &mut PagerSystem) -> Result<Step, Failure> {
    let Stage::Verify(verify) = &mut system.boot.stage else { return Ok(Step::Continue) };
    let number = verify.digests.len() as u32;
    if number > verify.transaction.page_count() {
        system.oracles.borrow_mut().observe(&Observation::Recovered { pages: &verify.digests })?;
        recorder(&system.recorded, &system.plan).end(Outcome::Committed);
        let Some(layout) = verify.layout.take() else {
            if system.plan.disk_lies {
                return Ok(Step::Destroyed);
            }
            let seen = "page 2 does not say so";
            return Err(Violation::safety("atomicity", "a root page after the first commit", seen).into());
        };
        system.layout = Rc::new(layout);
        system.boot.stage = Stage::Begin;
        return Ok(Step::Ended);
    }
    // Numbers 0 and 1 are no pages of ours.
    let digest = if number < Layout::ROOT {
        ABSENT
    } else {
        match verify.transaction.page(number) {
            Ok(IOResult::Done(page)) => {
                if number == Layout::ROOT {
                    verify.layout = Layout::load(&page);
                }
                recorder(&system.recorded, &system.plan).read(number, stamp(&page));
                system.shape.digest(&page)
            }
            Ok(IOResult::IO(io)) => return Ok(Step::from(io)),
            Err(PagerError::PageNotAllocated { .. }) => ABSENT,
            Err(error) => return Err(error.into()),
        }
    };
    verify.digests.push(digest);
    Ok(Step::Continue)
}

/// An open or a first transaction that failed is tried again by the next life: the operations of this one may still
/// be in flight, and two pagers on one file are one too many.
fn failed(
    system: &mut PagerSystem,
    error: &PagerError,
    context: &mut Context<'_>,
) -> Result<Step, Box<Violation>> {
    system.tally.borrow_mut().notice(error);
    context.remark(|| format!("gets: {error}"));
    let times = system.refusal.as_ref().map_or(0, |(times, _)| *times) + 1;
    system.refusal = Some((times, error.to_string()));
    let cause = cause(error, system.boot.struck, system.boot.struck, context);
    if let (Stage::Prepare(write), Some(pager)) = (&system.boot.stage, &system.pager) {
        match write.failed(error, &mut fixture!(system, pager, system.plan.connections)) {
            Err(Failure::Violation(violation)) => return Err(violation),
            Err(Failure::Pager(_)) | Ok(()) => {}
        }
    }
    system.oracles.borrow_mut().observe(&Observation::Failed {
        what: "coming back to life",
        error,
        cause,
    })?;
    if system.plan.disk_lies && is_damage(error) && !context.disk.is_honest() {
        return Ok(Step::Destroyed);
    }
    system.tally.borrow_mut().restarts += 1;
    Ok(Step::Restart)
}
