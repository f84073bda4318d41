use tenterhook_runtime::pager::{PageNo, PageRef, ReadTransaction};

use super::layout::{Kind, is_kind, stamp};
use super::transfer::INITIAL_BALANCE;
use super::{Failure, Fixture, Progress, await_io};
use crate::oracle::Observation;
use tenterhook_stress::history::{Access, Outcome};
use tenterhook_stress::sometimes;
use tenterhook_stress::tape::{ChoicePoint, Stream};

const WHICH: ChoicePoint = ChoicePoint::new(15, "read: which");
const ROUNDS: ChoicePoint = ChoicePoint::new(16, "read: rounds");

/// Pages that a long reader keeps pinned at a time.
const PINS: usize = 4;

/// One read transaction: what it reads and what must hold of that.
pub(crate) struct Read {
    transaction: ReadTransaction,
    plan: Plan,
    /// Pages read so far.
    position: usize,
}

/// What a read transaction looks at.
pub(crate) enum Plan {
    /// All accounts: their sum never changes.
    Sum { sum: i64 },
    /// A group: all of its pages carry one stamp.
    Group { group: usize, first: Option<u64> },
    /// A directory, and then the leaves that it names.
    Directory { directory: PageNo, leaves: Vec<(PageNo, u64)> },
    /// Fixed pages round and round, and in between the leaves of the directory that it read last, which have come and gone
    /// since its snapshot. Some are pinned for a while.
    Long { start: usize, reads: usize, leaves: Vec<PageNo>, pinned: Vec<(PageRef, u64)> },
}

impl Plan {
    /// Adds up all accounts.
    pub(crate) fn sum() -> Plan {
        Plan::Sum { sum: 0 }
    }

    /// Draws a group.
    pub(crate) fn group(fixture: &Fixture<'_>, stream: &mut Stream) -> Plan {
        Plan::Group { group: stream.choose(WHICH, fixture.layout.groups.len() as u32) as usize, first: None }
    }

    /// Draws a directory.
    pub(crate) fn directory(fixture: &Fixture<'_>, stream: &mut Stream) -> Plan {
        let directories = &fixture.layout.directories;
        let directory = directories[stream.choose(WHICH, directories.len() as u32) as usize];
        Plan::Directory { directory, leaves: Vec::new() }
    }

    /// Draws how long it stays and where it begins.
    pub(crate) fn long(stream: &mut Stream) -> Plan {
        let reads = 5 + stream.mostly_small(ROUNDS, 200) as usize;
        let start = stream.choose(WHICH, 1 << 16) as usize;
        Plan::Long { start, reads, leaves: Vec::new(), pinned: Vec::with_capacity(PINS) }
    }
}

impl Read {
    /// Registers a snapshot, which the oracles compare with what was acknowledged.
    pub(crate) fn begin(plan: Plan, fixture: &mut Fixture<'_>) -> Result<Read, Failure> {
        let floor = fixture.acknowledged();
        let transaction = fixture.pager.begin_read()?;
        fixture.recorder.begin(Access::Read);
        fixture.observe(&Observation::ReadBegan { sequence: transaction.commit_sequence(), floor })?;
        Ok(Read { transaction, plan, position: 0 })
    }

    /// Reads one page.
    pub(crate) fn step(&mut self, fixture: &mut Fixture<'_>) -> Result<Progress, Failure> {
        let Some(number) = self.plan.page(self.position, fixture) else {
            fixture.tally.borrow_mut().reads += 1;
            let behind = fixture
                .oracles
                .borrow()
                .history()
                .acknowledged()
                .saturating_sub(self.transaction.commit_sequence());
            sometimes!(behind >= 10, "a reader ends ten commits behind");
            fixture.recorder.end(Outcome::Committed);
            self.plan.conclude(self.transaction.commit_sequence(), fixture)?;
            return Ok(Progress::Done);
        };
        let page = await_io!(self.transaction.page(number));
        let sequence = self.transaction.commit_sequence();
        let digest = fixture.shape.digest(&page);
        fixture.tally.borrow_mut().looked(digest);
        fixture.recorder.read(number, stamp(&page));
        fixture.observe(&Observation::PageRead { sequence, page: number, digest })?;
        self.plan.look(sequence, page, digest, fixture)?;
        self.position += 1;
        Ok(Progress::More)
    }

    /// What it is and how far it has come.
    pub(crate) fn describe(&self) -> String {
        let what = match self.plan {
            Plan::Sum { .. } => "sum of accounts",
            Plan::Group { .. } => "read of a group",
            Plan::Directory { .. } => "read of a directory",
            Plan::Long { .. } => "long reader",
        };
        format!(
            "{what} in the snapshot of commit {}, at its page {}",
            self.transaction.commit_sequence(),
            self.position
        )
    }
}

impl Plan {
    /// The page to read after `position` others.
    fn page(&self, position: usize, fixture: &Fixture<'_>) -> Option<PageNo> {
        let layout = fixture.layout;
        match self {
            Plan::Sum { .. } => layout.accounts.get(position).copied(),
            Plan::Group { group, .. } => layout.groups[*group].get(position).copied(),
            Plan::Directory { directory, .. } if position == 0 => Some(*directory),
            Plan::Directory { leaves, .. } => leaves.get(position - 1).map(|&(leaf, _)| leaf),
            Plan::Long { start, reads, leaves, .. } if position % 2 == 1 && !leaves.is_empty() => {
                leaves.get((start + position) % leaves.len()).copied().filter(|_| position < *reads)
            }
            Plan::Long { start, reads, .. } => {
                let fixed = layout.accounts.len() + layout.directories.len();
                let index = (start + position * 7) % fixed;
                let page = layout
                    .accounts
                    .get(index)
                    .or_else(|| layout.directories.get(index - layout.accounts.len()));
                page.copied().filter(|_| position < *reads)
            }
        }
    }

    /// What the page must have in common with those before it.
    fn look(
        &mut self,
        sequence: u64,
        page: PageRef,
        digest: u64,
        fixture: &mut Fixture<'_>,
    ) -> Result<(), Failure> {
        let shape = fixture.shape;
        match self {
            Plan::Sum { sum } => {
                *sum = (0..shape.cells())
                    .fold(*sum, |sum, cell| sum.wrapping_add(shape.cell(&page, cell).0 as i64));
                Ok(())
            }
            Plan::Group { first, .. } => {
                let (expected, seen) = (*first.get_or_insert(stamp(&page)) as i64, stamp(&page) as i64);
                fixture.observe(&Observation::Invariant {
                    sequence,
                    what: "one stamp on a group:",
                    expected,
                    seen,
                })
            }
            Plan::Directory { leaves, .. } if is_kind(&page, Kind::Directory) => {
                let cells = (0..shape.cells()).map(|cell| shape.cell(&page, cell));
                leaves.extend(
                    cells.filter(|&(leaf, _)| leaf != 0).map(|(leaf, stamp)| (leaf as PageNo, stamp)),
                );
                Ok(())
            }
            Plan::Directory { leaves, .. } => {
                let listed =
                    leaves.iter().find(|(leaf, _)| *leaf == page.number()).map_or(0, |&(_, stamp)| stamp);
                let (expected, seen) = (listed as i64, stamp(&page) as i64);
                fixture.observe(&Observation::Invariant {
                    sequence,
                    what: "the directory's stamp on a leaf:",
                    expected,
                    seen,
                })
            }
            Plan::Long { pinned, leaves, .. } => {
                if is_kind(&page, Kind::Directory) {
                    let listed = (0..shape.cells()).map(|cell| shape.cell(&page, cell).0 as PageNo);
                    leaves.clear();
                    leaves.extend(listed.filter(|&leaf| leaf != 0));
                }
                if pinned.len() == PINS {
                    let (oldest, before) = pinned.remove(0);
                    let after = shape.digest(&oldest);
                    fixture.observe(&Observation::PinnedAgain { page: oldest.number(), before, after })?;
                }
                pinned.push((page, digest));
                Ok(())
            }
        }
    }

    /// What must hold of all pages together.
    fn conclude(&mut self, sequence: u64, fixture: &mut Fixture<'_>) -> Result<(), Failure> {
        match self {
            Plan::Sum { sum } => {
                let accounts = fixture.layout.accounts.len() * fixture.shape.cells();
                let expected = INITIAL_BALANCE * accounts as i64;
                fixture.observe(&Observation::Invariant {
                    sequence,
                    what: "a sum of accounts of",
                    expected,
                    seen: *sum,
                })
            }
            Plan::Long { pinned, .. } => {
                for (page, before) in pinned.drain(..) {
                    let after = fixture.shape.digest(&page);
                    fixture.observe(&Observation::PinnedAgain { page: page.number(), before, after })?;
                }
                Ok(())
            }
            Plan::Group { .. } | Plan::Directory { .. } => Ok(()),
        }
    }
}
