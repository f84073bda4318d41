//! Oracles to take: what a store promises to its clients, checked from what they asked and what they saw.
//!
//! Each is told what its clients do: what is tried, what is acknowledged, what is refused, what is read, how a life ends. It knows
//! nothing of the engine. An operation that was tried and neither acknowledged nor refused may have happened or not.
//!
//! | oracle | a client has | it demands of transactions | and of an acknowledged one |
//! | --- | --- | --- | --- |
//! | [`CommitLine`] | a database whose content tells its newest commit | one line of commits, snapshot reads, no commit before the newest acknowledged one is read | survives, as [`Durable`] says by commit |
//! | [`Sequences`] | transactions numbered by connection, the numbers in the database | atomic, snapshot reads, each connection reads what it has written | survives |
//! | [`Bank`] | accounts between which money moves | atomic, snapshot reads | nothing |
//! | [`KeySet`] | keys with values, read one by one or by range | none: each key is regular (Lamport 1986) | survives |
//! | [`list_append`] | lists, read whole and appended to | a level of isolation from read committed to strict serializable | is read from then on, if strict |

pub mod bank;
pub mod commit_line;
pub mod key_set;
pub mod list_append;
pub mod sequences;

pub use bank::Bank;
pub use commit_line::{CommitLine, Durable};
pub use key_set::KeySet;
pub use sequences::Sequences;

use crate::violation::Violation;

/// What an oracle says.
pub type Verdict<T = ()> = Result<T, Box<Violation>>;
