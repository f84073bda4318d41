//! The registered snapshots.

use std::collections::BTreeMap;

use super::header::FileState;
use super::log_index::FrameNo;

/// What one transaction sees: the file as of one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) state: FileState,
    /// The commit's last frame. Frames after it are not seen.
    pub(super) mark: FrameNo,
    /// Whether some page has to be read from the log. False when the database file held all of the snapshot's commits
    /// at its beginning: then the log may be begun anew under it, but no checkpoint may go beyond `mark`.
    pub(super) reads_log: bool,
}

/// The registered snapshots, by mark.
#[derive(Debug, Default)]
pub(super) struct Readers {
    by_mark: BTreeMap<FrameNo, Group>,
    count: usize,
    reading_log: usize,
}

#[derive(Debug)]
struct Group {
    count: usize,
    state: FileState,
}

impl Readers {
    pub(super) fn register(&mut self, snapshot: &Snapshot) {
        let group = self.by_mark.entry(snapshot.mark).or_insert(Group { count: 0, state: snapshot.state });
        group.count += 1;
        self.count += 1;
        self.reading_log += usize::from(snapshot.reads_log);
    }

    pub(super) fn unregister(&mut self, snapshot: &Snapshot) {
        let Some(group) = self.by_mark.get_mut(&snapshot.mark) else { return };
        group.count -= 1;
        if group.count == 0 {
            self.by_mark.remove(&snapshot.mark);
        }
        self.count -= 1;
        self.reading_log -= usize::from(snapshot.reads_log);
    }

    /// `snapshot` will read no page any more, but it stays registered.
    pub(super) fn leave_log(&mut self, snapshot: &mut Snapshot) {
        self.reading_log -= usize::from(snapshot.reads_log);
        snapshot.reads_log = false;
    }

    /// How far a checkpoint may go for the sake of the registered: the oldest's mark, and the file as of it.
    pub(super) fn oldest(&self) -> Option<(FrameNo, FileState)> {
        self.by_mark.first_key_value().map(|(mark, group)| (*mark, group.state))
    }

    /// Whether some snapshot needs the log's frames to stay where they are.
    pub(super) fn any_in_log(&self) -> bool {
        self.reading_log > 0
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }
}
