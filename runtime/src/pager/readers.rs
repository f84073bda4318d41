//! The registered snapshots.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::latch::{Latch, Wait};
use crate::pager::format::header::FileState;
use crate::pager::log::index::FrameNo;

/// What one transaction sees: the file as of one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) state: FileState,
    /// The commit's last frame. Frames after it are not seen.
    pub(super) mark: FrameNo,
    /// Whether some page has to be read from the log. False when the database file held all of the snapshot's commits
    /// at its beginning: then the log may be reset under it, but no checkpoint may go beyond `mark`.
    pub(super) reads_log: bool,
}

/// The registered snapshots, by mark.
#[derive(Debug)]
pub(super) struct Readers {
    /// Those of the newest mark that was ever registered, if any are left. Nearly all begin and end here, where neither
    /// allocates.
    newest: (FrameNo, Group),
    /// Of older marks, none of the groups empty.
    older: BTreeMap<FrameNo, Group>,
    count: usize,
    reading_log: usize,
    /// The one checkpoint that waits for some of them to go.
    awaited: Option<(Obstacle, Arc<Latch<()>>)>,
}

/// Readers that are in a checkpoint's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// Those of commits that end before this frame.
    Before(FrameNo),
    /// Those that need the log's frames to stay where they are.
    InLog,
}

impl Obstacle {
    /// Whether a reader of this snapshot is one of them.
    pub(super) fn includes(self, snapshot: &Snapshot) -> bool {
        match self {
            Self::Before(frame) => snapshot.mark < frame,
            Self::InLog => snapshot.reads_log,
        }
    }
}

/// To be told once no lock is held; the drop of a panic tells it, too.
#[must_use = "a checkpoint may wait for it"]
#[derive(Debug, Default)]
pub(super) struct Departed(Option<Arc<Latch<()>>>);

impl Departed {
    pub(super) fn tell(self) {}
}

impl Drop for Departed {
    fn drop(&mut self) {
        if let Some(latch) = self.0.take() {
            latch.set(());
        }
    }
}

#[derive(Debug)]
struct Group {
    count: usize,
    state: FileState,
}

impl Default for Readers {
    /// No readers.
    fn default() -> Self {
        let none = Group { count: 0, state: FileState::EMPTY };
        Self { newest: (0, none), older: BTreeMap::new(), count: 0, reading_log: 0, awaited: None }
    }
}

impl Readers {
    pub(super) fn register(&mut self, snapshot: &Snapshot) {
        if snapshot.mark > self.newest.0 {
            let empty = Group { count: 0, state: snapshot.state };
            let (mark, group) = std::mem::replace(&mut self.newest, (snapshot.mark, empty));
            if group.count > 0 {
                self.older.insert(mark, group);
            }
        }
        let group = match &mut self.newest {
            (mark, group) if *mark == snapshot.mark => group,
            _ => self.older.entry(snapshot.mark).or_insert(Group { count: 0, state: snapshot.state }),
        };
        // A frame is given again after a failed commit, but not before all who have seen that one are gone: a
        // writer that started from it unregisters before it gives up the write lock, and in the critical
        // section that leaves the lock to its commit. Were it there longer, a checkpoint could take what it
        // saw for published, and copy up to the middle of a later commit.
        debug_assert!(group.count == 0 || group.state == snapshot.state);
        (group.count, group.state) = (group.count + 1, snapshot.state);
        self.count += 1;
        self.reading_log += usize::from(snapshot.reads_log);
    }

    pub(super) fn unregister(&mut self, snapshot: &Snapshot) -> Departed {
        if snapshot.mark == self.newest.0 {
            self.newest.1.count -= 1;
        } else {
            let Some(group) = self.older.get_mut(&snapshot.mark) else { return Departed::default() };
            group.count -= 1;
            if group.count == 0 {
                self.older.remove(&snapshot.mark);
            }
        }
        self.count -= 1;
        self.reading_log -= usize::from(snapshot.reads_log);
        self.departed()
    }

    /// `snapshot` will read no page any more, but it stays registered.
    pub(super) fn leave_log(&mut self, snapshot: &mut Snapshot) -> Departed {
        self.reading_log -= usize::from(snapshot.reads_log);
        snapshot.reads_log = false;
        self.departed()
    }

    /// A wait for the moment at which `obstacle` is gone; `None` when it is now. One checkpoint at a time may wait. Look again
    /// after it: that moment may have passed.
    pub(super) fn wait_for(&mut self, obstacle: Obstacle) -> Option<Wait<()>> {
        self.is_there(obstacle).then(|| {
            // One that was dropped may have left its latch. It is not let go here, under a lock: who still waits is told with us.
            let latch = self.awaited.take().map_or_else(Latch::new, |(_, latch)| latch);
            self.awaited = Some((obstacle, Arc::clone(&latch)));
            Wait::new(latch)
        })
    }

    fn is_there(&self, obstacle: Obstacle) -> bool {
        match obstacle {
            Obstacle::Before(frame) => self.oldest().is_some_and(|(mark, _)| mark < frame),
            Obstacle::InLog => self.any_in_log(),
        }
    }

    fn departed(&mut self) -> Departed {
        let Some((obstacle, _)) = self.awaited else { return Departed::default() };
        if self.is_there(obstacle) {
            return Departed::default();
        }
        Departed(self.awaited.take().map(|(_, latch)| latch))
    }

    /// How far a checkpoint may go for the sake of the registered: the oldest's mark, and the file as of it.
    pub(super) fn oldest(&self) -> Option<(FrameNo, FileState)> {
        let (mark, group) = &self.newest;
        let newest = (group.count > 0).then_some((mark, group));
        let (mark, group) = self.older.first_key_value().or(newest)?;
        Some((*mark, group.state))
    }

    /// Whether some snapshot needs the log's frames to stay where they are.
    pub(super) fn any_in_log(&self) -> bool {
        self.reading_log > 0
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IOResult;

    fn snapshot(mark: FrameNo, reads_log: bool) -> Snapshot {
        Snapshot { state: FileState::EMPTY, mark, reads_log }
    }

    fn is_over(wait: &mut Wait<()>) -> bool {
        matches!(wait.poll(), Ok(IOResult::Done(())))
    }

    #[test]
    fn wait_ends_when_the_last_reader_of_an_older_commit_has_gone() {
        let mut readers = Readers::default();
        let [old, older, newest] = [(4, true), (2, true), (6, true)].map(|(mark, log)| snapshot(mark, log));
        for registered in [&old, &older, &newest, &older] {
            readers.register(registered);
        }
        let mut wait = readers.wait_for(Obstacle::Before(6)).expect("three are older");
        for gone in [&older, &old, &newest] {
            readers.unregister(gone).tell();
            assert!(!is_over(&mut wait), "one of the oldest is left");
        }
        readers.unregister(&older).tell();
        assert!(is_over(&mut wait));
        assert!(readers.wait_for(Obstacle::Before(6)).is_none());
    }

    #[test]
    fn oldest_is_found_in_whatever_order_they_come_and_go() {
        let mut readers = Readers::default();
        let oldest = |readers: &Readers| readers.oldest().map(|(mark, _)| mark);
        let [first, second, third] = [(2, true), (5, true), (9, true)].map(|(mark, log)| snapshot(mark, log));
        for (registered, expected) in [(&second, 5), (&third, 5), (&first, 2), (&third, 2)] {
            readers.register(registered);
            assert_eq!(oldest(&readers), Some(expected));
        }
        for (gone, expected) in [(&third, Some(2)), (&first, Some(5)), (&third, Some(5)), (&second, None)] {
            readers.unregister(gone).tell();
            assert_eq!(oldest(&readers), expected);
        }
        // The newest mark stays behind, and is none.
        readers.register(&first);
        assert_eq!(oldest(&readers), Some(2));
    }

    /// A checkpoint would write the other one's page count to the file.
    #[test]
    fn oldest_comes_with_the_file_as_that_one_sees_it() {
        let mut readers = Readers::default();
        let of = |mark, sequence| {
            let state = FileState { sequence, page_count: 1 + sequence as u32, ..FileState::EMPTY };
            Snapshot { state, mark, reads_log: true }
        };
        let [first, second, third] = [of(2, 1), of(5, 2), of(9, 3)];
        [&second, &third, &first, &second].into_iter().for_each(|snapshot| readers.register(snapshot));
        assert_eq!(readers.oldest(), Some((2, first.state)));
        readers.unregister(&first).tell();
        assert_eq!(readers.oldest(), Some((5, second.state)));
        [&second, &second].into_iter().for_each(|snapshot| readers.unregister(snapshot).tell());
        assert_eq!(readers.oldest(), Some((9, third.state)));
        // Its commit fails when no snapshot is left that has seen it, and the frame is given to another.
        readers.unregister(&third).tell();
        let again = of(9, 4);
        readers.register(&again);
        assert_eq!(readers.oldest(), Some((9, again.state)));
    }

    #[test]
    fn wait_for_the_log_ends_when_it_has_no_reader() {
        let mut readers = Readers::default();
        let (mut leaves, ends, stays) = (snapshot(5, true), snapshot(5, true), snapshot(5, false));
        for registered in [&leaves, &ends, &stays] {
            readers.register(registered);
        }
        let mut wait = readers.wait_for(Obstacle::InLog).expect("two read the log");
        readers.leave_log(&mut leaves).tell();
        assert!(!is_over(&mut wait));
        readers.unregister(&ends).tell();
        assert!(is_over(&mut wait));
        readers.unregister(&leaves).tell();
        assert_eq!(readers.count(), 1);
    }
}
