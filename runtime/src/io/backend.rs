//! Backends by name.

use std::fmt;
use std::num::NonZero;
use std::str::FromStr;
use std::sync::Arc;

#[cfg(target_os = "linux")]
use super::UringIO;
use super::{IO, IoError, MemoryIO, ThreadsIO, YieldingIO};

/// How many operations io_uring gets at a time, unless told otherwise.
#[cfg(target_os = "linux")]
const ENTRIES: NonZero<u32> = NonZero::new(256).unwrap();

/// How many threads block in system calls, unless told otherwise: enough to keep a device busy.
const THREADS: NonZero<usize> = NonZero::new(8).unwrap();

/// The backends that can be chosen by name at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// [`MemoryIO`].
    Memory,
    /// [`YieldingIO`].
    Yielding,
    /// [`ThreadsIO::new`].
    Threads,
    /// [`UringIO::new`](super::UringIO::new).
    Uring,
    /// io_uring if this system has it, else threads.
    Auto,
}

/// A backend that was started.
pub struct Started {
    /// It.
    pub io: Arc<dyn IO>,
    /// What it is; never [`Backend::Auto`].
    pub backend: Backend,
    /// Why [`Backend::Auto`] made do with threads; for a caller that reports it.
    pub fallback: Option<IoError>,
}

/// A name that no backend has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownBackend {
    /// It.
    pub name: String,
}

impl Backend {
    /// All of them, in the order of their help.
    pub const ALL: [Self; 5] = [Self::Memory, Self::Yielding, Self::Threads, Self::Uring, Self::Auto];

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Yielding => "yielding",
            Self::Threads => "threads",
            Self::Uring => "uring",
            Self::Auto => "auto",
        }
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// When the system refuses: [`ThreadsIO::new`] and [`UringIO::new`](super::UringIO::new) say how.
    pub fn start(self) -> Result<Started, IoError> {
        let started = |io, backend| Started { io, backend, fallback: None };
        Ok(match self {
            Self::Memory => started(Arc::new(MemoryIO::new()), self),
            Self::Yielding => started(Arc::new(YieldingIO::new()), self),
            Self::Threads => started(Arc::new(ThreadsIO::new(THREADS)?), self),
            Self::Uring => started(uring()?, self),
            Self::Auto => match uring() {
                Ok(io) => started(io, Self::Uring),
                Err(error) => Started { fallback: Some(error), ..Self::Threads.start()? },
            },
        })
    }
}

#[cfg(target_os = "linux")]
fn uring() -> Result<Arc<dyn IO>, IoError> {
    Ok(Arc::new(UringIO::new(ENTRIES)?))
}

#[cfg(not(target_os = "linux"))]
fn uring() -> Result<Arc<dyn IO>, IoError> {
    let error = std::io::Error::from(std::io::ErrorKind::Unsupported);
    Err(IoError::of("start io_uring", &error))
}

impl FromStr for Backend {
    type Err = UnknownBackend;

    fn from_str(name: &str) -> Result<Self, UnknownBackend> {
        let known = Self::ALL.into_iter().find(|backend| backend.name() == name);
        known.ok_or_else(|| UnknownBackend { name: name.to_owned() })
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for UnknownBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Backend::ALL.map(Backend::name).join(", ");
        write!(f, "there is no backend {:?}; there are {names}", self.name)
    }
}

impl std::error::Error for UnknownBackend {}

impl fmt::Debug for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Started")
            .field("backend", &self.backend)
            .field("fallback", &self.fallback)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(tenterhook_loom, tenterhook_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn every_backend_is_found_by_its_name_and_starts() {
        for backend in Backend::ALL {
            assert_eq!(backend.name().parse(), Ok(backend));
            let started = backend.start().unwrap_or_else(|error| panic!("{backend}: {error}"));
            assert_ne!(started.backend, Backend::Auto);
            assert!(backend == Backend::Auto || backend == started.backend);
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = "epoll".parse::<Backend>().unwrap_err();
        let text = "there is no backend \"epoll\"; there are memory, yielding, threads, uring, auto";
        assert_eq!(error.to_string(), text);
    }
}
