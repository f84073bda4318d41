//! Points in a write transaction to which its changes can be taken back.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use crate::pager::format::header::FileState;
use crate::pager::format::page::Page;
use crate::pager::{PageNo, PagerError};

/// A point in a write transaction, made by [`WriteTransaction::savepoint`](crate::pager::WriteTransaction::savepoint). It is good for that transaction only.
///
/// Savepoints nest: one that was made later lies within those made before. Dropping it forgets the name; the point
/// itself lasts until it is released, rolled back beyond, or the transaction ends.
#[derive(Debug)]
pub struct Savepoint {
    scope: Arc<Scope>,
    serial: u64,
}

/// Stands for one transaction: a savepoint of another has another. While a savepoint exists its scope does, so no two
/// scopes are ever taken for each other. Not of size 0, or all would be at one place.
#[derive(Debug)]
struct Scope(#[expect(dead_code, reason = "it is there to have an address")] u8);

/// What a write transaction can take back without ending.
#[derive(Default)]
pub(super) struct Undo {
    /// Made with the first savepoint: most transactions have none.
    scope: Option<Arc<Scope>>,
    last_serial: u64,
    /// The open savepoints, the innermost last.
    pub(super) levels: Vec<Level>,
}

/// What the transaction was like at a savepoint, as far as it has changed since and no later savepoint says so.
pub(super) struct Level {
    serial: u64,
    pub(super) state: FileState,
    /// The transaction's own image of each page that was changed; `None` where it had none in memory. What it had of such
    /// a page, in the log or of an earlier commit, must stay the newest there: see [`Undo::keeps_pages`].
    before: BTreeMap<PageNo, Option<Arc<Page>>>,
    /// Whether any of those is `None`.
    keeps: bool,
}

impl Level {
    /// Only what is noted first of a page counts.
    fn note(&mut self, page: PageNo, before: Option<Arc<Page>>) {
        if let Entry::Vacant(place) = self.before.entry(page) {
            self.keeps |= before.is_none();
            place.insert(before);
        }
    }

    pub(super) fn take(&mut self) -> BTreeMap<PageNo, Option<Arc<Page>>> {
        self.keeps = false;
        std::mem::take(&mut self.before)
    }
}

impl Undo {
    /// To be told before a page of the transaction changes, with its own image of it so far. Keeps that if it is the
    /// page's first change since the innermost savepoint.
    pub(super) fn note(&mut self, page: PageNo, current: Option<&Arc<Page>>) {
        if let Some(level) = self.levels.last_mut() {
            level.note(page, current.cloned());
        }
    }

    /// Whether pages have to stay in memory: rolling back to an open savepoint would forget their images, and with frames of
    /// them in the log these would be there still.
    pub(super) fn keeps_pages(&self) -> bool {
        self.levels.iter().any(|level| level.keeps)
    }

    pub(super) fn begin(&mut self, state: FileState) -> Savepoint {
        self.last_serial += 1;
        let serial = self.last_serial;
        self.levels.push(Level { serial, state, before: BTreeMap::new(), keeps: false });
        let scope = self.scope.get_or_insert_with(|| Arc::new(Scope(0)));
        Savepoint { scope: Arc::clone(scope), serial }
    }

    /// Where the savepoint is in `levels`.
    pub(super) fn find(&self, savepoint: &Savepoint) -> Result<usize, PagerError> {
        let is_ours = self.scope.as_ref().is_some_and(|scope| Arc::ptr_eq(scope, &savepoint.scope));
        let place = self.levels.binary_search_by_key(&savepoint.serial, |level| level.serial);
        place.ok().filter(|_| is_ours).ok_or(PagerError::NoSuchSavepoint)
    }

    /// Ends the savepoint at `place` and those within it. What they would have restored, the one around them does.
    pub(super) fn merge(&mut self, place: usize) {
        let ended = self.levels.split_off(place);
        let Some(outer) = self.levels.last_mut() else { return };
        // From the outermost on: the older image of a page is the one that counts.
        for (page, before) in ended.into_iter().flat_map(|level| level.before) {
            outer.note(page, before);
        }
    }
}
