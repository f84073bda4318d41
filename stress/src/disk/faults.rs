//! The kinds of fault, how likely each is, and how often each was requested and delivered.

use crate::tape::Chance;

/// A kind of fault.
#[derive(
    Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
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
    /// At a power loss an unsynced sector ends up with the head of the new content and the tail of the old.
    SectorTorn,
    /// Power is lost, or the process killed, before recovery from the last time has finished.
    CrashInRecovery,
}

impl FaultKind {
    /// Every kind, in the order in which they are reported.
    pub const ALL: [FaultKind; 18] = [
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
    ];

    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::OpenError => "open-error",
            FaultKind::SubmitRefused => "submit-refused",
            FaultKind::ReadError => "read-error",
            FaultKind::ShortRead => "short-read",
            FaultKind::BitFlip => "bit-flip",
            FaultKind::WriteError => "write-error",
            FaultKind::ShortWrite => "short-write",
            FaultKind::NoSpace => "no-space",
            FaultKind::SyncFailed => "sync-failed",
            FaultKind::SyncDropped => "sync-dropped",
            FaultKind::TruncateError => "truncate-error",
            FaultKind::Stuck => "stuck",
            FaultKind::Cancelled => "cancelled",
            FaultKind::PowerLoss => "power-loss",
            FaultKind::ProcessKilled => "process-killed",
            FaultKind::SectorLost => "sector-lost",
            FaultKind::SectorTorn => "sector-torn",
            FaultKind::CrashInRecovery => "crash-in-recovery",
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
    pub(super) fn draw(&self, lane: &mut crate::tape::Lane, site: crate::tape::Site) -> Option<FaultKind> {
        if self.none == 1_000_000 {
            return None;
        }
        lane.maybe_weighted(site, self.none, &self.parts).map(|index| self.kinds[index])
    }
}

/// How often each kind was asked for and how often it had its effect.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts {
    requested: [u64; FaultKind::ALL.len()],
    delivered: [u64; FaultKind::ALL.len()],
    struck: Struck,
    last: Option<FaultKind>,
}

/// How many faults have struck, in classes that account for different errors.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Struck {
    /// Faults of any kind.
    pub any: u64,
    /// Faults after which something that was read is not what is on the disk.
    pub damaging: u64,
}

impl FaultCounts {
    /// The tape asked for a fault.
    #[inline]
    pub fn request(&mut self, kind: FaultKind) {
        self.requested[kind as usize] += 1;
    }

    /// A fault had its effect.
    #[inline]
    pub fn deliver(&mut self, kind: FaultKind) {
        self.deliver_many(kind, 1);
    }

    /// A fault had its effect `times` times.
    pub fn deliver_many(&mut self, kind: FaultKind, times: u64) {
        if times > 0 {
            self.delivered[kind as usize] += times;
            self.struck.any += times;
            if matches!(kind, FaultKind::BitFlip | FaultKind::ShortRead) {
                self.struck.damaging += times;
            }
            self.last = Some(kind);
        }
    }

    /// A fault was asked for and had its effect, `times` times.
    pub fn strike_many(&mut self, kind: FaultKind, times: u64) {
        self.requested[kind as usize] += times;
        self.deliver_many(kind, times);
    }

    /// How many faults had their effect.
    #[inline]
    pub fn struck(&self) -> Struck {
        self.struck
    }

    /// The last that had its effect.
    pub fn last(&self) -> Option<FaultKind> {
        self.last
    }

    /// How often `kind` was asked for.
    pub fn requested(&self, kind: FaultKind) -> u64 {
        self.requested[kind as usize]
    }

    /// How often `kind` had its effect.
    pub fn delivered(&self, kind: FaultKind) -> u64 {
        self.delivered[kind as usize]
    }

    /// Adds what another run counted.
    pub fn merge(&mut self, other: &FaultCounts) {
        for kind in FaultKind::ALL {
            self.requested[kind as usize] += other.requested(kind);
            self.deliver_many(kind, other.delivered(kind));
        }
    }
}
