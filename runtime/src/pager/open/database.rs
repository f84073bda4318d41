//! The state of the database file before the log is read.

use std::sync::Arc;

use crate::pager::format::header::{self, FileState, HEADER_PAGE, MAX_PAGE_SIZE, MIN_PAGE_SIZE, VERSION};
use crate::pager::format::page::Sealer;
use crate::pager::log::index::LogIndex;
use crate::pager::pager::PagerFile;
use crate::pager::{PageProblem, PagerError, PagerOptions};

/// A database file that is one, or is about to become one.
pub(super) struct DatabaseFile {
    pub(super) file: PagerFile,
    pub(super) len: u64,
    pub(super) id: u64,
    pub(super) sealer: Sealer,
    pub(super) verdict: Verdict,
}

/// What the header page says.
pub(super) enum Verdict {
    /// It is to be made: the file is empty, or was never finished. Unless there is a log: then it was, and a first
    /// checkpoint was writing the header page when the power went; with what is wrong with it in that case.
    New { unless_log: Option<(u64, Sealer, PageProblem)> },
    /// It is whole.
    Whole(FileState),
    /// It can't be read, but the part that never changes is there: perhaps a checkpoint was writing it when the power
    /// went. The log has what it said.
    Damaged(PageProblem),
}

impl DatabaseFile {
    /// `start` is the file up to a page.
    pub(super) fn judge(
        file: PagerFile,
        len: u64,
        start: &[u8],
        options: &PagerOptions,
    ) -> Result<Self, PagerError> {
        let finished = Self::judge_finished(&file, len, start, options);
        let is_whole = matches!(finished, Ok((_, _, Verdict::Whole(_))));
        let (id, sealer, verdict) = if !is_whole && start.len() as u64 == len && header::is_unfinished(start)
        {
            let unless_log = match finished {
                Ok((id, sealer, Verdict::Damaged(problem))) => Some((id, sealer, problem)),
                _ => None,
            };
            let id = header::identity_from_seed(options.id_seed);
            (id, Sealer::new(options.page_size, id), Verdict::New { unless_log })
        } else {
            finished?
        };
        Ok(Self { file, len, id, sealer, verdict })
    }

    /// There is a log, so the file was finished once. False when it is gone for good.
    pub(super) fn be_finished(&mut self) -> bool {
        match self.verdict {
            Verdict::New { unless_log: None } => return false,
            Verdict::New { unless_log: Some((id, sealer, problem)) } => {
                (self.id, self.sealer, self.verdict) = (id, sealer, Verdict::Damaged(problem));
            }
            Verdict::Whole(_) | Verdict::Damaged(_) => {}
        }
        true
    }

    fn judge_finished(
        file: &PagerFile,
        len: u64,
        start: &[u8],
        options: &PagerOptions,
    ) -> Result<(u64, Sealer, Verdict), PagerError> {
        let path = || Arc::clone(&file.path);
        let Some(identity) = header::identity(start) else {
            return Err(PagerError::NotADatabase { path: path(), len });
        };
        if identity.version != VERSION {
            let (found, supported) = (identity.version, VERSION);
            return Err(PagerError::UnsupportedVersion { path: path(), found, supported });
        }
        let (found, asked) = (identity.page_size, options.page_size);
        if !found.is_power_of_two() || !(MIN_PAGE_SIZE..=MAX_PAGE_SIZE).contains(&found) {
            let problem = PageProblem::Field { name: "page size", value: found.into() };
            return Err(PagerError::CorruptHeader { path: path(), problem });
        }
        if found != asked {
            return Err(PagerError::PageSizeMismatch { path: path(), found, asked });
        }
        let sealer = Sealer::new(found, identity.id);
        let verdict = header::decode(&sealer, start).map_or_else(Verdict::Damaged, Verdict::Whole);
        Ok((identity.id, sealer, verdict))
    }

    /// Whether each page of `state` is in the file or in the log.
    pub(super) fn require_all_pages(&self, state: &FileState, index: &LogIndex) -> Result<(), PagerError> {
        let in_file = u32::try_from(self.len / self.sealer.page_size() as u64).unwrap_or(u32::MAX);
        let FileState { page_count, .. } = *state;
        // As many turns as the log has pages, at most.
        let mut beyond = in_file.max(HEADER_PAGE).saturating_add(1)..=page_count;
        match beyond.find(|page| index.newest(*page).is_none()) {
            Some(page) => Err(PagerError::Truncated { path: Arc::clone(&self.file.path), page, page_count }),
            None => Ok(()),
        }
    }
}
