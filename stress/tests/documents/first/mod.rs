//! The store as the tutorial starts, with both bugs.

pub mod store;
#[path = "../../../examples/ledger/subject.rs"]
pub mod subject;
