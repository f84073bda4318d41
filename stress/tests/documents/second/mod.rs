//! The store after the first fix: recovery still stops at the first hole.

pub mod store;
#[path = "../../../examples/ledger/subject.rs"]
pub mod subject;
