//! The kinds of fault, how likely each is, and how often each was requested and delivered.

use crate::tape::Chance;

/// A kind of fault.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
#[derive(strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum FaultKind {
    /// A file cannot be opened.
    OpenError,
    /// An operation ends with an error inside `submit`.
    SubmitRefused,
    /// A read ends with an error.
    ReadError,
    /// A read ends well with fewer bytes than the file has there.
    ShortRead,
    /// One bit of what a read returns is wrong; the bit on the disk is right. Detection is asked, not survival.
    BitFlip,
    /// A write ends with an error; what is in its range afterwards is the old, the new, or the old after a prefix of
    /// the new.
    WriteError,
    /// A write ends well with fewer bytes than it was given.
    ShortWrite,
    /// A write that makes its file longer finds no space.
    NoSpace,
    /// A sync ends with an error; what it should have made durable is still there and may be synced later.
    SyncFailed,
    /// A sync ends with an error, and each write that it should have made durable may be gone, although reads may
    /// still return it and the next sync will end well.
    SyncDropped,
    /// A truncation ends with an error and without effect.
    TruncateError,
    /// An operation takes very much longer than all others, or until it is cancelled.
    Stuck,
    /// A request to cancel is honoured: the operation ends as cancelled, done, half done or not done at all.
    Cancelled,
    /// Power is lost: whatever was not synced may survive or not.
    PowerLoss,
    /// The process dies and the machine lives: completed writes stay, unsynced.
    ProcessKilled,
    /// At a power loss an unsynced sector keeps its old content.
    SectorLost,
    /// At a power loss an unsynced sector ends up with parts of the new content and parts of the old.
    SectorTorn,
    /// Power is lost, or the process killed, before recovery from the last time has finished.
    CrashInRecovery,
    /// A write ends well and does nothing. No system survives that; it must not make anything up either.
    LostWrite,
    /// A write ends well and its bytes go to another place of the file.
    MisdirectedWrite,
    /// A sync ends well and makes nothing durable.
    LyingSync,
}

impl FaultKind {
    /// Every kind, in the order in which they are reported.
    pub const ALL: [FaultKind; 21] = [
        FaultKind::OpenError,
        FaultKind::SubmitRefused,
        FaultKind::ReadError,
        FaultKind::ShortRead,
        FaultKind::BitFlip,
        FaultKind::WriteError,
        FaultKind::ShortWrite,
        FaultKind::NoSpace,
        FaultKind::SyncFailed,
        FaultKind::SyncDropped,
        FaultKind::TruncateError,
        FaultKind::Stuck,
        FaultKind::Cancelled,
        FaultKind::PowerLoss,
        FaultKind::ProcessKilled,
        FaultKind::SectorLost,
        FaultKind::SectorTorn,
        FaultKind::CrashInRecovery,
        FaultKind::LostWrite,
        FaultKind::MisdirectedWrite,
        FaultKind::LyingSync,
    ];

    /// Whether the disk says that it has done what it has not. Detection at best is asked of a system then.
    pub fn is_lie(self) -> bool {
        matches!(self, FaultKind::LostWrite | FaultKind::MisdirectedWrite | FaultKind::LyingSync)
    }

    /// What the fault happens to.
    pub fn group(self) -> FaultGroup {
        match self {
            FaultKind::OpenError | FaultKind::SubmitRefused => FaultGroup::Submission,
            FaultKind::ReadError | FaultKind::ShortRead | FaultKind::BitFlip => FaultGroup::Read,
            FaultKind::WriteError | FaultKind::ShortWrite | FaultKind::NoSpace | FaultKind::TruncateError => {
                FaultGroup::Write
            }
            FaultKind::SyncFailed | FaultKind::SyncDropped => FaultGroup::Sync,
            FaultKind::Stuck | FaultKind::Cancelled => FaultGroup::Timing,
            FaultKind::PowerLoss | FaultKind::ProcessKilled | FaultKind::CrashInRecovery => FaultGroup::Crash,
            FaultKind::SectorLost | FaultKind::SectorTorn => FaultGroup::Sector,
            FaultKind::LostWrite | FaultKind::MisdirectedWrite | FaultKind::LyingSync => FaultGroup::Lie,
        }
    }

    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Kinds of fault that a summary counts together.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum FaultGroup {
    /// Opening a file, or submitting an operation.
    Submission,
    /// Reads.
    Read,
    /// Writes and truncations.
    Write,
    /// Syncs.
    Sync,
    /// Operations that are late or cancelled.
    Timing,
    /// Power losses and kills.
    Crash,
    /// What a power loss does to sectors.
    Sector,
    /// A disk that reports what it has not done.
    Lie,
}

impl FaultGroup {
    /// Every group, in the order in which they are reported.
    pub const ALL: [FaultGroup; 8] = [
        FaultGroup::Submission,
        FaultGroup::Read,
        FaultGroup::Write,
        FaultGroup::Sync,
        FaultGroup::Timing,
        FaultGroup::Crash,
        FaultGroup::Sector,
        FaultGroup::Lie,
    ];

    /// Its name in a summary.
    pub fn name(self) -> &'static str {
        match self {
            FaultGroup::Submission => "open and submit",
            FaultGroup::Read => "read",
            FaultGroup::Write => "write",
            FaultGroup::Sync => "sync",
            FaultGroup::Timing => "stuck, cancelled",
            FaultGroup::Crash => "crash",
            FaultGroup::Sector => "lost, torn sector",
            FaultGroup::Lie => "lying disk",
        }
    }
}

/// How likely each kind of fault is, each time that it could strike.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub struct FaultPlan {
    chances: [Chance; FaultKind::ALL.len()],
}

impl FaultPlan {
    /// No faults at all.
    pub const NONE: FaultPlan = FaultPlan { chances: [Chance::NEVER; FaultKind::ALL.len()] };

    /// How likely `kind` is.
    #[inline]
    pub fn chance(&self, kind: FaultKind) -> Chance {
        self.chances[kind as usize]
    }

    /// Sets how likely `kind` is.
    pub fn set(&mut self, kind: FaultKind, chance: Chance) {
        self.chances[kind as usize] = chance;
    }

    /// The kinds that can strike.
    pub fn enabled(&self) -> impl Iterator<Item = (FaultKind, Chance)> {
        FaultKind::ALL
            .into_iter()
            .map(|kind| (kind, self.chance(kind)))
            .filter(|(_, chance)| chance.is_possible())
    }

    /// Weights for one draw among `kinds`: first that of no fault, then each kind's, in parts per million.
    pub(super) fn weights<const N: usize>(&self, kinds: [FaultKind; N]) -> Weights<N> {
        let parts = kinds.map(|kind| self.chance(kind).parts());
        let none = 1_000_000_u32.saturating_sub(parts.iter().sum());
        Weights { kinds, none, parts }
    }
}

/// The faults among which one draw decides.
#[derive(Copy, Clone, Debug)]
pub(super) struct Weights<const N: usize> {
    kinds: [FaultKind; N],
    none: u32,
    parts: [u32; N],
}

impl<const N: usize> Weights<N> {
    /// The fault that strikes, if any.
    #[inline]
    pub(super) fn draw(
        &self,
        stream: &mut crate::tape::Stream,
        choice_point: crate::tape::ChoicePoint,
    ) -> Option<FaultKind> {
        if self.none == 1_000_000 {
            return None;
        }
        stream.maybe_weighted(choice_point, self.none, &self.parts).map(|index| self.kinds[index])
    }
}

/// How often each kind was requested, delivered, and noticed by the system.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts {
    requested: [u64; FaultKind::ALL.len()],
    delivered: [u64; FaultKind::ALL.len()],
    noticed: [u64; FaultKind::ALL.len()],
    struck: Struck,
    /// When each kind struck last.
    last: [Struck; FaultKind::ALL.len()],
}

/// A moment in the order of delivered faults: how many there had been.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Struck(u64);

impl FaultCounts {
    /// The tape asked for a fault.
    #[inline]
    pub fn request(&mut self, kind: FaultKind) {
        self.requested[kind as usize] += 1;
    }

    /// A fault had its effect.
    #[inline]
    pub fn deliver(&mut self, kind: FaultKind) {
        self.delivered[kind as usize] += 1;
        self.struck.0 += 1;
        self.last[kind as usize] = self.struck;
    }

    /// A fault was asked for and had its effect.
    pub fn strike(&mut self, kind: FaultKind) {
        self.request(kind);
        self.deliver(kind);
    }

    /// The system under test has told of a fault's effect.
    pub fn notice(&mut self, kind: FaultKind) {
        self.noticed[kind as usize] += 1;
    }

    /// The present moment.
    #[inline]
    pub fn struck(&self) -> Struck {
        self.struck
    }

    /// When a fault of `kind` struck last.
    #[inline]
    pub fn last(&self, kind: FaultKind) -> Struck {
        self.last[kind as usize]
    }

    /// Whether a fault of `kind` has struck since `moment`.
    pub fn has_struck(&self, kind: FaultKind, moment: Struck) -> bool {
        self.last[kind as usize] > moment
    }

    /// How often `kind` was asked for.
    pub fn requested(&self, kind: FaultKind) -> u64 {
        self.requested[kind as usize]
    }

    /// How often `kind` had its effect.
    pub fn delivered(&self, kind: FaultKind) -> u64 {
        self.delivered[kind as usize]
    }

    /// How often an error was told that `kind` accounts for.
    pub fn noticed(&self, kind: FaultKind) -> u64 {
        self.noticed[kind as usize]
    }
}
