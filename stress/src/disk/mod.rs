//! A simulated disk: delays, reorders and fails I/O, and forgets what was not synced when power is lost.
//!
//! Operations queue at submission and end when the world delivers them, in any order once their drawn delay has
//! passed on the virtual clock. A read takes its bytes when it is submitted, when it is delivered, or some of them then and
//! some now. A write takes effect when it is delivered, but a read that overlaps it may see some of it before, and a power
//! loss may leave any of its sectors. A sync covers the changes that had taken effect when it was submitted; see `file.rs`
//! for the two images of a file and `crash.rs` for what survives.
//!
//! A disk lives through power losses. Each time it hands out new handles, and those of the life before only answer
//! with errors, so that a machine that is dropped late cannot write to a disk that it no longer has.

mod calls;
mod crash;
mod event;
mod execute;
mod faults;
mod file;
mod fixture;
mod handle;
mod image;
mod lock;
mod machine;
mod names;
mod odds;
mod options;
mod place;
mod queue;
mod sample;
mod script;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use faults::{FaultCounts, FaultGroup, FaultKind, FaultPlan, Struck};
pub(crate) use machine::{fill, wall_clock};
use tenterhook_runtime::io::{Descriptor, IO, OperationKind};

use self::calls::Calls;
pub(crate) use self::calls::News;
use self::event::{LEN_BITS, outcome_code};
pub(crate) use self::event::{
    describe_end, describe_event, describe_operation, is_cancelled, operation_kind,
};
use self::file::SimFile;
use self::lock::Shared;
use self::machine::Machine;
use self::names::Names;
use self::odds::Odds;
pub use self::options::{DiskOptions, Flippable};
pub use self::place::Place;
use self::queue::{Pending, Queue};
pub use self::script::{Fate, Script, Unsynced};
pub(crate) use self::script::{effects, honest_faults};
use crate::tape::{ChoicePoint, Stage, Stream};
use crate::trace::{Event, EventKind, Trace};

const DELAY: ChoicePoint = ChoicePoint::new(0, "delay");
const FAULT: ChoicePoint = ChoicePoint::new(1, "fault");
const REFUSE: ChoicePoint = ChoicePoint::new(2, "refuse");
const OPEN: ChoicePoint = ChoicePoint::new(3, "open");
const CANCEL: ChoicePoint = ChoicePoint::new(4, "cancel");
const EFFECT: ChoicePoint = ChoicePoint::new(5, "effect");
const LENGTH: ChoicePoint = ChoicePoint::new(6, "length");
const OVERLAP: ChoicePoint = ChoicePoint::new(7, "overlap");
const DROPPED: ChoicePoint = ChoicePoint::new(15, "dropped");
const EXECUTED: ChoicePoint = ChoicePoint::new(16, "executed");
const IMMEDIATE: ChoicePoint = ChoicePoint::new(17, "immediate");
const BESIDE: ChoicePoint = ChoicePoint::new(19, "failed sync beside another");
const SAMPLED: ChoicePoint = ChoicePoint::new(20, "when a read looks");
const LATE: ChoicePoint = ChoicePoint::new(21, "pieces that it reads late");
const ELSEWHERE: ChoicePoint = ChoicePoint::new(18, "elsewhere");

/// What a stuck operation takes at least: longer than anything else takes.
const STUCK: u64 = 100_000;

/// How the disk stands at the start of a step.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct DiskStatus {
    /// Operations that can be delivered now.
    pub due: u32,
    /// When the next one can be, if none can now.
    pub next_due: Option<u64>,
    /// Faults delivered so far.
    pub struck: Struck,
    /// When a sync failed last.
    pub sync_failed: Struck,
    /// Writes, syncs and truncations that have ended so far.
    pub changes: u64,
}

/// The disk, as the world that runs it sees it. The system under test sees [`SimDisk::io`].
#[derive(Clone, Debug)]
pub struct SimDisk {
    shared: Arc<Shared>,
}

/// Operations that died with the power. Their completions end as abandoned when this is dropped.
#[derive(Debug)]
#[must_use = "dropping it runs callbacks: choose when"]
pub struct Wreck {
    _operations: Vec<Pending>,
}

#[derive(Debug)]
struct State {
    now: u64,
    /// Counts lives; a handle of another life is dead.
    life: u64,
    stream: Stream,
    calls: Option<Box<Calls>>,
    options: DiskOptions,
    odds: Odds,
    calm: bool,
    flippable: Flippable,
    /// Whether the system opens its files.
    opening: bool,
    counts: FaultCounts,
    /// Whether it had told lies before the run began.
    lied: bool,
    queue: Queue,
    files: Vec<SimFile>,
    names: BTreeMap<PathBuf, u32>,
    directories: Names,
    events: Vec<Event>,
    /// What each of `events` is about, if that is kept.
    places: Option<Vec<Place>>,
    submitted: u64,
    /// Writes, syncs and truncations that have ended.
    changes: u64,
    machine: Machine,
}

impl SimDisk {
    /// An empty disk that draws from `stream`.
    pub fn new(options: DiskOptions, stream: Stream) -> SimDisk {
        let state = State {
            now: 0,
            life: 0,
            stream,
            calls: None,
            options,
            odds: Odds::new(&options.faults, options.immediate),
            calm: false,
            flippable: Flippable::Everything,
            opening: false,
            counts: FaultCounts::default(),
            lied: false,
            queue: Queue::default(),
            files: Vec::new(),
            names: BTreeMap::new(),
            directories: Names::default(),
            events: Vec::new(),
            places: None,
            submitted: 0,
            changes: 0,
            machine: Machine::default(),
        };
        SimDisk { shared: Arc::new(Shared::new(state)) }
    }

    /// The backend for the present life of the system under test.
    pub fn io(&self) -> Arc<dyn IO> {
        let life = self.shared.lock().life;
        Arc::new(handle::SimIO { shared: Arc::clone(&self.shared), life })
    }

    /// Tells the disk the time, moves its events into `trace`, and says what can be delivered.
    #[inline]
    pub fn begin_step(&self, now: u64, trace: &mut Trace) -> DiskStatus {
        self.begin_step_of(now, now, trace)
    }

    /// The same where time jumps: the run has made so many `steps` so far.
    #[inline]
    pub(crate) fn begin_step_of(&self, steps: u64, now: u64, trace: &mut Trace) -> DiskStatus {
        let mut state = self.shared.lock();
        (state.now, state.machine.steps) = (now, steps);
        for event in state.events.drain(..) {
            trace.push(event);
        }
        let due = state.queue.mature(now);
        let next_due = if due == 0 { state.queue.next_due() } else { None };
        let (struck, sync_failed) = (state.counts.struck(), state.sync_failed());
        DiskStatus { due, next_due, struck, sync_failed, changes: state.changes }
    }

    /// Ends one of the due operations, counted from the one that was due first; its callback runs in this call.
    pub fn deliver(&self, index: u32) {
        let mut state = self.shared.lock();
        let Some(mut pending) = state.queue.take(index) else { return };
        let outcome = state.execute(&mut pending);
        state.log(EventKind::Delivered, &mut pending, outcome_code(outcome));
        let owner = state.serve_callback(&pending);
        drop(state);
        pending.operation.finish(outcome);
        self.shared.lock().serve_again(owner);
    }

    /// Ends an operation that was submitted a moment ago, unless it is stuck.
    fn deliver_at_once(&self, token: u64) {
        let mut state = self.shared.lock();
        let Some(mut pending) = state.queue.take_token(token) else { return };
        let outcome = state.execute(&mut pending);
        state.log(EventKind::Delivered, &mut pending, outcome_code(outcome));
        drop(state);
        pending.operation.finish(outcome);
    }

    /// Stops or resumes faults. Delays and reordering stay, but no sync takes longer than other I/O then, and what was
    /// stuck comes loose.
    pub fn set_calm(&self, calm: bool) {
        let mut state = self.shared.lock();
        let state = &mut *state;
        state.calm = calm;
        state.odds =
            Odds::new(if calm { &FaultPlan::NONE } else { &state.options.faults }, state.options.immediate);
        if calm {
            state.queue.release_beyond(state.now + u64::from(state.options.max_delay), state.now);
        }
    }

    /// Says which reads may return a flipped bit. A log that is being recovered cannot tell a flipped bit from its own
    /// torn end, so it has to be spared then.
    pub fn set_flippable(&self, flippable: Flippable) {
        self.shared.lock().flippable = flippable;
    }

    /// Says whether the system opens its files: then flipped bits are more likely, 20 times, in a tenth of reads at most.
    pub fn set_opening(&self, opening: bool) {
        self.shared.lock().opening = opening;
    }

    /// The power goes: what was not synced survives as the tape has it, and all handles die.
    pub fn lose_power(&self) -> Wreck {
        let mut state = self.shared.lock();
        let state = &mut *state;
        let mut operations = state.end_life();
        for pending in &mut operations {
            state.take_effect(pending, u64::MAX);
        }
        let torn = state.options.faults.chance(FaultKind::SectorTorn);
        let addressed = state.calls.is_some();
        for index in 0..state.files.len() as u32 {
            state.end_with(index);
            let file = &mut state.files[index as usize];
            if !crash::lose_power(file, torn, addressed, &mut state.stream, &mut state.counts) {
                state.names.retain(|_, &mut named| named != index);
            }
        }
        state.settle_names();
        Wreck { _operations: operations }
    }

    /// The process dies: completed writes stay, still unsynced; each one in flight is executed or not. All handles
    /// die.
    pub fn kill_process(&self) -> Wreck {
        let mut state = self.shared.lock();
        let state = &mut *state;
        let mut operations = state.end_life();
        for pending in &mut operations {
            state.go_on_with(pending.address.at(Stage::CRASHED));
            if state.stream.choose(EXECUTED, 2) == 1 {
                state.take_effect(pending, u64::MAX);
            }
        }
        Wreck { _operations: operations }
    }

    /// How often each fault was requested and delivered.
    pub fn fault_counts(&self) -> FaultCounts {
        self.shared.lock().counts
    }

    /// The first of `kinds` that has struck since `moment`.
    pub fn struck_since(&self, kinds: &[FaultKind], moment: Struck) -> Option<FaultKind> {
        let state = self.shared.lock();
        kinds.iter().copied().find(|&kind| state.counts.has_struck(kind, moment))
    }

    /// Whether the disk has never said that it did what it had not.
    pub fn is_honest(&self) -> bool {
        self.shared.lock().is_honest()
    }

    /// Cancels one of the writes, syncs and truncations in flight, as a system does that tears its queue down: it ends
    /// as cancelled, done, half done or not done at all. Returns whether there was one. `choose` is given how many, and its answer
    /// counts them in the order of submission.
    pub fn cancel_change(&self, choose: impl FnOnce(u32) -> u32) -> bool {
        let mut state = self.shared.lock();
        let state = &mut *state;
        let changes = state.queue.iter_mut().filter(|pending| {
            pending.fault.is_none() && pending.operation.descriptor().kind != OperationKind::Read
        });
        let mut tokens: Vec<u64> = changes.map(|pending| pending.token).collect();
        tokens.sort_unstable();
        if tokens.is_empty() {
            return false;
        }
        let token = tokens[choose(tokens.len() as u32) as usize];
        state.counts.request(FaultKind::Cancelled);
        state.queue.hasten(token, state.now, |pending| pending.fault = Some(FaultKind::Cancelled))
    }

    /// When a sync failed last.
    pub(crate) fn sync_failed(&self) -> Struck {
        self.shared.lock().sync_failed()
    }

    /// Counts a fault of the world that the disk does not inject itself.
    pub fn count(&self, note: impl FnOnce(&mut FaultCounts)) {
        note(&mut self.shared.lock().counts);
    }

    /// How many operations are in flight, and how many were ever submitted.
    pub fn load(&self) -> (usize, u64) {
        let state = self.shared.lock();
        (state.queue.len(), state.submitted)
    }

    /// Operations in flight, for a person who wants to know why nothing moves.
    pub fn describe(&self) -> Vec<String> {
        let mut state = self.shared.lock();
        let state = &mut *state;
        let names = state.names.iter().chain(state.directories.directories());
        let names: BTreeMap<u32, String> =
            names.map(|(path, &file)| (file, path.display().to_string())).collect();
        let describe = |pending: &mut Pending| {
            let Descriptor { kind, offset, len } = pending.operation.descriptor();
            let file = names.get(&pending.file).map_or("a removed file", |name| name);
            format!("{kind:?} {len} bytes at {offset} of {file}, due at tick {}", pending.due_at)
        };
        state.queue.iter_mut().map(describe).collect()
    }

    /// The stream, to put what it drew on a tape.
    pub fn with_stream<R>(&self, read: impl FnOnce(&mut Stream) -> R) -> R {
        read(&mut self.shared.lock().stream)
    }

    /// From here on, what each event is about is kept until [`SimDisk::take_places`].
    pub(crate) fn keep_places(&self) {
        self.shared.lock().places = Some(Vec::new());
    }

    /// What the events were about that [`SimDisk::begin_step`] has moved since the last call, in their order.
    pub(crate) fn take_places(&self) -> Vec<Place> {
        self.shared.lock().places.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The content that reads of `path` would return.
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.shared.lock();
        let file = &state.files[*state.names.get(path)? as usize];
        let mut bytes = vec![0; file.current.len() as usize];
        file.current.read(0, &mut bytes);
        Some(bytes)
    }
}

impl State {
    fn sync_failed(&self) -> Struck {
        self.counts.last(FaultKind::SyncFailed).max(self.counts.last(FaultKind::SyncDropped))
    }

    fn end_life(&mut self) -> Vec<Pending> {
        self.life += 1;
        self.opening = false;
        self.files.iter_mut().for_each(SimFile::release);
        self.queue.drain()
    }
}

#[cfg(test)]
mod tests;
