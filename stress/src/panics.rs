//! Panics of the system under test are findings, not the end of the tester.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Where the panic was, while this thread runs code of the system.
    static CAPTURED: RefCell<Option<Option<String>>> = const { RefCell::new(None) };
}

/// Runs `code`; a panic comes back as its message and place instead of going to stderr.
pub(crate) fn catch<R>(code: impl FnOnce() -> R) -> Result<R, String> {
    install_hook();
    let outer = CAPTURED.replace(Some(None));
    let result = catch_unwind(AssertUnwindSafe(code));
    let captured = CAPTURED.replace(outer).flatten();
    result.map_err(|payload| captured.unwrap_or_else(|| message(payload.as_ref())))
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
        slot.get_or_insert_with(|| format!("{} at {place}", message(info.payload())));
        true
    };
    CAPTURED.try_with(capture).unwrap_or(false)
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
}
