//! What the process that is killed lends to its system.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tenterhook_runtime::Completion;

use super::death;
use super::harm::Harm;
use super::points::Trigger;
use super::record::Recorder;
use crate::real::layer::Layer;
use crate::real::noise::{NoiseKind, in_mortal_thread};
use crate::violation::Violation;

/// One step in so many is done by a thread that ends, where that is asked for.
const MORTAL: u64 = 32;

/// A process that works until it is killed.
pub struct Process {
    pub(super) directory: PathBuf,
    pub(super) connections: u64,
    pub(super) number: u64,
    pub(super) plant: Option<&'static str>,
    pub(super) recorder: Arc<Recorder>,
    /// Around the backend, if the system's I/O is recorded.
    pub(super) layer: Option<Arc<Layer<Trigger>>>,
    pub(super) gives_up: u64,
    /// Whether steps are now and then done by a thread that ends.
    pub(super) mortal: bool,
}

impl Process {
    /// Where the system's files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// How many connections there are, numbered from 0.
    pub fn connections(&self) -> u64 {
        self.connections
    }

    /// Makes it unlike other processes: a system may draw from it how it works. 0 stands for a plain one.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The bug that is planted, of those that the system has named.
    pub fn plant(&self) -> Option<&'static str> {
        self.plant
    }

    /// Whether an I/O was failed on purpose, or for want of room: errors of I/O are explained from then on.
    pub fn has_struck(&self) -> bool {
        self.layer.as_ref().is_some_and(|layer| layer.watcher().has_struck())
    }

    /// Dies as by SIGKILL: nothing is unwound, flushed or dropped. For a system that can't go on after an error that is explained; the
    /// next process recovers.
    pub fn die(&self) -> ! {
        death::die()
    }

    /// Ends the process because of `violation`, which is told to the campaign at once.
    pub fn object(&self, violation: &Violation) -> ! {
        death::object(violation)
    }

    /// Every so many times that a connection waits it gives up what it waits for; 0 for never. A system that does so has
    /// [`Harm::GivenUp`] among its harms.
    pub fn gives_up(&self) -> u64 {
        self.gives_up
    }

    /// A connection has given up what it waited for.
    pub fn gave_up(&self) {
        self.recorder.harms(Harm::GivenUp as u64, 1);
    }

    /// Does step number `count` of a connection. Where [`NoiseKind::EndedThreads`] is asked for, one in some dozens is done by a thread that
    /// ends while what the step `waits_for` is under way.
    pub fn step<R: Send>(
        &self,
        count: u64,
        step: impl FnOnce() -> R + Send,
        waits_for: impl FnOnce(&R) -> Option<&Completion>,
    ) -> R {
        let layer = self.layer.as_ref().filter(|_| self.mortal && count.is_multiple_of(MORTAL));
        let Some(layer) = layer else { return step() };
        let (stepped, is_under_way) = in_mortal_thread(&**layer, step, waits_for);
        if is_under_way {
            self.recorder.hears(NoiseKind::EndedThreads, 1);
        }
        stepped
    }
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process").field("number", &self.number).finish_non_exhaustive()
    }
}
