//! A store with bugs that the environment plants: what a job must find, and must not find once they are gone.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tenterhook_runtime::Completion;
use tenterhook_runtime::io::{Buffer, File, IO, OpenOptions, Submission};
use tenterhook_stress::disk::FaultKind;
use tenterhook_stress::real::killed::Killable;
use tenterhook_stress::subject::{Drawn, Fixed, NoOptions, Subject};
use tenterhook_stress::sweep::{Operation, operation};
use tenterhook_stress::system::{Context, Crash, Step, System};
use tenterhook_stress::tape::{ChoicePoint, Stream};
use tenterhook_stress::violation::Violation;

use super::killed;

/// The variable with the names of the planted bugs: `hasty` and `racy`. `slow` makes each run take long. `early`
/// ends each run at its first boot, with another oracle. `clumsy` makes the list of
/// operations panic in a worker. For `lost` and `unreached` see [`killed`].
pub(crate) const BUGS: &str = "TENTERHOOK_PLANTED";

const SLIPS: ChoicePoint = ChoicePoint::new(25, "slips");
const DEED: ChoicePoint = ChoicePoint::new(0, "deed");

#[derive(Copy, Clone, Debug)]
pub(crate) struct PlantedSubject;

pub(crate) fn is_planted(bug: &str) -> bool {
    std::env::var(BUGS).unwrap_or_default().contains(bug)
}

/// Which bugs the run has.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Plan {
    connections: u32,
    /// Acknowledges before the sync.
    hasty: bool,
    /// Loses additions, in one of ten seeds.
    racy: bool,
}

impl Subject for PlantedSubject {
    const NAME: &'static str = "planted";
    type Options = NoOptions;
    type Plan = Plan;
    type System = Planted;

    fn draw(stream: &mut Stream, seed: u64, fixed: &Fixed<NoOptions>) -> Drawn<Plan> {
        let planted = std::env::var(BUGS).unwrap_or_default();
        let slips = stream.choose(SLIPS, 10) == 9;
        let (hasty, racy) = (planted.contains("hasty"), planted.contains("racy") && slips);
        let faults = [FaultKind::PowerLoss, FaultKind::ProcessKilled, FaultKind::WriteError];
        let mut drawn = Drawn::common(stream, seed, fixed, &faults, Plan { connections: 0, hasty, racy });
        drawn.plan.connections = drawn.connections;
        drawn
    }

    fn system(drawn: &Drawn<Plan>) -> Planted {
        if is_planted("slow") {
            #[expect(clippy::disallowed_methods, reason = "a run that takes long")]
            std::thread::sleep(Duration::from_millis(500));
        }
        let connections = (0..drawn.plan.connections).map(|_| Connection::default()).collect();
        Planted { plan: drawn.plan, file: None, sum: 0, added: 0, connections }
    }

    fn killed() -> Option<Killable> {
        killed::planted()
    }

    fn operations() -> Vec<Box<dyn Operation>> {
        #[expect(clippy::disallowed_methods, reason = "only the list that a worker asks for is lost")]
        let is_worker = std::thread::current().name().is_some_and(|name| name.starts_with("worker"));
        assert!(!(is_worker && is_planted("clumsy")), "the list is lost");
        let begin = |io: &Arc<dyn IO>| {
            let file =
                io.open(Path::new("number"), OpenOptions::creating()).map_err(|error| error.to_string())?;
            let sync = file.start(Submission::sync(|_| {}));
            Ok(move || match sync.result() {
                None => Ok::<_, String>(tenterhook_runtime::IOResult::IO(
                    tenterhook_runtime::IOCompletions::Single(sync.clone()),
                )),
                Some(Ok(_)) => Ok(tenterhook_runtime::IOResult::Done(())),
                Some(Err(error)) => Err(error.to_string()),
            })
        };
        vec![operation("sync a number", begin, |_| Ok(()))]
    }
}

#[derive(Default)]
struct Connection {
    deed: u32,
    /// What it has read of the sum and not written yet.
    read: Option<u64>,
    io: Option<Completion>,
    is_written: bool,
    next: u64,
    acknowledged: u64,
}

pub(crate) struct Planted {
    plan: Plan,
    file: Option<Arc<dyn File>>,
    sum: u64,
    added: u64,
    connections: Vec<Connection>,
}

impl System for Planted {
    fn connections(&self) -> u32 {
        self.plan.connections
    }

    fn boot(&mut self, io: &Arc<dyn IO>, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        let path = Path::new("number");
        let Ok(file) = io.open(path, OpenOptions::creating()) else { return Ok(Step::Yield) };
        if is_planted("early") {
            return Err(Violation::safety("boot", "no early end".to_owned(), "an early end".to_owned()));
        }
        let bytes = context.disk.content(path).unwrap_or_default();
        for (number, connection) in self.connections.iter_mut().enumerate() {
            let at = number * 512;
            let found =
                bytes.get(at..at + 8).and_then(|word| word.try_into().ok()).map_or(0, u64::from_le_bytes);
            if found < connection.acknowledged {
                let (expected, seen) = (connection.acknowledged.to_string(), found.to_string());
                return Err(Violation::safety("durability", expected, seen));
            }
            connection.next = found.max(connection.next);
        }
        self.file = Some(file);
        Ok(Step::Ended)
    }

    fn step(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        let Some(file) = self.file.clone() else { return Ok(Step::Idle) };
        let plan = self.plan;
        let number = context.fiber as usize;
        let connection = &mut self.connections[number];
        if connection.io.is_none() && connection.read.is_none() {
            connection.deed = context.stream.choose(DEED, 3);
            tenterhook_stress::sometimes!(connection.deed == 2, "a connection adds");
        }
        if connection.deed == 2 {
            return Ok(match connection.read.take() {
                None => {
                    connection.read = Some(self.sum);
                    if plan.racy { Step::Yield } else { Step::Continue }
                }
                Some(read) => {
                    self.sum = if plan.racy { read } else { self.sum } + 1;
                    self.added += 1;
                    Step::Ended
                }
            });
        }
        if let Some(io) = connection.io.take() {
            match io.result() {
                None => {
                    connection.io = Some(io.clone());
                    return Ok(Step::Wait(io));
                }
                Some(Ok(_)) if connection.is_written || plan.hasty => {
                    (connection.acknowledged, connection.is_written) = (connection.next, false);
                    return Ok(Step::Ended);
                }
                Some(Ok(_)) => connection.is_written = true,
                Some(Err(_)) => {
                    connection.is_written = false;
                    return Ok(Step::Ended);
                }
            }
        } else {
            connection.next += 1;
        }
        let bytes = Buffer::copy_of(&connection.next.to_le_bytes());
        connection.io = Some(match connection.is_written {
            false => file.start(Submission::write(number as u64 * 512, bytes, |_, _| {})),
            true => file.start(Submission::sync(|_| {})),
        });
        Ok(Step::Continue)
    }

    fn quiesce(&mut self, _: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        if self.sum != self.added {
            return Err(Violation::safety("sum", self.added.to_string(), self.sum.to_string()));
        }
        Ok(Step::Ended)
    }

    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        self.file = None;
        for connection in &mut self.connections {
            (connection.io, connection.is_written, connection.read) = (None, false, None);
        }
        Ok(())
    }

    fn describe(&self, fiber: u32) -> String {
        let deed = self.connections.get(fiber as usize).map_or(0, |connection| connection.deed);
        ["insert", "update", "add"][deed as usize].into()
    }
}
