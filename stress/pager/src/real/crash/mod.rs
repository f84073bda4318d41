//! Processes that are killed in the middle, and what the next one finds.
//!
//! A child recovers the file that the last one left, looks it over, and commits; it is killed with SIGKILL at a random moment,
//! or kills itself at a named [`Point`], which may lie inside recovery. What it asked for and was told stands in a table that
//! outlives it. After each death the files are recovered beside the real ones: as the kernel has them, and, from a record of the
//! child's I/O, as a power loss at its death or at any moment before might have left them. One death in four ends with such a
//! loss made real: the next child recovers those files. No child is like another: see `variety`. A child that does not move any
//! more is a finding, as is everything that one says about itself. What a failure follows from is kept: see `evidence`.

mod acks;
mod base;
mod campaign;
mod child;
mod death;
mod draws;
mod evidence;
mod harm;
mod plant;
mod points;
mod power;
mod quiet;
mod record;
mod remains;
mod replay;
mod seat;
mod stops;
mod stretch;
mod summary;
mod variety;
mod verify;
mod worker;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tenterhook_runtime::io::Backend;
use tenterhook_runtime::pager::{Durability, PagerOptions};

use tenterhook_stress::real::noise::NoiseKind;

pub use self::campaign::run;
pub use self::child::{ChildOptions, run as run_child};
pub use self::evidence::{Exhibit, examine};
pub use self::plant::Plant;
pub use self::points::{Point, UnknownPoint};
pub use self::stretch::Children;
pub use self::summary::{Failure, HarmCount, PointCount, Summary};

/// Small pages, a small cache and frequent checkpoints: everything happens often.
const OPTIONS: PagerOptions = PagerOptions {
    page_size: 512,
    cache_pages: 48,
    spill_pages: 2048,
    checkpoint_frames: 60,
    restart_frames: 240,
    max_pages: u32::MAX,
    durability: Durability::Full,
    id_seed: 11,
};

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
    /// Backends, in turn.
    pub backends: Vec<Backend>,
    /// Connections of each child.
    pub connections: u64,
    /// Where children kill themselves, in turn with random moments; empty for random moments only.
    pub points: Vec<Point>,
    /// Power losses to try after each death.
    pub power_losses: u32,
    /// Kinds of noise, of [`NoiseKind::OF_CHILDREN`]; each child gets some of them.
    pub noise: Vec<NoiseKind>,
    /// A child that makes no progress for so long has stalled.
    pub stall: Duration,
    /// A bug of the children, so that it can be seen to be found.
    pub plant: Option<Plant>,
    /// The program whose command `crash-child` is the child.
    pub program: PathBuf,
    /// Whether to draw a progress bar if there is a terminal.
    pub progress: bool,
}

fn database(directory: &Path) -> PathBuf {
    directory.join("ledger.db")
}

fn acks_path(directory: &Path) -> PathBuf {
    directory.join("acknowledged")
}
