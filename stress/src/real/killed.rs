//! What a system offers to be run in processes that are killed.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::stop::Stop;
use crate::violation::Violation;

/// Runs a system in processes of its own, kills them in the middle of their work, and looks at what they leave.
pub trait KilledProcesses {
    /// Goes on until the time of `stretch` is up, something is wrong, or `stop` is told.
    ///
    /// # Errors
    ///
    /// When the directory cannot be used, or a process cannot be started.
    fn run(&self, stretch: &Stretch<'_>, stop: &Stop) -> io::Result<Killed>;
}

/// What is to be done.
#[derive(Copy, Clone, Debug)]
pub struct Stretch<'a> {
    /// Where the files are. It is there, and it is empty.
    pub directory: &'a Path,
    /// Decides who dies when.
    pub seed: u64,
    /// For how long.
    pub duration: Duration,
}

/// What a stretch came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Killed {
    /// Processes that have died.
    pub deaths: u64,
    /// What was done so far, by name.
    pub counts: Vec<(String, u64)>,
    /// What was meant for processes: where they were to die, and what was to go wrong before.
    pub meant: Vec<Meant>,
    /// What was found, with the command that runs it again.
    pub found: Option<(Box<Violation>, String)>,
    /// Whether `stop` ended it.
    pub interrupted: bool,
}

/// Something that processes were to come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meant {
    /// Its name.
    pub name: String,
    /// How many processes were to come to it.
    pub meant: u64,
    /// How often it happened.
    pub done: u64,
}
