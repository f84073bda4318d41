//! A command that Ctrl-C ends, with all that it has started.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitStatus};

use crossbeam_channel::{bounded, select};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::stop::Stop;

/// Runs a command in a process group of its own to its end. An error says why it has none of its own.
pub(super) fn status(command: &mut Command, stop: &Stop) -> Result<ExitStatus, String> {
    let mut child = command.process_group(0).spawn().map_err(|error| error.to_string())?;
    let group = Pid::from_child(&child);
    let (waiter, ended) = bounded::<()>(1);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // The child stays a zombie, so that its number is no other group's when the signal is sent.
            let _ =
                retry_on_intr(|| waitid(WaitId::Pid(group), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT));
            drop(waiter);
        });
        select! {
            recv(ended) -> _ => {}
            recv(stop.told()) -> _ => {
                let _ = kill_process_group(group, Signal::TERM);
            }
        }
    });
    let status = child.wait().map_err(|error| error.to_string())?;
    if stop.is_told() { Err("interrupted".into()) } else { Ok(status) }
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
