//! Panics that no model planted. Whatever code catches one, the model that raised it fails: the executor contains the
//! panics of machines, and would contain loom's reports of races among them.

use std::cell::RefCell;
use std::panic::PanicHookInfo;

/// The payload of a panic that a model raises to see it contained.
pub(crate) struct OnPurpose;

/// What ends an exploration that has failed before.
pub(crate) struct Stop;

/// What one thread of the system has raised. A model, with all of loom's threads, runs on one.
#[derive(Default)]
struct Raised {
    first: Option<String>,
    /// The model is there to fail: its panics are not worth a line.
    quiet: bool,
}

thread_local! {
    static RAISED: RefCell<Raised> = RefCell::default();
}

/// From now on every panic passes through here. Before the first model: loom's generators put their own hook before this one.
pub(crate) fn install() {
    std::panic::set_hook(Box::new(|info| {
        if !info.payload().is::<OnPurpose>() && !info.payload().is::<Stop>() {
            note(info);
        }
    }));
}

fn note(info: &PanicHookInfo<'_>) {
    let text = describe(info);
    // An error in here would be a panic in a panic.
    let quiet = RAISED.try_with(|raised| {
        let Ok(mut raised) = raised.try_borrow_mut() else { return false };
        let quiet = raised.quiet;
        raised.first.get_or_insert_with(|| text.clone());
        quiet
    });
    if !quiet.unwrap_or(false) {
        eprintln!("{text}");
    }
}

/// What was said, and then where: the first line is what a table has room for.
fn describe(info: &PanicHookInfo<'_>) -> String {
    let said = info.payload_as_str().unwrap_or("a panic without a text").trim_end();
    info.location().map_or_else(|| said.to_owned(), |place| format!("{said}\n  at {place}"))
}

/// A new model begins on this thread.
pub(crate) fn begin(quiet: bool) {
    RAISED.set(Raised { first: None, quiet });
}

/// Ends the exploration at the next execution after a panic that was caught.
pub(crate) fn stop_if_raised() {
    if RAISED.with_borrow(|raised| raised.first.is_some()) {
        std::panic::resume_unwind(Box::new(Stop));
    }
}

/// The first panic since [`begin`] that no model planted.
pub(crate) fn first() -> Option<String> {
    RAISED.with_borrow_mut(|raised| raised.first.take())
}
