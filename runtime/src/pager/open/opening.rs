//! Opening, from the options to the pager.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::database::{DatabaseFile, Verdict};
use super::recovery::Recovery;
use crate::io::{IO, OpenOptions};
use crate::pager::latch::transition_if_io;
use crate::pager::pager::{Pager, PagerFile};
use crate::pager::transfer::ReadBatch;
use crate::pager::{PagerError, PagerOptions};
use crate::{IOResult, StateMachine, StateTransition, TransitionResult};

/// Opens a pager file: makes it where there is none, recovers what its log holds. Done with the pager to share.
///
/// Dropped at any time it leaves a file that can be opened, once the I/O that it had begun has ended.
#[must_use = "it does nothing until it is stepped"]
pub struct Open {
    machine: StateMachine<Opening>,
}

impl Pager {
    /// Opens a pager file, or makes one where there is none or an empty one, and recovers what its log `<path>-wal`
    /// holds. Options are checked, and files opened, in the first step.
    pub fn open(io: Arc<dyn IO>, path: &Path, options: PagerOptions) -> Open {
        Open::new(io, path, options)
    }
}

impl Open {
    fn new(io: Arc<dyn IO>, path: &Path, options: PagerOptions) -> Self {
        let mut log_path = path.as_os_str().to_owned();
        log_path.push("-wal");
        let (path, log_path) = (path.into(), Path::new(&log_path).into());
        Self {
            machine: StateMachine::new(Opening { io, path, log_path, options, stage: Stage::OpenDatabase }),
        }
    }

    /// Steps until the file is open.
    ///
    /// # Errors
    ///
    /// What is wrong with the options, the file or its log, all of which then stay as they are; [`PagerError::Locked`],
    /// [`PagerError::Io`] and [`PagerError::Backend`], after which opening may be tried again.
    ///
    /// # Panics
    ///
    /// When it has ended already.
    #[track_caller]
    pub fn step(&mut self) -> Result<IOResult<Arc<Pager>>, PagerError> {
        self.machine.step(&())
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").field("ended", &self.machine.is_finished()).finish_non_exhaustive()
    }
}

struct Opening {
    io: Arc<dyn IO>,
    path: Arc<Path>,
    log_path: Arc<Path>,
    options: PagerOptions,
    stage: Stage,
}

/// Opening, from top to bottom.
enum Stage {
    OpenDatabase,
    ReadHeader { file: PagerFile, len: u64, read: ReadBatch },
    Recover(Box<Recovery>),
    Ended,
}

type Transition = Result<TransitionResult<Arc<Pager>>, PagerError>;

impl StateTransition for Opening {
    type Context = ();
    type Output = Arc<Pager>;
    type Error = PagerError;

    fn step(&mut self, (): &()) -> Transition {
        match &mut self.stage {
            Stage::OpenDatabase => self.open_database(),
            Stage::ReadHeader { file, read, .. } => {
                let mut bytes =
                    transition_if_io!(read.poll().map_err(|error| file.error("read the header of", error)));
                let Stage::ReadHeader { file, len, .. } = std::mem::replace(&mut self.stage, Stage::Ended)
                else {
                    unreachable!("matched above");
                };
                let header = bytes.swap_remove(0).require_whole();
                let header = header.map_err(|error| file.error("read the header of", error))?;
                let database = DatabaseFile::judge(file, len, &header, &self.options)?;
                self.open_log(database)
            }
            Stage::Recover(recovery) => {
                let pager = transition_if_io!(recovery.step());
                self.stage = Stage::Ended;
                Ok(TransitionResult::Done(pager))
            }
            Stage::Ended => unreachable!("the driver steps no machine that has ended"),
        }
    }
}

impl Opening {
    fn open_database(&mut self) -> Transition {
        self.options.validate()?;
        let file = self.open(&self.path)?;
        let len = file.len()?;
        let wanted = len.min(self.options.page_size.into()) as usize;
        let read = ReadBatch::one(&*file.file, 0, wanted);
        self.stage = Stage::ReadHeader { file, len, read };
        Ok(TransitionResult::Continue)
    }

    /// Opens a file for this pager alone. Both files are: I/O that a dropped pager has left may be on either.
    fn open(&self, path: &Arc<Path>) -> Result<PagerFile, PagerError> {
        match self.io.open(path, OpenOptions::creating().alone()) {
            Ok(file) => Ok(PagerFile { file, path: Arc::clone(path) }),
            Err(error) if error.is_locked() => {
                Err(PagerError::Locked { path: Arc::clone(path), holder: self.io.holder_of(path) })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the log; makes it only beside a database file that is one.
    fn open_log(&mut self, mut database: DatabaseFile) -> Transition {
        let exists = self.io.exists(&self.log_path);
        if let (Verdict::Damaged(problem), false) = (&database.verdict, exists) {
            return Err(PagerError::CorruptHeader { path: Arc::clone(&self.path), problem: *problem });
        }
        let log = self.open(&self.log_path)?;
        let log_len = log.len()?;
        if log_len > 0 && !database.be_finished() {
            return Err(PagerError::LogWithoutDatabase { path: log.path, len: log_len });
        }
        self.stage = Stage::Recover(Box::new(Recovery::new(database, log, log_len, self.options)));
        Ok(TransitionResult::Continue)
    }
}
