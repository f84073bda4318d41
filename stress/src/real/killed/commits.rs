//! What a process says of its commits: first what it has found, then what it asks for and is told of.

use std::error::Error;
use std::io;
use std::sync::Arc;

use super::acks::Acks;
use super::process::Process;
use super::record::Recorder;
use super::seat::Seat;

/// A process that opens what the last one has left.
#[derive(Debug)]
pub struct Opening {
    process: Arc<Process>,
    acks: Acks,
    seats: Vec<Seat>,
}

/// A process that is at work.
#[derive(Debug)]
pub struct Commits {
    process: Arc<Process>,
    acks: Acks,
}

impl Opening {
    pub(super) fn new(process: Process, acks: Acks) -> io::Result<Opening> {
        let seats = acks.read()?;
        Ok(Opening { process: Arc::new(process), acks, seats })
    }

    /// The process.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// What each connection has asked for, and what must be found.
    pub fn seats(&self) -> &[Seat] {
        &self.seats
    }

    /// Recovery is over: points and faults of the opening are behind it. What is read now is work.
    pub fn is_over(&self) {
        if let Some(layer) = &self.process.layer {
            layer.watcher().opened();
        }
    }

    /// So many commits of each connection were found. They are durable: a later opening must find them, and none that was asked for and
    /// not found. Work begins.
    ///
    /// # Errors
    ///
    /// They are not what must be there, or the table of commits can't be written.
    pub fn found(self, found: &[u64]) -> Result<Commits, Box<dyn Error>> {
        self.is_over();
        Seat::hold(&self.seats, found).map_err(|violation| violation.to_string())?;
        settle(&Seat::settled(&self.seats, found), &self.acks, &self.process.recorder)?;
        Ok(Commits { process: self.process, acks: self.acks })
    }
}

/// An opening makes durable what it shows, and what it does not show is gone for good.
fn settle(settled: &[Seat], acks: &Acks, recorder: &Recorder) -> io::Result<()> {
    (0..).zip(settled).for_each(|(connection, seat)| recorder.finds(connection, seat.kept));
    acks.reset(settled)
}

/// A table or a record that can't be written ends the process: without them an innocent system would be convicted.
const WRITTEN: &str = "the table of commits can be written";

impl Commits {
    /// The process.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// `connection` is about to ask for its `own`-th commit. After one that has failed it may ask for the same again, or for a lower one.
    pub fn asks(&self, connection: u64, own: u64) {
        self.acks.asked(connection, own).expect(WRITTEN);
        self.process.recorder.asks(connection, own);
    }

    /// `connection` was told of its first `own` commits: a kill takes none of them.
    pub fn told(&self, connection: u64, own: u64) {
        self.acks.told(connection, own).expect(WRITTEN);
    }

    /// The first `own` commits of `connection` survive a power loss, too, from here on.
    pub fn keeps(&self, connection: u64, own: u64) {
        self.process.recorder.keeps(connection, own);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;
    use std::sync::Mutex;

    use super::super::files::pair;
    use super::super::replay::{Files, Replay};
    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// An opening of two connections whose record goes to `bytes`.
    fn opening(folder: &Path, seats: &[Seat; 2], bytes: &Shared) -> Opening {
        let acks = Acks::open(&folder.join("acks"), 2).unwrap();
        acks.reset(seats).unwrap();
        let process = Process {
            directory: folder.to_owned(),
            connections: 2,
            number: 0,
            plant: None,
            recorder: Arc::new(Recorder::new(bytes.clone())),
            layer: None,
            gives_up: 0,
            mortal: false,
        };
        Opening::new(process, acks).unwrap()
    }

    /// Broke: commits that were asked for and not found stayed asked for, so that a stale one could come back later unnoticed.
    #[test]
    fn what_an_opening_finds_is_both_bounds_from_then_on_after_a_kill_and_after_a_loss_of_power() {
        let folder = tempfile::tempdir().unwrap();
        let before = [Seat { asked: 9, kept: 3 }, Seat { asked: 4, kept: 4 }];
        let bytes = Shared::default();
        let opening = opening(folder.path(), &before, &bytes);
        assert_eq!(opening.seats(), before);
        let commits = opening.found(&[5, 4]).unwrap();
        let after = [5, 4].map(|own| Seat { asked: own, kept: own });
        assert_eq!(commits.acks.read().unwrap(), after);
        let record = bytes.0.lock().unwrap().clone();
        let replay = Replay::from(&Files::new(), &before, &pair(Path::new(""))).follow(&record).unwrap();
        assert_eq!(replay.seats, after);
    }

    #[test]
    fn an_opening_that_finds_too_little_does_not_come_to_work() {
        let folder = tempfile::tempdir().unwrap();
        let before = [Seat { asked: 9, kept: 3 }, Seat::default()];
        let problem = opening(folder.path(), &before, &Shared::default()).found(&[2, 0]).unwrap_err();
        assert!(problem.to_string().contains("VIOLATION of durability"), "{problem}");
    }
}
