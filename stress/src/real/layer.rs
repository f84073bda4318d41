//! A backend around a backend.
//!
//! Every operation is started here and handed down as a new one with a copy of its bytes, so that a [`Watcher`] sees it come
//! and go, may refuse it, and may change how it ends. A cancel goes down, too.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tenterhook_runtime::io::{
    Buffer, Canceller, Descriptor, File, IO, InFlight, IoError, OpenOptions, Operation, Submission,
};
use tenterhook_runtime::{Completion, CompletionError, Outcome};

use super::delay::Delayer;

/// Which file of a database an operation is about.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The database file.
    Database,
    /// Its log.
    Log,
}

impl Role {
    /// By the file's name.
    pub fn of(path: &Path) -> Role {
        let is_log = path.as_os_str().as_encoded_bytes().ends_with(b"-wal");
        if is_log { Role::Log } else { Role::Database }
    }

    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Database => "database",
            Role::Log => "log",
        }
    }
}

/// One operation on its way down.
#[derive(Copy, Clone, Debug)]
pub struct Passing {
    /// Counts operations from 0.
    pub number: u64,
    /// Its file.
    pub role: Role,
    /// What it is.
    pub descriptor: Descriptor,
}

/// What is to become of an operation.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes down as it is.
    Pass,
    /// It ends with this error at once and is never done.
    Refuse(CompletionError),
    /// Only so many of its bytes are read or written.
    Shorten(u64),
    /// It goes down, and ends with this error whatever came of it.
    FailAfter(CompletionError),
    /// It goes down after this time, and ends with this error whatever came of it.
    FailLate(Duration, CompletionError),
    /// It is never done, and ends with this error after this time.
    RefuseLate(Duration, CompletionError),
    /// It goes down and is cancelled there at once.
    Cancel,
    /// It goes down after this time.
    Delay(Duration),
}

/// Sees every operation. Called from any thread.
pub trait Watcher: Send + Sync + 'static {
    /// Which of its files a system opens at `path`.
    fn role(&self, path: &Path) -> Role {
        Role::of(path)
    }

    /// A file is about to be removed.
    fn removes(&self, path: &Path) {
        let _ = path;
    }

    /// An operation is about to go down; `bytes` are those of a write.
    fn begins(&self, passing: &Passing, bytes: &[&[u8]]) -> Verdict {
        let _ = (passing, bytes);
        Verdict::Pass
    }

    /// It has ended below, and its waiters have not been woken yet.
    fn ended(&self, passing: &Passing, outcome: Outcome) {
        let _ = (passing, outcome);
    }

    /// Its waiters have been woken, and its callback has run.
    fn told(&self, passing: &Passing) {
        let _ = passing;
    }
}

/// A backend with a [`Watcher`].
pub struct Layer<W> {
    below: Arc<dyn IO>,
    shared: Arc<Shared<W>>,
}

/// The locks are parking_lot's, which ThreadSanitizer sees: std comes built without it.
struct Shared<W> {
    watcher: W,
    next: AtomicU64,
    /// What is under way below, to be cancelled.
    below: Mutex<BTreeMap<u64, (Passing, Completion)>>,
    /// Started by the first operation that is held back.
    delayer: Mutex<Option<Delayer>>,
}

struct LayerFile<W> {
    file: Arc<dyn File>,
    role: Role,
    shared: Arc<Shared<W>>,
}

impl<W: Watcher> Layer<W> {
    /// `below`, watched by `watcher`.
    pub fn new(below: Arc<dyn IO>, watcher: W) -> Layer<W> {
        let (next, below_now) = (AtomicU64::new(0), Mutex::default());
        let shared = Shared { watcher, next, below: below_now, delayer: Mutex::default() };
        Layer { below, shared: Arc::new(shared) }
    }

    /// The watcher.
    pub fn watcher(&self) -> &W {
        &self.shared.watcher
    }

    /// What is under way below, for a person who wants to know why nothing moves.
    pub fn under_way(&self) -> Vec<String> {
        let describe = |(passing, _): &(Passing, Completion)| {
            let Descriptor { kind, offset, len } = passing.descriptor;
            format!("{kind:?} {len} bytes at {offset} of the {}", passing.role.name())
        };
        self.shared.lock().values().map(describe).collect()
    }
}

impl<W: Watcher> IO for Layer<W> {
    fn open(&self, path: &Path, options: OpenOptions) -> Result<Arc<dyn File>, IoError> {
        let role = self.shared.watcher.role(path);
        let file = self.below.open(path, options)?;
        Ok(Arc::new(LayerFile { file, role, shared: Arc::clone(&self.shared) }))
    }

    fn remove(&self, path: &Path) -> Result<(), IoError> {
        self.shared.watcher.removes(path);
        self.below.remove(path)
    }

    fn exists(&self, path: &Path) -> bool {
        self.below.exists(path)
    }

    fn holder_of(&self, path: &Path) -> Option<u32> {
        self.below.holder_of(path)
    }

    fn step(&self) -> Result<usize, IoError> {
        self.below.step()
    }

    fn pause(&self, completion: &Completion) -> Result<(), IoError> {
        self.below.pause(completion)
    }
}

impl<W: Watcher> Shared<W> {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, (Passing, Completion)>> {
        self.below.lock()
    }

    /// The operation has ended below: tell the watcher, then wake the waiters.
    fn end(&self, passing: &Passing, above: InFlight, outcome: Outcome, verdict: Verdict) {
        self.lock().remove(&passing.number);
        self.watcher.ended(passing, outcome);
        above.finish(match verdict {
            Verdict::FailAfter(error) | Verdict::FailLate(_, error) | Verdict::RefuseLate(_, error) => {
                Err(error)
            }
            _ => outcome,
        });
        self.watcher.told(passing);
    }
}

impl<W: Watcher> Canceller for Shared<W> {
    fn cancel(&self, token: u64) {
        let below = self.lock().get(&token).map(|(_, completion)| completion.clone());
        if let Some(completion) = below {
            completion.cancel();
        }
    }
}

impl<W: Watcher> File for LayerFile<W> {
    fn submit(&self, submission: Submission) {
        let shared = &self.shared;
        // ORDERING: Relaxed: only different numbers are wanted.
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        let passing = Passing { number, role: self.role, descriptor: submission.descriptor() };
        let canceller: Weak<dyn Canceller> = Arc::downgrade(shared) as Weak<dyn Canceller>;
        let Ok(mut above) = submission.start(Some((canceller, number))) else { return };
        let bytes: Vec<&[u8]> = match above.operation() {
            Operation::Write { buffers, .. } => buffers.iter().map(|buffer| &**buffer).collect(),
            Operation::Read { .. } | Operation::Sync | Operation::Truncate { .. } => Vec::new(),
        };
        let verdict = shared.watcher.begins(&passing, &bytes);
        if let Verdict::Refuse(error) = verdict {
            above.finish(Err(error));
            return shared.watcher.told(&passing);
        }
        // A request to cancel that comes before the line after this one is lost, as one is that comes too late.
        let (completion, below) = descend(Arc::clone(shared), passing, above, verdict);
        shared.lock().insert(number, (passing, completion.clone()));
        match verdict {
            Verdict::Delay(delay) | Verdict::FailLate(delay, _) | Verdict::RefuseLate(delay, _) => {
                shared.delayer.lock().get_or_insert_with(Delayer::start).hold(delay, &self.file, below);
            }
            _ => self.file.submit(below),
        }
        if verdict == Verdict::Cancel {
            completion.cancel();
        }
    }

    fn len(&self) -> Result<u64, CompletionError> {
        self.file.len()
    }
}

/// The same operation once more, for the backend below.
fn descend<W: Watcher>(
    shared: Arc<Shared<W>>,
    passing: Passing,
    mut above: InFlight,
    verdict: Verdict,
) -> (Completion, Submission) {
    let limit = match verdict {
        Verdict::Shorten(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
        _ => usize::MAX,
    };
    match above.operation() {
        // In its place goes something that changes nothing.
        _ if matches!(verdict, Verdict::RefuseLate(..)) => {
            Submission::read(0, Buffer::zeroed(1), move |outcome, _| {
                shared.end(&passing, above, outcome, verdict);
            })
        }
        Operation::Read { offset, buffer } => {
            let buffer = Buffer::zeroed(buffer.len().min(limit));
            Submission::read(offset, buffer, move |outcome, read| {
                if let Operation::Read { buffer, .. } = above.operation() {
                    buffer[..read.len()].copy_from_slice(&read);
                }
                shared.end(&passing, above, outcome, verdict);
            })
        }
        Operation::Write { offset, buffers } => {
            let mut left = limit;
            let copies = buffers.iter().map(|buffer| {
                let taken = buffer.len().min(left);
                left -= taken;
                Buffer::copy_of(&buffer[..taken])
            });
            let copies: Vec<Buffer> = copies.filter(|copy| !copy.is_empty()).collect();
            Submission::write_vectored(offset, copies, move |outcome, _| {
                shared.end(&passing, above, outcome, verdict);
            })
        }
        Operation::Sync => Submission::sync(move |outcome| shared.end(&passing, above, outcome, verdict)),
        Operation::Truncate { len } => {
            Submission::truncate(len, move |outcome| shared.end(&passing, above, outcome, verdict))
        }
    }
}

/// What an injected failure looks like: `EIO`.
pub const INJECTED: CompletionError = CompletionError::Io { kind: ErrorKind::Other, os_code: 5 };

#[cfg(test)]
mod tests {
    use tenterhook_runtime::io::{MemoryIO, YieldingIO};

    use super::*;

    /// Does what it is told for each operation, and writes down what it sees.
    #[derive(Default)]
    struct Script {
        verdicts: Mutex<Vec<Verdict>>,
        seen: Mutex<Vec<String>>,
    }

    impl Watcher for Script {
        fn begins(&self, passing: &Passing, bytes: &[&[u8]]) -> Verdict {
            let kind = passing.descriptor.kind;
            self.seen.lock().push(format!("{kind:?} {}", bytes.concat().len()));
            let mut verdicts = self.verdicts.lock();
            if verdicts.is_empty() { Verdict::Pass } else { verdicts.remove(0) }
        }

        fn ended(&self, _: &Passing, outcome: Outcome) {
            self.seen.lock().push(format!("{outcome:?}"));
        }
    }

    fn write(file: &Arc<dyn File>, bytes: &[u8]) -> Completion {
        let halves = bytes.split_at(bytes.len() / 2);
        let buffers = vec![Buffer::copy_of(halves.0), Buffer::copy_of(halves.1)];
        let (completion, submission) = Submission::write_vectored(0, buffers, |_, _| {});
        file.submit(submission);
        completion
    }

    #[test]
    fn operations_pass_with_their_bytes_and_are_seen_coming_and_going() {
        let layer = Layer::new(Arc::new(MemoryIO::new()), Script::default());
        let file = layer.open(Path::new("x-wal"), OpenOptions::creating()).unwrap();
        let written = write(&file, b"abcdef");
        while !written.finished() {
            layer.step().unwrap();
        }
        let (sender, receiver) = std::sync::mpsc::channel();
        let land = move |outcome, buffer: Buffer| sender.send((outcome, buffer.to_vec())).unwrap();
        file.submit(Submission::read(1, Buffer::zeroed(4), land).1);
        while layer.step().unwrap() > 0 {}
        assert_eq!(receiver.recv().unwrap(), (Ok(4), b"bcde".to_vec()));
        assert_eq!(*layer.watcher().seen.lock(), ["Write 6", "Ok(6)", "Read 0", "Ok(4)"]);
        assert!(layer.shared.lock().is_empty(), "nothing stays listed");
    }

    #[test]
    fn verdicts_refuse_shorten_fail_and_cancel() {
        let micro = Duration::from_micros(1);
        let script = Script::default();
        *script.verdicts.lock() = vec![
            Verdict::Refuse(INJECTED),
            Verdict::RefuseLate(micro, INJECTED),
            Verdict::Shorten(4),
            Verdict::FailAfter(INJECTED),
            Verdict::FailLate(micro, INJECTED),
            Verdict::RefuseLate(micro, INJECTED),
            Verdict::Cancel,
        ];
        let layer = Layer::new(Arc::new(MemoryIO::new()), script);
        let file = layer.open(Path::new("x"), OpenOptions::creating()).unwrap();
        let ended = || {
            let completion = write(&file, b"abcdef");
            while !completion.finished() {
                layer.step().unwrap();
            }
            (completion.result().unwrap(), file.len().unwrap())
        };
        assert_eq!(ended(), (Err(INJECTED), 0));
        assert_eq!(ended(), (Err(INJECTED), 0));
        assert_eq!(ended(), (Ok(4), 4));
        assert_eq!(ended(), (Err(INJECTED), 6));
        assert_eq!(ended(), (Err(INJECTED), 6));
        assert_eq!(ended(), (Err(INJECTED), 6));
        assert_eq!(ended(), (Err(CompletionError::Cancelled), 6));
        assert_eq!(ended(), (Ok(6), 6));
    }

    #[test]
    fn a_cancel_goes_down() {
        let below = Arc::new(YieldingIO::new());
        let layer = Layer::new(Arc::clone(&below) as Arc<dyn IO>, Script::default());
        let file = layer.open(Path::new("x"), OpenOptions::creating()).unwrap();
        let completion = write(&file, b"abcdef");
        assert!(!completion.finished());
        completion.cancel();
        assert_eq!(completion.result(), Some(Err(CompletionError::Cancelled)));
    }
}
