//! The one place that names an atomic.
#![allow(
    clippy::disallowed_types,
    reason = "this program is no part of the runtime: no model checker looks at it"
)]

pub(crate) use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
