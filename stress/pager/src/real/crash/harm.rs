//! The harms that a child can suffer, by name.

use std::fmt;

/// A kind of harm. Those that a child's variety draws are injected around its backend or are its own doing; the others are the
/// kernel's, and a campaign is asked for them.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
#[derive(strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub(super) enum Harm {
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
    /// A commit or a checkpoint is given up while it waits.
    GivenUp,
}

impl Harm {
    pub(super) const ALL: [Harm; 6] = [
        Harm::RefusedWrite,
        Harm::FailedWrite,
        Harm::RefusedSync,
        Harm::DroppedSync,
        Harm::SlowSync,
        Harm::GivenUp,
    ];

    pub(super) fn name(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
