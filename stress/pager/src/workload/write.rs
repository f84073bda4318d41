mod unfinished;

use tenterhook_runtime::IOResult;
use tenterhook_runtime::pager::{
    Audit, BeginWrite, Commit, PagerError, ReadTransaction, Upgrade, Vacuum, WriteTransaction,
};

use super::layout::{Layout, stamp};
use super::operation_context::{Changes, OperationContext};
use super::{
    Aside, Churn, Failure, Fixture, MultiPageWrite, Prepare, Progress, SavepointRollback, Transfer, await_io,
};
use crate::oracle::{Observation, TransactionId};
use tenterhook_stress::history::{Access, Outcome};
use tenterhook_stress::sometimes;

/// What a write transaction is for.
pub(crate) enum Job {
    /// Moves money.
    Transfer(Transfer),
    /// Stamps a group.
    MultiPageWrite(MultiPageWrite),
    /// Allocates and frees.
    Churn(Churn),
    /// Takes part of itself back.
    SavepointRollback(Box<SavepointRollback>),
    /// Makes the fixed pages.
    Prepare(Box<Prepare>),
}

/// How a write transaction ends once its job is done.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum WriteEnd {
    /// Asked to commit.
    Commit,
    /// Rolled back by its owner.
    Rollback,
}

/// One write transaction from its beginning to its commit.
pub(crate) struct Write {
    id: TransactionId,
    job: Job,
    end: WriteEnd,
    /// Whether it has been told to wait for the write lock.
    queued: bool,
    /// How many others had been told to wait for it when it asked.
    asked: Option<u64>,
    /// Whether the file is shortened after the job.
    vacuum: bool,
    /// What it does before it continues with its job, or ends.
    aside: Option<Box<Aside>>,
    is_job_done: bool,
    stage: Stage,
    changes: Changes,
}

enum Stage {
    /// Reading so many pages first, in the snapshot that is to become the transaction's.
    Look(Box<ReadTransaction>, usize),
    /// Waiting for the write lock, unless another commit comes first.
    Upgrade(Box<Upgrade>, u64),
    /// Waiting for the write lock.
    Begin(BeginWrite),
    /// Doing the job.
    Work(WriteTransaction),
    /// Shortening the file.
    Vacuum(Box<Vacuum>),
    /// Waiting for the commit to be durable. Boxed: ten thousand connections wait for their turn, one commits.
    Commit(Box<Commit>),
    /// Over. Also the place holder while a stage is replaced.
    Over,
}

impl Write {
    /// A transaction that waits for the write lock first.
    pub(crate) fn new(id: TransactionId, job: Job, end: WriteEnd, fixture: &Fixture<'_>) -> Write {
        fixture.recorder.begin(Access::Write);
        Write::at(id, job, end, Stage::Begin(fixture.pager.begin_write()))
    }

    /// A transaction that reads `looks` pages of accounts before it asks for the write lock.
    pub(crate) fn upgrade(
        id: TransactionId,
        job: Job,
        end: WriteEnd,
        looks: usize,
        fixture: &mut Fixture<'_>,
    ) -> Result<Write, Failure> {
        let floor = fixture.acknowledged();
        let reader = fixture.pager.begin_read()?;
        fixture.recorder.begin(Access::Read);
        fixture.observe(&Observation::ReadBegan { sequence: reader.commit_sequence(), floor })?;
        Ok(Write::at(id, job, end, Stage::Look(Box::new(reader), looks)))
    }

    /// The same transaction, with a vacuum after its job.
    pub(crate) fn with_vacuum(self) -> Write {
        Write { vacuum: true, ..self }
    }

    /// The same transaction, with something else to do before its job.
    pub(crate) fn with_aside(self, aside: Aside) -> Write {
        Write { aside: Some(Box::new(aside)), ..self }
    }

    fn at(id: TransactionId, job: Job, end: WriteEnd, stage: Stage) -> Write {
        let (queued, vacuum, is_job_done) = (false, false, false);
        Write {
            id,
            job,
            end,
            queued,
            asked: None,
            vacuum,
            aside: None,
            is_job_done,
            stage,
            changes: Changes::default(),
        }
    }

    /// One call of the pager.
    pub(crate) fn step(&mut self, fixture: &mut Fixture<'_>) -> Result<Progress, Failure> {
        if fixture.raced && std::mem::take(&mut self.queued) {
            // Whatever this call comes to, other threads may see it before it is told.
            fixture.observe(&Observation::TurnLeft { id: self.id })?;
        }
        match &mut self.stage {
            Stage::Look(reader, left) => {
                let accounts = &fixture.layout.accounts;
                if *left == 0 {
                    return Ok(self.ask_for_upgrade());
                }
                let (sequence, number) = (reader.commit_sequence(), accounts[*left % accounts.len()]);
                let page = await_io!(reader.page(number));
                let digest = fixture.shape.digest(&page);
                fixture.tally.borrow_mut().looked(digest);
                fixture.recorder.read(number, stamp(&page));
                fixture.observe(&Observation::PageRead { sequence, page: number, digest })?;
                *left -= 1;
                Ok(Progress::More)
            }
            Stage::Upgrade(upgrade, snapshot) => {
                let snapshot = *snapshot;
                self.asked.get_or_insert_with(|| fixture.oracles.borrow().history().turns_awaited());
                let upgraded = match upgrade.step() {
                    Err(PagerError::BusySnapshot { snapshot: refused, newest }) => {
                        self.stage = Stage::Over;
                        fixture.observe(&Observation::TurnLeft { id: self.id })?;
                        return stale(snapshot, refused, newest, fixture);
                    }
                    Err(PagerError::AwaitedByCheckpoint) => {
                        sometimes!(true, "an upgrade is refused because a checkpoint waits for readers");
                        self.stage = Stage::Over;
                        // Other threads may tell of the checkpoint later.
                        fixture.observe(&match fixture.raced {
                            true => Observation::TurnLeft { id: self.id },
                            false => Observation::TurnRefused { id: self.id },
                        })?;
                        return Ok(Progress::Done);
                    }
                    other => other?,
                };
                sometimes!(matches!(upgraded, IOResult::IO(_)), "an upgrade waits for the write lock");
                let transaction = match upgraded {
                    IOResult::Done(transaction) => transaction,
                    IOResult::IO(io) => {
                        self.awaits_its_turn(fixture)?;
                        return Ok(Progress::Wait(io));
                    }
                };
                let base = transaction.commit_sequence();
                fixture.observe(&Observation::Invariant {
                    sequence: base,
                    what: "an upgraded transaction upon the commit that it has read, number",
                    expected: snapshot as i64,
                    seen: base as i64,
                })?;
                self.begun(transaction, fixture)
            }
            Stage::Begin(begin) => {
                self.asked.get_or_insert_with(|| fixture.oracles.borrow().history().turns_awaited());
                let begun = begin.step()?;
                sometimes!(matches!(begun, IOResult::IO(_)), "a writer waits for the write lock");
                let transaction = match begun {
                    IOResult::Done(transaction) => transaction,
                    IOResult::IO(io) => {
                        self.awaits_its_turn(fixture)?;
                        return Ok(Progress::Wait(io));
                    }
                };
                self.begun(transaction, fixture)
            }
            Stage::Work(transaction) => {
                let mut op = OperationContext { transaction, changes: &mut self.changes, fixture };
                if let Some(aside) = &mut self.aside
                    && aside.is_due(op.changes, self.is_job_done)
                {
                    let progress = aside.step(&mut op)?;
                    return Ok(match progress {
                        Progress::Done => {
                            self.aside = None;
                            Progress::More
                        }
                        other => other,
                    });
                }
                let progress = match &mut self.job {
                    _ if self.is_job_done => Progress::Done,
                    Job::Transfer(job) => job.step(&mut op)?,
                    Job::MultiPageWrite(job) => job.step(&mut op)?,
                    Job::Churn(job) => job.step(&mut op)?,
                    Job::SavepointRollback(job) => job.step(&mut op)?,
                    Job::Prepare(job) => job.step(&mut op)?,
                };
                match progress {
                    Progress::Done if self.aside.is_some() => {
                        self.is_job_done = true;
                        Ok(Progress::More)
                    }
                    Progress::Done if self.vacuum => Ok(self.begin_vacuum()),
                    Progress::Done => self.end(fixture),
                    suspended => Ok(suspended),
                }
            }
            Stage::Vacuum(vacuum) => {
                let (transaction, less) = await_io!(vacuum.step());
                sometimes!(less > 0, "a vacuum shortens the file");
                fixture.tally.borrow_mut().vacuumed += u64::from(less);
                self.stage = Stage::Work(transaction);
                self.end(fixture)
            }
            Stage::Commit(commit) => {
                let sequence = match commit.step()? {
                    IOResult::Done(sequence) => sequence,
                    IOResult::IO(io) => return Ok(Progress::Wait(io)),
                };
                self.stage = Stage::Over;
                fixture.tally.borrow_mut().commits += 1;
                let Audit { commits_published, log_syncs, .. } = fixture.pager.audit();
                sometimes!(
                    log_syncs > 0 && commits_published > log_syncs,
                    "one sync acknowledges several commits"
                );
                fixture.recorder.end(Outcome::Committed);
                fixture.observe(&Observation::Committed { id: self.id, sequence })?;
                Ok(Progress::Done)
            }
            Stage::Over => Ok(Progress::Done),
        }
    }

    fn awaits_its_turn(&mut self, fixture: &mut Fixture<'_>) -> Result<(), Failure> {
        if std::mem::replace(&mut self.queued, true) {
            return Ok(());
        }
        let reads = matches!(self.stage, Stage::Upgrade(..));
        if reads && fixture.raced {
            // A checkpoint may have sent it away, and tell of it later.
            return Ok(());
        }
        fixture.observe(&Observation::TurnAwaited { id: self.id, asked: self.asked.unwrap_or(0), reads })
    }

    fn ask_for_upgrade(&mut self) -> Progress {
        if let Stage::Look(reader, _) = std::mem::replace(&mut self.stage, Stage::Over) {
            let snapshot = reader.commit_sequence();
            self.stage = Stage::Upgrade(Box::new(reader.upgrade()), snapshot);
        }
        Progress::More
    }

    fn begun(
        &mut self,
        transaction: WriteTransaction,
        fixture: &mut Fixture<'_>,
    ) -> Result<Progress, Failure> {
        fixture.observe(&Observation::TurnCame { id: self.id, asked: self.asked.unwrap_or(0) })?;
        self.changes.base = transaction.commit_sequence();
        fixture.recorder.upgrade();
        let ahead = self.changes.base.saturating_sub(fixture.pager.commit_sequence());
        sometimes!(ahead > 0, "a writer starts from a commit that is in flight");
        sometimes!(ahead >= 3, "three commits are in flight");
        fixture.observe(&Observation::WriteBegan { base: self.changes.base, raced: fixture.raced })?;
        self.stage = Stage::Work(transaction);
        Ok(Progress::More)
    }

    fn begin_vacuum(&mut self) -> Progress {
        if let Stage::Work(transaction) = std::mem::replace(&mut self.stage, Stage::Over) {
            self.stage = Stage::Vacuum(Box::new(transaction.vacuum()));
        }
        Progress::More
    }

    /// The job is done: commit or roll back.
    fn end(&mut self, fixture: &mut Fixture<'_>) -> Result<Progress, Failure> {
        let Stage::Work(transaction) = std::mem::replace(&mut self.stage, Stage::Over) else {
            return Ok(Progress::Done);
        };
        sometimes!(transaction.pages_spilled() > 0, "a transaction spills");
        if self.end == WriteEnd::Rollback || self.changes.is_empty() {
            transaction.rollback();
            fixture.tally.borrow_mut().rollbacks += 1;
            return Ok(Progress::Done);
        }
        let Changes { base, pages, .. } = &self.changes;
        fixture.recorder.wrote(self.changes.stamps());
        fixture.observe(&Observation::CommitBegan { id: self.id, base: *base, changes: pages })?;
        self.stage = Stage::Commit(Box::new(transaction.commit()));
        Ok(Progress::More)
    }

    /// The layout that a preparation has made.
    pub(crate) fn prepared(&self) -> Option<&Layout> {
        match &self.job {
            Job::Prepare(prepare) => Some(prepare.layout()),
            Job::Transfer(_) | Job::MultiPageWrite(_) | Job::Churn(_) | Job::SavepointRollback(_) => None,
        }
    }

    /// What it is and how far it has come.
    pub(crate) fn describe(&self) -> String {
        let job = match self.job {
            Job::Transfer(_) => "transfer",
            Job::MultiPageWrite(_) => "multi-page write",
            Job::Churn(_) => "churn",
            Job::SavepointRollback(_) => "savepoint rollback",
            Job::Prepare(_) => return format!("preparation: {}", self.describe_stage()),
        };
        // The upper half of the number is the connection.
        format!("{job} {}: {}", self.id as u32, self.describe_stage())
    }

    fn describe_stage(&self) -> String {
        let transaction = match &self.stage {
            Stage::Look(..) => return "reading before its upgrade".into(),
            Stage::Upgrade(..) => return "waiting for the write lock, with a snapshot".into(),
            Stage::Begin(_) => return "waiting for the write lock".into(),
            Stage::Vacuum(_) => return "shortening the file".into(),
            Stage::Commit(_) => return "committing".into(),
            Stage::Over => return "over".into(),
            Stage::Work(transaction) => transaction,
        };
        let detour = match &self.job {
            Job::SavepointRollback(detour) => detour.describe(),
            _ => "at work",
        };
        let aside = self.aside.as_ref().and_then(|aside| aside.describe());
        let doing = aside.unwrap_or_else(|| detour.into());
        let spilled = match transaction.pages_spilled() {
            0 => String::new(),
            1 => "; 1 page spilled".into(),
            pages => format!("; {pages} pages spilled"),
        };
        format!("{doing}{spilled}; on commit {}", transaction.commit_sequence())
    }
}

/// Whether a refusal is true: there was a commit on top of the snapshot, and it is not reported as another error.
fn stale(snapshot: u64, refused: u64, newest: u64, fixture: &mut Fixture<'_>) -> Result<Progress, Failure> {
    fixture.tally.borrow_mut().stale_upgrades += 1;
    sometimes!(true, "an upgrade is refused because of another commit");
    // With threads that commit may have failed meanwhile.
    let was_made = fixture.raced || fixture.oracles.borrow().history().can_be_seen(newest);
    let is_true = snapshot == refused && snapshot < newest && was_made;
    fixture.observe(&Observation::Invariant {
        sequence: newest,
        what: "a refusal of a stale snapshot only:",
        expected: 1,
        seen: i64::from(is_true),
    })?;
    Ok(Progress::Done)
}
