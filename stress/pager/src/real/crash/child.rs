//! The process that is killed.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tenterhook_runtime::executor::{Executor, Task};
use tenterhook_runtime::io::{Backend, IO, drive};
use tenterhook_runtime::pager::{Checkpoint, Pager, PagerError, PagerOptions};
use tenterhook_runtime::{IOCompletions, IOResult};

use super::acks::Acks;
use super::journal::Recorder;
use super::points::{Point, Trigger, die};
use super::variety::Variety;
use super::{database, verify};
use tenterhook_stress::real::layer::Layer;
use crate::real::ledger::{Layout, Make, Post};

/// What a child is told.
#[derive(Clone, Debug)]
pub struct ChildOptions {
    /// Where the files are.
    pub directory: PathBuf,
    /// What does its I/O.
    pub backend: Backend,
    /// Connections.
    pub connections: u64,
    /// Where and at which time there it kills itself.
    pub point: Option<(Point, u32)>,
    /// Whether its I/O is recorded.
    pub record: bool,
    /// What makes it unlike other children; 0 for a plain one.
    pub variety: u64,
    /// Whether it acknowledges commits before they are asked for: a planted bug, so that the verifier can be seen to bite.
    pub hasty: bool,
}

/// Recovers, looks at what it has found, and commits until it is killed.
///
/// # Errors
///
/// Whatever keeps it from working. It never ends well.
pub fn run(options: &ChildOptions) -> Result<std::convert::Infallible, Box<dyn Error>> {
    let variety = Variety::of(options.variety);
    let acks = Arc::new(Acks::open(&super::acks_path(&options.directory), options.connections)?);
    let record = super::record_path(&options.directory);
    let recorder = options.record.then(|| Recorder::create(&record)).transpose()?;
    let below = options.backend.start()?.io;
    let layer = Arc::new(Layer::new(below, Trigger::new(options.point, recorder, variety)));
    let io: Arc<dyn IO> = Arc::clone(&layer) as Arc<dyn IO>;
    let pager = open(&io, &database(&options.directory), variety.options())?;
    layer.watcher().opened();
    let layout = Layout { connections: options.connections, usable: pager.usable_size() };
    let mut make = Make::new(&pager, layout);
    verify::audit(&io, &pager, &acks)?;
    drive(&*io, || make.step())?;
    let executor = Executor::new(2);
    let tasks: Vec<Task<(), PagerError>> = (0..options.connections)
        .map(|connection| {
            let worker = Worker::new(&pager, layout, connection, Arc::clone(&acks), options.hasty, variety);
            executor.spawn(worker.machine())
        })
        .collect();
    for task in tasks {
        task.join()?;
    }
    Err("every connection has ended, which none should".into())
}

pub(super) fn open(io: &Arc<dyn IO>, path: &Path, options: PagerOptions) -> Result<Arc<Pager>, PagerError> {
    let mut open = Pager::open(Arc::clone(io), path, options);
    drive(&**io, || open.step())
}

/// One connection: commits, one after the other, and now and then a checkpoint.
struct Worker {
    pager: Arc<Pager>,
    layout: Layout,
    connection: u64,
    acks: Arc<Acks>,
    hasty: bool,
    variety: Variety,
    /// Commits that it has begun.
    begun: u64,
    job: Job,
}

enum Job {
    Post(Box<Post>),
    Checkpoint(Checkpoint),
}

impl Worker {
    fn new(
        pager: &Arc<Pager>,
        layout: Layout,
        connection: u64,
        acks: Arc<Acks>,
        hasty: bool,
        variety: Variety,
    ) -> Worker {
        let job = Job::Post(Box::new(Post::new(pager, layout, connection)));
        Worker { pager: Arc::clone(pager), layout, connection, acks, hasty, variety, begun: 0, job }
    }

    fn machine(mut self) -> impl FnMut() -> Result<IOResult<()>, PagerError> + Send {
        move || match self.step() {
            // Writes are refused from now on; the next child opens the file again.
            Err(PagerError::Poisoned { .. }) => die(),
            // It was told that its commit, if it had come so far, is in doubt: the next one counts on from what is there.
            Err(PagerError::Io { .. } | PagerError::EarlierCommitFailed { .. }) => {
                self.job = self.next_post();
                Ok(IOResult::IO(IOCompletions::Yield))
            }
            other => other,
        }
    }

    /// One job a call; between two of them the others have their turn.
    fn step(&mut self) -> Result<IOResult<()>, PagerError> {
        let (acks, connection, hasty) = (&self.acks, self.connection, self.hasty);
        let note = |noted: std::io::Result<()>| noted.expect("the table of acknowledgements can be written");
        match &mut self.job {
            Job::Post(post) => {
                let asked = |committed: crate::real::ledger::Committed| {
                    note(acks.asked(connection, committed.own));
                    if hasty {
                        note(acks.told(connection, committed.own));
                    }
                };
                let committed = match post.step(asked)? {
                    IOResult::Done(committed) => committed,
                    IOResult::IO(io) => return Ok(IOResult::IO(io)),
                };
                note(acks.told(connection, committed.own));
                self.job = match self.pager.checkpoint_due() {
                    Some(mode) => Job::Checkpoint(self.pager.checkpoint(mode)),
                    None => self.next_post(),
                };
            }
            Job::Checkpoint(checkpoint) => {
                if let IOResult::IO(io) = checkpoint.step()? {
                    return Ok(IOResult::IO(io));
                }
                self.job = self.next_post();
            }
        }
        Ok(IOResult::IO(IOCompletions::Yield))
    }

    fn next_post(&mut self) -> Job {
        self.begun += 1;
        let Variety { strays, stray_pages, .. } = self.variety;
        let pages = if strays > 0 && self.begun.is_multiple_of(strays) { stray_pages } else { 0 };
        Job::Post(Box::new(Post::new(&self.pager, self.layout, self.connection).straying(pages)))
    }
}
