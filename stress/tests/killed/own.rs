//! An engine that opens its files by itself: a file for each connection, to which it appends the numbers of its commits.

use std::convert::Infallible;
use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tenterhook_stress::disk::FaultKind;
use tenterhook_stress::real::killed::{Commits, Killable, Opening, Seat, Unrecorded};
use tenterhook_stress::subject::{Drawn, Fixed, NoOptions, Subject};
use tenterhook_stress::tape::Stream;
use tenterhook_stress::violation::Violation;

use super::tally::{Tally, TallySubject};

/// Tells a connection of its commit before it is written.
const EARLY: &str = "early";
/// After some commits every connection waits for something that does not come.
const STALL: &str = "stall";

/// A commit: its number, and the complement, so that half of one is none.
const RECORD: usize = 16;

#[derive(Copy, Clone, Debug)]
pub(crate) struct OwnSubject;

impl Subject for OwnSubject {
    const NAME: &'static str = "own";
    type Options = NoOptions;
    type Plan = bool;
    type System = Tally;

    fn draw(stream: &mut Stream, seed: u64, fixed: &Fixed<NoOptions>) -> Drawn<bool> {
        Drawn::common(stream, seed, fixed, &[FaultKind::PowerLoss], false)
    }

    fn system(drawn: &Drawn<bool>) -> Tally {
        TallySubject::system(drawn)
    }

    fn killed() -> Option<Killable> {
        Some(Killable::Unrecorded(Box::new(Processes)))
    }
}

struct Processes;

fn path(directory: &Path, connection: u64) -> PathBuf {
    directory.join("commits").join(connection.to_string())
}

/// How many commits a file has. Half of one at its end goes.
fn recover(path: &Path) -> io::Result<u64> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let is_whole = |(number, record): &(u64, &[u8])| *record == commit(*number);
    let whole = (1..).zip(bytes.chunks(RECORD)).take_while(is_whole).count();
    OpenOptions::new().write(true).open(path)?.set_len((whole * RECORD) as u64)?;
    Ok(whole as u64)
}

fn commit(number: u64) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..8].copy_from_slice(&number.to_le_bytes());
    record[8..].copy_from_slice(&(!number).to_le_bytes());
    record
}

fn recover_all(directory: &Path, connections: u64) -> io::Result<Vec<u64>> {
    (0..connections).map(|connection| recover(&path(directory, connection))).collect()
}

impl Unrecorded for Processes {
    fn files(&self, directory: &Path) -> Vec<PathBuf> {
        (0..8).map(|connection| path(directory, connection)).collect()
    }

    fn plants(&self) -> &'static [&'static str] {
        &[EARLY, STALL]
    }

    fn work(&self, opening: Opening) -> Result<Infallible, Box<dyn Error>> {
        let (directory, connections) =
            (opening.process().directory().to_owned(), opening.process().connections());
        fs::create_dir_all(directory.join("commits"))?;
        let found = recover_all(&directory, connections)?;
        let commits = &opening.found(&found)?;
        std::thread::scope(|scope| {
            for (connection, found) in (0..).zip(found) {
                let directory = &directory;
                // None of them is joined, so each tells by itself what goes wrong with it.
                scope.spawn(move || {
                    let Err(error) = append(commits, directory, connection, found);
                    commits.process().object(&unreadable(&error))
                });
            }
        });
        Err("there are no connections".into())
    }

    fn check(&self, directory: &Path, seats: &[Seat]) -> Result<Vec<u64>, Box<Violation>> {
        recover_all(directory, seats.len() as u64).map_err(|error| unreadable(&error))
    }
}

fn unreadable(error: &io::Error) -> Box<Violation> {
    Violation::safety("recovery", "files that can be read and written", error.to_string())
}

fn append(commits: &Commits, directory: &Path, connection: u64, found: u64) -> io::Result<Infallible> {
    let mut file = OpenOptions::new().append(true).create(true).open(path(directory, connection))?;
    let plant = commits.process().plant();
    for number in found + 1.. {
        commits.asks(connection, number);
        if plant == Some(EARLY) {
            commits.told(connection, number);
        }
        while plant == Some(STALL) && number > found + 5 {
            std::thread::park();
        }
        file.write_all(&commit(number))?;
        commits.told(connection, number);
    }
    unreachable!("no connection commits so often")
}
