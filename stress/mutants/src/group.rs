//! A program with everything that it starts, so that nothing of it survives: neither its end, nor ours.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::Mutex;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// Those that run.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// A process group, led by our child.
pub(crate) struct Group {
    leader: Child,
    id: Pid,
}

impl Group {
    pub(crate) fn spawn(command: &mut Command) -> io::Result<Self> {
        // Under the lock: nothing may begin behind the back of `end_all_on_signals`.
        let mut running = RUNNING.lock().expect("no panic under the lock");
        let leader = command.process_group(0).spawn()?;
        let id = Pid::from_child(&leader);
        running.push(id);
        Ok(Self { leader, id })
    }

    /// Waits for the leader. It stays a zombie, so that its id is not used again.
    pub(crate) fn wait(&self) -> io::Result<()> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        Ok(rustix::io::retry_on_intr(|| waitid(WaitId::Pid(self.id), options)).map(drop)?)
    }

    pub(crate) fn kill(&self) {
        // An error says that no process is left.
        let _ = kill_process_group(self.id, Signal::KILL);
    }

    /// Kills what is left of it; how its leader ended.
    pub(crate) fn end(mut self) -> io::Result<ExitStatus> {
        let mut running = RUNNING.lock().expect("no panic under the lock");
        self.kill();
        let status = self.leader.wait();
        running.retain(|id| *id != self.id);
        status
    }
}

/// From now on Ctrl-C, SIGTERM and SIGHUP kill what runs and end this program with `code`, after a last line.
pub(crate) fn end_all_on_signals(code: u8, last: &'static str) -> io::Result<()> {
    let end = move || {
        // Never given back: a waiter for a group that dies of this must not take it for a result.
        let running = RUNNING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for id in running.iter() {
            let _ = kill_process_group(*id, Signal::KILL);
        }
        eprintln!("\n{last}");
        std::process::exit(i32::from(code));
    };
    ctrlc::set_handler(end).map_err(io::Error::other)
}
