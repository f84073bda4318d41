use tenterhook_runtime::pager::PageNo;

use super::Observation;

/// The digest of a page that is not there.
pub const ABSENT: u64 = 0;

/// A write transaction, numbered by whoever began it.
pub type TransactionId = u64;

/// What a pager would hold that has neither concurrency nor faults: the content of every page after each commit.
///
/// Commits that were asked for and not acknowledged are kept aside. In this life one of them becomes part of the
/// chain as soon as somebody sees it; after a crash any of them may turn out to have happened, as long as nothing
/// that was acknowledged is lost.
#[derive(Debug, Default)]
pub struct History {
    /// For each page its versions, oldest first.
    pages: Vec<Vec<Version>>,
    /// The newest commit that somebody has seen.
    head: u64,
    /// The newest commit that was acknowledged, or that came through a power loss.
    acknowledged: u64,
    /// Commits without an acknowledgement that nobody has seen.
    flights: Vec<Flight>,
    /// Seen before their acknowledgement: commit and transaction.
    early: Vec<(u64, TransactionId)>,
    /// What the last open said, until the pages were compared.
    opened: Option<u64>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct Version {
    sequence: u64,
    digest: u64,
}

/// A commit whose outcome is open.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) id: TransactionId,
    pub(super) base: u64,
    changes: Vec<(PageNo, u64)>,
    /// In this life it did not happen: it failed, it was dropped, or the next writer started from where it had.
    pub(super) buried: bool,
}

/// What a recovered state is compared with.
#[derive(Copy, Clone, Debug)]
pub(super) enum Candidate<'a> {
    /// The chain, up to the commit that was recovered.
    Chain,
    /// The chain and one commit that was never acknowledged.
    With(&'a Flight),
}

impl History {
    /// The newest commit that somebody has seen.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// The newest commit that must survive.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// The newest commit that must be there after a crash: one that was acknowledged, or that somebody has read,
    /// since nothing is read before it is durable.
    pub fn must_survive(&self) -> u64 {
        self.acknowledged.max(self.head)
    }

    /// What `page` holds in the snapshot `sequence`.
    #[inline]
    pub fn digest(&self, page: PageNo, sequence: u64) -> u64 {
        let Some(versions) = self.pages.get(page as usize) else { return ABSENT };
        let version = versions.iter().rev().find(|version| version.sequence <= sequence);
        version.map_or(ABSENT, |version| version.digest)
    }

    /// Pages that exist in the newest state.
    pub fn live_pages(&self) -> usize {
        self.pages.iter().filter(|versions| versions.last().is_some_and(|last| last.digest != ABSENT)).count()
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

    /// Whether a snapshot `sequence` can be seen in this life: a commit that was seen already, or the next one if
    /// somebody has asked for it.
    pub(super) fn can_be_seen(&self, sequence: u64) -> bool {
        sequence <= self.head || (sequence == self.head + 1 && self.next_to_be_seen().is_some())
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
        let fits = move |flight: &&Flight| flight.base + 1 == sequence && sequence > self.acknowledged;
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
        let in_flight = match candidate {
            Candidate::Chain => None,
            Candidate::With(flight) => Some(flight),
        };
        let known = |page: PageNo| in_flight.and_then(|flight| flight.change(page));
        let expected = |page: PageNo| {
            let below = in_flight.map_or(sequence, |flight| flight.base);
            known(page).unwrap_or_else(|| self.digest(page, below))
        };
        let beyond = in_flight.into_iter().flat_map(|flight| &flight.changes).map(|&(page, _)| page);
        let numbers = (2..count as PageNo).chain(beyond.filter(|&page| page as usize >= count));
        let found = |page: PageNo| pages.get(page as usize).copied().unwrap_or(ABSENT);
        numbers.map(|page| (page, expected(page))).find(|&(page, expected)| found(page) != expected)
    }

    /// Takes in what the oracles had no objection to.
    pub(super) fn record(&mut self, seen: &Observation<'_>) {
        match *seen {
            Observation::Opened { sequence } => self.opened = Some(sequence),
            Observation::Recovered { pages } => self.settle(pages),
            Observation::ReadBegan { sequence } => self.see(sequence),
            Observation::WriteBegan { base } => {
                self.see(base);
                // Whoever started from the same commit has not happened, or this one would start from it.
                self.flights
                    .iter_mut()
                    .filter(|flight| flight.base == base)
                    .for_each(|flight| flight.buried = true);
            }
            Observation::CommitBegan { id, base, changes } => {
                self.flights.push(Flight { id, base, changes: changes.to_vec(), buried: false });
            }
            Observation::Committed { id, sequence } => self.acknowledge(id, sequence),
            Observation::CommitFailed { id } | Observation::CommitDropped { id } => {
                self.flights
                    .iter_mut()
                    .filter(|flight| flight.id == id)
                    .for_each(|flight| flight.buried = true);
            }
            Observation::AtRest(_) => self.forget_old_versions(),
            _ => {}
        }
    }

    fn next_to_be_seen(&self) -> Option<usize> {
        self.flights.iter().position(|flight| flight.base == self.head && !flight.buried)
    }

    /// Somebody holds the snapshot `sequence`.
    fn see(&mut self, sequence: u64) {
        if sequence > self.head
            && let Some(index) = self.next_to_be_seen()
        {
            let flight = self.flights.swap_remove(index);
            self.early.push((sequence, flight.id));
            self.install(&flight);
        }
    }

    fn acknowledge(&mut self, id: TransactionId, sequence: u64) {
        if let Some(index) = self.flights.iter().position(|flight| flight.id == id) {
            let flight = self.flights.swap_remove(index);
            self.install(&flight);
        }
        self.acknowledged = self.acknowledged.max(sequence);
        let acknowledged = self.acknowledged;
        self.early.retain(|&(sequence, _)| sequence > acknowledged);
        // What would have to replace an acknowledged commit can't happen any more, even after a crash.
        self.flights.retain(|flight| flight.base >= acknowledged);
    }

    fn install(&mut self, flight: &Flight) {
        self.head = flight.base + 1;
        for &(page, digest) in &flight.changes {
            let index = page as usize;
            if self.pages.len() <= index {
                self.pages.resize_with(index + 1, Vec::new);
            }
            self.pages[index].push(Version { sequence: self.head, digest });
        }
    }

    /// The recovered pages decide which of the open commits have happened.
    fn settle(&mut self, pages: &[u64]) {
        let Some(sequence) = self.opened.take() else { return };
        let matching = self
            .candidates(sequence)
            .find(|&candidate| self.mismatch(candidate, sequence, pages).is_none())
            .map(|candidate| match candidate {
                Candidate::Chain => None,
                Candidate::With(flight) => Some(flight.id),
            });
        let base = match matching {
            Some(Some(_)) => sequence - 1,
            _ => sequence,
        };
        for versions in &mut self.pages {
            versions.retain(|version| version.sequence <= base);
        }
        self.head = base;
        if let Some(Some(id)) = matching
            && let Some(index) = self.flights.iter().position(|flight| flight.id == id)
        {
            let flight = self.flights.swap_remove(index);
            self.install(&flight);
        }
        self.flights.clear();
        self.early.clear();
        // Whatever recovery shows it has made durable first, also what a killed process had not synced: readers act
        // upon it.
        self.acknowledged = sequence;
    }

    /// Nobody holds a snapshot: of what must survive only the newest version is of interest.
    fn forget_old_versions(&mut self) {
        let acknowledged = self.acknowledged;
        for versions in &mut self.pages {
            let newest = versions.iter().rposition(|version| version.sequence <= acknowledged);
            versions.drain(..newest.unwrap_or(0));
        }
    }
}

impl Flight {
    fn change(&self, page: PageNo) -> Option<u64> {
        self.changes.iter().rev().find(|&&(changed, _)| changed == page).map(|&(_, digest)| digest)
    }
}
