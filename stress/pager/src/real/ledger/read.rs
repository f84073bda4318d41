use std::sync::Arc;

use tenterhook_runtime::pager::{PageNo, PageRef, Pager, PagerError, ReadTransaction};
use tenterhook_runtime::{IOResult, return_if_io};

use super::layout::{Layout, Wrong, stamp_of, word_at};

/// Reads a snapshot and holds it against what its number says.
pub struct Audit {
    layout: Layout,
    transaction: ReadTransaction,
    scope: Scope,
    /// How many commits it has.
    commits: Option<u64>,
    next: Part,
    /// The cells of all connections, as far as they have been read.
    cells: Vec<u64>,
}

/// How much is read.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Scope {
    /// Everything.
    Whole,
    /// The root and so many stamps from one on.
    Glance { left: u64 },
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Part {
    Root,
    Cells { page: u64 },
    Stripe { index: u64 },
    Directory,
    Leaf { slot: u64, leaf: PageNo },
    Done,
}

impl Audit {
    /// Of everything in the newest snapshot.
    ///
    /// # Errors
    ///
    /// The pager's.
    pub fn whole(pager: &Arc<Pager>, layout: Layout) -> Result<Audit, PagerError> {
        Audit::new(pager, layout, Scope::Whole)
    }

    /// Of the root and a few pages of the stripe from `index` on.
    ///
    /// # Errors
    ///
    /// The pager's.
    pub fn glance(pager: &Arc<Pager>, layout: Layout, index: u64) -> Result<Audit, PagerError> {
        let audit = Audit::new(pager, layout, Scope::Glance { left: 3 })?;
        Ok(Audit { next: Part::Stripe { index: index % layout.stripes() }, ..audit })
    }

    fn new(pager: &Arc<Pager>, layout: Layout, scope: Scope) -> Result<Audit, PagerError> {
        let transaction = pager.begin_read()?;
        Ok(Audit { layout, transaction, scope, commits: None, next: Part::Root, cells: Vec::new() })
    }

    /// Steps until all has been looked at: how many commits there are, or what is wrong. A file that has not been made yet
    /// has none.
    ///
    /// # Errors
    ///
    /// The pager's.
    pub fn step(&mut self) -> Result<IOResult<Result<u64, Wrong>>, PagerError> {
        if self.transaction.commit_sequence() == 0 {
            return Ok(IOResult::Done(Ok(0)));
        }
        let commits = match self.commits {
            Some(commits) => commits,
            None => {
                let root = return_if_io!(self.transaction.page(Layout::ROOT));
                match stamp_of(&root) {
                    Some(commits) => *self.commits.insert(commits),
                    None => return Ok(IOResult::Done(Err(torn("root")))),
                }
            }
        };
        while self.next != Part::Done {
            let page = match self.page() {
                Some(page) => Some(return_if_io!(self.transaction.page(page))),
                None => None,
            };
            match self.look(commits, page) {
                Ok(next) => self.next = next,
                Err(wrong) => return Ok(IOResult::Done(Err(wrong))),
            }
        }
        Ok(IOResult::Done(Ok(commits)))
    }

    /// The cells of all connections, once everything has been looked at.
    pub fn cells(&self) -> &[u64] {
        &self.cells
    }

    /// The page that is looked at next.
    fn page(&self) -> Option<PageNo> {
        match self.next {
            Part::Cells { page } => Some(Layout::CELLS_FROM + page as PageNo),
            Part::Stripe { index } => Some(self.layout.stripe(index)),
            Part::Directory => Some(Layout::DIRECTORY),
            Part::Leaf { leaf: 0, slot: _ } => Some(Layout::DIRECTORY),
            Part::Leaf { leaf, .. } => Some(leaf),
            Part::Root | Part::Done => None,
        }
    }

    /// Holds a page against the number of commits; what comes next.
    fn look(&mut self, commits: u64, page: Option<PageRef>) -> Result<Part, Wrong> {
        let layout = self.layout;
        let Some(bytes) = page else { return Ok(Part::Cells { page: 0 }) };
        match self.next {
            Part::Cells { page } => {
                let words = bytes.chunks_exact(8).map(|word| word_at(word, 0));
                let missing = layout.connections as usize - self.cells.len();
                self.cells.extend(words.take(missing));
                if page + 1 < layout.cell_pages() {
                    return Ok(Part::Cells { page: page + 1 });
                }
                let sum: u64 = self.cells.iter().sum();
                expect("the cells of all connections together", commits, sum)?;
                Ok(Part::Stripe { index: 0 })
            }
            Part::Stripe { index } => {
                let place = || format!("page {} of the stripe", index);
                let seen = stamp_of(&bytes).ok_or_else(|| torn(&place()))?;
                expect(&place(), layout.expected_stamp(index, commits), seen)?;
                Ok(self.after_stripe(index))
            }
            Part::Directory | Part::Leaf { leaf: 0, .. } => {
                let slot = if let Part::Leaf { slot, .. } = self.next { slot } else { 0 };
                let leaf = word_at(&bytes, slot as usize * 8) as PageNo;
                match (leaf, layout.expected_leaf(slot, commits)) {
                    (0, 0) => Ok(self.after_leaf(slot)),
                    (0, stamp) => {
                        Err(wrong(&format!("slot {slot}"), format!("a leaf of commit {stamp}"), "none"))
                    }
                    (leaf, _) if leaf > self.transaction.page_count() => Err(wrong(
                        &format!("slot {slot}"),
                        "a page of the file".into(),
                        &format!("page {leaf}"),
                    )),
                    (leaf, _) => Ok(Part::Leaf { slot, leaf }),
                }
            }
            Part::Leaf { slot, .. } => {
                let place = || format!("the leaf in slot {slot}");
                let seen = stamp_of(&bytes).ok_or_else(|| torn(&place()))?;
                expect(&place(), layout.expected_leaf(slot, commits), seen)?;
                Ok(self.after_leaf(slot))
            }
            Part::Root | Part::Done => Ok(Part::Done),
        }
    }

    fn after_stripe(&mut self, index: u64) -> Part {
        let next = (index + 1) % self.layout.stripes();
        match &mut self.scope {
            Scope::Whole if next == 0 => Part::Directory,
            Scope::Whole => Part::Stripe { index: next },
            Scope::Glance { left: 1 } => Part::Done,
            Scope::Glance { left } => {
                *left -= 1;
                Part::Stripe { index: next }
            }
        }
    }

    fn after_leaf(&self, slot: u64) -> Part {
        if slot + 1 < self.layout.slots() { Part::Leaf { slot: slot + 1, leaf: 0 } } else { Part::Done }
    }
}

fn expect(place: &str, expected: u64, seen: u64) -> Result<(), Wrong> {
    if expected == seen { Ok(()) } else { Err(wrong(place, expected.to_string(), &seen.to_string())) }
}

fn wrong(place: &str, expected: String, seen: &str) -> Wrong {
    Wrong { place: place.into(), expected, seen: seen.into() }
}

fn torn(place: &str) -> Wrong {
    wrong(place, "one stamp everywhere".into(), "parts of several")
}
