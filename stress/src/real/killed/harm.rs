//! The harms that a child can suffer, by name.

use std::fmt;

/// A kind of harm. All but the last are injected around the backend of a process; the last is the system's own doing.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
#[derive(strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Harm {
    /// A write is never done, and fails late.
    RefusedWrite,
    /// A write is done, and reported as failed, late.
    FailedWrite,
    /// A sync is refused; what it was to cover may be synced later.
    RefusedSync,
    /// A sync fails, and what it covered is lost at the next power loss, whatever syncs come later.
    DroppedSync,
    /// A sync or a truncation takes long.
    SlowSync,
    /// An operation is given up while it waits: see [`Process::gives_up`](super::Process::gives_up).
    GivenUp,
}

impl Harm {
    /// Every one.
    pub const ALL: [Harm; 6] = [
        Harm::RefusedWrite,
        Harm::FailedWrite,
        Harm::RefusedSync,
        Harm::DroppedSync,
        Harm::SlowSync,
        Harm::GivenUp,
    ];

    /// Those that are injected around a backend.
    pub const OF_IO: [Harm; 5] =
        [Harm::RefusedWrite, Harm::FailedWrite, Harm::RefusedSync, Harm::DroppedSync, Harm::SlowSync];

    /// As people write it.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
