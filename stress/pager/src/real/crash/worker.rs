//! One connection of a child.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tenterhook_runtime::pager::{Checkpoint, CheckpointMode, Pager, PagerError};
use tenterhook_runtime::{Completion, IOCompletions, IOResult};

use super::plant::Plant;
use super::variety::Variety;
use crate::real::ledger::{Committed, Layout, Post, Tidy};
use tenterhook_stress::real::killed::{Commits, Process};
use tenterhook_stress::violation::Violation;

/// A planted bug shows when a connection has begun so many jobs.
const PLANTED: u64 = 3;

/// What the connections of a child share.
pub(super) struct Shop {
    pub(super) pager: Arc<Pager>,
    pub(super) layout: Layout,
    pub(super) commits: Commits,
    pub(super) variety: Variety,
    pub(super) plant: Option<Plant>,
    /// Commits of each connection that it was told of by this process.
    pub(super) told: Vec<AtomicU64>,
}

/// Commits, one after the other, and now and then a checkpoint or a vacuum.
pub(super) struct Worker {
    shop: Arc<Shop>,
    connection: u64,
    /// Commits that it has begun.
    begun: u64,
    /// Checkpoints that it has begun.
    checkpoints: u64,
    /// How often it was stepped.
    steps: u64,
    /// How often it has waited.
    waits: u64,
    job: Job,
}

enum Job {
    Post(Box<Post>),
    /// With the newest commit when it began, and what each connection had been told of by then.
    Checkpoint(Box<Checkpoint>, u64, Vec<u64>),
    Tidy(Box<Tidy>),
}

impl Shop {
    fn process(&self) -> &Process {
        self.commits.process()
    }

    /// `connection` was told of its `own`-th commit.
    fn told(&self, connection: u64, own: u64) {
        self.commits.told(connection, own);
        if self.variety.keeps_what_it_tells() {
            self.commits.keeps(connection, own);
        }
        // ORDERING: Release, pairs with the load in `checkpoint`: who sees the count sees the commit in the pager's newest
        // number, which it reads next.
        self.told[connection as usize].store(own, Ordering::Release);
    }

    fn asked(&self, connection: u64, committed: Committed) {
        self.commits.asks(connection, committed.own);
        if self.plant == Some(Plant::Hasty) {
            self.told(connection, committed.own);
        }
    }

    /// The `number`-th of a connection, if one is due.
    fn checkpoint(&self, number: u64) -> Option<Job> {
        let due = self.pager.checkpoint_due()?;
        let every = self.variety.truncates;
        let mode = if every > 0 && number.is_multiple_of(every) { CheckpointMode::Truncate } else { due };
        // ORDERING: Acquire, pairs with the store in `told`.
        let told = self.told.iter().map(|told| told.load(Ordering::Acquire)).collect();
        Some(Job::Checkpoint(Box::new(self.pager.checkpoint(mode)), self.pager.commit_sequence(), told))
    }
}

impl Worker {
    pub(super) fn new(shop: &Arc<Shop>, connection: u64) -> Worker {
        let job = Job::Post(Box::new(Post::new(&shop.pager, shop.layout, connection)));
        Worker { shop: Arc::clone(shop), connection, begun: 0, checkpoints: 0, steps: 0, waits: 0, job }
    }

    pub(super) fn machine(mut self) -> impl FnMut() -> Result<IOResult<()>, PagerError> + Send {
        move || match self.step_somewhere() {
            // Nothing was failed that would explain it.
            Err(error) if !self.shop.process().has_struck() => self.object(&error),
            // Writes are refused from now on; the next child opens the file again.
            Err(PagerError::Poisoned { .. }) => self.shop.process().die(),
            // It was told that its commit, if it had come so far, is in doubt: the next one counts on from what is there.
            Err(PagerError::Io { .. } | PagerError::EarlierCommitFailed { .. }) => {
                self.job = self.next_post();
                Ok(IOResult::IO(IOCompletions::Yield))
            }
            Ok(IOResult::IO(IOCompletions::Single(completion))) if self.gives_up() => {
                drop(completion);
                self.shop.process().gave_up();
                self.job = self.next_post();
                Ok(IOResult::IO(IOCompletions::Yield))
            }
            Err(error) => self.object(&error),
            Ok(io) => Ok(io),
        }
    }

    /// Ends the process: connections before this one do not end, so that a join does not come to it.
    fn object(&self, error: &PagerError) -> ! {
        let seen = format!("connection {}, at its job {}: {error}", self.connection, self.begun);
        let violation = Violation::safety("unexplained error", "no error that no fault explains", seen);
        self.shop.process().object(&violation)
    }

    /// What a planted bug makes of the next step.
    fn planted(&self) -> Option<Result<IOResult<()>, PagerError>> {
        let is_last = self.connection + 1 == self.shop.layout.connections;
        match self.shop.plant? {
            _ if self.begun < PLANTED => None,
            Plant::Stall => {
                let (completion, completer) = Completion::new(|_| {});
                std::mem::forget(completer);
                Some(Ok(IOResult::IO(IOCompletions::Single(completion))))
            }
            Plant::Error if is_last => Some(Err(PagerError::Busy)),
            Plant::Panic if is_last => panic!("a planted bug"),
            _ => None,
        }
    }

    /// Now and then in a thread that ends at once.
    fn step_somewhere(&mut self) -> Result<IOResult<()>, PagerError> {
        self.steps += 1;
        if let Some(planted) = self.planted() {
            return planted;
        }
        let (process, steps) = (Arc::clone(self.shop.commits.process()), self.steps);
        process.step(
            steps,
            || self.step(),
            |stepped| match stepped {
                Ok(IOResult::IO(IOCompletions::Single(completion))) => Some(completion),
                _ => None,
            },
        )
    }

    fn gives_up(&mut self) -> bool {
        self.waits += 1;
        let every = self.shop.process().gives_up();
        every > 0 && self.waits.is_multiple_of(every)
    }

    /// One job a call; between two of them the others have their turn.
    fn step(&mut self) -> Result<IOResult<()>, PagerError> {
        let (shop, connection) = (&self.shop, self.connection);
        match &mut self.job {
            Job::Post(post) => {
                let committed = match post.step(|committed| shop.asked(connection, committed))? {
                    IOResult::Done(committed) => committed,
                    IOResult::IO(io) => return Ok(IOResult::IO(io)),
                };
                shop.told(connection, committed.own);
                self.job = self.after_post();
            }
            Job::Checkpoint(checkpoint, newest, told) => {
                let report = match checkpoint.step()? {
                    IOResult::Done(report) => report,
                    IOResult::IO(io) => return Ok(IOResult::IO(io)),
                };
                // It copies what a power loss no longer takes.
                if report.sequence >= *newest {
                    (0..).zip(&*told).for_each(|(connection, own)| shop.commits.keeps(connection, *own));
                }
                self.job = self.next_post();
            }
            Job::Tidy(tidy) => {
                if let IOResult::IO(io) = tidy.step()? {
                    return Ok(IOResult::IO(io));
                }
                self.job = self.next_post();
            }
        }
        Ok(IOResult::IO(IOCompletions::Yield))
    }

    fn after_post(&mut self) -> Job {
        if let Some(checkpoint) = self.shop.checkpoint(self.checkpoints + 1) {
            self.checkpoints += 1;
            return checkpoint;
        }
        let Variety { vacuums, stray_pages, .. } = self.shop.variety;
        if vacuums > 0 && (self.begun + 1).is_multiple_of(vacuums) {
            self.begun += 1;
            return Job::Tidy(Box::new(Tidy::new(&self.shop.pager, stray_pages)));
        }
        self.next_post()
    }

    fn next_post(&mut self) -> Job {
        self.begun += 1;
        let Variety { strays, stray_pages, .. } = self.shop.variety;
        let pages = if strays > 0 && self.begun.is_multiple_of(strays) { stray_pages } else { 0 };
        let post = Post::new(&self.shop.pager, self.shop.layout, self.connection);
        Job::Post(Box::new(post.straying(pages)))
    }
}
