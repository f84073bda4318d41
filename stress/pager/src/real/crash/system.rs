//! What the pager offers to be killed.

use std::convert::Infallible;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tenterhook_runtime::executor::{Executor, Task};
use tenterhook_runtime::io::{IO, OperationKind, drive};
use tenterhook_runtime::pager::PagerError;
use tenterhook_stress::real::killed::{Harm, LogFile, Opening, Point, Recorded, Seat, SystemFiles};
use tenterhook_stress::real::layer::Role;
use tenterhook_stress::violation::Violation;

use super::plant::Plant;
use super::variety::Variety;
use super::verify;
use super::worker::{Shop, Worker};
use crate::real::ledger::{Layout, Make};

/// Where the log has its headers; its frames come after.
const LOG_HEADERS: u64 = 8192;

/// Processes that commit to one file of the pager.
#[derive(Copy, Clone, Debug)]
pub struct PagerProcesses;

impl Recorded for PagerProcesses {
    fn files(&self, directory: &Path) -> SystemFiles {
        let log = LogFile { path: directory.join("ledger.db-wal"), headers: LOG_HEADERS };
        SystemFiles { database: database(directory), log: Some(log) }
    }

    /// The pager never reads a log that it does not recover, and never cuts its database.
    fn points(&self) -> Vec<Point> {
        let at_work = [
            (Role::Log, OperationKind::Write),
            (Role::Log, OperationKind::Sync),
            (Role::Database, OperationKind::Read),
            (Role::Database, OperationKind::Write),
            (Role::Database, OperationKind::Sync),
        ];
        let in_recovery = [
            (Role::Log, OperationKind::Read),
            (Role::Log, OperationKind::Write),
            (Role::Log, OperationKind::Sync),
            (Role::Database, OperationKind::Read),
        ];
        [Point::at_work(&at_work), Point::in_recovery(&in_recovery)].concat()
    }

    fn harms(&self) -> Vec<Harm> {
        Harm::ALL.to_vec()
    }

    fn plants(&self) -> &'static [&'static str] {
        &Plant::NAMES
    }

    fn work(&self, opening: Opening, io: &Arc<dyn IO>) -> Result<Infallible, Box<dyn Error>> {
        let process = Arc::clone(opening.process());
        let variety = Variety::of(process.number());
        let pager = match verify::open(io, &database(process.directory()), variety.options()) {
            Ok(pager) => pager,
            // The next child recovers after this one's failure.
            Err(PagerError::Io { .. }) if process.has_struck() => process.die(),
            Err(error) => return Err(error.into()),
        };
        opening.is_over();
        let audited = verify::audit(io, &pager, opening.seats());
        let found = audited.map_err(|violation| violation.to_string())?;
        let commits = opening.found(&found)?;
        let layout = Layout { connections: process.connections(), usable: pager.usable_size() };
        let mut make = Make::new(&pager, layout);
        match drive(&**io, || make.step()) {
            Ok(()) => {}
            Err(PagerError::Io { .. } | PagerError::Poisoned { .. }) if process.has_struck() => process.die(),
            Err(error) => return Err(error.into()),
        }
        let plant = process.plant().and_then(Plant::named);
        let told = found.into_iter().map(AtomicU64::new).collect();
        commit(&Arc::new(Shop { pager, layout, commits, variety, plant, told }))?;
        Err("every connection has ended, which none should".into())
    }

    fn check(&self, io: &Arc<dyn IO>, directory: &Path, seats: &[Seat]) -> Result<Vec<u64>, Box<Violation>> {
        verify::recover(io, &database(directory), seats)
    }
}

fn database(directory: &Path) -> PathBuf {
    directory.join("ledger.db")
}

/// Each connection tells by itself what goes wrong with it: none of them ends, so that those after it are not joined.
fn commit(shop: &Arc<Shop>) -> Result<(), Box<dyn Error>> {
    let executor = Executor::new(2);
    let tasks: Vec<Task<(), PagerError>> = (0..shop.layout.connections)
        .map(|connection| executor.spawn(Worker::new(shop, connection).machine()))
        .collect();
    for task in tasks {
        task.join()?;
    }
    Ok(())
}
