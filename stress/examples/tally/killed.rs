//! The engine in processes that are killed: what they do, and what must be there afterwards.

use std::convert::Infallible;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use tenterhook_runtime::io::OperationKind::{Read, Sync, Write};
use tenterhook_runtime::io::{File, IO};
use tenterhook_runtime::{CompletionError, IOCompletions, IOResult};
use tenterhook_stress::real::killed::{Commits, Harm, Opening, Point, Recorded, Seat, SystemFiles};
use tenterhook_stress::real::layer::Role::Database;
use tenterhook_stress::real::noise::NoiseKind;

use super::engine::{Store, load, open};
use super::workload::{Verdict, unusable};

/// Acknowledges a count before it is synced.
const HASTY: &str = "hasty";

pub(crate) struct Processes;

impl Recorded for Processes {
    fn files(&self, directory: &Path) -> SystemFiles {
        SystemFiles::one(directory.join("tally"))
    }

    fn points(&self) -> Vec<Point> {
        let recovery = Point::in_recovery(&[(Database, Read), (Database, Write), (Database, Sync)]);
        [Point::at_work(&[(Database, Write), (Database, Sync)]), recovery].concat()
    }

    /// A sync that drops what it covered takes the counts of other connections with it, which don't write them again.
    fn harms(&self) -> Vec<Harm> {
        Harm::OF_IO.into_iter().filter(|harm| *harm != Harm::DroppedSync).collect()
    }

    /// The file never grows, so a full disk does nothing to it.
    fn noise(&self) -> Vec<NoiseKind> {
        NoiseKind::OF_CHILDREN.into_iter().filter(|kind| *kind != NoiseKind::FullDisk).collect()
    }

    fn plants(&self) -> &'static [&'static str] {
        &[HASTY]
    }

    fn work(&self, opening: Opening, io: &Arc<dyn IO>) -> Result<Infallible, Box<dyn Error>> {
        let process = Arc::clone(opening.process());
        let path = process.directory().join("tally");
        let found = match load(&**io, &path, process.connections() as usize) {
            Ok(found) => found,
            // The next process opens it again.
            Err(_) if process.has_struck() => process.die(),
            Err(error) => return Err(error.into()),
        };
        let commits = Arc::new(opening.found(&found)?);
        let file = open(&**io, &path)?;
        commits.drive(|number| counts(&commits, &file, number, found[number as usize]))
    }

    fn check(&self, io: &Arc<dyn IO>, directory: &Path, seats: &[Seat]) -> Verdict<Vec<u64>> {
        load(&**io, &directory.join("tally"), seats.len()).map_err(unusable)
    }
}

/// A connection stores one count after the other. After an error that is explained it stores the same once more.
fn counts(
    commits: &Arc<Commits>,
    file: &Arc<dyn File>,
    number: u64,
    found: u64,
) -> impl FnMut() -> Result<IOResult<()>, CompletionError> + Send + 'static {
    let (commits, file) = (Arc::clone(commits), Arc::clone(file));
    let hasty = commits.process().plant() == Some(HASTY);
    let (mut count, mut store) = (found + 1, None);
    move || {
        let begin = || {
            commits.asks(number, count);
            Store::new(&file, number as usize, count, hasty)
        };
        match store.get_or_insert_with(begin).step() {
            Ok(IOResult::IO(io)) => return Ok(IOResult::IO(io)),
            Ok(IOResult::Done(())) => {
                commits.told(number, count);
                commits.keeps(number, count);
                count += 1;
            }
            Err(_) if commits.process().has_struck() => {}
            Err(error) => return Err(error),
        }
        store = None;
        Ok(IOResult::IO(IOCompletions::Yield))
    }
}
