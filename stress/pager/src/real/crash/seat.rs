//! What one connection has asked for, and what it must find again.

/// Commits of one connection.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Seat {
    /// It may have so many at most.
    pub(super) asked: u64,
    /// It must have so many at least.
    pub(super) kept: u64,
}
