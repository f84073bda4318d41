//! What the other threads of this process do: for a person who wants to know why nothing moves.

use std::backtrace::Backtrace;
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Nothing else here uses it.
const SIGNAL: libc::c_int = libc::SIGUSR2;
/// A thread that has not told its calls after this does not.
const PATIENCE: Duration = Duration::from_secs(1);
/// More calls than these are left out.
const MOST_CALLS: usize = 24;
/// More threads than these are left out.
const MOST_THREADS: usize = 64;

/// What the handler leaves.
static TOLD: AtomicPtr<Backtrace> = AtomicPtr::new(std::ptr::null_mut());
/// One thread is asked at a time.
static ASKING: Mutex<()> = Mutex::new(());

/// One thread of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadStack {
    /// Its name.
    pub name: String,
    /// As the kernel has it: `S` sleeps, `R` runs or could, `D` waits for a device.
    pub state: char,
    /// Its calls, the innermost first, without those of the standard library. Only of a thread that sleeps.
    pub calls: Vec<String>,
}

impl std::fmt::Display for ThreadStack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match self.state {
            'S' => "sleeps",
            'R' => "runs",
            'D' => "waits for a device",
            _ => "is in another state",
        };
        write!(f, "thread {} {state}", self.name)?;
        if self.calls.is_empty() {
            return Ok(());
        }
        write!(f, ": {}", self.calls.join(" < "))
    }
}

/// Leaves the calls of the thread that the signal has interrupted.
extern "C" fn tell(_: libc::c_int) {
    // Allocates, which a handler may not do in the middle of an allocation. Only threads that sleep in a system call are asked.
    let told = Box::into_raw(Box::new(Backtrace::force_capture()));
    // ORDERING: Release, with the Acquire of the swap in `calls_of`: the calls.
    let before = TOLD.swap(told, Ordering::AcqRel);
    if !before.is_null() {
        // SAFETY: it came from `Box::into_raw` above, and the swap has taken it away from everyone else.
        drop(unsafe { Box::from_raw(before) });
    }
}

fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: an all-zero `sigaction` is a valid value of it.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = tell as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = libc::SA_RESTART;
        // SAFETY: the pointer is to a live `sigaction`. Should the call fail, no thread is asked: the default action would end the process,
        // so this is checked below.
        let refused = unsafe { libc::sigaction(SIGNAL, &raw const action, std::ptr::null_mut()) };
        assert_eq!(refused, 0, "a handler of {SIGNAL} can be installed");
    });
}

/// All threads of this process but the calling one, by their numbers. Threads that sleep are interrupted for a moment and tell their calls.
#[must_use]
pub fn stacks() -> Vec<ThreadStack> {
    let _asking = ASKING.lock();
    install();
    // SAFETY: it takes nothing and can't fail.
    let ours = unsafe { libc::gettid() };
    let entries = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let mut threads: Vec<libc::pid_t> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    threads.sort_unstable();
    threads.retain(|thread| *thread != ours);
    threads.truncate(MOST_THREADS);
    threads.into_iter().filter_map(one).collect()
}

/// `None` if it has ended.
fn one(thread: libc::pid_t) -> Option<ThreadStack> {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/self/task/{thread}/{file}")).ok();
    let name = read("comm")?.trim().to_owned();
    // "17 (name) S ...": a name may have a bracket, too.
    let state = read("stat")?.rsplit(") ").next()?.chars().next()?;
    let calls = if state == 'S' { calls_of(thread) } else { Vec::new() };
    Some(ThreadStack { name, state, calls })
}

fn calls_of(thread: libc::pid_t) -> Vec<String> {
    let process = rustix::process::getpid().as_raw_nonzero().get();
    // SAFETY: takes three numbers and no pointer; a thread that has ended by now makes it fail.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, process, thread, SIGNAL) };
    let asked = Instant::now();
    while sent == 0 && asked.elapsed() < PATIENCE {
        // ORDERING: Acquire, with the Release of `tell`: the calls.
        let told = TOLD.swap(std::ptr::null_mut(), Ordering::AcqRel);
        if !told.is_null() {
            // SAFETY: it came from `Box::into_raw` in `tell`, and the swap has taken it away from everyone else.
            return calls(&unsafe { Box::from_raw(told) }.to_string());
        }
        std::thread::yield_now();
    }
    Vec::new()
}

/// The functions of a backtrace: what is below the handler, without the standard library's and without places in files.
///
/// A build with line tables alone names a function that was inlined without its modules. Its place in a file tells whose it is.
fn calls(backtrace: &str) -> Vec<String> {
    let calls = Call::all(backtrace);
    let handler = calls.iter().position(Call::is_the_handler).map_or(0, |index| index + 1);
    let ours = calls[handler..].iter().filter(|call| !call.is_of_the_system());
    ours.take(MOST_CALLS).map(|call| call.name.to_owned()).collect()
}

/// One call of a backtrace.
struct Call<'a> {
    name: &'a str,
    /// File and line, if the build has them.
    place: Option<&'a str>,
}

impl<'a> Call<'a> {
    fn all(backtrace: &'a str) -> Vec<Call<'a>> {
        let mut calls: Vec<Call<'a>> = Vec::new();
        for line in backtrace.lines().map(str::trim_start) {
            if let Some(place) = line.strip_prefix("at ") {
                calls.last_mut().into_iter().for_each(|call| call.place = Some(place));
            } else if let Some((number, name)) = line.split_once(": ")
                && number.parse::<u32>().is_ok()
            {
                calls.push(Call { name: name.trim(), place: None });
            }
        }
        calls
    }

    fn is_at(&self, part: &str) -> bool {
        self.place.is_some_and(|place| place.contains(part))
    }

    fn is_the_handler(&self) -> bool {
        self.name.contains("stacks::tell") || (self.name == "tell" && self.is_at("stacks.rs"))
    }

    fn is_of_the_system(&self) -> bool {
        let name = self.name.trim_start_matches('<');
        let std = ["std::", "core::", "alloc::", "__", "_start", "start_thread", "clone", "syscall"];
        std.iter().any(|prefix| name.starts_with(prefix))
            || self.is_at("/library/std/")
            || self.is_at("/library/core/")
            || self.is_at("/library/alloc/")
            || self.name == "<unknown>"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its name is looked for in the calls.
    #[inline(never)]
    fn waits_for_the_other_end(receiver: &std::sync::mpsc::Receiver<()>) {
        // The sender goes at the end of the test.
        let _ = receiver.recv();
        std::hint::black_box(());
    }

    #[test]
    fn a_thread_that_sleeps_tells_where() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let waits = move || waits_for_the_other_end(&receiver);
        let thread = std::thread::Builder::new().name("sleeper".into()).spawn(waits).expect("a thread");
        // It may still be on its way to its sleep.
        let told = std::iter::repeat_with(stacks).find_map(|all| {
            let sleeper = all.into_iter().find(|thread| thread.name == "sleeper")?;
            (sleeper.state == 'S' && !sleeper.calls.is_empty()).then_some(sleeper)
        });
        drop(sender);
        thread.join().expect("no panic");
        let told = told.expect("repeated until it is there");
        assert!(told.to_string().contains("waits_for_the_other_end"), "{told}");
        assert!(!told.to_string().contains("std::"), "{told}");
    }

    #[test]
    fn calls_are_those_below_the_handler_and_name_no_files() {
        let text = "   0: std::backtrace::Backtrace::force_capture\n   1: a::stacks::tell\n             at /x/y.rs:7:1\n   2: __restore_rt\n   3: <core::pin::Pin<P> as F>::poll\n   4: a::b::wait\n             at /x/z.rs:1:2\n   5: <a::C as D>::e\n   6: start_thread\n";
        assert_eq!(calls(text), ["a::b::wait", "<a::C as D>::e"]);
    }

    /// Broke: the handler was not found, and the standard library's calls were told.
    #[test]
    fn calls_of_a_build_with_line_tables_alone_are_known_by_their_places() {
        let text = "   0: tell\n             at ./src/real/stacks.rs:56:41\n   1: <unknown>\n   2: wait_until\n             at /rustc/0/library/std/src/sync/mpmc/context.rs:139:17\n   3: wait\n             at ./src/b.rs:1:2\n";
        assert_eq!(calls(text), ["wait"]);
    }
}
