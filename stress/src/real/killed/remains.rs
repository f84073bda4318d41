//! What a dead child leaves: how it ended, what it has said, and its record.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use rustix::process::Signal;

use super::quiet::progress;
use super::record::{Entries, Tag};
use crate::violation::Violation;

/// How a child ended, and what it had to say.
#[derive(Debug)]
pub(super) struct Remains {
    pub(super) status: ExitStatus,
    pub(super) ending: Ending,
    pub(super) record: Vec<u8>,
    /// What it has written to standard error. A child to which nothing is wrong says nothing.
    pub(super) words: String,
    /// How often it was stopped.
    pub(super) stops: u64,
}

/// Who ended a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It did so itself.
    Itself,
    /// The campaign has killed it when its time was up.
    Killed,
    /// The campaign has killed it because it did not move any more.
    Stalled(Box<Violation>),
}

impl Remains {
    /// Whether it reached its point, and died of that.
    pub(super) fn has_reached(&self) -> bool {
        Entries(&self.record).any(|entry| entry.tag == Tag::Reached)
    }

    /// What is wrong by the child's own account, or by how it ended. What it said before it was killed counts like the rest.
    pub(super) fn finding(&self) -> Option<Box<Violation>> {
        let is_killed = self.status.signal() == Some(Signal::KILL.as_raw());
        let words = self.words.trim();
        if let Ending::Stalled(stall) = self.ending.clone() {
            return Some(if words.is_empty() { stall } else { stall.note(format!("it said: {words}")) });
        }
        if is_killed && words.is_empty() {
            return None;
        }
        let seen = format!("{}: {words}", self.status);
        Some(match words.contains(" panicked at ") {
            true => Violation::panic(seen),
            false => Violation::safety("child", "nothing wrong", seen),
        })
    }
}

/// Reads a pipe in a thread of its own until its writer is dead.
pub(super) struct Reader {
    thread: JoinHandle<io::Result<Vec<u8>>>,
    progress: Arc<AtomicU64>,
}

impl Reader {
    pub(super) fn of(pipe: Option<impl Read + Send + 'static>) -> Reader {
        let progress = Arc::new(AtomicU64::new(0));
        let shared = Arc::clone(&progress);
        let thread = std::thread::spawn(move || match pipe {
            Some(pipe) => read(pipe, &shared),
            None => Ok(Vec::new()),
        });
        Reader { thread, progress }
    }

    /// How much progress its entries have shown so far.
    pub(super) fn progress(&self) -> u64 {
        // ORDERING: Relaxed: a count.
        self.progress.load(Ordering::Relaxed)
    }

    /// Waits for the writer's death.
    pub(super) fn all(self) -> io::Result<Vec<u8>> {
        self.thread.join().map_err(|_| io::Error::other("the reader of a child's pipe panicked"))?
    }
}

fn read(mut pipe: impl Read, shared: &AtomicU64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 1 << 16];
    let mut looked_at = 0;
    loop {
        let len = match pipe.read(&mut chunk) {
            Ok(0) => return Ok(bytes),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        bytes.extend_from_slice(&chunk[..len]);
        let (more, whole) = progress(&bytes[looked_at..]);
        looked_at += whole;
        // ORDERING: Relaxed: a count.
        shared.fetch_add(more, Ordering::Relaxed);
    }
}

/// The I/O that was begun and has not ended, by the record of one life.
pub(super) fn under_way(record: &[u8]) -> Vec<String> {
    let mut begun = BTreeMap::new();
    for entry in Entries(record) {
        let role = entry.role.name();
        match entry.tag {
            Tag::Write => {
                begun.insert(entry.number, format!("a write of {} bytes to the {role}", entry.value));
            }
            Tag::Sync => drop(begun.insert(entry.number, format!("a sync of the {role}"))),
            Tag::Truncate => drop(begun.insert(entry.number, format!("a truncation of the {role}"))),
            Tag::Ended | Tag::Failed => drop(begun.remove(&entry.number)),
            _ => {}
        }
    }
    begun.into_values().collect()
}

/// What the threads of process `child` wait for in the kernel, as far as it tells.
pub(super) fn threads(child: u32) -> Vec<String> {
    let folder = std::fs::read_dir(format!("/proc/{child}/task")).into_iter().flatten().flatten();
    let describe = |entry: std::fs::DirEntry| {
        let read = |name| std::fs::read_to_string(entry.path().join(name)).unwrap_or_default();
        let (name, place) = (read("comm"), read("wchan"));
        let place = if matches!(place.trim(), "" | "0") { "an unknown place" } else { place.trim() };
        format!("{} in {place}", name.trim())
    };
    folder.map(describe).collect()
}

#[cfg(test)]
mod tests {
    use super::super::record::append;
    use super::*;
    use crate::real::layer::Role;
    use crate::violation::Class;

    fn remains(status: i32, words: &str) -> Remains {
        let (status, words) = (ExitStatus::from_raw(status), words.to_owned());
        Remains { status, ending: Ending::Killed, record: Vec::new(), words, stops: 0 }
    }

    #[test]
    fn what_a_child_said_before_it_was_killed_is_a_finding() {
        let kill = Signal::KILL.as_raw();
        assert_eq!(remains(kill, " \n").finding(), None);
        let said = remains(kill, "VIOLATION of durability").finding().unwrap();
        assert!(said.seen.contains("VIOLATION of durability") && said.class == Class::Safety, "{said}");
        let panic = remains(kill, "thread 'x' panicked at y.rs:1:1:\nz").finding().unwrap();
        assert_eq!(panic.class, Class::Panic);
    }

    #[test]
    fn a_child_that_ended_otherwise_than_by_a_kill_is_a_finding_whatever_it_said() {
        for status in [Signal::ABORT.as_raw(), Signal::SEGV.as_raw(), 70 << 8, 0] {
            assert!(remains(status, "").finding().is_some(), "{status}");
        }
    }

    #[test]
    fn a_stall_is_the_finding_and_words_are_noted() {
        let ending = Ending::Stalled(Violation::liveness("liveness", "progress", "none for 3 s"));
        let stalled = Remains { ending, ..remains(Signal::KILL.as_raw(), "it looks bad") };
        let finding = stalled.finding().unwrap();
        assert_eq!((finding.class, finding.notes.len()), (Class::Liveness, 1));
    }

    #[test]
    fn what_has_not_ended_is_under_way() {
        let mut record = Vec::new();
        append(&mut record, Tag::Write, Role::Log, 1, 3, &[&[0; 8], b"abc"]).unwrap();
        append(&mut record, Tag::Sync, Role::Database, 2, 0, &[]).unwrap();
        append(&mut record, Tag::Sync, Role::Log, 3, 0, &[]).unwrap();
        append(&mut record, Tag::Ended, Role::Log, 1, 3, &[]).unwrap();
        append(&mut record, Tag::Failed, Role::Log, 3, 0, &[]).unwrap();
        assert_eq!(under_way(&record), ["a sync of the database"]);
    }

    #[test]
    fn progress_is_counted_while_a_pipe_is_read_and_entries_that_come_in_halves_count_once() {
        struct Halves(Vec<u8>);
        impl Read for Halves {
            fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
                let len = self.0.len().min(13);
                bytes[..len].copy_from_slice(&self.0[..len]);
                self.0.drain(..len);
                Ok(len)
            }
        }
        let mut record = Vec::new();
        (0..5).for_each(|n| append(&mut record, Tag::Sync, Role::Log, n, 0, &[]).unwrap());
        let shared = AtomicU64::new(0);
        assert_eq!(read(Halves(record.clone()), &shared).unwrap(), record);
        assert_eq!(shared.into_inner(), 5);
    }
}
