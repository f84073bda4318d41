//! Which faults explain which error.

use crate::disk::FaultKind;

/// What an engine's error is about: as much as it says.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// A file could not be opened.
    Open,
    /// A read failed, or returned too little.
    Read,
    /// A write failed, or wrote too little.
    Write,
    /// There is no space.
    Full,
    /// A sync failed.
    Sync,
    /// A truncation failed.
    Truncate,
    /// An operation was cancelled.
    Cancelled,
    /// An operation of the disk failed, of whatever kind.
    AnyIo,
    /// What was read is damaged. A disk that lies explains that, or a flipped bit. A loss of power does not: an engine is to survive
    /// what that leaves.
    Damage,
}

impl Complaint {
    /// The kinds of fault after which an engine may say so.
    pub fn causes(self) -> &'static [FaultKind] {
        use FaultKind::{
            BitFlip, Cancelled, LostWrite, LyingSync, MisdirectedWrite, NoSpace, OpenError, ReadError,
            ShortRead, ShortWrite, SubmitRefused, SyncDropped, SyncFailed, TruncateError, WriteError,
        };
        match self {
            Complaint::Open => &[OpenError],
            Complaint::Read => &[ReadError, ShortRead, SubmitRefused, Cancelled],
            Complaint::Write => &[WriteError, ShortWrite, NoSpace, SubmitRefused, Cancelled],
            Complaint::Full => &[NoSpace],
            Complaint::Sync => &[SyncFailed, SyncDropped, SubmitRefused, Cancelled],
            Complaint::Truncate => &[TruncateError, SubmitRefused, Cancelled],
            Complaint::Cancelled => &[Cancelled],
            Complaint::AnyIo => &[
                OpenError,
                SubmitRefused,
                ReadError,
                ShortRead,
                WriteError,
                ShortWrite,
                NoSpace,
                SyncFailed,
                SyncDropped,
                TruncateError,
                Cancelled,
            ],
            Complaint::Damage => &[BitFlip, LostWrite, MisdirectedWrite, LyingSync],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_about_any_io_has_the_causes_of_each_single_one() {
        let single = [
            Complaint::Open,
            Complaint::Read,
            Complaint::Write,
            Complaint::Full,
            Complaint::Sync,
            Complaint::Truncate,
            Complaint::Cancelled,
        ];
        let any = Complaint::AnyIo.causes();
        for complaint in single {
            assert!(complaint.causes().iter().all(|kind| any.contains(kind)), "{complaint:?}");
        }
        assert!(any.iter().all(|kind| single.iter().any(|complaint| complaint.causes().contains(kind))));
    }

    #[test]
    fn a_loss_of_power_explains_no_damage_and_a_lie_no_failed_operation() {
        let causes = Complaint::Damage.causes();
        assert!(!causes.contains(&FaultKind::PowerLoss) && !causes.contains(&FaultKind::SectorTorn));
        assert!(Complaint::AnyIo.causes().iter().all(|kind| !kind.is_lie()));
    }
}
