//! Programs with a bound on their time.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// How a program ended.
pub(crate) struct Ended {
    /// `None` when its time was up.
    pub(crate) status: Option<ExitStatus>,
    pub(crate) elapsed: Duration,
    /// What it wrote, both streams.
    pub(crate) output: String,
}

/// Runs `command`, its output in `log`, for at most `most`; then it and what it started are killed.
pub(crate) fn run(mut command: Command, log: &Path, most: Duration) -> io::Result<Ended> {
    let file = File::create(log)?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    // A group of its own: cargo's children have to go, too.
    command.process_group(0);
    let begun = Instant::now();
    let mut child = command.spawn()?;
    let group = Pid::from_child(&child);
    let (ended, ends) = mpsc::channel();
    let status = std::thread::scope(|scope| {
        scope.spawn(move || ended.send(child.wait()));
        match ends.recv_timeout(most) {
            Ok(status) => status.map(Some),
            Err(_) => {
                // It may have ended just now; the waiting thread knows.
                let _ = kill_process_group(group, Signal::KILL);
                ends.recv().map_err(io::Error::other)?.map(|_| None)
            }
        }
    })?;
    let output = String::from_utf8_lossy(&fs::read(log)?).into_owned();
    Ok(Ended { status, elapsed: begun.elapsed(), output })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, most: Duration) -> Ended {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(command, &folder.path().join("log"), most).unwrap()
    }

    #[test]
    fn what_ends_in_time_is_reported_with_its_output() {
        let ended = shell("echo out; echo err >&2; exit 10", Duration::from_secs(60));
        assert_eq!(ended.status.and_then(|status| status.code()), Some(10));
        assert_eq!(ended.output, "out\nerr\n");
    }

    #[test]
    fn what_hangs_is_killed_with_its_children() {
        let ended = shell("echo begun; sleep 1000 & wait", Duration::from_millis(100));
        assert!(ended.status.is_none());
        assert_eq!(ended.output, "begun\n");
    }
}
