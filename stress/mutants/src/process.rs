//! Programs with a bound on their time.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::group::Group;

/// How a program ended.
pub(crate) struct Ended {
    /// `None` when its time was up.
    pub(crate) status: Option<ExitStatus>,
    pub(crate) elapsed: Duration,
    /// What it wrote, both streams.
    pub(crate) output: String,
}

/// Runs `command`, its output in `log`, for at most `most`. When it ends, or its time is up, what it started is killed.
pub(crate) fn run(mut command: Command, log: &Path, most: Duration) -> io::Result<Ended> {
    let file = File::create(log)?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let begun = Instant::now();
    let group = Group::spawn(&mut command)?;
    let (ended, ends) = mpsc::channel();
    let in_time = std::thread::scope(|scope| {
        let group = &group;
        scope.spawn(move || ended.send(group.wait()));
        let end = ends.recv_timeout(most);
        if end.is_err() {
            group.kill();
        }
        end
    });
    let elapsed = begun.elapsed();
    let status = group.end()?;
    let status = match in_time {
        Ok(waited) => waited.map(|()| Some(status))?,
        Err(_) => None,
    };
    let output = String::from_utf8_lossy(&fs::read(log)?).into_owned();
    Ok(Ended { status, elapsed, output })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, most: Duration) -> Ended {
        shell_in(&tempfile::tempdir().unwrap(), script, most)
    }

    fn shell_in(folder: &tempfile::TempDir, script: &str, most: Duration) -> Ended {
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(folder);
        run(command, &folder.path().join("log"), most).unwrap()
    }

    /// Runs a script that opens the pipe `held`; back when all who had it open are dead.
    fn outlived(script: &str, most: Duration) -> Ended {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("held");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        std::thread::scope(|scope| {
            let end = scope.spawn(|| fs::read(&pipe).unwrap());
            let ended = shell_in(&folder, script, most);
            // If it was killed before it opened the pipe, the reader still waits for a writer.
            drop(File::options().read(true).write(true).open(&pipe).unwrap());
            assert_eq!(end.join().unwrap(), b"");
            ended
        })
    }

    #[test]
    fn what_ends_in_time_is_reported_with_its_output() {
        let ended = shell("echo out; echo err >&2; exit 10", Duration::from_secs(60));
        assert_eq!(ended.status.and_then(|status| status.code()), Some(10));
        assert_eq!(ended.output, "out\nerr\n");
    }

    #[test]
    fn what_hangs_is_killed_with_its_children() {
        let ended = outlived("exec 3>held; sleep 1000 & wait", Duration::from_millis(100));
        assert!(ended.status.is_none());
    }

    #[test]
    fn what_ends_leaves_no_children_behind() {
        let ended = outlived("exec 3>held; sleep 1000 & exit 3", Duration::from_secs(60));
        assert_eq!(ended.status.and_then(|status| status.code()), Some(3));
    }
}
