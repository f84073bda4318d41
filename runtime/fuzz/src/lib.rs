//! Fuzzing of the pager's opening: `make fuzz`.
//!
//! A case is a database file and a log of the [`corpus`], changed by up to a dozen [mutations](mutation): bits, fields,
//! pages and frames, with the checksums made good again in part of the cases, so that what lies behind them is
//! reached. The [`property`] opens it, uses what was opened, and opens that again.
//!
//! Cases are drawn by proptest from the number of a [batch](campaign), and nothing else: a batch that fails once fails
//! again, and is shrunk to the mutations that matter. No coverage guides the choice; that needs an unstable compiler.

pub mod campaign;
pub mod corpus;
pub mod input;
pub mod mutation;
pub mod property;
mod seal;
