//! Under shuttle: what it does not watch.

/// `std::cell::UnsafeCell` behind loom's access shape; shuttle runs one thread at a time and does not track cells.
#[derive(Debug, Default)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// Marks an allocation for the model checker; nothing here.
#[derive(Debug)]
pub(crate) struct Tracked;

impl Tracked {
    pub(crate) const fn new() -> Self {
        Self
    }

    pub(crate) fn touch(&self) {}
}
