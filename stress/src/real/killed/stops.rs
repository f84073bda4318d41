//! Stops a child for a while and continues it, from outside.

use std::io;
use std::process::Child;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::rng;

/// Stops a child, and continues it a few milliseconds later; at random.
#[derive(Debug)]
pub(super) struct Stops {
    child: Option<Pid>,
    key: u64,
    ticks: u64,
    state: State,
    /// How often it was seen stopped.
    pub(super) delivered: u64,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// It was told to stop.
    Told,
    /// It has stopped, and continues at this tick.
    Stopped(u64),
}

impl Stops {
    pub(super) fn of(child: &Child, seed: u64) -> Stops {
        let child = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        Stops { child, key: rng::derive(4, seed), ticks: 0, state: State::Running, delivered: 0 }
    }

    /// A millisecond or so has gone by. The child has not been waited for, so its number is still its own.
    pub(super) fn tick(&mut self) -> io::Result<()> {
        let Some(child) = self.child else { return Ok(()) };
        self.ticks += 1;
        let draw = rng::at(self.key, self.ticks);
        match self.state {
            State::Running if rng::below(draw, 8) == 0 => {
                kill_process(child, Signal::STOP)?;
                self.state = State::Told;
            }
            State::Told => {
                let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
                match waitid(WaitId::Pid(child), options) {
                    Ok(Some(_)) => {
                        self.delivered += 1;
                        self.state = State::Stopped(self.ticks + 1 + rng::below(draw, 6));
                    }
                    // It has died meanwhile, and will not stop any more.
                    Ok(None) | Err(Errno::CHILD) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            State::Stopped(until) if self.ticks >= until => {
                kill_process(child, Signal::CONT)?;
                self.state = State::Running;
            }
            State::Running | State::Stopped(_) => {}
        }
        Ok(())
    }
}

/// Whether process `child` is stopped, by its campaign or from outside.
pub(super) fn is_stopped(child: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
    // Its name stands in brackets before its state, and may have brackets of its own.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['T', 't']))
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_process_that_is_stopped_is_seen_stopped_and_continues() {
        let mut child = Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let mut stops = Stops::of(&child, 1);
        let begun = Instant::now();
        let mut tick_until = |is_over: fn(&Stops) -> bool| {
            while !is_over(&stops) {
                assert!(begun.elapsed() < Duration::from_secs(10), "{stops:?}");
                stops.tick().unwrap();
                std::thread::yield_now();
            }
        };
        let number = child.id();
        tick_until(|stops| stops.delivered == 3);
        assert!(is_stopped(number), "a time in which it is stopped is not held against it");
        tick_until(|stops| stops.state == State::Running);
        // It continues: it sees the end of its input, and ends without an error.
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }
}
