//! Panics that the storm makes on purpose.

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind, set_hook, take_hook};
use std::sync::Once;

use crate::panics::message;

/// What a planned panic carries; with `fuse`, its drop panics in its turn, so many times.
pub(in crate::real) struct Planned {
    fuse: u32,
}

impl Drop for Planned {
    fn drop(&mut self) {
        if self.fuse > 0 {
            panic_any(Self { fuse: self.fuse - 1 });
        }
    }
}

/// Panics on purpose.
pub(in crate::real) fn panic(fuse: u32) -> ! {
    panic_any(Planned { fuse })
}

/// Runs user code whose panics are planned. The message of one that was not comes back.
pub(in crate::real) fn contain(user: impl FnOnce()) -> Result<(), String> {
    match catch_unwind(AssertUnwindSafe(user)) {
        Ok(()) => Ok(()),
        Err(payload) => match payload.downcast::<Planned>() {
            Ok(mut planned) => {
                // Its drop would panic here.
                planned.fuse = 0;
                Ok(())
            }
            Err(payload) => Err(message(&*payload)),
        },
    }
}

/// Runs user code and calls `panicked` before its panic resumes.
pub(in crate::real) fn notice(user: impl FnOnce(), panicked: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(user)) {
        panicked();
        resume_unwind(payload);
    }
}

/// Keeps planned panics out of the panic hook, from now on and once for the process.
pub(in crate::real) fn keep_quiet() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let hook = take_hook();
        set_hook(Box::new(move |info| {
            if !info.payload().is::<Planned>() {
                hook(info);
            }
        }));
    });
}
