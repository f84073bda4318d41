//! What a system offers to be killed.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tenterhook_runtime::io::IO;

use super::commits::Opening;
use super::files::SystemFiles;
use super::harm::Harm;
use super::points::Point;
use super::seat::Seat;
use crate::real::noise::NoiseKind;
use crate::violation::Violation;

/// A system that works in processes which are killed.
pub enum Killable {
    /// Its I/O goes through the runtime's [`IO`] and is recorded: the power can be lost at any moment of a process's life.
    Recorded(Box<dyn Recorded>),
    /// It opens its files by itself: its processes are killed at random moments, and what the kernel has is looked at.
    Unrecorded(Box<dyn Unrecorded>),
}

/// A system whose I/O goes through the runtime's [`IO`].
///
/// Commits of a connection are numbered from 1. A process says which one it asks for and which one it was told of. A check says how
/// many commits of each connection it has found.
pub trait Recorded: Send + Sync {
    /// Its files in `directory`, whether or not they are there yet. It opens no others, and removes none.
    fn files(&self, directory: &Path) -> SystemFiles;

    /// The points that its processes reach. A point that many were to die at, and none has reached, fails a campaign.
    fn points(&self) -> Vec<Point>;

    /// The harms that it is made to survive, and those that it does to itself. One that was meant for many processes, and that none has
    /// come to, fails a campaign.
    fn harms(&self) -> Vec<Harm> {
        Harm::OF_IO.to_vec()
    }

    /// The kinds of noise that it is up to, of [`NoiseKind::OF_CHILDREN`]. The same holds of them. [`NoiseKind::EndedThreads`] is made by
    /// [`Commits::drive`](super::Commits::drive) and [`Process::step`](super::Process::step): a system that uses neither leaves it out.
    fn noise(&self) -> Vec<NoiseKind> {
        NoiseKind::OF_CHILDREN.to_vec()
    }

    /// The names of bugs that a person may ask for, so that a campaign can be seen to find them.
    fn plants(&self) -> &'static [&'static str] {
        &[]
    }

    /// Opens what is in the directory of `opening` through `io`, says what it has found, and commits until it is killed.
    ///
    /// # Errors
    ///
    /// What nothing explains. An injected error explains what [`Process::has_struck`](super::Process::has_struck) says.
    fn work(&self, opening: Opening, io: &Arc<dyn IO>) -> Result<Infallible, Box<dyn Error>>;

    /// Opens what is in `directory` on `io`, a simulated disk, recovery and all, and reads everything: how many commits of each
    /// connection are there. They are held against `seats` by the campaign, too.
    ///
    /// # Errors
    ///
    /// What is wrong with it. Operations may fail: the power may go in the middle of a recovery. The files are then recovered once
    /// more, and that counts.
    fn check(&self, io: &Arc<dyn IO>, directory: &Path, seats: &[Seat]) -> Result<Vec<u64>, Box<Violation>>;
}

/// A system that opens its files by itself.
pub trait Unrecorded: Send + Sync {
    /// Its files in `directory`, whether or not they are there yet: noise is made around them.
    fn files(&self, directory: &Path) -> Vec<PathBuf>;

    /// As [`Recorded::plants`].
    fn plants(&self) -> &'static [&'static str] {
        &[]
    }

    /// As [`Recorded::work`].
    ///
    /// # Errors
    ///
    /// All of them: no I/O is failed on purpose.
    fn work(&self, opening: Opening) -> Result<Infallible, Box<dyn Error>>;

    /// Opens what is in `directory`, a copy of what a dead process has left, and reads everything: how many commits of each connection
    /// are there.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    fn check(&self, directory: &Path, seats: &[Seat]) -> Result<Vec<u64>, Box<Violation>>;
}

impl Killable {
    /// The points that its processes reach; none without a record.
    pub fn points(&self) -> Vec<Point> {
        match self {
            Killable::Recorded(system) => system.points(),
            Killable::Unrecorded(_) => Vec::new(),
        }
    }

    /// The harms that may befall its processes; none without a record.
    pub fn harms(&self) -> Vec<Harm> {
        match self {
            Killable::Recorded(system) => system.harms(),
            Killable::Unrecorded(_) => Vec::new(),
        }
    }

    /// The kinds of noise that it is up to. Without a record nothing says that an error comes from a full disk.
    pub fn noise(&self) -> Vec<NoiseKind> {
        match self {
            Killable::Recorded(system) => system.noise(),
            Killable::Unrecorded(_) => vec![NoiseKind::Signals, NoiseKind::Stops, NoiseKind::ColdFiles],
        }
    }

    /// The names of the bugs that a person may ask for.
    pub fn plants(&self) -> &'static [&'static str] {
        match self {
            Killable::Recorded(system) => system.plants(),
            Killable::Unrecorded(system) => system.plants(),
        }
    }

    /// Whether its I/O is recorded.
    pub fn is_recorded(&self) -> bool {
        matches!(self, Killable::Recorded(_))
    }
}

impl fmt::Debug for Killable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_recorded() { "Recorded" } else { "Unrecorded" })
    }
}
