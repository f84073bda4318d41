//! What the world asks of a system under test.

use std::sync::Arc;
use std::task::Waker;

use tenterhook_runtime::io::IO;
use tenterhook_runtime::{Completion, IOCompletions};

pub use crate::complaint::Complaint;
use crate::disk::{FaultKind, Place, SimDisk, Struck};
use crate::history::Record;
use crate::schedule::FiberId;
use crate::tape::{Actor, Stream};
use crate::trace::{Event, EventKind, Trace};
use crate::violation::Violation;

/// What one step of a fiber came to.
#[derive(Debug)]
#[must_use]
pub enum Step {
    /// It can be stepped again at once.
    Continue,
    /// It wants the others stepped first.
    Yield,
    /// It is to be stepped again after this has finished.
    Wait(Completion),
    /// It could be stepped again at once, but its thread does not run for so many ticks of the simulated clock.
    Stall {
        /// At least so many.
        ticks: u32,
    },
    /// It is to be stepped again after [`Context::waker`] was woken, for an engine that waits in a way of its own. The waker may
    /// be woken for nothing, and while the fiber is stepped. A step that returns this has handed the waker to whatever it waits for.
    Pending,
    /// Its operation has ended. It is between two operations, and its next one begins after this has finished: it reads an empty
    /// queue, for instance. Nothing waits for it: a system comes to rest, and a run to its end, while it stays parked. Of the fiber
    /// that boots the system and checks it, the same as [`Step::Wait`].
    Parked(Completion),
    /// Its operation has ended. It is between two operations, holds nothing, and may never be stepped again.
    Ended,
    /// It has nothing more to do: it is not stepped again before the next life. A run whose connections are all idle
    /// continues to its next crash, or to its end.
    Idle,
    /// What is on the disk is beyond repair, and the system has said so: the run is over.
    Destroyed,
    /// The system cannot go on without a restart, for instance because a sync failed.
    Restart,
}

impl From<IOCompletions> for Step {
    /// The step of a fiber whose machine is suspended.
    fn from(io: IOCompletions) -> Step {
        match io {
            IOCompletions::Single(completion) => Step::Wait(completion),
            IOCompletions::Yield => Step::Yield,
        }
    }
}

/// How a life of the system ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The tape decides which unsynced writes survive.
    PowerLoss,
    /// What was written is still there.
    ProcessKilled,
}

/// What the end of a life does to what was in the memory of the process.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Memory {
    /// It is dropped: destructors run, and operations in flight end as abandoned. Nothing leaks, and what a destructor does wrong
    /// shows. No process that was killed does this.
    #[default]
    Drop,
    /// It vanishes: no destructor runs, and the callbacks of operations in flight are never called. All of it is leaked.
    Vanish,
}

impl Memory {
    /// Does to `value` what the end of a life does to it.
    pub fn end<T>(self, value: T) {
        match self {
            Memory::Drop => drop(value),
            Memory::Vanish => std::mem::forget(value),
        }
    }
}

/// What the world lends to a fiber for one step.
#[derive(Debug)]
pub struct Context<'a> {
    /// The fiber.
    pub fiber: FiberId,
    pub(crate) actor: Actor,
    /// The fiber's choices.
    pub stream: &'a mut Stream,
    /// The disk of this run.
    pub disk: &'a SimDisk,
    /// The step's number.
    pub step: u64,
    /// Whether faults have stopped: abuse of your own machines has to stop too.
    pub calm: bool,
    /// Faults that the disk had delivered when the step began.
    pub struck: Struck,
    /// Faults that the disk had delivered when the present life began, the end of the last life included.
    pub born: Struck,
    pub(crate) waker: &'a Waker,
    pub(crate) trace: &'a mut Trace,
    /// For people who read a timeline; `None` if no timeline is drawn.
    pub(crate) remarks: Option<&'a mut Vec<String>>,
}

impl Context<'_> {
    /// What steps this fiber again after a [`Step::Pending`].
    pub fn waker(&self) -> &Waker {
        self.waker
    }

    /// A fault that may explain an error, if one of the right kind has struck since the present life began. It is counted as noticed.
    ///
    /// For an engine whose errors outlive the operation that failed. Where they do not, look from the operation's begin on:
    /// [`Context::struck`] and [`SimDisk::struck_since`].
    pub fn explained(&self, complaint: Complaint) -> Option<FaultKind> {
        let fault = self.disk.struck_since(complaint.causes(), self.born);
        if let Some(kind) = fault {
            self.disk.count(|counts| counts.notice(kind));
        }
        fault
    }

    /// Puts something that was seen into the trace.
    pub fn observe(&mut self, detail: u32, value: u64) {
        self.trace.push(Event { actor: self.actor, kind: EventKind::Observed, detail, value });
    }

    /// Says something to people who read the timeline, such as the text of an error. It is only put into words if the
    /// timeline is drawn, and decides nothing.
    pub fn remark(&mut self, words: impl FnOnce() -> String) {
        if let Some(remarks) = &mut self.remarks {
            remarks.push(words());
        }
    }
}

/// State machines over a simulated disk: the system under test, its workload and its oracles.
///
/// The world calls these from one thread, one at a time. Whatever they decide they draw from the context's stream, and
/// nothing else may make one run differ from another.
pub trait System {
    /// How many connections there are; their fibers are numbered from 0.
    fn connections(&self) -> u32;

    /// Steps what brings the system to life from what is on the disk: open, recover, set up, verify. Called again
    /// until it ends; then the connections start. An error that faults explain is no violation: try again.
    fn boot(&mut self, io: &Arc<dyn IO>, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        let _ = (io, context);
        Ok(Step::Ended)
    }

    /// Steps one connection, which begins an operation if it is between two.
    fn step(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>>;

    /// A connection as an object of its own, for a run with threads (see [`race`](crate::race)): it is stepped instead of
    /// [`System::step`]. Asked for each connection in each life, after the system has come to life. `None` means that the system
    /// can't be run with threads.
    fn connection(&mut self, fiber: FiberId) -> Option<Box<dyn crate::race::Connection>> {
        let _ = fiber;
        None
    }

    /// Steps what checks a system at rest: faults have stopped and every connection is between two operations.
    fn quiesce(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        let _ = context;
        Ok(Step::Ended)
    }

    /// The name of what an operation of the disk is about, in a word or two, for people who read a timeline: "log frame 3".
    fn locate(&self, place: &Place) -> String {
        place.path.display().to_string()
    }

    /// The system has panicked, and `message` says how and where. `Ok` means that this is its way to die, as some engines do when a
    /// sync fails: the life ends as if the process were killed, and the next begins. A panic while a life ends is a violation in
    /// any case.
    ///
    /// # Errors
    ///
    /// The violation that the panic is.
    fn panicked(&mut self, message: &str) -> Result<(), Box<Violation>> {
        Err(Violation::panic(message))
    }

    /// What the end of a life does to memory. The world does it to operations in flight; [`System::crash`] does it to what the
    /// system itself has, with [`Memory::end`].
    fn memory(&self) -> Memory {
        Memory::Drop
    }

    /// The system's life has ended: drop everything that was only in memory. Oracles keep what they know.
    fn crash(&mut self, crash: Crash) -> Result<(), Box<Violation>>;

    /// Everything of the last life has been dropped, operations in flight included: is anything left?
    fn after_crash(&mut self) -> Result<(), Box<Violation>> {
        Ok(())
    }

    /// What oracles know at the begin of a life, and whatever else outlives one: a run can begin with that life then, and a shrinker
    /// cuts off what was before it ([`Fixture`](crate::tape::Fixture)). Asked before [`System::boot`], after the end of the life
    /// before. `None` if no run of this system begins with a later life.
    fn knowledge(&self, disk: &SimDisk) -> Option<Vec<u8>> {
        let _ = disk;
        None
    }

    /// Takes up what [`System::knowledge`] has said, in a system that was made just now. The disk is as it was then. The boot follows.
    ///
    /// # Errors
    ///
    /// What is wrong with the knowledge, in words: it was made by another version.
    fn resume(&mut self, disk: &SimDisk, knowledge: &[u8]) -> Result<(), String> {
        let _ = (disk, knowledge);
        Err("the system does not offer to begin with a fixture".into())
    }

    /// What a connection is doing, for a person who wants to know why it does not finish.
    fn describe(&self, fiber: FiberId) -> String {
        format!("operation of connection {fiber}")
    }

    /// Begins to record what connections do, for checkers of other people ([`history`](crate::history)); asked before the run begins.
    /// `None` if there is no such record. Recording may change nothing of a run.
    fn record(&mut self) -> Option<Record> {
        None
    }

    /// Counters for the summary: name and value, always the same names in the same order. The short summary shows the
    /// first two, the tables show all.
    fn counters(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}
