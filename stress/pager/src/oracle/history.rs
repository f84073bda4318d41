use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use tenterhook_runtime::pager::PageNo;

use super::Observation;
use super::flight::{Flight, Order};
use tenterhook_stress::system::Crash;

/// The digest of a page that is not there.
pub const ABSENT: u64 = 0;

/// A write transaction, with the number that its connection gave it.
pub type TransactionId = u64;

/// What a pager would hold that has neither concurrency nor faults: the content of every page after each commit.
///
/// Commits that were asked for and not acknowledged are kept aside, each with the one that it was built on. In this
/// life they become part of the chain as soon as they, or a commit on top of them, are seen; after a crash any of them may turn
/// out to have happened, with all that it was built on, as long as nothing that was acknowledged is lost.
///
/// Thousands may be in flight at a time, so nothing that happens with every commit goes through all of them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct History {
    /// For each page its versions, oldest first: those of the chain, and of what is in flight upon it.
    pages: Vec<Vec<Version>>,
    /// The newest commit that was seen.
    head: u64,
    /// The newest commit that was acknowledged, or that came through a power loss.
    acknowledged: u64,
    /// Where commits are acknowledged before they are durable: the newest that is known to be.
    durable: Option<u64>,
    /// Whether the power has gone since the last recovery that was read, or a sync has dropped what was written.
    lost_writes: bool,
    /// The newest commit of which `pages` has versions.
    written: u64,
    /// Up to where what is in flight can be seen in this life: no commit up to here has failed.
    tip: u64,
    /// Commits that were neither acknowledged nor seen, in the order of their requests.
    flights: VecDeque<Flight>,
    last_order: Order,
    /// From how many flights on it is worth looking for those that can't happen any more.
    prune_at: usize,
    /// The commit in flight that the writer whose turn it is has started from.
    writer_parent: Option<Order>,
    /// Seen before their acknowledgement: commit and transaction.
    early: Vec<(u64, TransactionId)>,
    /// What the last open said, until the pages were compared.
    opened: Option<u64>,
    /// How many transactions have been told to wait for the write lock.
    turns_awaited: u64,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Version {
    sequence: u64,
    digest: u64,
}

/// What a recovered state is compared with.
#[derive(Copy, Clone, Debug)]
pub(super) enum Candidate<'a> {
    /// The chain, up to the commit that was recovered.
    Chain,
    /// The chain, and upon it a commit that was never acknowledged, with those that it was built on.
    With(&'a Flight),
}

impl History {
    /// Of a pager that acknowledges commits before they are durable.
    pub(super) fn of_late_syncs() -> History {
        History { durable: Some(0), ..History::default() }
    }

    /// The newest commit that was seen.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// How many transactions have been told to wait for the write lock.
    pub fn turns_awaited(&self) -> u64 {
        self.turns_awaited
    }

    /// The newest commit that must survive.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// The newest commit that must be there after the last crash: one that was acknowledged or read,
    /// since nothing is read before it is durable. Where it is, only the end of a process leaves it there for certain.
    pub fn must_survive(&self) -> u64 {
        match self.durable {
            Some(durable) if self.lost_writes => durable,
            _ => self.acknowledged.max(self.head),
        }
    }

    /// The newest commit that must be there after every crash, of those that were acknowledged.
    fn floor(&self) -> u64 {
        self.durable.unwrap_or(self.acknowledged)
    }

    /// What `page` holds in the snapshot `sequence`, which a writer may have of commits that are still in flight.
    #[inline]
    pub fn digest(&self, page: PageNo, sequence: u64) -> u64 {
        self.digest_in_chain(page, sequence)
    }

    fn digest_in_chain(&self, page: PageNo, sequence: u64) -> u64 {
        let Some(versions) = self.pages.get(page as usize) else { return ABSENT };
        let version = versions.iter().rev().find(|version| version.sequence <= sequence);
        version.map_or(ABSENT, |version| version.digest)
    }

    /// Pages that exist in the snapshot `sequence`.
    pub fn live_pages(&self, sequence: u64) -> usize {
        (0..self.pages.len()).filter(|&page| self.digest(page as PageNo, sequence) != ABSENT).count()
    }

    /// The commit that last gave `page` the content `digest`, for a person who wonders where it came from.
    pub fn origin(&self, page: PageNo, digest: u64) -> String {
        let versions = self.pages.get(page as usize).map_or(&[][..], Vec::as_slice);
        let written = versions.iter().rev().find(|version| version.digest == digest);
        let flying = || self.flights.iter().find(|flight| flight.changes.contains(&(page, digest)));
        match (written, flying()) {
            (Some(version), _) => format!("commit {}", version.sequence),
            (None, Some(flight)) => format!("transaction {} upon commit {}", flight.id, flight.base),
            (None, None) => "no transaction".into(),
        }
    }

    /// What `page` holds after `flight`.
    fn digest_upon(&self, page: PageNo, flight: &Flight) -> u64 {
        let known = self.path(flight).find_map(|flight| flight.change(page));
        let root = self.path(flight).last().map_or(flight.base, |root| root.base);
        known.unwrap_or_else(|| self.digest_in_chain(page, root))
    }

    /// `flight` and the commits in flight that it was built on, newest first.
    fn path<'a>(&'a self, flight: &'a Flight) -> impl Iterator<Item = &'a Flight> {
        std::iter::successors(Some(flight), |flight| self.flights.get(self.place(flight.parent?)?))
    }

    /// Where the flight of this order is.
    fn place(&self, order: Order) -> Option<usize> {
        self.flights.binary_search_by_key(&order, |flight| flight.order).ok()
    }

    /// The commit of the chain that `flight` and what it was built on begin from; `None` when that can't happen any
    /// more.
    fn root(&self, flight: &Flight) -> Option<u64> {
        let root = self.path(flight).last()?;
        root.parent.is_none().then_some(root.base)
    }

    /// The commit in flight that gets this number, if all goes well. Those that are asked after are the next to be seen, and
    /// the newest.
    fn live(&self, sequence: u64) -> Option<&Flight> {
        if sequence <= self.head {
            return None;
        }
        let is_it = |flight: &&Flight| flight.base + 1 == sequence && !flight.after_crash;
        match sequence - self.head > self.flights.len() as u64 / 2 {
            true => self.flights.iter().rev().find(is_it),
            false => self.flights.iter().find(is_it),
        }
    }

    /// Whether a snapshot `sequence` can be seen in this life: a commit that was seen already, or one that was
    /// asked for and that has not failed, nor anything that it was built on.
    pub(crate) fn can_be_seen(&self, sequence: u64) -> bool {
        sequence <= self.tip
    }

    /// Whether a commit was asked for that would get this number, and was not acknowledged.
    pub(super) fn was_requested(&self, sequence: u64) -> bool {
        self.flights.iter().any(|flight| flight.base + 1 == sequence)
    }

    pub(super) fn flight(&self, id: TransactionId) -> Option<&Flight> {
        self.flights.iter().find(|flight| flight.id == id)
    }

    /// The number under which `id` was seen before its acknowledgement.
    pub(super) fn seen_early(&self, id: TransactionId) -> Option<u64> {
        self.early.iter().find(|&&(_, early)| early == id).map(|&(sequence, _)| sequence)
    }

    /// What the last open said, if its pages were not compared yet.
    pub(super) fn opened(&self) -> Option<u64> {
        self.opened
    }

    /// The states that a recovery to commit `sequence` may bring back.
    pub(super) fn candidates(&self, sequence: u64) -> impl Iterator<Item = Candidate<'_>> {
        let chain = (sequence <= self.head).then_some(Candidate::Chain);
        let survives = |flight: &Flight| self.root(flight).is_some_and(|root| root >= self.must_survive());
        let fits = move |flight: &&Flight| flight.base + 1 == sequence && survives(flight);
        chain.into_iter().chain(self.flights.iter().filter(fits).map(Candidate::With))
    }

    /// The first page in which `pages`, recovered as commit `sequence`, is not what `candidate` says: page, expected.
    pub(super) fn mismatch(
        &self,
        candidate: Candidate<'_>,
        sequence: u64,
        pages: &[u64],
    ) -> Option<(PageNo, u64)> {
        let count = self.pages.len().max(pages.len());
        let expected = |page: PageNo| match candidate {
            Candidate::Chain => self.digest_in_chain(page, sequence),
            Candidate::With(flight) => self.digest_upon(page, flight),
        };
        let in_flight = match candidate {
            Candidate::Chain => None,
            Candidate::With(flight) => Some(flight),
        };
        let changes =
            in_flight.into_iter().flat_map(|flight| self.path(flight)).flat_map(|flight| &flight.changes);
        let beyond = changes.map(|&(page, _)| page);
        let numbers = (2..count as PageNo).chain(beyond.filter(|&page| page as usize >= count));
        let found = |page: PageNo| pages.get(page as usize).copied().unwrap_or(ABSENT);
        numbers.map(|page| (page, expected(page))).find(|&(page, expected)| found(page) != expected)
    }

    /// Takes in what the oracles had no objection to.
    pub(super) fn record(&mut self, seen: &Observation<'_>) {
        match *seen {
            Observation::Crashed(crash) => self.lost_writes |= crash == Crash::PowerLoss,
            Observation::WritesDropped => self.lose_writes(),
            Observation::Opened { sequence } => self.opened = Some(sequence),
            Observation::Recovered { pages } => self.settle(pages),
            Observation::ReadBegan { sequence, .. } => self.see(sequence),
            Observation::Checked { report, .. } => self.see(report.sequence),
            Observation::TurnAwaited { .. } => self.turns_awaited += 1,
            Observation::WriteBegan { base, .. } => self.begin_upon(base),
            Observation::CommitBegan { id, base, changes } => self.take_off(id, base, changes),
            Observation::Committed { id, sequence } => self.acknowledge(id, sequence),
            Observation::CommitFailed { id } | Observation::CommitDropped { id, submitted: false } => {
                let alive = |flight: &&mut Flight| flight.id == id && !flight.after_crash;
                if let Some(flight) = self.flights.iter_mut().find(alive) {
                    flight.after_crash = true;
                    self.tip = self.tip.min(flight.base).max(self.head);
                }
            }
            Observation::Checkpointed { sequence } => {
                self.see(sequence);
                self.durable = self.durable.map(|durable| durable.max(sequence));
                self.prune();
            }
            Observation::AtRest(_) => self.forget_old_versions(),
            _ => {}
        }
    }

    /// A sync has dropped what was written.
    pub(super) fn lose_writes(&mut self) {
        self.lost_writes = true;
    }

    /// A writer has begun upon commit `base`. What would come after that has not happened, or this one would start from it.
    fn begin_upon(&mut self, base: u64) {
        if self.written > base {
            for flight in self.flights.iter_mut().filter(|flight| flight.base >= base) {
                flight.after_crash = true;
            }
            let last = base.max(self.head);
            for versions in &mut self.pages {
                while versions.pop_if(|version| version.sequence > last).is_some() {}
            }
            self.written = last;
        }
        self.tip = self.tip.min(base).max(self.head);
        self.writer_parent = self.live(base).map(|flight| flight.order);
    }

    /// A commit on top of `base` is requested.
    fn take_off(&mut self, id: TransactionId, base: u64, changes: &[(PageNo, u64)]) {
        self.last_order += 1;
        let (order, parent) = (self.last_order, self.writer_parent);
        if let Some(place) = parent.and_then(|parent| self.place(parent)) {
            self.flights[place].children.push(order);
        }
        let (children, changes) = (Vec::new(), changes.to_vec());
        // A writer whose base has failed meanwhile asks without success.
        if base == self.tip {
            self.write(base + 1, &changes);
            self.tip = base + 1;
        }
        self.flights.push_back(Flight { id, base, order, parent, children, changes, after_crash: false });
    }

    /// Commit `sequence`, the newest, makes this of its pages.
    fn write(&mut self, sequence: u64, changes: &[(PageNo, u64)]) {
        self.written = sequence;
        for &(page, digest) in changes {
            let index = page as usize;
            if self.pages.len() <= index {
                self.pages.resize_with(index + 1, Vec::new);
            }
            self.pages[index].push(Version { sequence, digest });
        }
    }

    /// A connection holds the snapshot `sequence`, or its commit was acknowledged.
    fn see(&mut self, sequence: u64) {
        let Some(flight) = self.live(sequence) else { return };
        let path: Vec<Order> = self.path(flight).map(|flight| flight.order).collect();
        for order in path.into_iter().rev() {
            if let Some(flight) = self.install(order) {
                self.early.push((self.head, flight.id));
            }
        }
    }

    fn acknowledge(&mut self, id: TransactionId, sequence: u64) {
        self.see(sequence);
        self.early.retain(|&(_, early)| early != id);
        self.acknowledged = self.acknowledged.max(sequence);
        self.prune();
    }

    /// Forgets what would have to replace a commit that must survive: that can't happen any more, even after a crash. Now
    /// and then, since a query for candidates does not return them anyway.
    fn prune(&mut self) {
        if self.flights.len() < self.prune_at {
            return;
        }
        let mut roots: Vec<Option<u64>> = Vec::with_capacity(self.flights.len());
        for flight in &self.flights {
            // What it was built on was asked for before it.
            let root_of = |parent| self.place(parent).and_then(|place| roots[place]);
            roots.push(flight.parent.map_or(Some(flight.base), root_of));
        }
        let (mut roots, floor) = (roots.into_iter(), self.floor());
        self.flights.retain(|_| roots.next().flatten().is_some_and(|root| root >= floor));
        self.prune_at = 2 * self.flights.len() + 16;
    }

    /// The commit in flight becomes part of the chain. What was built on it is built on the chain from now on.
    fn install(&mut self, order: Order) -> Option<Flight> {
        let flight = self.flights.remove(self.place(order)?)?;
        self.writer_parent = self.writer_parent.filter(|&parent| parent != order);
        for child in &flight.children {
            if let Some(place) = self.place(*child) {
                self.flights[place].parent = None;
            }
        }
        self.head = flight.base + 1;
        self.tip = self.tip.max(self.head);
        Some(flight)
    }

    /// The recovered pages decide which of the open commits have happened.
    fn settle(&mut self, pages: &[u64]) {
        let Some(sequence) = self.opened.take() else { return };
        let matching =
            self.candidates(sequence).find(|&candidate| self.mismatch(candidate, sequence, pages).is_none());
        let path: Vec<Order> = match matching {
            Some(Candidate::With(flight)) => self.path(flight).map(|flight| flight.order).collect(),
            Some(Candidate::Chain) | None => Vec::new(),
        };
        let base = sequence - path.len() as u64;
        for versions in &mut self.pages {
            versions.retain(|version| version.sequence <= base);
        }
        (self.head, self.tip, self.written) = (base, base, base);
        for order in path.into_iter().rev() {
            if let Some(flight) = self.install(order) {
                self.write(self.head, &flight.changes);
            }
        }
        self.flights.clear();
        self.writer_parent = None;
        self.early.clear();
        // Whatever recovery shows it has made durable first, also what a killed process had not synced: readers act
        // upon it.
        self.acknowledged = sequence;
        self.durable = self.durable.map(|_| sequence);
        self.lost_writes = false;
    }

    /// No snapshot is held: of what must survive only the newest version matters.
    fn forget_old_versions(&mut self) {
        let floor = self.floor();
        for versions in &mut self.pages {
            let newest = versions.iter().rposition(|version| version.sequence <= floor);
            versions.drain(..newest.unwrap_or(0));
        }
    }
}
