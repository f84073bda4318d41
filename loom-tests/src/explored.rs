//! One model in a process of its own.
//!
//! A model that aborts takes no other along, and is known by name. Two processes are also faster than two threads: loom maps
//! and unmaps a stack for each of its threads, in each execution, and the threads of one process wait for each other there.

use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// The option with which the models' program explores one model and prints what that came to, as a line of JSON.
pub const CHILD: &str = "--child";

/// What exploring a model came to.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub struct Explored {
    /// How many executions there were.
    pub executions: u64,
    /// How long they took.
    pub seconds: f64,
    /// What is wrong, if anything is.
    pub failure: Option<String>,
    /// The orderings that it reached, if the program was built to note them.
    pub places: Vec<Place>,
}

/// One ordering in the source of the runtime.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// From the workspace's root.
    pub file: String,
    /// Of the call.
    pub line: u32,
    /// Of the call.
    pub column: u32,
    /// `load`, `store`, `exchange`, `success` or `failure`.
    pub role: String,
    /// As std calls it.
    pub ordering: String,
}

/// Explores `model` by calling `command`, to which it adds what says so. `None` when that took longer than `limit`.
///
/// # Errors
///
/// When the program can't be started.
pub fn explore(mut command: Command, model: &str, limit: Duration) -> io::Result<Option<Explored>> {
    let begun = Instant::now();
    let mut child =
        command.args([CHILD, "--exact", model]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut stdout = child.stdout.take().expect("it is piped");
    let (ended, ends) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut text = String::new();
        let read = stdout.read_to_string(&mut text);
        let _ = ended.send(());
        read.map(|_| text)
    });
    let in_time = ends.recv_timeout(limit).is_ok();
    if !in_time {
        child.kill()?;
    }
    let status = child.wait()?;
    let text = reader.join().expect("reading doesn't panic")?;
    if !in_time {
        return Ok(None);
    }
    let explored = text.lines().rev().find_map(|line| serde_json::from_str(line).ok());
    Ok(Some(explored.unwrap_or_else(|| Explored {
        seconds: begun.elapsed().as_secs_f64(),
        failure: Some(format!("the process died: {status}")),
        ..Explored::default()
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Option<Explored> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        explore(command, "a_model", limit).unwrap()
    }

    #[test]
    fn the_model_s_name_and_its_end_go_through() {
        let script = r#"test "$0 $1 $2" = "--child --exact a_model" || exit 3
            echo noise; echo '{"executions":7,"seconds":0.5,"failure":null,"places":[]}'"#;
        let explored = shell(script, Duration::from_secs(60)).unwrap();
        assert_eq!((explored.executions, explored.failure), (7, None));
    }

    #[test]
    fn an_abort_is_a_failure() {
        let explored = shell("kill -ABRT $$", Duration::from_secs(60)).unwrap();
        assert!(explored.failure.unwrap().contains("signal: 6"));
    }

    #[test]
    fn what_takes_too_long_is_ended() {
        assert_eq!(shell("exec sleep 1000", Duration::from_millis(50)), None);
    }
}
