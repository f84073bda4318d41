//! Signals that interrupt what can be interrupted.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Source;
use crate::violation::Violation;

/// A process without a handler ignores it, and nothing here uses it.
const SIGNAL: libc::c_int = libc::SIGURG;

/// How often a handler ran.
static CAUGHT: AtomicU64 = AtomicU64::new(0);

/// Sends every other thread of the process a signal.
pub(super) struct Signals {
    caught: u64,
}

extern "C" fn count(_: libc::c_int) {
    // ORDERING: Relaxed: a count. An atomic addition is all that a handler does, which is safe in a signal's context.
    CAUGHT.fetch_add(1, Ordering::Relaxed);
}

impl Signals {
    /// Installs the handler; it stays.
    pub(super) fn start() -> io::Result<Signals> {
        // SAFETY: an all-zero `sigaction` is a valid value of it: no flags, so calls are not restarted, and an empty mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = count as extern "C" fn(libc::c_int) as usize;
        // SAFETY: the pointer is to a live `sigaction`, and its handler does nothing that a signal's context forbids.
        if unsafe { libc::sigaction(SIGNAL, &raw const action, std::ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // ORDERING: Relaxed: a count.
        Ok(Signals { caught: CAUGHT.load(Ordering::Relaxed) })
    }
}

impl Source for Signals {
    fn make(&mut self) -> Result<u64, Box<Violation>> {
        // SAFETY: it takes nothing and can't fail.
        let ours = unsafe { libc::gettid() };
        let process = rustix::process::getpid().as_raw_nonzero().get();
        let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let threads = threads.filter_map(|entry| entry.file_name().to_str()?.parse::<libc::pid_t>().ok());
        for thread in threads.filter(|&thread| thread != ours) {
            // SAFETY: takes three numbers and no pointer; a thread that has ended by now makes it fail, which is no matter.
            unsafe { libc::syscall(libc::SYS_tgkill, process, thread, SIGNAL) };
        }
        // ORDERING: Relaxed: a count.
        let caught = CAUGHT.load(Ordering::Relaxed);
        let times = caught - self.caught;
        self.caught = caught;
        Ok(times)
    }
}
