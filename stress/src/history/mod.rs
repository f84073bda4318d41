//! What connections did, as a history that somebody else's checker can judge.
//!
//! A system that can tell its history records it when it is asked to ([`System::record`](crate::system::System::record)), as
//! [`Registers`] or as the [lists](crate::oracle::list_append) of an oracle. [`write_json`] and [`write_edn`] put its events into
//! the shape that Jepsen's histories have and that Elle reads (Kingsbury and Alvaro, VLDB 2020): list-append and rw-register.

mod export;
mod registers;

use std::cell::RefCell;
use std::rc::Rc;

pub use self::export::{write_edn, write_json};
pub use self::registers::{Access, Registers};

/// Something that tells what it has recorded so far.
pub trait Recorded {
    /// Every event, in the order in which it happened.
    fn events(&self) -> Vec<Event>;
}

/// What is recorded, and goes on being recorded while a run lasts.
pub type Record = Rc<RefCell<dyn Recorded>>;

/// The begin of a transaction, or its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, counted in events of the recorder.
    pub at: u64,
    /// Who. A process has one transaction at a time, and none after one whose outcome is unknown.
    pub process: u64,
    /// What.
    pub kind: EventKind,
    /// The transaction.
    pub operations: Vec<Operation>,
}

/// Whether something begins, or how it ends.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It is asked for; nothing has been read yet.
    Invoke,
    /// It was acknowledged.
    Ok,
    /// It did not happen.
    Fail,
    /// It may have happened.
    Info,
}

/// What became of a transaction, as far as its client can know.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was acknowledged.
    Committed,
    /// It was refused or taken back, and nothing of it may be seen.
    Aborted,
    /// It may have happened.
    Unknown,
}

/// A part of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Appends to a list. No two appends to one list have the same element.
    Append {
        /// The list.
        list: u64,
        /// What is appended.
        element: u64,
    },
    /// Reads a list whole.
    ReadList {
        /// The list.
        list: u64,
        /// Its elements; none as long as the read has not ended.
        seen: Option<Vec<u64>>,
    },
    /// Writes a register. No two transactions write the same value to one register.
    Write {
        /// The register.
        register: u64,
        /// What is written.
        value: u64,
    },
    /// Reads a register.
    Read {
        /// The register.
        register: u64,
        /// What it holds; none as long as the read has not ended.
        seen: Option<u64>,
    },
}
