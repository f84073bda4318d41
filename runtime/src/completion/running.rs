//! Which callbacks run on this thread: tells a wait that can never end from one that can.

use std::cell::Cell;
use std::ptr;

use super::node::Header;
use crate::sync::thread_local;

thread_local! {
    static INNERMOST: Cell<*const Frame> = Cell::new(ptr::null());
}

/// One running callback, on the stack of the thread that runs it.
struct Frame {
    header: *const Header,
    outer: *const Frame,
}

/// Runs `callback`, which must not unwind, marked as the callback of `header`.
#[inline]
pub(crate) fn mark<R>(header: &Header, callback: impl FnOnce() -> R) -> R {
    INNERMOST.with(|innermost| {
        let frame = Frame { header, outer: innermost.get() };
        innermost.set(&raw const frame);
        let result = callback();
        innermost.set(frame.outer);
        result
    })
}

/// Whether the callback of `header` is running on this thread, at any depth.
pub(crate) fn is_marked(header: &Header) -> bool {
    INNERMOST.with(|innermost| {
        let mut frame = innermost.get();
        // SAFETY: every frame on the list is in a `mark` that has not returned, further down this thread's stack.
        while let Some(running) = unsafe { frame.as_ref() } {
            if ptr::eq(running.header, header) {
                return true;
            }
            frame = running.outer;
        }
        false
    })
}
