//! A command that Ctrl-C ends, with all that it has started.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use crossbeam_channel::{bounded, select};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::stop::Stop;

/// How long a group has to end by itself, within the second that Ctrl-C may take.
const GRACE: Duration = Duration::from_millis(600);

/// Runs a command in a process group of its own to its end. An error says why there is no exit status.
pub(super) fn status(command: &mut Command, stop: &Stop) -> Result<ExitStatus, String> {
    let mut child = command.process_group(0).spawn().map_err(|error| error.to_string())?;
    let group = Pid::from_child(&child);
    let (waiter, ended) = bounded(1);
    let has_stopped = std::thread::scope(|scope| {
        scope.spawn(move || {
            // The child stays a zombie, so that its number is no other group's when a signal is sent.
            let what = WaitIdOptions::EXITED | WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
            let seen = retry_on_intr(|| waitid(WaitId::Pid(group), what));
            let _ = waiter.send(seen.ok().flatten().is_some_and(|seen| seen.stopped()));
        });
        let has_stopped = select! {
            recv(ended) -> stopped => stopped.unwrap_or(false),
            recv(stop.told()) -> _ => {
                let _ = kill_process_group(group, Signal::TERM);
                let _ = ended.recv_timeout(GRACE);
                false
            }
        };
        if has_stopped || stop.is_told() {
            // What does not end, or is left of the group.
            let _ = kill_process_group(group, Signal::KILL);
        }
        has_stopped
    });
    let status = child.wait().map_err(|error| error.to_string())?;
    match stop.is_told() {
        true => Err("interrupted".into()),
        false if has_stopped => Err("it waits for a terminal, and has none".into()),
        false => Ok(status),
    }
}

/// The same, with what it prints to stdout.
pub(super) fn stdout(command: &mut Command, stop: &Stop) -> Result<String, String> {
    let file = || -> std::io::Result<(File, File)> {
        let file = tempfile::tempfile()?;
        Ok((file.try_clone()?, file))
    };
    let (theirs, mut ours) = file().map_err(|error| format!("no temporary file ({error}); make room"))?;
    status(command.stdout(theirs), stop)?;
    let mut told = Vec::new();
    ours.rewind().and_then(|()| ours.read_to_end(&mut told)).map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&told).into_owned())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};

    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn what_a_command_says_and_its_status_are_its_own() {
        let (_stopper, stop) = Stop::new();
        assert_eq!(stdout(&mut sh("echo said"), &stop).as_deref(), Ok("said\n"));
        assert_eq!(status(&mut sh("exit 7"), &stop).map(|status| status.code()), Ok(Some(7)));
    }

    /// A program that asks a terminal from the background is stopped, and would be waited for without end.
    #[test]
    fn a_command_that_is_stopped_is_ended() {
        let (_stopper, stop) = Stop::new();
        let ended = status(&mut sh("kill -STOP $$"), &stop);
        assert_eq!(ended.map(|status| status.code()), Err("it waits for a terminal, and has none".into()));
    }

    /// It says when it no longer listens to TERM, and whether it has come to its own end.
    #[test]
    fn a_command_that_takes_no_hint_is_ended_too() {
        let (stopper, stop) = Stop::new();
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let mut command = sh("trap '' TERM; echo deaf; sleep 30; echo late");
        command.stdout(writer);
        let ended = std::thread::spawn(move || status(&mut command, &stop).map(|status| status.code()));
        let (mut reader, mut told) = (BufReader::new(reader), String::new());
        reader.read_line(&mut told).expect("it says so");
        drop(stopper);
        assert_eq!(ended.join().expect("it ends"), Err("interrupted".into()));
        reader.read_to_string(&mut told).expect("its end");
        assert_eq!(told, "deaf\n");
    }
}
