//! The store of the tutorial, `docs/your-engine.md`, with both bugs fixed.
#![allow(unreachable_pub, missing_docs, reason = "in the tutorial these are modules of a library")]

pub mod store;
pub mod subject;

fn main() -> std::process::ExitCode {
    tenterhook_stress::cli::main::<subject::LedgerSubject>().into()
}
