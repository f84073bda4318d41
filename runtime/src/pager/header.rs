//! The database file's header page.

/// Smallest page size in bytes.
pub(super) const MIN_PAGE_SIZE: u32 = 512;
/// Largest page size in bytes.
pub(super) const MAX_PAGE_SIZE: u32 = 65_536;
