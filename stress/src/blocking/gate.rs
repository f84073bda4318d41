//! Stops a thread in its sleep.
//!
//! A thread sleeps in a lock of the engine, which another thread holds. When that one frees the lock, the kernel wakes the sleeper beside
//! it, and two threads would run. So the sleeper is interrupted: a signal takes it out of the kernel's queue and into a handler, in which
//! it waits for the token. With the token it returns from the handler to its wait, which the kernel begins again, as it does after any
//! signal. If the word has changed by then, the wait ends at once.

use std::cell::Cell;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::kernel::Thread;

/// The thread has not been asked to stop, or has gone on since.
const OPEN: u32 = 0;
/// It is asked.
const ASKED: u32 = 1;
/// It stands in the handler.
const STOPPED: u32 = 2;
/// It was not in a wait for a word when it was asked, and has gone on.
const DECLINED: u32 = 3;

/// Where one thread is stopped.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: AtomicU32,
}

thread_local! {
    /// The gate of the present thread. Without a destructor, so that the handler may look at it at any time.
    static HERE: Cell<*const Gate> = const { Cell::new(std::ptr::null()) };
}

/// What came of an attempt to stop a thread.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Stopped,
    /// It was awake.
    Declined,
    /// It has not answered.
    Silent,
}

impl Gate {
    /// From here on the present thread can be stopped by this gate.
    ///
    /// # Safety
    ///
    /// The gate lives until [`Gate::leave`], or as long as the thread.
    pub(super) unsafe fn settle(&self) {
        HERE.set(self);
    }

    /// The present thread can't be stopped any more.
    pub(super) fn leave() {
        HERE.set(std::ptr::null());
    }

    /// Stops `thread`, whose gate this is, in its wait for a word.
    pub(super) fn stop(&self, thread: Thread, patience: Duration) -> Stop {
        install();
        // ORDERING: Relaxed: the kernel delivers the signal after this.
        self.state.store(ASKED, Ordering::Relaxed);
        let process = rustix::process::getpid().as_raw_nonzero().get();
        // SAFETY: takes three numbers and no pointer.
        let sent = unsafe { libc::syscall(libc::SYS_tgkill, process, thread, signal()) };
        if sent != 0 {
            return Stop::Silent;
        }
        wait_while(&self.state, ASKED, Some(patience));
        // ORDERING: Acquire, with the Release of the handler: what the thread did before.
        match self.state.load(Ordering::Acquire) {
            STOPPED => Stop::Stopped,
            DECLINED => Stop::Declined,
            _ => Stop::Silent,
        }
    }

    /// Lets the thread go on, if it is stopped.
    pub(super) fn open(&self) {
        // ORDERING: Release, with the Acquire of the handler: what happened while the thread stood.
        if self.state.swap(OPEN, Ordering::Release) == STOPPED {
            wake(&self.state);
        }
    }
}

/// Nothing else here uses it.
fn signal() -> libc::c_int {
    libc::SIGRTMIN() + 7
}

fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: an all-zero `sigaction` is a valid value of it.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction =
            stand as extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) as usize;
        // The wait that it interrupts begins again.
        action.sa_flags = libc::SA_RESTART | libc::SA_SIGINFO;
        // SAFETY: the pointer is to a live `sigaction`.
        let refused = unsafe { libc::sigaction(signal(), &raw const action, std::ptr::null_mut()) };
        assert_eq!(refused, 0, "a handler of a real-time signal can be installed");
    });
}

/// The handler. It calls the kernel and nothing else.
extern "C" fn stand(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: null, or the gate of this thread, which lives as `settle` demands.
    let Some(gate) = (unsafe { HERE.get().as_ref() }) else { return };
    // SAFETY: it is valid in each thread.
    let errno = unsafe { *libc::__errno_location() };
    // SAFETY: the kernel hands it to a handler that was installed with `SA_SIGINFO`.
    let is_in_wait = is_in_wait(unsafe { &*context.cast::<libc::ucontext_t>() });
    let state = if is_in_wait { STOPPED } else { DECLINED };
    // ORDERING: Release, with the Acquire in `stop`.
    gate.state.store(state, Ordering::Release);
    wake(&gate.state);
    if is_in_wait {
        wait_while(&gate.state, STOPPED, None);
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// Whether the thread was interrupted in a wait for a word that begins again when the handler returns: the kernel has put the
/// number of the call back, and the instruction is the call once more.
#[cfg(target_arch = "x86_64")]
fn is_in_wait(context: &libc::ucontext_t) -> bool {
    let registers = &context.uc_mcontext.gregs;
    let instruction = registers[libc::REG_RIP as usize] as *const u8;
    // SAFETY: the thread is to go on with this instruction. Its second byte belongs to it if the first is this one.
    let is_syscall = || unsafe { *instruction == 0x0f && *instruction.add(1) == 0x05 };
    registers[libc::REG_RAX as usize] == libc::SYS_futex && is_syscall()
}

/// As above.
#[cfg(target_arch = "aarch64")]
fn is_in_wait(context: &libc::ucontext_t) -> bool {
    const SVC_0: u32 = 0xd400_0001;
    let machine = &context.uc_mcontext;
    // SAFETY: the thread is to go on with this instruction; all have four bytes.
    machine.regs[8] == libc::SYS_futex as u64 && unsafe { (machine.pc as *const u32).read() } == SVC_0
}

/// How another machine tells it is not known here: no thread is stopped there.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn is_in_wait(_: &libc::ucontext_t) -> bool {
    false
}

/// Waits until `word` is not `value`, or for `limit` at most.
fn wait_while(word: &AtomicU32, value: u32, limit: Option<Duration>) {
    let limit = limit.map(|limit| libc::timespec {
        tv_sec: limit.as_secs() as libc::time_t,
        tv_nsec: libc::c_long::from(limit.subsec_nanos()),
    });
    let until = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // ORDERING: Acquire, with the Release of who changes it.
    while word.load(Ordering::Acquire) == value {
        let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
        // SAFETY: the word is live, and so is the limit.
        let waited = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, value, until) };
        // SAFETY: it is valid in each thread.
        if waited == -1 && unsafe { *libc::__errno_location() } == libc::ETIMEDOUT {
            return;
        }
    }
}

fn wake(word: &AtomicU32) {
    let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the word is live. A wake reads no memory.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, 1) };
}
