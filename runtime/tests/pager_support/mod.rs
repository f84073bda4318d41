//! A disk for the pager's tests: operations end when the test says so, and a power loss keeps what the test says.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tenterhook_runtime::io::{
    File, IO, InFlight, IoError, OpenOptions, Operation, OperationKind, Submission,
};
use tenterhook_runtime::pager::{CheckpointMode, Pager, PagerError, PagerOptions, WriteTransaction};
use tenterhook_runtime::{Completion, CompletionError, IOCompletions, IOResult, Outcome};

/// What a power loss tears a write into.
const SECTOR: usize = 512;

/// An error that a backend could report.
pub(crate) const FAULT: CompletionError = CompletionError::Io { kind: std::io::ErrorKind::Other, os_code: 5 };

/// The path of the database in all tests.
pub(crate) fn db_path() -> &'static Path {
    Path::new("test.db")
}

/// The path of its log.
pub(crate) fn log_path() -> &'static Path {
    Path::new("test.db-wal")
}

#[derive(Clone, Debug)]
enum Effect {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

impl Effect {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(at, new) => {
                bytes.resize(bytes.len().max(at + new.len()), 0);
                bytes[*at..at + new.len()].copy_from_slice(new);
            }
            Self::Truncate(len) => bytes.resize(*len, 0),
        }
    }
}

#[derive(Clone, Default)]
struct Contents {
    /// What a read sees.
    bytes: Vec<u8>,
    /// What is on the platter for certain.
    durable: Vec<u8>,
    /// What a power loss may lose, any of it; each with a number that only grows.
    unsynced: Vec<(u64, Effect)>,
    effects: u64,
}

struct Queued {
    path: PathBuf,
    submission: Submission,
    /// Effects that had ended when a sync was submitted: those it makes durable.
    covers: u64,
}

#[derive(Default)]
struct Inner {
    files: BTreeMap<PathBuf, Arc<Mutex<Contents>>>,
    queue: Vec<Queued>,
    held: bool,
    syncs: u64,
}

/// Files whose operations wait in a queue. [`IO::step`] runs them in order, unless the disk is [held](Disk::hold).
#[derive(Clone, Default)]
pub(crate) struct Disk {
    inner: Arc<Mutex<Inner>>,
}

struct DiskFile {
    disk: Disk,
    path: PathBuf,
    contents: Arc<Mutex<Contents>>,
}

/// An operation that has run, with its completion still pending.
pub(crate) struct Untold {
    operation: InFlight,
    outcome: Outcome,
}

impl Untold {
    pub(crate) fn finish(self) {
        self.operation.finish(self.outcome);
    }
}

/// A description of an operation in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) kind: OperationKind,
    pub(crate) on_log: bool,
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn with_files(files: &[(&Path, &[u8])]) -> Self {
        let disk = Self::new();
        for (path, bytes) in files {
            let contents = Contents { bytes: bytes.to_vec(), durable: bytes.to_vec(), ..Contents::default() };
            disk.inner.lock().files.insert(path.to_path_buf(), Arc::new(Mutex::new(contents)));
        }
        disk
    }

    /// From now on operations end only when released one by one.
    pub(crate) fn hold(&self, held: bool) {
        self.inner.lock().held = held;
    }

    pub(crate) fn waiting(&self) -> Vec<Waiting> {
        let describe = |queued: &Queued| {
            let descriptor = queued.submission.descriptor();
            let on_log = queued.path == log_path();
            Waiting { kind: descriptor.kind, on_log, offset: descriptor.offset, len: descriptor.len }
        };
        self.inner.lock().queue.iter().map(describe).collect()
    }

    /// Runs the operation at this place of the queue.
    pub(crate) fn release(&self, place: usize) {
        let queued = self.inner.lock().queue.remove(place);
        self.run(queued, None);
    }

    /// Ends the operation at this place of the queue with an error; a write leaves some of its bytes.
    pub(crate) fn fail(&self, place: usize, error: CompletionError) {
        let queued = self.inner.lock().queue.remove(place);
        self.run(queued, Some(error));
    }

    /// Runs the operation at this place of the queue, and then says that it has failed.
    pub(crate) fn fail_late(&self, place: usize, error: CompletionError) {
        let Untold { operation, .. } = self.take(place);
        operation.finish(Err(error));
    }

    /// What a read of the whole file would bring.
    pub(crate) fn bytes(&self, path: &Path) -> Vec<u8> {
        self.inner.lock().files.get(path).map(|contents| contents.lock().bytes.clone()).unwrap_or_default()
    }

    /// Ends the write at this place of the queue a byte short.
    pub(crate) fn shorten(&self, place: usize) {
        let queued = self.inner.lock().queue.remove(place);
        let Ok(operation) = queued.submission.start(None) else { return };
        let len = operation.descriptor().len;
        operation.finish(Ok(len - 1));
    }

    /// Runs the operation at this place of the queue, but does not tell its end yet.
    pub(crate) fn take(&self, place: usize) -> Untold {
        let queued = self.inner.lock().queue.remove(place);
        let contents = Arc::clone(&self.inner.lock().files[&queued.path]);
        let mut operation = queued.submission.start(None).expect("not cancelled");
        let outcome = execute(&mut contents.lock(), operation.operation(), queued.covers, None);
        Untold { operation, outcome }
    }

    /// Flips a bit.
    pub(crate) fn damage(&self, path: &Path, at: usize) {
        let contents = Arc::clone(&self.inner.lock().files[path]);
        let mut contents = contents.lock();
        contents.bytes[at] ^= 1;
    }

    /// Puts bytes into a file, past the pager.
    pub(crate) fn overwrite(&self, path: &Path, at: usize, bytes: &[u8]) {
        let contents = Arc::clone(&self.inner.lock().files[path]);
        Effect::Write(at, bytes.to_vec()).apply(&mut contents.lock().bytes);
    }

    /// How many syncs have been run.
    pub(crate) fn syncs(&self) -> u64 {
        self.inner.lock().syncs
    }

    /// Another disk with the same files, all of it durable.
    pub(crate) fn copy(&self) -> Self {
        let paths: Vec<PathBuf> = self.inner.lock().files.keys().cloned().collect();
        let files: Vec<(&Path, Vec<u8>)> = paths.iter().map(|path| (&**path, self.bytes(path))).collect();
        Self::with_files(&files.iter().map(|(path, bytes)| (*path, &**bytes)).collect::<Vec<_>>())
    }

    /// What a power loss now leaves: what was synced, and of the rest, sector by sector, what `keep` says.
    pub(crate) fn after_power_loss(&self, mut keep: impl FnMut() -> bool) -> Self {
        let inner = self.inner.lock();
        let mut images = Vec::new();
        for (path, contents) in &inner.files {
            let contents = contents.lock();
            let mut image = contents.durable.clone();
            for (_, effect) in &contents.unsynced {
                match effect {
                    Effect::Write(at, bytes) => keep_sectors(&mut image, *at, bytes, &mut keep),
                    truncate @ Effect::Truncate(_) if keep() => truncate.apply(&mut image),
                    Effect::Truncate(_) => {}
                }
            }
            images.push((path.clone(), image));
        }
        Self::with_files(&images.iter().map(|(path, image)| (&**path, &**image)).collect::<Vec<_>>())
    }

    fn run(&self, queued: Queued, fault: Option<CompletionError>) {
        let contents = Arc::clone(&self.inner.lock().files[&queued.path]);
        let is_sync = queued.submission.descriptor().kind == OperationKind::Sync;
        let Ok(mut operation) = queued.submission.start(None) else { return };
        let outcome = {
            let mut contents = contents.lock();
            execute(&mut contents, operation.operation(), queued.covers, fault)
        };
        if is_sync && outcome.is_ok() {
            self.inner.lock().syncs += 1;
        }
        operation.finish(outcome);
    }
}

fn keep_sectors(image: &mut Vec<u8>, at: usize, bytes: &[u8], keep: &mut impl FnMut() -> bool) {
    let mut done = 0;
    while done < bytes.len() {
        let end = bytes.len().min(done + SECTOR - (at + done) % SECTOR);
        if keep() {
            Effect::Write(at + done, bytes[done..end].to_vec()).apply(image);
        }
        done = end;
    }
}

fn execute(
    contents: &mut Contents,
    operation: Operation<'_>,
    covers: u64,
    fault: Option<CompletionError>,
) -> Outcome {
    let mut change = |effect: Effect| {
        effect.apply(&mut contents.bytes);
        contents.effects += 1;
        contents.unsynced.push((contents.effects, effect));
    };
    match (operation, fault) {
        (Operation::Read { .. }, Some(error)) => return Err(error),
        (Operation::Read { offset, buffer }, None) => {
            let available = contents.bytes.get(offset as usize..).unwrap_or(&[]);
            let len = available.len().min(buffer.len());
            buffer[..len].copy_from_slice(&available[..len]);
            return Ok(len as u64);
        }
        (Operation::Write { offset, buffers }, fault) => {
            let bytes: Vec<u8> = buffers.iter().flat_map(|buffer| buffer.to_vec()).collect();
            let len = bytes.len();
            match fault {
                None => change(Effect::Write(offset as usize, bytes)),
                Some(_) => change(Effect::Write(offset as usize, bytes[..len / 2].to_vec())),
            }
            return fault.map_or(Ok(len as u64), Err);
        }
        (Operation::Truncate { len }, None) => change(Effect::Truncate(len as usize)),
        (Operation::Truncate { .. }, Some(error)) => return Err(error),
        (Operation::Sync, fault) => {
            // As Linux does it: a sync that fails forgets what it could not write, and the next one succeeds.
            let durable = &mut contents.durable;
            contents.unsynced.retain(|(number, effect)| {
                let covered = *number <= covers;
                if covered && fault.is_none() {
                    effect.apply(durable);
                }
                !covered
            });
            return fault.map_or(Ok(0), Err);
        }
    }
    Ok(0)
}

impl IO for Disk {
    fn open(&self, path: &Path, options: OpenOptions) -> Result<Arc<dyn File>, IoError> {
        let mut inner = self.inner.lock();
        if !inner.files.contains_key(path) && !options.create {
            let kind = std::io::ErrorKind::NotFound;
            return Err(IoError { operation: "open", path: Some(path.into()), kind, os_code: 2 });
        }
        let contents = Arc::clone(inner.files.entry(path.into()).or_default());
        Ok(Arc::new(DiskFile { disk: self.clone(), path: path.into(), contents }))
    }

    fn remove(&self, path: &Path) -> Result<(), IoError> {
        self.inner.lock().files.remove(path);
        Ok(())
    }

    fn exists(&self, path: &Path) -> bool {
        self.inner.lock().files.contains_key(path)
    }

    fn step(&self) -> Result<usize, IoError> {
        let due = match &*self.inner.lock() {
            inner if inner.held => 0,
            inner => inner.queue.len(),
        };
        for _ in 0..due {
            self.release(0);
        }
        Ok(due)
    }
}

impl File for DiskFile {
    fn submit(&self, submission: Submission) {
        let covers = self.contents.lock().effects;
        self.disk.inner.lock().queue.push(Queued { path: self.path.clone(), submission, covers });
    }

    fn len(&self) -> Result<u64, CompletionError> {
        Ok(self.contents.lock().bytes.len() as u64)
    }
}

/// Small pages, a small cache.
pub(crate) fn options() -> PagerOptions {
    PagerOptions { page_size: 512, cache_pages: 16, ..PagerOptions::default() }
}

/// Opens the database, running the disk.
pub(crate) fn open(disk: &Disk, options: PagerOptions) -> Result<Arc<Pager>, PagerError> {
    let mut open = Pager::open(Arc::new(disk.clone()), db_path(), options);
    run(disk, || open.step())
}

/// Drives a machine to its end.
pub(crate) fn run<T>(
    disk: &Disk,
    step: impl FnMut() -> Result<IOResult<T>, PagerError>,
) -> Result<T, PagerError> {
    tenterhook_runtime::io::drive(disk, step)
}

/// Allocates a page and fills it.
pub(crate) fn add_page(disk: &Disk, pager: &Arc<Pager>, fill: u8) -> u32 {
    let mut begin = pager.begin_write();
    let mut writer = run(disk, || begin.step()).expect("begin");
    let page = run(disk, || writer.allocate()).expect("allocate");
    run(disk, || writer.page_mut(page).map(|bytes| bytes.map(|bytes| bytes.fill(fill)))).expect("change");
    let mut commit = writer.commit();
    run(disk, || commit.step()).expect("commit");
    page
}

/// Begins a write transaction, when its turn has come.
pub(crate) fn begin(disk: &Disk, pager: &Arc<Pager>) -> WriteTransaction {
    let mut begin = pager.begin_write();
    run(disk, || begin.step()).expect("begin")
}

/// Fills a page with one byte, in a transaction.
pub(crate) fn fill(disk: &Disk, writer: &mut WriteTransaction, page: u32, fill: u8) {
    run(disk, || writer.page_mut(page).map(|bytes| bytes.map(|bytes| bytes.fill(fill)))).expect("change");
}

/// What a transaction sees at a page's beginning.
pub(crate) fn first_byte(disk: &Disk, writer: &mut WriteTransaction, page: u32) -> u8 {
    run(disk, || writer.page(page)).expect("read")[0]
}

/// Commits, and returns the commit's number.
pub(crate) fn commit(disk: &Disk, writer: WriteTransaction) -> Result<u64, PagerError> {
    let mut commit = writer.commit();
    run(disk, || commit.step())
}

/// Fills pages in one transaction. Returns the commit's number.
pub(crate) fn fill_pages(
    disk: &Disk,
    pager: &Arc<Pager>,
    pages: &[u32],
    fill: u8,
) -> Result<u64, PagerError> {
    let mut begin = pager.begin_write();
    let mut writer = run(disk, || begin.step())?;
    for page in pages {
        run(disk, || writer.page_mut(*page).map(|bytes| bytes.map(|bytes| bytes.fill(fill))))?;
    }
    let mut commit = writer.commit();
    run(disk, || commit.step())
}

/// What a page is filled with in the newest commit.
pub(crate) fn read_fill(disk: &Disk, pager: &Arc<Pager>, page: u32) -> Result<u8, PagerError> {
    let mut reader = pager.begin_read()?;
    let bytes = run(disk, || reader.page(page))?;
    assert!(bytes.iter().all(|byte| *byte == bytes[0]), "page {page} is half one thing and half another");
    Ok(bytes[0])
}

/// Runs a checkpoint.
pub(crate) fn checkpoint(disk: &Disk, pager: &Arc<Pager>) -> tenterhook_runtime::pager::CheckpointReport {
    let mut checkpoint = pager.checkpoint(CheckpointMode::Passive);
    run(disk, || checkpoint.step()).expect("checkpoint")
}

/// Asserts that a whole check finds nothing.
pub(crate) fn assert_sound(disk: &Disk, pager: &Arc<Pager>) {
    let mut check = pager.check_integrity();
    let report = run(disk, || check.step()).expect("check");
    assert!(report.is_sound(), "{report:?}");
}

/// The completion that a suspended step waits for.
pub(crate) fn waits_for<T>(step: Result<IOResult<T>, PagerError>) -> Completion {
    match step {
        Ok(IOResult::IO(IOCompletions::Single(completion))) => completion,
        Ok(IOResult::IO(IOCompletions::Yield)) => panic!("a wait has a completion"),
        Ok(IOResult::Done(_)) => panic!("it should have had to wait"),
        Err(error) => panic!("{error}"),
    }
}

/// Asserts that nothing is held or waited for.
pub(crate) fn assert_idle(pager: &Arc<Pager>) {
    let audit = pager.audit();
    assert!(audit.is_idle(), "{audit:?}");
}

/// Numbers that look random and are the same in every run (SplitMix64, Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }
}
