//! The runtime itself as a system: completions, groups and an executor, shared by many connections. With threads each operation meets the
//! others at every synchronisation operation:
//! `RUSTFLAGS="--cfg tenterhook_shuttle" cargo run --profile stress -p tenterhook-stress --features cli --example storm -- sim --threads 4`

mod board;
mod connection;
mod machines;

use std::rc::Rc;
use std::sync::Arc;

use board::Board;
use connection::Actor;
use tenterhook_runtime::io::{IO, OpenOptions};
use tenterhook_stress::disk::FaultKind::{self, Cancelled, ProcessKilled, ReadError, SubmitRefused};
use tenterhook_stress::race::Connection;
use tenterhook_stress::subject::{Drawn, Fixed, NoOptions, Subject};
use tenterhook_stress::system::{Context, Crash, Step, System};
use tenterhook_stress::tape::Stream;
use tenterhook_stress::violation::Violation;

const FAULTS: [FaultKind; 4] = [Cancelled, ProcessKilled, ReadError, SubmitRefused];

/// All connections and what they share.
pub(crate) struct Storm {
    connections: u32,
    board: Rc<Board>,
    actors: Vec<Actor>,
}

impl Storm {
    fn new(connections: u32) -> Storm {
        let mut storm = Storm { connections, board: Rc::default(), actors: Vec::new() };
        storm.people();
        storm
    }

    fn people(&mut self) {
        self.actors = (0..self.connections).map(|_| Actor::new(&self.board)).collect();
    }
}

impl System for Storm {
    fn connections(&self) -> u32 {
        self.connections
    }

    fn boot(&mut self, io: &Arc<dyn IO>, _: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        let file = io.open("storm".as_ref(), OpenOptions::creating());
        self.board.open(file.map_err(|error| Violation::panic(error.to_string()))?);
        Ok(Step::Ended)
    }

    fn step(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        self.actors[context.fiber as usize].step(context)
    }

    fn connection(&mut self, _: u32) -> Option<Box<dyn Connection>> {
        Some(Box::new(Actor::new(&self.board)))
    }

    fn quiesce(&mut self, _: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        self.board.judge_rest()?;
        Ok(Step::Ended)
    }

    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        self.actors.clear();
        self.board.close();
        self.people();
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        self.board.counters()
    }
}

#[derive(Copy, Clone, Debug)]
pub(crate) struct StormSubject;

impl Subject for StormSubject {
    const NAME: &'static str = "storm";
    type Options = NoOptions;
    type Plan = ();
    type System = Storm;

    fn draw(stream: &mut Stream, seed: u64, fixed: &Fixed<NoOptions>) -> Drawn<()> {
        Drawn::common(stream, seed, fixed, &FAULTS, ())
    }

    fn system(drawn: &Drawn<()>) -> Storm {
        Storm::new(drawn.connections)
    }
}

fn main() -> std::process::ExitCode {
    tenterhook_stress::cli::main::<StormSubject>().into()
}
