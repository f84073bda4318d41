//! A crash-safe pager (skeleton: signatures first, bodies follow).

mod audit;
mod error;
mod header;
mod options;
mod skeleton;

pub use audit::Audit;
pub use error::{LogProblem, PagePlace, PageProblem, PagerError};
pub use options::PagerOptions;
pub use skeleton::*;

/// Number of a page, from 1. Page 1 is the header page, which belongs to the pager.
pub type PageNo = u32;
