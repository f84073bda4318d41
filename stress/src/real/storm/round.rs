//! One round: a backend, the threads that use it, and the judgement.

use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tenterhook_runtime::executor::{Executor, Shutdown, Spawner};
use tenterhook_runtime::io::{Buffer, File, IO, MemoryIO, OpenOptions, ThreadsIO, UringIO, YieldingIO};
use tenterhook_runtime::{Completer, Completion};

use super::actor::Actor;
use super::buffers::{Quarantine, content};
use super::operation::{Record, wrong};
use super::summary::RoundEnd;
use super::{StormBackend, StormOptions, planned};
use crate::real::stacks::stacks;
use crate::rng;
use crate::violation::{Class, Violation};

/// Actions of one thread in a round.
const ACTIONS: u64 = 400;

/// The length of the file.
pub(super) const FILE: u64 = 4 << 20;

/// A completion with the records of all callbacks that a cancel of it may reach.
#[derive(Clone)]
pub(super) struct Tracked {
    pub(super) completion: Completion,
    pub(super) below: Vec<Arc<Record>>,
}

/// What the threads and the callbacks of one round share.
///
/// The locks are parking_lot's, which the sanitizers see: std comes built without them.
pub(super) struct Shared {
    pub(super) key: u64,
    pub(super) direct: bool,
    /// Whether the kernel moves the bytes.
    pub(super) real: bool,
    /// How many kinds of length there are: with the longest, the device is busy for a while.
    pub(super) longest: u64,
    io: Mutex<Option<Arc<dyn IO>>>,
    yielding: Mutex<Option<Arc<YieldingIO>>>,
    file: Mutex<Option<Arc<dyn File>>>,
    pub(super) spawner: Spawner,
    /// Recent completions, for others to use.
    pub(super) recent: Mutex<Vec<Tracked>>,
    pub(super) completers: Mutex<Vec<Completer>>,
    pub(super) records: Mutex<Vec<(Arc<Record>, Completion)>>,
    pub(super) returned: Mutex<Vec<Buffer>>,
    /// The backend has been dropped, or is about to be.
    /// ORDERING: Relaxed. The backend's drop comes after the store, and ends operations with Release; the judge loads it
    /// after it has seen an end with Acquire.
    closed: AtomicBool,
    /// The round is ending: callbacks start nothing new.
    pub(super) ending: AtomicBool,
    pub(super) actions: AtomicU64,
    pub(super) operations: AtomicU64,
    pub(super) panics: AtomicU64,
    /// Threads that have ended with operations under way.
    pub(super) ended_threads: AtomicU64,
    violation: Mutex<Option<Box<Violation>>>,
}

impl Shared {
    /// The first one counts.
    pub(super) fn report(&self, mut violation: Box<Violation>) {
        let mut first = self.violation.lock();
        if first.is_none() {
            if violation.class == Class::Liveness {
                violation.notes.extend(stacks().iter().map(ToString::to_string));
            }
            *first = Some(violation);
        }
    }

    pub(super) fn file(&self) -> Option<Arc<dyn File>> {
        self.file.lock().clone()
    }

    /// Brings operations forward.
    pub(super) fn step(&self) {
        let yielding = self.yielding.lock().clone();
        if let Some(yielding) = yielding {
            yielding.release_all();
        }
        let io = self.io.lock().clone();
        if let Some(io) = io
            && let Err(error) = io.step()
        {
            self.report(wrong("a backend that steps", error.to_string()));
        }
    }

    /// Drops the backend, once; other threads may still be stepping it.
    pub(super) fn drop_backend(&self) {
        self.closed.store(true, Relaxed);
        let file = self.file.lock().take();
        drop(file);
        let yielding = self.yielding.lock().take();
        drop(yielding);
        let io = self.io.lock().take();
        drop(io);
    }
}

/// See the module.
pub(super) struct Round {
    shared: Arc<Shared>,
    executor: Executor,
}

impl Round {
    pub(super) fn new(options: &StormOptions, backend: StormBackend, key: u64) -> io::Result<Self> {
        let draw = |name: u64, bound: u64| rng::below(rng::at(key, name), bound);
        let real = !matches!(backend, StormBackend::Memory | StormBackend::Yielding);
        let (io, yielding) = build(backend, draw(0, 8) as u32, draw(1, 4) as usize + 1)?;
        let (path, direct) = (options.directory.join("storm"), real && draw(2, 2) == 0);
        if real {
            prepare(&path)?;
        }
        let open = OpenOptions { direct, ..OpenOptions::creating() };
        // A file system without direct I/O refuses; the storm goes past the cache where it can.
        let opened = io
            .open(&path, open)
            .map(|file| (file, direct))
            .or_else(|_| io.open(&path, OpenOptions::creating()).map(|file| (file, false)));
        let (file, direct) = opened.map_err(|error| io::Error::other(error.to_string()))?;
        if !real {
            let (write, submission) =
                tenterhook_runtime::io::Submission::write(0, content(0, FILE as usize), |_, _| {});
            file.submit(submission);
            if let Some(yielding) = &yielding {
                yielding.release_all();
            }
            io.block_on(&write)
                .map_err(|error| io::Error::other(error.to_string()))?
                .map_err(io::Error::other)?;
        }
        let executor = Executor::new(2);
        let shared = Arc::new(Shared {
            key,
            direct,
            real,
            longest: if direct && draw(3, 2) == 0 { 64 } else { 2 },
            io: Mutex::new(Some(io)),
            yielding: Mutex::new(yielding),
            file: Mutex::new(Some(file)),
            spawner: executor.spawner().clone(),
            recent: Mutex::default(),
            completers: Mutex::default(),
            records: Mutex::default(),
            returned: Mutex::default(),
            closed: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            actions: AtomicU64::new(0),
            operations: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            ended_threads: AtomicU64::new(0),
            violation: Mutex::default(),
        });
        Ok(Self { shared, executor })
    }

    pub(super) fn run(self, options: &StormOptions, quarantine: &mut Quarantine) -> RoundEnd {
        let Self { shared, executor } = self;
        std::thread::scope(|scope| {
            for thread in 0..options.threads as u64 {
                let mut actor = Actor::new(&shared, rng::derive(shared.key, thread));
                scope.spawn(move || (0..ACTIONS).for_each(|_| actor.act()));
            }
        });
        shared.ending.store(true, Relaxed);
        // Bare completions end now, whatever happens to their callbacks.
        let completers = std::mem::take(&mut *shared.completers.lock());
        for completer in completers {
            contained(&shared, || drop(completer));
        }
        let dropped = rng::below(rng::at(shared.key, 4), 2) == 0;
        if !dropped && !shared.closed.load(Relaxed) {
            settle(&shared, options.stall);
        }
        judge(&shared, !dropped || shared.closed.load(Relaxed), options.stall);
        contained(&shared, || shared.drop_backend());
        if executor.shutdown(Shutdown::Cancel, options.stall).is_err() {
            let expected = "machines that end when their executor is shut down";
            shared.report(Violation::liveness(
                "storm",
                expected,
                format!("some had not after {:?}", options.stall),
            ));
        }
        judge(&shared, true, options.stall);
        quarantine.extend(std::mem::take(&mut *shared.returned.lock()));
        let untouched = "a buffer that came back and that no operation writes to";
        quarantine.check().unwrap_or_else(|problem| shared.report(wrong(untouched, problem)));
        RoundEnd {
            actions: shared.actions.load(Relaxed),
            operations: shared.operations.load(Relaxed),
            panics: shared.panics.load(Relaxed),
            ended_threads: shared.ended_threads.load(Relaxed),
            dropped,
            violation: shared.violation.lock().take(),
        }
    }
}

/// A backend, and itself again where the storm has to release what it defers.
type Built = (Arc<dyn IO>, Option<Arc<YieldingIO>>);

fn build(backend: StormBackend, size: u32, threads: usize) -> io::Result<Built> {
    let entries = NonZero::new(1 << size).unwrap_or(NonZero::<u32>::MIN);
    let threads = NonZero::new(threads).unwrap_or(NonZero::<usize>::MIN);
    let refused = |error: tenterhook_runtime::io::IoError| io::Error::other(error.to_string());
    Ok(match backend {
        StormBackend::Memory => (Arc::new(MemoryIO::new()), None),
        StormBackend::Yielding => {
            let io = Arc::new(YieldingIO::new());
            (Arc::clone(&io) as Arc<dyn IO>, Some(io))
        }
        StormBackend::Threads => (Arc::new(ThreadsIO::new(threads).map_err(refused)?), None),
        StormBackend::ThreadsStepped => (Arc::new(ThreadsIO::stepped(threads).map_err(refused)?), None),
        StormBackend::Uring => (Arc::new(UringIO::new(entries).map_err(refused)?), None),
        StormBackend::UringStepped => (Arc::new(UringIO::stepped(entries).map_err(refused)?), None),
    })
}

/// Makes the file, once for all rounds: its content never changes, since each write writes what is there.
fn prepare(path: &std::path::Path) -> io::Result<()> {
    if std::fs::metadata(path).is_ok_and(|file| file.len() == FILE) {
        return Ok(());
    }
    std::fs::write(path, &*content(0, FILE as usize))?;
    std::fs::File::open(path)?.sync_all()
}

/// Runs user code; a panic that was not planned is a violation.
fn contained(shared: &Shared, user: impl FnOnce()) {
    planned::contain(user).unwrap_or_else(|message| shared.report(Violation::panic(message)));
}

/// Steps until everything has ended, or nothing has for `stall`.
fn settle(shared: &Shared, stall: Duration) {
    let pending = || shared.records.lock().iter().filter(|(_, completion)| !completion.finished()).count();
    let (mut left, mut since) = (pending(), Instant::now());
    while left > 0 && since.elapsed() < stall {
        contained(shared, || shared.step());
        std::thread::yield_now();
        let now = pending();
        if now != left {
            (left, since) = (now, Instant::now());
        }
    }
}

/// Judges what has ended, and with `all` what has not, after it has had time to.
fn judge(shared: &Shared, all: bool, stall: Duration) {
    let records = shared.records.lock().clone();
    for (record, completion) in records {
        if all {
            let _ = completion.wait_timeout(stall);
        }
        if completion.finished() || all {
            // Read after the end was seen. A callback may drop the backend while the others are judged, and it says so in
            // `closed` before it ends any operation.
            let closed = shared.closed.load(Relaxed);
            record.judge(&completion, closed).unwrap_or_else(|violation| shared.report(violation));
        }
        if shared.violation.lock().is_some() {
            return;
        }
    }
}
