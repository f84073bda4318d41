//! Panics of the system under test are findings, not the end of the tester.

use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Where the panic was, while this thread runs code of the system.
    static CAPTURED: RefCell<Option<Option<String>>> = const { RefCell::new(None) };
    /// The calls that led to the panic that was captured last.
    static CALLS: RefCell<Option<Backtrace>> = const { RefCell::new(None) };
}

/// Runs `code`; a panic comes back as its message and place instead of going to stderr.
pub(crate) fn catch<R>(code: impl FnOnce() -> R) -> Result<R, String> {
    install_hook();
    let outer = CAPTURED.replace(Some(None));
    let result = catch_unwind(AssertUnwindSafe(code));
    let captured = CAPTURED.replace(outer).flatten();
    result.map_err(|payload| captured.unwrap_or_else(|| message(payload.as_ref())))
}

/// The panic that was captured since the innermost [`catch`] began, for code that catches in another stack of the same thread.
#[cfg(tenterhook_shuttle)]
pub(crate) fn take_captured() -> Option<String> {
    CAPTURED.with_borrow_mut(|captured| captured.as_mut().and_then(Option::take))
}

/// Runs `install`, which installs a hook of its own, and takes that hook off again.
#[cfg(tenterhook_shuttle)]
pub(crate) fn without_its_hook(install: impl FnOnce()) {
    install_hook();
    let ours = take_hook();
    install();
    set_hook(ours);
}

/// Puts our hook in front of whatever hook there was, once for the process.
fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = take_hook();
        set_hook(Box::new(move |info| {
            if !capture(info) {
                previous(info);
            }
        }));
    });
}

/// Keeps the first panic of a run: those that follow while everything is dropped are its consequences.
fn capture(info: &PanicHookInfo<'_>) -> bool {
    let capture = |captured: &RefCell<Option<Option<String>>>| {
        let mut captured = captured.borrow_mut();
        let Some(slot) = captured.as_mut() else { return false };
        let place = info.location().map_or_else(|| "an unknown place".into(), ToString::to_string);
        if slot.is_none() {
            *slot = Some(format!("{} at {}", message(info.payload()), in_crate(&place)));
            CALLS.set(Some(Backtrace::force_capture()));
        }
        true
    };
    CAPTURED.try_with(capture).unwrap_or(false)
}

/// A place without the folder in which this machine keeps the sources of crates: another machine has another one.
fn in_crate(place: &str) -> &str {
    for folder in ["/registry/src/", "/rustc/"] {
        if let Some((_, rest)) = place.split_once(folder) {
            return rest.split_once('/').map_or(rest, |(_, inside)| inside);
        }
    }
    place
}

/// More calls than this tell a person nothing more.
const SHOWN_CALLS: usize = 12;

/// The calls of the system that led to the last panic that was caught in this thread, the innermost first. Names are looked up here and
/// not before: an engine may panic often, by design.
pub(crate) fn take_calls() -> Vec<String> {
    CALLS.take().map(|calls| calls_in(&calls.to_string())).unwrap_or_default()
}

/// The calls in a backtrace, each with its place, without those of the panic itself and those of the tester.
fn calls_in(backtrace: &str) -> Vec<String> {
    // Names have their path or not, as the debug information has it.
    let is_panic = |call: &String| call.contains("panicking::") || call.contains("rust_begin_unwind");
    let is_tester = |call: &str| {
        ["tenterhook_stress::world::", "src/world", "src/race/"].iter().any(|part| call.contains(part))
    };
    let calls = calls_until(backtrace, is_tester);
    let first = calls.iter().rposition(is_panic).map_or(0, |last| last + 1);
    calls.into_iter().skip(first).take(SHOWN_CALLS).collect()
}

/// The calls in a backtrace, each with its place, up to one of the tester's.
fn calls_until(backtrace: &str, is_end: impl Fn(&str) -> bool) -> Vec<String> {
    let mut calls: Vec<String> = Vec::new();
    for line in backtrace.lines().map(str::trim) {
        if let Some(place) = line.strip_prefix("at ") {
            calls.last_mut().into_iter().for_each(|call| *call += &format!(" at {}", in_crate(place)));
        } else if let Some((_, name)) = line.split_once(": ") {
            calls.push(name.to_owned());
        }
    }
    calls.truncate(calls.iter().position(|call| is_end(call)).unwrap_or(calls.len()));
    calls
}

/// The calls of a thread that was stopped, without those of the tester, of shuttle and of the primitive in which it was stopped.
#[cfg(tenterhook_shuttle)]
pub(crate) fn calls_of_thread(backtrace: &str) -> Vec<String> {
    let calls =
        calls_until(backtrace, |call| call.contains("race::thread") || call.contains("src/race/thread"));
    let is_machinery = |call: &String| {
        ["shuttle", "race::execution", "src/race/", "runtime/src/sync/"]
            .iter()
            .any(|part| call.contains(part))
    };
    let first = calls.iter().rposition(is_machinery).map_or(0, |last| last + 1);
    calls.into_iter().skip(first).take(SHOWN_CALLS).collect()
}

/// The text of a panic's payload.
pub(crate) fn message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).into()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a message".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caught_panic_says_what_and_where() {
        let caught = catch(|| panic!("the {} snapped", "thread")).unwrap_err();
        assert!(caught.starts_with("the thread snapped at "), "{caught}");
        assert!(caught.contains("panics.rs"), "{caught}");
        assert_eq!(catch(|| 5), Ok(5));
    }

    #[test]
    fn a_backtrace_is_shown_from_the_panicking_call_to_the_world() {
        let backtrace = "   0: std::backtrace::Backtrace::force_capture\n             at /rustc/library/std/src/backtrace.rs:1:2\n\
                          1: {closure#0}\n             at ./stress/src/panics.rs:46:28\n\
                          2: core::panicking::panic_fmt\n\
                          3: engine::cache::read\n             at ./cache.rs:7:9\n\
                          4: engine::open\n\
                          5: step_fiber<S>\n             at ./stress/src/world.rs:9:9\n\
                          6: std::panicking::catch_unwind\n\
                          7: main";
        assert_eq!(calls_in(backtrace), ["engine::cache::read at ./cache.rs:7:9", "engine::open"]);
    }

    #[test]
    fn the_calls_of_a_caught_panic_are_there_once() {
        catch(|| panic!("snapped")).unwrap_err();
        assert!(!take_calls().is_empty());
        assert!(take_calls().is_empty());
    }

    #[test]
    fn the_first_of_two_panics_is_kept() {
        struct PanicsInDrop;
        impl Drop for PanicsInDrop {
            fn drop(&mut self) {
                catch(|| panic!("second")).unwrap_err();
            }
        }
        let caught = catch(|| {
            let _guard = PanicsInDrop;
            panic!("first");
        });
        assert!(caught.unwrap_err().starts_with("first"));
    }

    #[test]
    fn a_place_is_told_without_the_folders_of_a_machine() {
        let told = |place| in_crate(place).to_owned();
        assert_eq!(
            told("/home/a/.cargo/registry/src/index-1/engine-0.9.0/log.rs:3:9"),
            "engine-0.9.0/log.rs:3:9"
        );
        assert_eq!(told("/rustc/59807/library/core/src/option.rs:2:5"), "library/core/src/option.rs:2:5");
        assert_eq!(told("src/log.rs:3:9"), "src/log.rs:3:9");
    }
}
