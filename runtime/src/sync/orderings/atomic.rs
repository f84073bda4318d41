//! loom's atomics behind the operations that this crate uses.

pub(crate) use loom::sync::atomic::Ordering;

use super::Role::{Exchange, Failure, Load, Store, Success};
use super::chosen;

macro_rules! atomic {
    ($name:ident $(<$parameter:ident>)?, $value:ty) => {
        #[derive(Debug, Default)]
        pub(crate) struct $name $(<$parameter>)? (loom::sync::atomic::$name $(<$parameter>)?);

        #[allow(dead_code, reason = "each type has what some atomic needs")]
        impl $(<$parameter>)? $name $(<$parameter>)? {
            #[track_caller]
            pub(crate) fn new(value: $value) -> Self {
                Self(loom::sync::atomic::$name::new(value))
            }

            #[track_caller]
            pub(crate) fn load(&self, ordering: Ordering) -> $value {
                self.0.load(chosen(Load, ordering))
            }

            #[track_caller]
            pub(crate) fn store(&self, value: $value, ordering: Ordering) {
                self.0.store(value, chosen(Store, ordering));
            }

            #[track_caller]
            pub(crate) fn swap(&self, value: $value, ordering: Ordering) -> $value {
                self.0.swap(value, chosen(Exchange, ordering))
            }

            #[track_caller]
            pub(crate) fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                let (success, failure) = (chosen(Success, success), chosen(Failure, failure));
                self.0.compare_exchange(current, new, success, failure)
            }

            /// Never fails spuriously, as under loom.
            #[track_caller]
            pub(crate) fn compare_exchange_weak(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.compare_exchange(current, new, success, failure)
            }

            #[track_caller]
            pub(crate) fn fetch_update(
                &self,
                success: Ordering,
                failure: Ordering,
                mut next: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                let mut current = self.load(failure);
                while let Some(new) = next(current) {
                    match self.compare_exchange(current, new, success, failure) {
                        Ok(before) => return Ok(before),
                        Err(seen) => current = seen,
                    }
                }
                Err(current)
            }
        }
    };
}

macro_rules! arithmetic {
    ($name:ident, $value:ty: $($operation:ident),+) => {
        #[allow(dead_code, reason = "each type has what some atomic needs")]
        impl $name {
            $(#[track_caller]
            pub(crate) fn $operation(&self, value: $value, ordering: Ordering) -> $value {
                self.0.$operation(value, chosen(Exchange, ordering))
            })+
        }
    };
}

atomic!(AtomicBool, bool);
atomic!(AtomicU8, u8);
atomic!(AtomicU32, u32);
atomic!(AtomicUsize, usize);
atomic!(AtomicPtr<T>, *mut T);
arithmetic!(AtomicU32, u32: fetch_add, fetch_sub, fetch_or);
arithmetic!(AtomicUsize, usize: fetch_add, fetch_sub, fetch_or);
