//! Systems that cannot be opened, and options that make no sense.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tenterhook_runtime::io::Backend;
use tenterhook_runtime::{Completer, Completion};

use super::{Connection, Environment, Incarnation, ThreadsOptions, Workload, run};
use crate::disk::FaultKind;
use crate::stop::Stop;
use crate::system::Step;
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

/// A system whose connections wait for what never comes.
struct Stuck(Mutex<Vec<Completer>>);

impl Incarnation for Stuck {
    fn connect(self: Arc<Self>, _: u64, _: u64) -> Box<dyn Connection> {
        let (completion, completer) = Completion::new(|_| {});
        self.0.lock().expect("no panic").push(completer);
        Box::new(StuckConnection(completion))
    }
}

struct StuckConnection(Completion);

impl Connection for StuckConnection {
    fn step(&mut self) -> Result<Step, Box<Violation>> {
        Ok(Step::Wait(self.0.clone()))
    }

    fn describe(&self) -> &'static str {
        "a purchase"
    }
}

#[test]
fn a_stall_says_what_each_connection_waits_for_and_where_threads_sleep() {
    let violation = found_by(|| Ok(Some(Arc::new(Stuck(Mutex::default())))));
    assert_eq!((violation.class, &*violation.oracle), (Class::Liveness, "liveness"));
    let told = |text: &str| violation.notes.iter().any(|note| note.contains(text));
    assert!(told("connection 0: a purchase for "), "{violation}");
    assert!(told("waits for a completion that has not finished"), "{violation}");
    assert!(told("thread executor-0 sleeps: "), "{violation}");
}

#[test]
fn a_fault_that_does_not_strike_on_real_threads_is_refused() {
    let options = ThreadsOptions { faults: vec![FaultKind::BitFlip], ..options() };
    let (_stopper, stop) = Stop::new();
    let open = || -> Opened { Ok(None) };
    let refused = run(&options, || Box::new(Closed { open }), &stop).unwrap_err();
    assert_eq!(refused.to_string(), "bit-flip does not strike on real threads");
}
