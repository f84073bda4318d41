//! What connections do: batches that append to logs, overwrite their ends, compact and clean them; reads; purges; closing and opening.

use std::sync::Arc;

use parking_lot::Mutex;
use raft_engine::{Command, Config, Engine, Error, LogBatch, ReadableSize};
use tenterhook_stress::blocking::{After, Call, Latch};
use tenterhook_stress::disk::{SimDisk, Struck};
use tenterhook_stress::oracle::{Durable, Verdict};
use tenterhook_stress::tape::ChoicePoint;
use tenterhook_stress::violation::Violation;

use crate::disk::{Disk, SimFileSystem};
use crate::log::{Entries, Group, Model, State, commit_of, entry, number};
use crate::plan::{Ask, Broken, Plan};

pub(crate) const OPERATIONS: [&str; 6] = ["write", "read", "purge", "sync", "reopen", "read all"];

const OPERATION: ChoicePoint = ChoicePoint::new(0, "operation");
const DEEDS: ChoicePoint = ChoicePoint::new(1, "deeds");
const DEED: ChoicePoint = ChoicePoint::new(2, "deed");
const GROUP: ChoicePoint = ChoicePoint::new(3, "group");
const ENTRIES: ChoicePoint = ChoicePoint::new(4, "entries");
const PLACE: ChoicePoint = ChoicePoint::new(5, "place");
const SYNCS: ChoicePoint = ChoicePoint::new(6, "syncs");

/// The group whose one pair is the number of the newest commit.
const LINE: u64 = 99;
const LATEST: &[u8] = b"latest";

type RaftEngine = Engine<SimFileSystem>;

/// How often each thing happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) commits: u64,
    pub(crate) snapshots: u64,
    pub(crate) synced: u64,
    pub(crate) purges: u64,
    pub(crate) boots: u64,
    pub(crate) io_errors: u64,
    pub(crate) deaths: u64,
}

/// What the jobs of a run share.
pub(crate) struct Store {
    pub(crate) plan: Plan,
    pub(crate) model: Mutex<Model>,
    pub(crate) counts: Mutex<Counts>,
    pub(crate) engine: Mutex<Option<Arc<RaftEngine>>>,
    pub(crate) life: Mutex<Option<Life>>,
    /// raft-engine lets writers wait for each other in a lock of its own, of which the tester knows nothing.
    writers: Latch,
    /// Reads and purges wait for each other, unless the plan has them beside each other.
    purges: Latch,
}

#[derive(Clone)]
pub(crate) struct Life {
    pub(crate) disk: Arc<Disk>,
    pub(crate) faults: SimDisk,
    pub(crate) began: Struck,
    /// What the end of the life before must have left.
    pub(crate) floor: u64,
}

pub(crate) enum Stop {
    Failed(&'static str, Error),
    Broken(Box<Violation>),
}

impl From<Box<Violation>> for Stop {
    fn from(violation: Box<Violation>) -> Stop {
        Stop::Broken(violation)
    }
}

type Done<T = ()> = Result<T, Stop>;

fn failed(what: &'static str) -> impl Fn(Error) -> Stop {
    move |error| Stop::Failed(what, error)
}

/// A latch that is given up also by an engine that panics.
struct Held<'a>(&'a Latch, &'a Call);

impl<'a> Held<'a> {
    fn new(latch: &'a Latch, call: &'a Call) -> Held<'a> {
        latch.lock(call);
        Held(latch, call)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.unlock(self.1);
    }
}

impl Store {
    pub(crate) fn new(plan: Plan) -> Store {
        Store {
            plan,
            model: Mutex::new(Model::new(State::new())),
            counts: Mutex::default(),
            engine: Mutex::default(),
            life: Mutex::default(),
            writers: Latch::default(),
            purges: Latch::default(),
        }
    }

    pub(crate) fn boot(&self, call: &Call) -> Verdict<After> {
        self.judge(call, self.open(call)).map(|is_open| if is_open { After::Ended } else { After::Retry })
    }

    pub(crate) fn operate(&self, call: &Call) -> Verdict<After> {
        let Some(engine) = self.engine.lock().clone() else { return Ok(After::Retry) };
        let operation = call.weighted(OPERATION, &self.plan.weights);
        call.doing(OPERATIONS[operation]);
        let done = match operation {
            0 => self.write(call, &engine),
            1 => self.read(call, &engine, 1),
            2 => self.purge(call, &engine),
            3 => self.sync(call, &engine),
            4 => {
                drop(engine);
                return self.reopen(call);
            }
            _ => self.read(call, &engine, self.plan.groups),
        };
        self.judge(call, done).map(|_| After::Ended)
    }

    pub(crate) fn look_over(&self, call: &Call) -> Verdict<After> {
        let Some(engine) = self.engine.lock().clone() else { return self.boot(call) };
        let done = self.read(call, &engine, self.plan.groups);
        drop(engine);
        match self.judge(call, done)? {
            // And what is on the disk.
            true => self.reopen(call),
            false => Ok(After::Retry),
        }
    }

    /// `Ok(true)` if it came to its end.
    fn judge(&self, call: &Call, done: Done) -> Verdict<bool> {
        let (what, error) = match done {
            _ if call.is_gone() => return Ok(false),
            Ok(()) => return Ok(true),
            Err(Stop::Broken(violation)) => return Err(violation),
            Err(Stop::Failed(what, error)) => (what, error),
        };
        call.remark(|| format!("{what}: {error}"));
        let life = self.life();
        let is_io = matches!(error, Error::Io(_) | Error::TryAgain(_));
        if is_io && life.faults.fault_counts().struck() > life.began {
            self.counts.lock().io_errors += 1;
            return Ok(false);
        }
        Err(Violation::safety("error", format!("{what} without damage"), error.to_string()))
    }

    fn life(&self) -> Life {
        self.life.lock().clone().expect("booted")
    }

    fn config(&self, disk: &Disk) -> Config {
        Config {
            dir: disk.directory().display().to_string(),
            recovery_read_block_size: ReadableSize(512),
            recovery_threads: 1,
            batch_compression_threshold: ReadableSize(self.plan.compresses_from),
            target_file_size: ReadableSize(self.plan.file_size),
            purge_threshold: ReadableSize(self.plan.file_size * self.plan.files),
            enable_log_recycle: self.plan.recycles,
            ..Config::default()
        }
    }

    /// Opens the engine, which recovers, and compares all of it.
    fn open(&self, call: &Call) -> Done {
        call.doing("open");
        let life = self.life();
        let file_system = Arc::new(SimFileSystem(Arc::clone(&life.disk)));
        let config = self.config(&life.disk);
        let opened = life.disk.opening(call, || Engine::open_with_file_system(config, file_system));
        if call.is_gone() {
            return Ok(());
        }
        let engine = Arc::new(opened.map_err(failed("open"))?);
        let seen = latest(&engine);
        let expected = self.model.lock().reopened(seen, life.floor)?;
        self.model.lock().begins_with(seen);
        for group in 1..=u64::from(self.plan.groups) {
            self.compare(call, &engine, group, &expected)?;
        }
        if call.is_gone() {
            return Ok(());
        }
        *self.engine.lock() = Some(engine);
        self.counts.lock().boots += 1;
        Ok(())
    }

    /// Closes the engine, if no other job has it, and opens it again.
    fn reopen(&self, call: &Call) -> Verdict<After> {
        let Some(engine) = self.engine.lock().take_if(|engine| Arc::strong_count(engine) == 1) else {
            return Ok(After::Ended);
        };
        call.doing("close");
        drop(engine);
        if call.is_gone() {
            return Ok(After::Ended);
        }
        let newest = self.model.lock().newest();
        self.life.lock().as_mut().expect("booted").floor = newest;
        match self.boot(call)? {
            After::Retry => Ok(After::Restart),
            after => Ok(after),
        }
    }

    fn sync(&self, call: &Call, engine: &RaftEngine) -> Done {
        let newest = self.model.lock().newest();
        engine.sync().map_err(failed("sync"))?;
        if !call.is_gone() && self.plan.ask == Some(Ask::Sync) {
            call.remark(|| format!("sync: ended well at commit {newest}"));
            self.model.lock().acknowledged(newest, Durable::This)?;
        }
        Ok(())
    }

    fn purge(&self, call: &Call, engine: &RaftEngine) -> Done {
        let _alone = (self.plan.ask != Some(Ask::ReadBesidePurge)).then(|| Held::new(&self.purges, call));
        engine.purge_expired_files().map_err(failed("purge"))?;
        self.counts.lock().purges += 1;
        Ok(())
    }

    fn read(&self, call: &Call, engine: &RaftEngine, groups: u32) -> Done {
        let _alone = (self.plan.ask != Some(Ask::ReadBesidePurge)).then(|| Held::new(&self.purges, call));
        let first = call.choose(GROUP, self.plan.groups);
        for group in (first..first + groups).map(|group| 1 + u64::from(group % self.plan.groups)) {
            if call.is_gone() {
                break;
            }
            // Between these two and the first read of a file there is no scheduling point.
            let mut model = self.model.lock();
            let newest = model.newest();
            let expected = model.look(latest(engine), newest)?;
            drop(model);
            self.compare(call, engine, group, &expected)?;
        }
        self.counts.lock().snapshots += 1;
        Ok(())
    }

    /// Whether a group holds what it must.
    fn compare(&self, call: &Call, engine: &RaftEngine, number_of: u64, state: &State) -> Done {
        let nothing = Group::default();
        let expected = state.get(&number_of).unwrap_or(&nothing);
        let mut pairs = expected.pairs.clone();
        pairs.clear();
        let collect = |key: &[u8], value: &[u8]| {
            pairs.insert(key[0], number(value, 0));
            true
        };
        engine.scan_raw_messages(number_of, None, None, false, collect).map_err(failed("scan"))?;
        let span = engine.first_index(number_of).zip(engine.last_index(number_of));
        let expected_span = expected.entries.first_key_value().zip(expected.entries.last_key_value());
        let expected_span = expected_span.map(|((first, _), (last, _))| (*first, *last));
        // A compaction is logical: entries that were compacted may come back when the engine is opened. Only the others count.
        let is_covered = match (span, expected_span) {
            (Some((first, last)), Some((expected, end))) => first <= expected && last == end,
            (span, expected) => span == expected,
        };
        if !is_covered || pairs != expected.pairs {
            let words = |span: Option<(u64, u64)>, pairs| {
                format!("group {number_of}: entries {span:?}, pairs {pairs:?}")
            };
            let (expected, seen) = (words(expected_span, &expected.pairs), words(span, &pairs));
            return Err(Violation::safety("group", expected, seen).into());
        }
        let Some((first, last)) = expected_span else { return Ok(()) };
        let mut found = Vec::new();
        let read = engine.fetch_entries_to::<Entries>(number_of, first, last + 1, None, &mut found);
        if call.is_gone() {
            return Ok(());
        }
        read.map_err(failed("read"))?;
        let commits: Vec<_> =
            (first..).zip(&found).map(|(index, entry)| commit_of(entry, index, self.plan.entry)).collect();
        let expected: Vec<_> = expected.entries.values().map(|&commit| Some(commit)).collect();
        if commits != expected {
            let expected = format!("group {number_of} from {first} on: commits {expected:?}");
            return Err(Violation::safety("entries", expected, format!("{commits:?}")).into());
        }
        Ok(())
    }

    fn write(&self, call: &Call, engine: &RaftEngine) -> Done {
        let _writer = Held::new(&self.writers, call);
        let (base, mut state) = {
            let model = self.model.lock();
            let newest = model.newest();
            (newest, model.state(newest).map(|state| State::clone(&state)).unwrap_or_default())
        };
        let commit = self.model.lock().reserve();
        let mut batch = LogBatch::default();
        for _ in 0..=call.choose(DEEDS, 4) {
            let group = 1 + u64::from(call.choose(GROUP, self.plan.groups));
            self.deed(call, &mut batch, commit, group, &mut state).map_err(failed("put together"))?;
        }
        let told = commit.to_le_bytes().to_vec();
        batch.put(LINE, LATEST.to_vec(), told).map_err(failed("put together"))?;
        if self.plan.broken == Some(Broken::Change) {
            batch.put(1, vec![0], vec![0; 8]).map_err(failed("put together"))?;
        }
        let may_leave_out = matches!(self.plan.ask, Some(Ask::Unsynced | Ask::Sync));
        let syncs = !may_leave_out || call.choose(SYNCS, 3) != 2;
        self.model.lock().attempt(commit, base, state, Some(call.fiber()));
        let written = engine.write(&mut batch, syncs);
        if call.is_gone() {
            return Ok(());
        }
        written.map_err(failed("write"))?;
        let durable = if syncs { Durable::This } else { Durable::Nothing };
        self.model.lock().acknowledged(commit, durable)?;
        call.observe(1, commit);
        call.remark(|| format!("acknowledged: commit {commit}{}", if syncs { ", synced" } else { "" }));
        let mut counts = self.counts.lock();
        counts.commits += 1;
        counts.synced += u64::from(syncs);
        Ok(())
    }

    /// One change of a group, in the batch and in the state.
    fn deed(
        &self,
        call: &Call,
        batch: &mut LogBatch,
        commit: u64,
        number_of: u64,
        state: &mut State,
    ) -> raft_engine::Result<()> {
        let group = state.entry(number_of).or_default();
        let span = group.entries.keys().next().copied().zip(group.entries.keys().next_back().copied());
        match (call.weighted(DEED, &self.plan.deeds), span) {
            // At the end, or from the middle on.
            (deed @ (0 | 1), span) => {
                let (first, last) = span.unwrap_or((1, 0));
                let from = match deed {
                    1 if last > first => first + 1 + u64::from(call.choose(PLACE, (last - first) as u32)),
                    _ => last + 1,
                };
                group.entries.retain(|&index, _| index < from);
                let to = from + 1 + u64::from(call.choose(ENTRIES, 6));
                call.remark(|| format!("group {number_of}: entries {from}..{to} of commit {commit}"));
                let entries: Vec<_> = (from..to).map(|index| entry(index, commit, self.plan.entry)).collect();
                group.entries.extend((from..to).map(|index| (index, commit)));
                batch.add_entries::<Entries>(number_of, &entries)?;
            }
            (2, Some((first, last))) => {
                let index = first + u64::from(call.choose(PLACE, (last - first + 1) as u32));
                group.entries.retain(|&kept, _| kept >= index);
                call.remark(|| format!("group {number_of}: compacted to {index}"));
                batch.add_command(number_of, Command::Compact { index });
            }
            (4, _) => {
                let key = call.choose(PLACE, 4) as u8;
                group.pairs.remove(&key);
                call.remark(|| format!("group {number_of}: pair {key} is deleted"));
                batch.delete(number_of, vec![key]);
            }
            (5, _) => {
                *group = Group::default();
                call.remark(|| format!("group {number_of}: removed"));
                batch.add_command(number_of, Command::Clean);
            }
            _ => {
                let key = call.choose(PLACE, 4) as u8;
                group.pairs.insert(key, commit);
                call.remark(|| format!("group {number_of}: pair {key} of commit {commit}"));
                batch.put(number_of, vec![key], commit.to_le_bytes().to_vec())?;
            }
        }
        Ok(())
    }
}

/// The number of the newest commit in the engine.
fn latest(engine: &RaftEngine) -> u64 {
    engine.get(LINE, LATEST).map_or(0, |value| number(&value, 0))
}
