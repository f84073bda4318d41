//! Machines of connections, driven until the process is killed.

use std::convert::Infallible;
use std::error::Error;
use std::fmt::Display;
use std::sync::Arc;

use tenterhook_runtime::executor::Executor;
use tenterhook_runtime::{IOCompletions, IOResult};

use super::commits::Commits;
use super::process::Process;
use crate::violation::Violation;

/// Threads of the executor.
const THREADS: usize = 2;

impl Commits {
    /// Steps a machine for each connection, on an executor of two threads, until the process is killed. A machine that ends is wrong. One
    /// that fails ends the process: with a violation, unless an injected error explains it. A machine that can go on after such an
    /// error does not return it.
    ///
    /// # Errors
    ///
    /// When the process has no connections.
    pub fn drive<M, E>(&self, mut machine: impl FnMut(u64) -> M) -> Result<Infallible, Box<dyn Error>>
    where
        M: FnMut() -> Result<IOResult<()>, E> + Send + 'static,
        E: Display + Send + 'static,
    {
        let executor = Executor::new(THREADS);
        let tasks: Vec<_> = (0..self.process().connections())
            .map(|connection| executor.spawn(driven(self.process(), connection, machine(connection))))
            .collect();
        // None of them ends, so that those after the first are not joined: each tells by itself what goes wrong with it.
        for task in tasks {
            task.join()?;
        }
        Err("there are no connections".into())
    }
}

fn driven<M, E>(
    process: &Arc<Process>,
    connection: u64,
    mut machine: M,
) -> impl FnMut() -> Result<IOResult<()>, Never> + Send + 'static
where
    M: FnMut() -> Result<IOResult<()>, E> + Send + 'static,
    E: Display + Send + 'static,
{
    let (process, mut steps) = (Arc::clone(process), 0);
    move || {
        steps += 1;
        let stepped = process.step(steps, &mut machine, |stepped| match stepped {
            Ok(IOResult::IO(IOCompletions::Single(completion))) => Some(completion),
            _ => None,
        });
        let (oracle, expected, seen) = match stepped {
            Ok(IOResult::IO(io)) => return Ok(IOResult::IO(io)),
            Ok(IOResult::Done(())) => ("end", "work until the process is killed", "it has ended".to_owned()),
            Err(_) if process.has_struck() => process.die(),
            Err(error) => ("unexplained error", "no error that no fault explains", error.to_string()),
        };
        process.object(&Violation::safety(oracle, expected, format!("connection {connection}: {seen}")))
    }
}

/// What a driven machine fails with.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("never")]
enum Never {}
