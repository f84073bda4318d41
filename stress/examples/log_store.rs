//! A small log-structured store as a system under test: a log of records, an index in memory, recovery by reading the log
//! from its start.
//!
//! ```text
//! cargo run -p tenterhook-stress --example log_store            # keeps its promises
//! cargo run -p tenterhook-stress --example log_store -- --bug   # recovery believes every record
//! ```
//!
//! With `--bug` recovery takes records without looking at their checksums. Only a power loss that leaves a record whose
//! sectors did not all reach the disk tells the difference; the tester finds one, and shrinks it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tenterhook_runtime::io::{Buffer, File, IO, OpenOptions, Submission};
use tenterhook_runtime::{Completion, Outcome};
use tenterhook_stress::check::Check;
use tenterhook_stress::disk::{FaultKind, SimDisk};
use tenterhook_stress::system::{Context, Crash, Step, System};
use tenterhook_stress::tape::ChoicePoint;
use tenterhook_stress::violation::Violation;
use tenterhook_stress::{sometimes, timeline};
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of a record: so many that it takes more than one sector.
const RECORD: usize = 1024;
/// Keys are below this.
const KEYS: u32 = 4;

const KEY: ChoicePoint = ChoicePoint::new(0, "key");

/// A key with its value, as it is in the log: key, value, filling, checksum.
#[derive(Copy, Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Record {
    key: u32,
    value: u32,
}

impl Record {
    fn encode(self) -> Vec<u8> {
        let mut bytes = vec![self.value as u8; RECORD];
        bytes[..4].copy_from_slice(&self.key.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.value.to_le_bytes());
        let checksum = xxh3_64(&bytes[..RECORD - 8]);
        bytes[RECORD - 8..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// `None` where no whole record is: the log ends there.
    fn decode(bytes: &[u8], verify: bool) -> Option<Record> {
        let word = |at: usize| bytes.get(at..at + 4).map(|word| u32::from_le_bytes(word.try_into().unwrap()));
        let record = Record { key: word(0)?, value: word(4)? };
        let is_there = if verify { record.encode() == bytes } else { record.value != 0 };
        (bytes.len() == RECORD && is_there).then_some(record)
    }
}

/// The store: what is in memory of it.
#[derive(Default)]
struct Store {
    log: Option<Arc<dyn File>>,
    /// Where the next record goes.
    tail: u64,
    index: BTreeMap<u32, u32>,
    /// The connection that appends. One at a time: a record behind a hole would be lost with it.
    writer: Option<u32>,
}

/// What a connection is doing.
#[derive(Default)]
enum Put {
    #[default]
    Idle,
    /// Waiting for its turn.
    Queued(Record),
    /// The record is being written.
    Writing(Record, Completion),
    /// It is being made durable.
    Syncing(Record, Completion),
}

/// Recovery: reads the log record by record, and makes what it has read durable before it returns it.
#[derive(Default)]
struct Recovery {
    under_way: Option<(Completion, Arc<Mutex<Option<Buffer>>>)>,
    store: Store,
    synced: Option<Completion>,
}

/// The store, its connections, and what must be true of it.
pub(crate) struct LogStore {
    connections: u32,
    /// Whether recovery looks at checksums.
    verify: bool,
    store: Store,
    recovery: Recovery,
    puts: Vec<Put>,
    /// What was acknowledged.
    acknowledged: BTreeMap<u32, u32>,
    /// What was asked for when the power went, and may be there or not.
    uncertain: Vec<Record>,
    values: u32,
}

impl LogStore {
    /// A store for so many connections.
    pub(crate) fn new(connections: u32, verify: bool) -> LogStore {
        LogStore {
            connections,
            verify,
            store: Store::default(),
            recovery: Recovery::default(),
            puts: (0..connections).map(|_| Put::Idle).collect(),
            acknowledged: BTreeMap::new(),
            uncertain: Vec::new(),
            values: 0,
        }
    }

    /// One step of a put. Nothing is changed before the last thing in an arm that can fail or wait.
    fn put(&mut self, context: &mut Context<'_>) -> Step {
        let fiber = context.fiber;
        let Some(log) = self.store.log.clone() else { return Step::Restart };
        let put = &mut self.puts[fiber as usize];
        match put {
            Put::Idle => {
                self.values += 1;
                *put = Put::Queued(Record { key: context.stream.choose(KEY, KEYS), value: self.values });
                Step::Continue
            }
            Put::Queued(_) if self.store.writer.is_some() => {
                sometimes!(true, "a put waits for another");
                Step::Yield
            }
            Put::Queued(record) => {
                let record = *record;
                let buffer = Buffer::copy_of(&record.encode());
                let (written, submission) = Submission::write(self.store.tail, buffer, |_, _| {});
                self.store.writer = Some(fiber);
                *put = Put::Writing(record, written.clone());
                log.submit(submission);
                Step::Wait(written)
            }
            Put::Writing(record, written) => {
                if written.result() != Some(Ok(RECORD as u64)) {
                    return Step::Restart;
                }
                let (synced, submission) = Submission::sync(|_| {});
                *put = Put::Syncing(*record, synced.clone());
                log.submit(submission);
                Step::Wait(synced)
            }
            Put::Syncing(record, synced) => {
                if !synced.succeeded() {
                    return Step::Restart;
                }
                self.acknowledged.insert(record.key, record.value);
                self.store.index.insert(record.key, record.value);
                self.store.tail += RECORD as u64;
                self.store.writer = None;
                *put = Put::Idle;
                Step::Ended
            }
        }
    }

    /// One step of recovery.
    fn recover(&mut self, io: &Arc<dyn IO>) -> Result<Step, Box<Violation>> {
        let Recovery { under_way, store, synced } = &mut self.recovery;
        if let Some(synced) = synced {
            if !synced.succeeded() {
                return Ok(Step::Restart);
            }
            self.store = std::mem::take(store);
            self.judge_recovery()?;
            return Ok(Step::Ended);
        }
        let Some(log) = store.log.clone() else {
            let options = OpenOptions { create: true, ..OpenOptions::default() };
            // An error of the disk's: the next life tries again.
            let Ok(log) = io.open(Path::new("log"), options) else { return Ok(Step::Restart) };
            store.log = Some(log);
            return Ok(Step::Continue);
        };
        let Some((read, slot)) = under_way else {
            let slot = Arc::new(Mutex::new(None));
            let landing = Arc::clone(&slot);
            let land = move |_: Outcome, buffer| *landing.lock().unwrap() = Some(buffer);
            let (read, submission) = Submission::read(store.tail, Buffer::zeroed(RECORD), land);
            *under_way = Some((read.clone(), slot));
            log.submit(submission);
            return Ok(Step::Wait(read));
        };
        let (Some(Ok(filled)), Some(buffer)) = (read.result(), slot.lock().unwrap().take()) else {
            return Ok(Step::Restart);
        };
        *under_way = None;
        match Record::decode(&buffer[..filled as usize], self.verify) {
            Some(record) => {
                store.index.insert(record.key, record.value);
                store.tail += RECORD as u64;
                Ok(Step::Continue)
            }
            // What was read may not be durable yet: the sync that failed before the process died, say.
            None => {
                let (synced, submission) = Submission::sync(|_| {});
                self.recovery.synced = Some(synced.clone());
                log.submit(submission);
                Ok(Step::Wait(synced))
            }
        }
    }

    /// What was acknowledged is there, and beyond that at most what was asked for.
    fn judge_recovery(&mut self) -> Result<(), Box<Violation>> {
        for record in self.uncertain.drain(..) {
            let survived = self.store.index.get(&record.key) == Some(&record.value);
            sometimes!(survived, "an unacknowledged put survives");
            sometimes!(!survived, "an unacknowledged put is lost");
            if survived {
                self.acknowledged.insert(record.key, record.value);
            }
        }
        self.judge("durability")
    }

    fn judge(&self, oracle: &str) -> Result<(), Box<Violation>> {
        if self.store.index == self.acknowledged {
            return Ok(());
        }
        let words = |map: &BTreeMap<u32, u32>| format!("{map:?}");
        Err(Violation::safety(oracle, words(&self.acknowledged), words(&self.store.index)))
    }
}

impl System for LogStore {
    fn connections(&self) -> u32 {
        self.connections
    }

    fn boot(&mut self, io: &Arc<dyn IO>, _: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        self.recover(io)
    }

    fn step(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        Ok(self.put(context))
    }

    fn quiesce(&mut self, _: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        self.judge("index")?;
        Ok(Step::Ended)
    }

    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        for put in &mut self.puts {
            if let Put::Writing(record, _) | Put::Syncing(record, _) = std::mem::take(put) {
                self.uncertain.push(record);
            }
        }
        self.store = Store::default();
        self.recovery = Recovery::default();
        Ok(())
    }

    /// What the oracle knows, so that a failure in a late life is shrunk to one that begins shortly before.
    fn knowledge(&self, _: &SimDisk) -> Option<Vec<u8>> {
        serde_json::to_vec(&(&self.acknowledged, &self.uncertain, self.values)).ok()
    }

    fn resume(&mut self, _: &SimDisk, knowledge: &[u8]) -> Result<(), String> {
        let known = serde_json::from_slice(knowledge).map_err(|error| error.to_string())?;
        (self.acknowledged, self.uncertain, self.values) = known;
        Ok(())
    }

    fn describe(&self, fiber: u32) -> String {
        match self.puts.get(fiber as usize) {
            None => format!("recovery at byte {}", self.recovery.store.tail),
            Some(Put::Idle) => "nothing".into(),
            Some(Put::Queued(record)) => format!("{record:?}, its turn"),
            Some(Put::Writing(record, _)) => format!("{record:?}, the write"),
            Some(Put::Syncing(record, _)) => format!("{record:?}, the sync"),
        }
    }
}

/// What is run: puts under errors, torn sectors and power losses.
pub(crate) fn check(verify: bool) -> Check<impl Fn(u32) -> LogStore + Clone> {
    use FaultKind::{PowerLoss, ProcessKilled, SectorTorn, ShortWrite, SyncFailed, WriteError};
    Check::new("log_store", move |connections| LogStore::new(connections, verify)).faults([
        PowerLoss,
        ProcessKilled,
        SectorTorn,
        ShortWrite,
        SyncFailed,
        WriteError,
    ])
}

/// Runs the store, with or without its bug.
#[allow(dead_code, reason = "tests take this file as a module")]
fn main() {
    let verify = !std::env::args().any(|argument| argument == "--bug");
    match check(verify).search(0, 500) {
        None => println!("500 seeds, nothing found"),
        Some(broken) => {
            println!(
                "seed {:?}, shrunk from {:?} to {:?}",
                broken.seed, broken.shrunk.before, broken.shrunk.after
            );
            println!("\n{}", timeline::draw(&broken.shrunk.outcome));
        }
    }
}
