//! How a child ends by itself.

use crate::violation::Violation;
use rustix::process::{Signal, getpid, kill_process};

/// Dies as by SIGKILL: nothing is unwound, flushed or dropped.
pub(super) fn die() -> ! {
    // It cannot fail, and if it did there would be nothing left to try but to go on dying.
    let _ = kill_process(getpid(), Signal::KILL);
    loop {
        std::thread::park();
    }
}

/// Ends the process because of `violation`. It is told at once: the campaign may kill the process at any moment.
pub(super) fn object(violation: &Violation) -> ! {
    eprintln!("{violation}");
    std::process::exit(crate::exit::ExitCode::Internal as i32);
}
