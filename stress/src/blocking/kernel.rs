//! What the kernel says of the threads of this process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};

/// A thread, as the kernel numbers it.
pub(super) type Thread = libc::pid_t;

/// A wait in the kernel for a word of memory to change, without a time limit.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Sleep {
    word: usize,
    expected: u32,
}

impl Sleep {
    /// Whether the kernel would end the wait at once: the word has changed since. A thread that is woken without a change of the
    /// word would miss the wake if it came just before the wait, so a lock that is sound changes it.
    pub(super) fn is_over(&self) -> bool {
        // SAFETY: a thread of this process waits for this word: it was interrupted in the wait and has not gone on since. So the word
        // is there, and whoever changes it while others wait does so atomically.
        let word = unsafe { AtomicU32::from_ptr(self.word as *mut u32) };
        // ORDERING: Relaxed: the thread looks for itself once it goes on. Who changed the word has given the token back.
        word.load(Ordering::Relaxed) != self.expected
    }
}

/// How a thread waits.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// It does not wait for a word of memory: it runs, or the kernel does something else for it.
    None,
    /// For a word of memory.
    Word(Sleep),
    /// For a word of memory and no longer than some time.
    Timed,
}

/// The calling thread.
pub(super) fn this() -> Thread {
    // SAFETY: it takes nothing and can't fail.
    unsafe { libc::gettid() }
}

fn told(thread: Thread, file: &str) -> Option<String> {
    std::fs::read_to_string(format!("/proc/self/task/{thread}/{file}")).ok()
}

/// How `thread` waits now.
pub(super) fn wait_of(thread: Thread) -> Wait {
    told(thread, "syscall").map_or(Wait::None, |line| wait_in(&line))
}

/// The line has the call's number and its arguments, or a word such as "running".
fn wait_in(line: &str) -> Wait {
    let mut fields = line.split_whitespace();
    let number = fields.next().and_then(|number| number.parse::<libc::c_long>().ok());
    if number != Some(libc::SYS_futex) {
        return Wait::None;
    }
    let arguments = fields.map(|field| usize::from_str_radix(field.trim_start_matches("0x"), 16));
    let arguments: Vec<usize> = arguments.map_while(Result::ok).collect();
    let &[word, operation, expected, limit, ..] = arguments.as_slice() else { return Wait::None };
    let operation = operation as libc::c_int & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME);
    match operation {
        libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET if limit == 0 => {
            Wait::Word(Sleep { word, expected: expected as u32 })
        }
        _ => Wait::Timed,
    }
}

/// How often each other thread of this process has let go of its processor; `None` if one of them runs or could run.
///
/// Two equal answers mean that there was a moment between them at which all of them slept.
pub(super) fn all_asleep() -> Option<BTreeMap<Thread, (u64, u64)>> {
    let ours = this();
    let others = threads().into_iter().filter(|&thread| thread != ours);
    others.map(|thread| Some((thread, switches(&told(thread, "status")?)?))).collect()
}

/// The threads of this process.
pub(super) fn threads() -> BTreeSet<Thread> {
    let entries = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// `None` if the thread does not sleep.
fn switches(status: &str) -> Option<(u64, u64)> {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if !field("State:")?.starts_with('S') {
        return None;
    }
    let number = |name| field(name)?.parse().ok();
    Some((number("voluntary_ctxt_switches:")?, number("nonvoluntary_ctxt_switches:")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_for_a_word_is_told_from_others() {
        let line = |operation: &str, limit: &str| {
            format!("{} 0x7f00 {operation} 0x2 {limit} 0x0 0xffffffff 0x7ffe 0x7f16", libc::SYS_futex)
        };
        let sleep = Sleep { word: 0x7f00, expected: 2 };
        assert_eq!(wait_in(&line("0x189", "0x0")), Wait::Word(sleep));
        assert_eq!(wait_in(&line("0x80", "0x0")), Wait::Word(sleep));
        assert_eq!(wait_in(&line("0x189", "0x7ffd10")), Wait::Timed);
        for other in ["running", "-1 0x7ffe 0x7f16", "0 0x3 0x5560 0x2000 0x0 0x0 0x0 0x7ffe 0x7f16", ""] {
            assert_eq!(wait_in(other), Wait::None, "{other}");
        }
    }

    #[test]
    fn a_thread_that_runs_has_no_count_and_one_that_sleeps_has() {
        let status = |state: &str| {
            format!(
                "Name:\tx\nState:\t{state}\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t1\n"
            )
        };
        assert_eq!(switches(&status("S (sleeping)")), Some((7, 1)));
        assert_eq!(switches(&status("R (running)")), None);
        assert_eq!(switches(&status("D (disk sleep)")), None);
    }

    #[test]
    fn a_wait_is_over_once_the_word_has_changed() {
        let word = AtomicU32::new(2);
        let sleep = Sleep { word: word.as_ptr() as usize, expected: 2 };
        assert!(!sleep.is_over());
        word.store(0, Ordering::Relaxed); // ORDERING: Relaxed: one thread.
        assert!(sleep.is_over());
    }
}
