//! The adapter, before it is trusted with an engine: `tenterhook_stress::conformance` calls it as turso_core does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use tenterhook_stress::conformance::{self, Adapter, Report, Request};
use turso_core::{Buffer, Completion, CompletionError, File, IO, OpenFlags};

use crate::io::SimIo;
use crate::plan::Broken;

struct Turso(SimIo);

#[derive(Default)]
struct Told {
    ends: AtomicU32,
    outcome: Mutex<Option<Result<u64, String>>>,
}

struct Operation {
    told: Arc<Told>,
    buffer: Arc<Buffer>,
}

impl Told {
    fn end(&self, outcome: Result<i32, CompletionError>) {
        // ORDERING: Relaxed: a disk of one thread.
        self.ends.fetch_add(1, Ordering::Relaxed);
        *self.outcome.lock() = Some(outcome.map(|count| count as u64).map_err(|error| error.to_string()));
    }
}

impl Adapter for Turso {
    type File = Arc<dyn File>;
    type Operation = Operation;

    fn open(&mut self, name: &str) -> Result<Self::File, String> {
        self.0.open_file(name, OpenFlags::Create, true).map_err(|error| error.to_string())
    }

    fn submit(&mut self, file: &Self::File, request: Request<'_>) -> Operation {
        let told = Arc::new(Told::default());
        let end = Arc::clone(&told);
        let bytes = match request {
            Request::Read { len, .. } => vec![0; len],
            Request::Write { bytes, .. } => bytes.to_vec(),
            Request::Sync | Request::Truncate { .. } => Vec::new(),
        };
        let buffer = Arc::new(Buffer::new(bytes));
        let submitted = match request {
            Request::Read { offset, .. } => {
                let landed = move |read: Result<(Arc<Buffer>, i32), CompletionError>| {
                    end.end(read.map(|(_, count)| count));
                    None
                };
                file.pread(offset, Completion::new_read(Arc::clone(&buffer), landed))
            }
            Request::Write { offset, .. } => file.pwrite(
                offset,
                Arc::clone(&buffer),
                Completion::new_write(move |outcome| end.end(outcome)),
            ),
            Request::Sync => {
                let completion = Completion::new_sync(move |outcome| end.end(outcome));
                file.sync(completion, turso_core::io::FileSyncType::Fsync)
            }
            Request::Truncate { len } => {
                file.truncate(len, Completion::new_trunc(move |outcome| end.end(outcome)))
            }
        };
        if let Err(error) = submitted {
            told.ends.fetch_add(1, Ordering::Relaxed); // ORDERING: Relaxed, as in `end`.
            *told.outcome.lock() = Some(Err(error.to_string()));
        }
        Operation { told, buffer }
    }

    fn len(&mut self, file: &Self::File) -> Result<u64, String> {
        file.size().map_err(|error| error.to_string())
    }

    fn ends(&self, operation: &Operation) -> u32 {
        // ORDERING: Relaxed, as in `end`.
        operation.told.ends.load(Ordering::Relaxed)
    }

    fn outcome(&self, operation: &Operation) -> Option<Result<u64, String>> {
        operation.told.outcome.lock().clone()
    }

    fn buffer(&self, operation: &Operation) -> Vec<u8> {
        operation.buffer.as_slice().to_vec()
    }

    fn reuse(&mut self, operation: &Operation, byte: u8) {
        operation.buffer.as_mut_slice().fill(byte);
    }

    fn step(&mut self) -> bool {
        self.0.step().is_ok()
    }
}

fn report(broken: Option<Broken>) -> Report {
    conformance::check(move |disk, io| Turso(SimIo::new(io, disk, broken)))
}

#[test]
fn the_adapter_has_every_behaviour_but_cancels_which_turso_core_does_not_ask_for() {
    let report = report(None);
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.absent().collect::<Vec<_>>(), ["a cancelled operation ends once"]);
}

#[test]
fn an_adapter_whose_syncs_do_nothing_is_told_so() {
    let report = report(Some(Broken::Sync));
    let wrong: Vec<_> = report.wrong().collect();
    assert!(wrong.iter().any(|(name, _)| *name == "a sync error arrives once"), "{report}");
    let (_, said) =
        wrong.iter().find(|(name, _)| *name == "a sync covers what was written before it").expect("wrong");
    assert!(said.contains("is not there"), "{said}");
}
