//! Loom models of the tenterhook runtime: `make loom`.
//!
//! Each model is a handful of lines on two or three threads. loom runs it once for every execution that the C11
//! memory model allows (up to the bound that the model states); the table says how many that were. A model that
//! explored a single execution raced nothing, and fails.
//!
//! Built with `--cfg tenterhook_shuttle` the program holds other models: those too big to explore, under shuttle's
//! random schedulers: `make shuttle`.

#[cfg(tenterhook_loom)]
mod matrix;
#[cfg(tenterhook_loom)]
mod model;
#[cfg(tenterhook_loom)]
mod models;
#[cfg(tenterhook_loom)]
mod panics;
#[cfg(tenterhook_shuttle)]
mod random;
#[cfg(tenterhook_loom)]
mod runner;
#[cfg(tenterhook_loom)]
mod summary;
#[cfg(tenterhook_loom)]
mod support;

#[cfg(tenterhook_loom)]
fn main() -> std::process::ExitCode {
    runner::main()
}

#[cfg(tenterhook_shuttle)]
fn main() -> std::process::ExitCode {
    random::main()
}

#[cfg(not(any(tenterhook_loom, tenterhook_shuttle)))]
fn main() -> std::process::ExitCode {
    eprintln!("tenterhook-loom-tests: built without a model checker; run `make loom` or `make shuttle`");
    std::process::ExitCode::from(2)
}
