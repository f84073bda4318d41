//! What connections do, and what must hold of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tenterhook_runtime::IOResult;
use tenterhook_runtime::io::File;
use tenterhook_stress::real::threads::{Connection, Environment, Incarnation, Workload};
use tenterhook_stress::system::Step;
use tenterhook_stress::violation::Violation;

use super::engine::{Store, load, open};

pub(crate) type Verdict<T> = Result<T, Box<Violation>>;

/// The count that each connection was told of. What is found has it, or the one that was under way.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<[AtomicU64]>);

impl Told {
    pub(crate) fn new(connections: u64) -> Told {
        Told((0..connections).map(|_| AtomicU64::new(0)).collect())
    }

    pub(crate) fn connections(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn judge(&self, found: &[u64]) -> Verdict<()> {
        for (told, &count) in self.0.iter().zip(found) {
            let before = told.swap(count, Relaxed);
            if count != before && count != before + 1 {
                return Err(Violation::safety(
                    "durability",
                    format!("{before}, or one more"),
                    count.to_string(),
                ));
            }
        }
        Ok(())
    }
}

/// A connection stores one count after the other. After an error it stores the same once more.
pub(crate) struct Adder {
    file: Arc<dyn File>,
    told: Told,
    number: usize,
    hasty: bool,
    store: Option<Store>,
}

impl Adder {
    pub(crate) fn new(file: &Arc<dyn File>, told: &Told, number: usize, hasty: bool) -> Adder {
        Adder { file: Arc::clone(file), told: told.clone(), number, hasty, store: None }
    }
}

impl Connection for Adder {
    fn step(&mut self) -> Verdict<Step> {
        let told = &self.told.0[self.number];
        let count = told.load(Relaxed) + 1;
        let begin = || Store::new(&self.file, self.number, count, self.hasty);
        match self.store.get_or_insert_with(begin).step() {
            Ok(IOResult::IO(io)) => return Ok(Step::from(io)),
            Ok(IOResult::Done(())) => told.store(count, Relaxed),
            Err(_) => {}
        }
        self.store = None;
        Ok(Step::Ended)
    }
}

/// The file on real threads.
struct Opened(Arc<dyn File>, Told, Arc<Environment>);

impl Incarnation for Opened {
    fn connect(self: Arc<Self>, number: u64, _: u64) -> Box<dyn Connection> {
        Box::new(Adder::new(&self.0, &self.1, number as usize, false))
    }

    fn look_over(&self) -> Verdict<()> {
        self.1.load_and_judge(&self.2)
    }
}

fn path(environment: &Environment) -> PathBuf {
    environment.directory().join("tally")
}

pub(crate) fn unusable(error: impl std::fmt::Display) -> Box<Violation> {
    Violation::safety("opening", "a file that can be read", error.to_string())
}

impl Told {
    fn load_and_judge(&self, environment: &Environment) -> Verdict<()> {
        let counts = load(&*environment.io(), &path(environment), self.connections());
        self.judge(&counts.map_err(unusable)?)
    }
}

impl Workload for Told {
    fn files(&self, directory: &Path) -> Vec<PathBuf> {
        vec![directory.join("tally")]
    }

    fn open(&self, environment: &Arc<Environment>) -> Verdict<Option<Arc<dyn Incarnation>>> {
        self.load_and_judge(environment)?;
        let file = open(&*environment.io(), &path(environment)).map_err(unusable)?;
        Ok(Some(Arc::new(Opened(file, self.clone(), Arc::clone(environment)))))
    }
}
