//! Systems that cannot be opened, and options that make no sense.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tenterhook_runtime::io::Backend;

use super::{Environment, Incarnation, ThreadsOptions, Workload, run};
use crate::disk::FaultKind;
use crate::stop::Stop;
use crate::violation::{Class, Violation};

type Opened = Result<Option<Arc<dyn Incarnation>>, Box<Violation>>;

/// A system that cannot be opened, in one way or another.
struct Closed {
    open: fn() -> Opened,
}

impl Workload for Closed {
    fn files(&self, _: &Path) -> Vec<PathBuf> {
        Vec::new()
    }

    fn open(&self, _: &Arc<Environment>) -> Opened {
        (self.open)()
    }
}

/// Without an end, faults or noise.
fn options() -> ThreadsOptions {
    ThreadsOptions {
        directory: PathBuf::new(),
        seed: 1,
        duration: Duration::MAX,
        backends: vec![Backend::Threads],
        connections: 1,
        workers: 1,
        faults: Vec::new(),
        noise: Vec::new(),
        stall: Duration::from_millis(200),
        progress: false,
    }
}

fn found_by(open: fn() -> Opened) -> Violation {
    let folder = tempfile::tempdir().unwrap();
    let options = ThreadsOptions { directory: folder.path().to_owned(), ..options() };
    let (_stopper, stop) = Stop::new();
    let mut summary = run(&options, || Box::new(Closed { open }), &stop).unwrap();
    summary.runs.pop().unwrap().violation.expect("a violation")
}

#[test]
fn a_system_that_hangs_while_it_is_opened_is_found() {
    let violation = found_by(|| {
        loop {
            std::thread::park();
        }
    });
    assert_eq!(violation.class, Class::Liveness);
    assert_eq!(violation.expected, "a system that can be opened");
}

#[test]
fn a_system_that_panics_while_it_is_opened_is_found() {
    let violation = found_by(|| panic!("the needle broke"));
    assert_eq!((violation.class, &*violation.seen), (Class::Panic, "the needle broke"));
}

#[test]
fn a_fault_that_does_not_strike_on_real_threads_is_refused() {
    let options = ThreadsOptions { faults: vec![FaultKind::BitFlip], ..options() };
    let (_stopper, stop) = Stop::new();
    let open = || -> Opened { Ok(None) };
    let refused = run(&options, || Box::new(Closed { open }), &stop).unwrap_err();
    assert_eq!(refused.to_string(), "bit-flip does not strike on real threads");
}
