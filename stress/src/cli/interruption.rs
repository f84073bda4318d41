//! How the commands are told to stop: by Ctrl-C, by SIGTERM, which schedulers of clusters and service managers send, and by the
//! end of a terminal.

use crate::stop::Stop;

/// What a shell expects of a process that Ctrl-C has ended.
const INTERRUPTED: i32 = 130;

/// A stop that the first of these signals tells; a second one ends the process. A hangup that was ignored before, as by `nohup`,
/// stays ignored.
pub fn interruption(program: &str) -> Stop {
    let (stopper, stop) = Stop::new();
    let mut stopper = Some(stopper);
    // Without a handler Ctrl-C ends the process at once, which is worse and not wrong.
    let handler = move || match stopper.take() {
        Some(stopper) => drop(stopper),
        None => {
            #[cfg(feature = "job")]
            crate::job::restore_terminal();
            std::process::exit(INTERRUPTED)
        }
    };
    let hangup = Hangup::now();
    let handled = ctrlc::set_handler(handler);
    hangup.keep();
    if handled.is_err() {
        eprintln!("{program}: cannot handle Ctrl-C: it ends the process without a summary");
        // The handler was dropped together with its stopper. A stopper that is never dropped replaces it.
        let (stopper, stop) = Stop::new();
        std::mem::forget(stopper);
        return stop;
    }
    stop
}

/// Whether the process ignores hangups.
struct Hangup {
    is_ignored: bool,
}

impl Hangup {
    fn now() -> Hangup {
        // SAFETY: an all-zero `sigaction` is a valid value of it.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: nothing is installed, and the other pointer is to a live `sigaction`.
        let asked = unsafe { libc::sigaction(libc::SIGHUP, std::ptr::null(), &raw mut action) };
        Hangup { is_ignored: asked == 0 && action.sa_sigaction == libc::SIG_IGN }
    }

    fn keep(&self) {
        if self.is_ignored {
            // SAFETY: it installs no code of ours.
            unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
        }
    }
}
