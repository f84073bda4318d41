//! What is in the files, as bytes: the header page, pages, the log.

pub(super) mod bytes;
pub(super) mod header;
pub(super) mod log;
pub(super) mod page;
