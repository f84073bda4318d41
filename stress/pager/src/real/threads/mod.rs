//! The pager on real threads.
//!
//! Many connections commit, read and checkpoint. Every snapshot that is looked at has to be the state after some number of commits,
//! and have every commit that was acknowledged before it was begun; what that state is follows from the number
//! ([`ledger`](super::ledger)), so nothing is recorded and memory stays bounded however long it runs. When a sync fails the
//! pager refuses writes, and the file is reopened: it is recovered, and no commit may be missing.

mod connection;
mod incarnation;
mod table;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tenterhook_stress::real::threads::{Environment, Incarnation, Workload};
use tenterhook_stress::violation::Violation;

use self::incarnation::PagerIncarnation;
use self::table::Table;

/// The pager's connections, and what they have been told of.
#[derive(Debug)]
pub struct PagerWorkload {
    table: Arc<Table>,
}

impl PagerWorkload {
    /// Of so many connections, which have been told of nothing.
    pub fn new(connections: u64) -> PagerWorkload {
        PagerWorkload { table: Arc::new(Table::new(connections)) }
    }
}

/// The database file in `directory`.
fn database(directory: &Path) -> PathBuf {
    directory.join("cloth")
}

impl Workload for PagerWorkload {
    fn files(&self, directory: &Path) -> Vec<PathBuf> {
        let database = database(directory);
        let mut log = database.clone().into_os_string();
        log.push("-wal");
        vec![database, log.into()]
    }

    fn open(&self, environment: &Arc<Environment>) -> Result<Option<Arc<dyn Incarnation>>, Box<Violation>> {
        let opened = PagerIncarnation::open(environment, &self.table)?;
        Ok(opened.map(|incarnation| Arc::new(incarnation) as Arc<dyn Incarnation>))
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        self.table.counts()
    }
}
