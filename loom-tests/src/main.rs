//! Loom models of the tenterhook runtime: `make loom`.
//!
//! Each model is a handful of lines on two or three threads. loom runs it once for every execution that the C11
//! memory model allows (up to the bound that the model states); the table says how many that were. A model that
//! explored a single execution raced nothing, and fails.

#[cfg(tenterhook_loom)]
mod matrix;
#[cfg(tenterhook_loom)]
mod model;
#[cfg(tenterhook_loom)]
mod models;
#[cfg(tenterhook_loom)]
mod runner;
#[cfg(tenterhook_loom)]
mod support;

#[cfg(tenterhook_loom)]
fn main() -> std::process::ExitCode {
    runner::main()
}

#[cfg(not(tenterhook_loom))]
fn main() -> std::process::ExitCode {
    eprintln!(
        "tenterhook-loom-tests: built without loom; run `make loom`, which sets `--cfg tenterhook_loom`"
    );
    std::process::ExitCode::from(2)
}
