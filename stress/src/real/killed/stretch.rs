//! A stretch of a campaign, as a job runs it among other kinds of runs.

use std::io;
use std::path::Path;
use std::time::Duration;

use tenterhook_runtime::io::Backend;

use super::campaign::run;
use super::summary::Summary;
use super::system::Killable;
use super::{CrashOptions, NoiseKind};
use crate::stop::Stop;

const CONNECTIONS: u64 = 8;
const POWER_LOSSES: u32 = 24;
const STALL: Duration = Duration::from_secs(30);

/// Goes on until `duration` is up, something is wrong, or `stop` is told: every point, every kind of noise that the system is up to, and
/// each backend that this machine has in turn. The directory is there, and empty. The children are processes of this program, whose commands
/// begin with `program`.
///
/// # Errors
///
/// When the directory cannot be used, or a process cannot be started.
pub fn stretch(
    system: &Killable,
    (directory, seed, duration): (&Path, u64, Duration),
    program: &'static str,
    stop: &Stop,
) -> io::Result<Summary> {
    let backends = match Backend::Uring.start() {
        Ok(_) => vec![Backend::Threads, Backend::Uring],
        Err(_) => vec![Backend::Threads],
    };
    let options = CrashOptions {
        directory: directory.to_owned(),
        seed,
        kills: None,
        duration: Some(duration),
        backends,
        connections: CONNECTIONS,
        points: system.points(),
        power_losses: if system.is_recorded() { POWER_LOSSES } else { 0 },
        noise: NoiseKind::OF_CHILDREN.into_iter().filter(|kind| system.noise().contains(kind)).collect(),
        stall: STALL,
        plant: None,
        executable: std::env::current_exe()?,
        program,
        progress: false,
    };
    run(system, &options, stop)
}
