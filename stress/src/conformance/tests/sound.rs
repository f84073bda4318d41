//! An adapter that continues short transfers, and the ways in which it is wrong on purpose.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tenterhook_runtime::io::{Buffer, File, IO, OpenOptions, Submission};
use tenterhook_runtime::{Completion, CompletionError, Outcome};

use crate::conformance::{Adapter, Request};

#[derive(Copy, Clone, Debug, PartialEq, Eq, strum::VariantArray)]
pub(super) enum Flaw {
    WrongOffset,
    OneFile,
    ReadsPastTheEnd,
    LengthOfTheOpening,
    TruncatesNothing,
    EndsEarly,
    TellsTwice,
    WakesNever,
    NeverEnds,
    EndsAll,
    EndsTheOldest,
    MissesEndsAtOnce,
    OldestBytesLast,
    OneReadBuffer,
    StepsNothing,
    ShortReadIsWhole,
    ShortReadStays,
    ShortWriteIsWhole,
    ShortWriteStays,
    WritesOnAfterTheEnd,
    HidesReadErrors,
    HidesWriteErrors,
    HidesNoSpace,
    HidesSyncErrors,
    HidesTruncationErrors,
    TellsErrorsTwice,
    DropsRefusals,
    OpensAgain,
    PartIsEnough,
    EndsWhenCancelled,
    CancelledIsDone,
    SyncsNothing,
    SyncsTheFirst,
    TellsTheDead,
    OldHandlesWork,
    Panics,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    Sync,
    Truncate,
}

/// An operation of the engine.
pub(super) struct Operation {
    kind: Kind,
    offset: u64,
    len: usize,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    ends: u32,
    outcome: Option<Result<u64, String>>,
    buffer: Arc<Mutex<Vec<u8>>>,
    disk: Option<Completion>,
}

#[derive(Clone)]
pub(super) struct Opened {
    file: Arc<dyn File>,
    len: u64,
    syncs: Arc<Mutex<u32>>,
}

/// What callbacks need of the adapter.
struct Shared {
    flaw: Option<Flaw>,
    flight: Mutex<VecDeque<Arc<Operation>>>,
    read_buffer: Arc<Mutex<Vec<u8>>>,
    is_submitting: Mutex<bool>,
}

pub(super) struct Sound {
    io: Arc<dyn IO>,
    shared: Arc<Shared>,
}

impl Sound {
    pub(super) fn new(io: Arc<dyn IO>, flaw: Option<Flaw>) -> Sound {
        let shared = Shared {
            flaw,
            flight: Mutex::default(),
            read_buffer: Arc::default(),
            is_submitting: Mutex::new(false),
        };
        Sound { io, shared: Arc::new(shared) }
    }
}

impl Shared {
    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    /// The disk has ended the last part of an operation, of which `moved` bytes were moved before.
    fn land(self: &Arc<Self>, operation: &Arc<Operation>, file: &Opened, moved: usize, outcome: Outcome) {
        if outcome == Err(CompletionError::Abandoned) && !self.is(Flaw::TellsTheDead) {
            return;
        }
        if *self.is_submitting.lock()
            && ((outcome.is_err() && self.is(Flaw::DropsRefusals))
                || (outcome.is_ok() && self.is(Flaw::MissesEndsAtOnce)))
        {
            return;
        }
        assert!(outcome.is_ok() || !self.is(Flaw::Panics), "the adapter gives up");
        let Ok(count) = outcome else { return self.fail(operation, moved, outcome) };
        let moved = moved + count as usize;
        let is_at_end = operation.kind == Kind::Read
            && (count == 0 || operation.offset + moved as u64 >= file.file.len().unwrap_or(0));
        if moved < operation.len && !is_at_end {
            let is_whole = matches!(
                (operation.kind, self.flaw),
                (Kind::Read, Some(Flaw::ShortReadIsWhole)) | (Kind::Write, Some(Flaw::ShortWriteIsWhole))
            );
            let stays = matches!(
                (operation.kind, self.flaw),
                (Kind::Read, Some(Flaw::ShortReadStays)) | (Kind::Write, Some(Flaw::ShortWriteStays))
            );
            if is_whole || stays {
                return self.tell(operation, Ok(if is_whole { operation.len } else { moved } as u64));
            }
            if self.is(Flaw::WritesOnAfterTheEnd) {
                self.tell(operation, Ok(operation.len as u64));
                // On the disk's next end: the engine may have changed its buffer by then.
                let (shared, again, file) = (Arc::clone(self), Arc::clone(operation), file.clone());
                let handle = Arc::clone(&file.file);
                let read =
                    Submission::read(0, Buffer::default(), move |_, _| shared.transfer(&again, &file, moved));
                return handle.submit(read.1);
            }
            return self.transfer(operation, file, moved);
        }
        let moved = if self.is(Flaw::ReadsPastTheEnd) { operation.len } else { moved };
        self.tell(operation, Ok(moved as u64));
    }

    /// Whether `operation` is the flaw's: there are later ones in flight.
    fn is_oldest_of_many(&self, operation: &Arc<Operation>) -> bool {
        let flight = self.flight.lock();
        self.is(Flaw::OldestBytesLast) && flight.len() > 1 && Arc::ptr_eq(&flight[0], operation)
    }

    fn fail(&self, operation: &Arc<Operation>, moved: usize, outcome: Outcome) {
        let Err(error) = outcome else { return };
        let is_hidden = match (operation.kind, self.flaw) {
            (Kind::Read, Some(Flaw::HidesReadErrors)) | (Kind::Sync, Some(Flaw::HidesSyncErrors)) => true,
            (Kind::Write, Some(Flaw::HidesWriteErrors)) => error != CompletionError::NoSpace,
            (Kind::Write, Some(Flaw::HidesNoSpace)) => error == CompletionError::NoSpace,
            (Kind::Truncate, Some(Flaw::HidesTruncationErrors)) => true,
            (_, Some(Flaw::CancelledIsDone)) => error == CompletionError::Cancelled,
            (_, Some(Flaw::OldHandlesWork)) => {
                matches!(error, CompletionError::Io { kind: std::io::ErrorKind::NotConnected, .. })
            }
            _ => false,
        };
        if is_hidden {
            return self.tell(operation, Ok(operation.len as u64));
        }
        if moved > 0 && self.is(Flaw::PartIsEnough) {
            return self.tell(operation, Ok(moved as u64));
        }
        self.tell(operation, Err(error.to_string()));
        if self.is(Flaw::TellsErrorsTwice) {
            self.tell(operation, Err(error.to_string()));
        }
    }

    fn tell(&self, operation: &Arc<Operation>, outcome: Result<u64, String>) {
        let mut flight = self.flight.lock();
        let ended: Vec<Arc<Operation>> = match self.flaw {
            Some(Flaw::EndsAll) => flight.drain(..).collect(),
            Some(Flaw::EndsTheOldest) => flight.pop_front().into_iter().collect(),
            Some(Flaw::NeverEnds) => Vec::new(),
            _ => vec![Arc::clone(operation)],
        };
        flight.retain(|other| !ended.iter().any(|ended| Arc::ptr_eq(ended, other)));
        for operation in ended {
            let mut told = operation.told.lock();
            if matches!(self.flaw, Some(Flaw::EndsEarly | Flaw::WritesOnAfterTheEnd)) && told.ends > 0 {
                continue;
            }
            told.ends += match self.flaw {
                Some(Flaw::WakesNever) => 0,
                Some(Flaw::TellsTwice) => 2,
                _ => 1,
            };
            told.outcome = Some(outcome.clone());
        }
    }

    /// Asks the disk for what is left of a transfer.
    fn transfer(self: &Arc<Self>, operation: &Arc<Operation>, file: &Opened, moved: usize) {
        let (shared, again, opened) = (Arc::clone(self), Arc::clone(operation), file.clone());
        let at =
            operation.offset + moved as u64 + u64::from(self.is(Flaw::WrongOffset) && operation.offset > 0);
        let buffer = Arc::clone(&operation.told.lock().buffer);
        let (completion, submission) = if operation.kind == Kind::Read {
            Submission::read(at, Buffer::zeroed(operation.len - moved), move |outcome, bytes| {
                // A buffer that is read into once more must not grow.
                if outcome.is_ok() {
                    let mut buffer = buffer.lock();
                    let len = again.len.max(buffer.len());
                    buffer.resize(len, 0);
                    buffer[moved..again.len].copy_from_slice(&bytes);
                }
                shared.land(&again, &opened, moved, outcome);
            })
        } else {
            let bytes = Buffer::copy_of(&buffer.lock()[moved..]);
            Submission::write(at, bytes, move |outcome, bytes| {
                if shared.is_oldest_of_many(&again) {
                    // It writes once more, behind the others.
                    let last = Submission::write(at, bytes, |_, _| {});
                    opened.file.submit(last.1);
                }
                shared.land(&again, &opened, moved, outcome);
            })
        };
        operation.told.lock().disk = Some(completion);
        file.file.submit(submission);
    }

    fn submit(self: &Arc<Self>, operation: &Arc<Operation>, file: &Opened) {
        let (shared, again, opened) = (Arc::clone(self), Arc::clone(operation), file.clone());
        let land = move |outcome: Outcome| shared.land(&again, &opened, 0, outcome.map(|_| 0));
        let is_left_out = match operation.kind {
            Kind::Sync => {
                let mut syncs = file.syncs.lock();
                *syncs += 1;
                self.is(Flaw::SyncsNothing) || (*syncs > 1 && self.is(Flaw::SyncsTheFirst))
            }
            Kind::Truncate => self.is(Flaw::TruncatesNothing),
            Kind::Read | Kind::Write => false,
        };
        let (completion, submission) = match operation.kind {
            Kind::Read | Kind::Write => return self.transfer(operation, file, 0),
            // An operation that the engine is told of all the same.
            _ if is_left_out && self.is(Flaw::SyncsTheFirst) => {
                Submission::read(0, Buffer::default(), move |outcome, _| land(outcome))
            }
            _ if is_left_out => return,
            Kind::Sync => Submission::sync(land),
            Kind::Truncate => Submission::truncate(operation.offset, land),
        };
        operation.told.lock().disk = Some(completion);
        file.file.submit(submission);
    }
}

impl Adapter for Sound {
    type File = Opened;
    type Operation = Arc<Operation>;

    fn open(&mut self, name: &str) -> Result<Opened, String> {
        let name = if self.shared.is(Flaw::OneFile) { "file" } else { name };
        let open = || self.io.open(name.as_ref(), OpenOptions::creating());
        let mut opened = open();
        while opened.is_err() && self.shared.is(Flaw::OpensAgain) {
            opened = open();
        }
        let file = opened.map_err(|error| error.to_string())?;
        let len = file.len().map_err(|error| error.to_string())?;
        Ok(Opened { file, len, syncs: Arc::default() })
    }

    fn submit(&mut self, file: &Opened, request: Request<'_>) -> Arc<Operation> {
        let (kind, offset, len, bytes) = match request {
            Request::Read { offset, len } => (Kind::Read, offset, len, vec![0; len]),
            Request::Write { offset, bytes } => (Kind::Write, offset, bytes.len(), bytes.to_vec()),
            Request::Sync => (Kind::Sync, 0, 0, Vec::new()),
            Request::Truncate { len } => (Kind::Truncate, len, 0, Vec::new()),
        };
        let is_shared = kind == Kind::Read && self.shared.is(Flaw::OneReadBuffer);
        let buffer =
            if is_shared { Arc::clone(&self.shared.read_buffer) } else { Arc::new(Mutex::new(bytes)) };
        let told = Mutex::new(Told { buffer, ..Told::default() });
        let operation = Arc::new(Operation { kind, offset, len, told });
        self.shared.flight.lock().push_back(Arc::clone(&operation));
        if self.shared.is(Flaw::EndsEarly) {
            let mut told = operation.told.lock();
            (told.ends, told.outcome) = (1, Some(Ok(len as u64)));
        }
        *self.shared.is_submitting.lock() = true;
        self.shared.submit(&operation, file);
        *self.shared.is_submitting.lock() = false;
        operation
    }

    fn len(&mut self, file: &Opened) -> Result<u64, String> {
        if self.shared.is(Flaw::LengthOfTheOpening) {
            return Ok(file.len);
        }
        file.file.len().map_err(|error| error.to_string())
    }

    fn ends(&self, operation: &Arc<Operation>) -> u32 {
        operation.told.lock().ends
    }

    fn outcome(&self, operation: &Arc<Operation>) -> Option<Result<u64, String>> {
        operation.told.lock().outcome.clone()
    }

    fn buffer(&self, operation: &Arc<Operation>) -> Vec<u8> {
        operation.told.lock().buffer.lock().clone()
    }

    fn reuse(&mut self, operation: &Arc<Operation>, byte: u8) {
        operation.told.lock().buffer.lock().fill(byte);
    }

    fn cancel(&mut self, operation: &Arc<Operation>) -> bool {
        let disk = operation.told.lock().disk.clone();
        disk.inspect(Completion::cancel);
        if self.shared.is(Flaw::EndsWhenCancelled) {
            self.shared.tell(operation, Err("cancelled".into()));
        }
        true
    }

    fn step(&mut self) -> bool {
        if !self.shared.is(Flaw::StepsNothing) {
            let _ = self.io.step();
        }
        true
    }
}
