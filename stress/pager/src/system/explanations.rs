use tenterhook_runtime::CompletionError;
use tenterhook_runtime::pager::PagerError;

use tenterhook_stress::disk::FaultKind::{self, *};

/// What may have happened to a file when something read from it is not what it must be. A lie shows late or never.
const DAMAGE: &[FaultKind] = &[BitFlip, ShortRead, LostWrite, MisdirectedWrite, LyingSync];

/// The kinds of fault after which a pager may report `error`: the table that the oracle of honesty goes by. An error
/// of which no such fault has struck is made up.
pub(crate) fn explanations(error: &PagerError) -> &'static [FaultKind] {
    match error {
        PagerError::Backend(_) => &[OpenError],
        PagerError::Io { operation, error, .. } => io(operation, *error),
        // A write of the earlier commit.
        PagerError::EarlierCommitFailed { .. } => {
            &[WriteError, ShortWrite, NoSpace, SubmitRefused, Cancelled]
        }
        PagerError::OutcomeUnknown { .. } => &[Cancelled],
        // Stuck syncs end by cancel only.
        PagerError::Poisoned { .. } => &[SyncFailed, SyncDropped, SubmitRefused, Cancelled],
        PagerError::Corrupt { .. }
        | PagerError::CorruptHeader { .. }
        | PagerError::CorruptFreelist { .. }
        | PagerError::CorruptLog { .. }
        | PagerError::Truncated { .. }
        | PagerError::NotADatabase { .. }
        | PagerError::ForeignLog { .. }
        | PagerError::UnsupportedVersion { .. }
        | PagerError::PageSizeMismatch { .. }
        | PagerError::LogWithoutDatabase { .. } => DAMAGE,
        // What a caller has done wrong, or what the options say: no fault accounts for it.
        _ => &[],
    }
}

/// Whether `error` says that the files are not what they must be.
pub(super) fn is_damage(error: &PagerError) -> bool {
    explanations(error) == DAMAGE
}

fn io(operation: &str, error: CompletionError) -> &'static [FaultKind] {
    match error {
        CompletionError::Cancelled => &[Cancelled],
        CompletionError::NoSpace => &[NoSpace],
        CompletionError::ShortRead { .. } => &[ShortRead],
        CompletionError::ShortWrite { .. } => &[ShortWrite],
        CompletionError::Io { .. } if operation.starts_with("read") => &[ReadError, SubmitRefused],
        CompletionError::Io { .. } if operation.starts_with("write") => &[WriteError, SubmitRefused],
        CompletionError::Io { .. } if operation.starts_with("sync") => {
            &[SyncFailed, SyncDropped, SubmitRefused]
        }
        CompletionError::Io { .. } if operation.starts_with("truncate") => &[TruncateError, SubmitRefused],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::path::Path;
    use std::sync::Arc;

    use super::*;

    fn failed(operation: &'static str, error: CompletionError) -> PagerError {
        PagerError::Io { operation, path: Arc::from(Path::new("cloth")), error }
    }

    #[test]
    fn an_error_is_explained_by_faults_of_its_own_kind_and_by_no_other() {
        let io = CompletionError::Io { kind: ErrorKind::Other, os_code: 5 };
        assert_eq!(explanations(&failed("sync", io)), [SyncFailed, SyncDropped, SubmitRefused]);
        assert_eq!(explanations(&failed("read the header of", io)), [ReadError, SubmitRefused]);
        assert_eq!(explanations(&failed("write pages to", io)), [WriteError, SubmitRefused]);
        assert_eq!(explanations(&failed("truncate", io)), [TruncateError, SubmitRefused]);
        assert_eq!(explanations(&failed("sync", CompletionError::Cancelled)), [Cancelled]);
        assert!(explanations(&failed("sync", CompletionError::Abandoned)).is_empty());
        assert!(explanations(&PagerError::Busy).is_empty());
    }
}
