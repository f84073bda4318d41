//! Processes that are killed in the middle, and what the next one finds.
//!
//! A child recovers the files that the last one left, looks them over, and commits; it is killed with SIGKILL at a random moment,
//! or kills itself at a named [`Point`], which may lie inside recovery. What it asked for and was told stands in a table that
//! outlives it. After each death the files are recovered beside the real ones: as the kernel has them, and, from a record of the
//! child's I/O, as a power loss at its death or at any moment before might have left them. One death in four ends with such a
//! loss made real: the next child recovers those files. No child is like another: see `variety`. A child that does not move any
//! more is a finding, as is everything that one says about itself. What a failure follows from is kept: see `evidence`.
//!
//! A system is a [`Recorded`] if its I/O goes through the runtime's `IO`, and an [`Unrecorded`] if it opens its files by itself. The
//! second has no power losses, no points and no injected errors.
//!
//! | file | what it is |
//! | --- | --- |
//! | `system` | what a system offers: [`Killable`] |
//! | `process`, `commits`, `drive` | what its process lends to it, what it says of its commits, and how it works: [`Process`], [`Opening`], [`Commits`] |
//! | `seat`, `acks` | what each connection has asked for and was told, in a table that outlives a process |
//! | `child`, `death` | the process that is killed |
//! | `points`, `harm`, `variety` | where it kills itself, what befalls its I/O, and which child meets what |
//! | `files`, `record`, `replay`, `power` | the system's files, the record of their I/O, and power losses computed from it |
//! | `campaign`, `life`, `remains`, `quiet`, `stops`, `draws` | one death after the other, drawn from a seed |
//! | `base`, `verdict`, `evidence`, `tree` | the files with which a record begins, what is wrong with files, and what is kept of it |
//! | `summary`, `stretch` | what was counted, and a part of it for a job |

mod acks;
mod base;
mod campaign;
mod child;
mod commits;
mod death;
mod draws;
mod drive;
mod evidence;
mod files;
mod harm;
mod life;
mod points;
mod power;
mod process;
mod quiet;
mod record;
mod remains;
mod replay;
mod seat;
mod stops;
mod stretch;
mod summary;
mod system;
#[cfg(test)]
mod toy;
mod tree;
mod variety;
mod verdict;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tenterhook_runtime::io::Backend;

pub use self::campaign::run;
pub use self::child::{ChildOptions, run_child};
pub use self::commits::{Commits, Opening};
pub use self::evidence::{Exhibit, examine};
pub use self::files::{LogFile, SystemFiles};
pub use self::harm::Harm;
pub use self::points::Point;
pub use self::process::Process;
pub use self::seat::Seat;
pub use self::stretch::stretch;
pub use self::summary::{Failure, HarmCount, PointCount, Summary};
pub use self::system::{Killable, Recorded, Unrecorded};
use super::noise::NoiseKind;

/// What is to be done.
#[derive(Clone, Debug)]
pub struct CrashOptions {
    /// Where the files are; what an earlier run left there is gone on with.
    pub directory: PathBuf,
    /// Decides who dies when.
    pub seed: u64,
    /// Deaths; `None` for as many as fit into the duration.
    pub kills: Option<u64>,
    /// For how long.
    pub duration: Option<Duration>,
    /// Backends, in turn. A system whose I/O is not recorded needs none.
    pub backends: Vec<Backend>,
    /// Connections of each child.
    pub connections: u64,
    /// Where children kill themselves, in turn with random moments; empty for random moments only, and without a record.
    pub points: Vec<Point>,
    /// Power losses to try after each death. Without a record there are none.
    pub power_losses: u32,
    /// Kinds of noise, of those that the system is up to; each child gets some of them.
    pub noise: Vec<NoiseKind>,
    /// A child that makes no progress for so long has stalled.
    pub stall: Duration,
    /// A bug of the children, so that it can be seen to be found: one of those that the system has named.
    pub plant: Option<&'static str>,
    /// The file with the program whose command `crash-child` is the child.
    pub executable: PathBuf,
    /// What commands of that program begin with.
    pub program: &'static str,
    /// Whether to draw a progress bar if there is a terminal.
    pub progress: bool,
}

fn acks_path(directory: &Path) -> PathBuf {
    directory.join("acknowledged")
}

/// The folder that a system without a record has for itself.
fn own_folder(directory: &Path) -> PathBuf {
    directory.join("system")
}
