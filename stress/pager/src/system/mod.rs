//! The runtime's pager as a system under test.

mod boot;
mod connection;
mod explanations;
mod place;
mod quiesce;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Weak};

use tenterhook_runtime::io::IO;
use tenterhook_runtime::pager::{Durability, Pager, PagerError, PagerOptions};

use self::boot::Boot;
use self::connection::Connection;
pub(crate) use self::explanations::explanations;
use self::quiesce::Quiesce;
use crate::oracle::{Observation, Oracles};
use crate::profile::Profile;
use crate::workload::layout::{Layout, Shape};
use crate::workload::record::{self, Recorder, Recording};
use crate::workload::{OperationKind, Tally};
use tenterhook_stress::disk::{FaultKind, Flippable, Place, SimDisk, Struck};
use tenterhook_stress::history::Record;
use tenterhook_stress::race;
use tenterhook_stress::schedule::FiberId;
use tenterhook_stress::sometimes;
use tenterhook_stress::system::{Context, Crash, Step, System};
use tenterhook_stress::tape::Chance;
use tenterhook_stress::violation::Violation;

pub(crate) use crate::workload::layout::Extent;

/// How the pager is set up and what its connections do; all of it fixed before the run.
#[derive(Copy, Clone, Debug)]
pub struct PagerPlan {
    pub(crate) profile: Profile,
    pub(crate) connections: u32,
    pub(crate) pager: PagerOptions,
    pub(crate) extent: Extent,
    /// How often each kind of operation is drawn.
    pub(crate) weights: [u32; OperationKind::ALL.len()],
    /// How likely a fiber lets others go first between two calls of the pager.
    pub(crate) interleave: Chance,
    pub(crate) injection: Injection,
    /// Share of write transactions that change something else first, and take it back.
    pub(crate) aside: Chance,
    /// How likely a transaction continues after an error.
    pub(crate) go_on: Chance,
    /// Share of write transactions that their owner rolls back.
    pub(crate) rollback: Chance,
    /// How likely the system is restarted when it refuses writes after a failed sync.
    pub(crate) restart: Chance,
    /// Whether reads of the log may return flipped bits (outside of recovery).
    pub(crate) flips_in_log: bool,
    /// Whether reads may return flipped bits during recovery.
    pub(crate) flips_in_recovery: bool,
    /// Whether the disk may say that it has done what it has not.
    pub(crate) disk_lies: bool,
}

/// What connections do to their own machines, each time one of them is suspended.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Injection {
    /// Drop it at once.
    pub(crate) drop: Chance,
    /// Drop it when what it waits for has ended.
    pub(crate) drop_later: Chance,
    /// Cancel what it waits for.
    pub(crate) cancel: Chance,
    /// Cancel a write, a sync or a truncation of the pager's own.
    pub(crate) cancel_change: Chance,
    /// How many times as likely the first three are for a checkpoint: there are few, and each leaves I/O which the next meets.
    pub(crate) checkpoints: u32,
    /// Give up the call that waits, and go on in the same transaction.
    pub(crate) give_up: Chance,
    /// Leave a connection alone for a while before its next operation.
    pub(crate) nap: Chance,
}

/// The database file of a run; its log has `-wal` at the end.
const DATABASE: &str = "cloth";

/// The pager, its connections and its oracles.
pub struct PagerSystem {
    plan: PagerPlan,
    shape: Shape,
    layout: Rc<Layout>,
    path: PathBuf,
    pager: Option<Arc<Pager>>,
    /// The pager of the life before, to see whether it is really gone.
    grave: Weak<Pager>,
    connections: Vec<Connection>,
    boot: Boot,
    quiesce: Quiesce,
    oracles: Rc<RefCell<Oracles>>,
    tally: Rc<RefCell<Tally>>,
    recorded: Recording,
    /// Why the last attempt to come to life failed, and how many have failed since the last that did not.
    refusal: Option<(u32, String)>,
    /// Delivered faults when this life began.
    struck_at_birth: Struck,
    /// Delivered faults when the oracles last compared all pages.
    struck_at_verification: Struck,
}

impl PagerSystem {
    pub(crate) fn new(plan: PagerPlan) -> PagerSystem {
        let usable = plan.pager.page_size as usize - 16;
        PagerSystem {
            plan,
            shape: Shape::new(plan.pager.page_size, usable),
            layout: Rc::default(),
            path: PathBuf::from(DATABASE),
            pager: None,
            grave: Weak::new(),
            connections: (0..plan.connections).map(|_| Connection::default()).collect(),
            boot: Boot::default(),
            quiesce: Quiesce::default(),
            oracles: Rc::new(RefCell::new(match (plan.disk_lies, plan.pager.durability) {
                (true, _) => Oracles::of_a_lying_disk(),
                (false, Durability::Full) => Oracles::default(),
                (false, Durability::Normal | Durability::Off) => Oracles::of_late_syncs(),
            })),
            tally: Rc::default(),
            recorded: None,
            refusal: None,
            struck_at_birth: Struck::default(),
            struck_at_verification: Struck::default(),
        }
    }
}

/// A connection in a thread of its own, for one life.
struct Raced {
    plan: PagerPlan,
    shape: Shape,
    layout: Rc<Layout>,
    pager: Arc<Pager>,
    oracles: Rc<RefCell<Oracles>>,
    tally: Rc<RefCell<Tally>>,
    recorded: Recording,
    struck_at_birth: Struck,
    connection: Connection,
}

impl race::Connection for Raced {
    fn step(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        let mut fixture = crate::workload::Fixture {
            pager: &self.pager,
            shape: &self.shape,
            layout: &self.layout,
            oracles: &self.oracles,
            tally: &self.tally,
            recorder: Recorder { kept: &self.recorded, client: context.fiber },
            raced: true,
        };
        self.connection.step(&self.plan, self.struck_at_birth, &mut fixture, context)
    }

    fn describe(&self) -> String {
        self.connection.describe()
    }
}

/// Everything that an operation needs of `$system`, borrowed field by field.
macro_rules! fixture {
    ($system:expr, $pager:expr, $client:expr) => {
        $crate::workload::Fixture {
            pager: $pager,
            shape: &$system.shape,
            layout: &$system.layout,
            oracles: &$system.oracles,
            tally: &$system.tally,
            recorder: $crate::workload::record::Recorder { kept: &$system.recorded, client: $client },
            raced: false,
        }
    };
}
use fixture;

impl System for PagerSystem {
    fn connections(&self) -> u32 {
        self.plan.connections
    }

    fn boot(&mut self, io: &Arc<dyn IO>, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        let step = boot::step(self, io, context)?;
        if matches!(step, Step::Ended) {
            self.tally.borrow_mut().recoveries += 1;
            self.refusal = None;
            let everything = if self.plan.flips_in_log {
                Flippable::Everything
            } else {
                Flippable::Only(self.path.clone())
            };
            context.disk.set_flippable(everything);
        }
        Ok(step)
    }

    fn step(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        let Some(pager) = &self.pager else { return Ok(Step::Restart) };
        let mut fixture = fixture!(self, pager, context.fiber);
        let connection = &mut self.connections[context.fiber as usize];
        connection.step(&self.plan, self.struck_at_birth, &mut fixture, context)
    }

    fn connection(&mut self, _: FiberId) -> Option<Box<dyn race::Connection>> {
        Some(Box::new(Raced {
            plan: self.plan,
            shape: self.shape,
            layout: Rc::clone(&self.layout),
            pager: Arc::clone(self.pager.as_ref()?),
            oracles: Rc::clone(&self.oracles),
            tally: Rc::clone(&self.tally),
            recorded: self.recorded.clone(),
            struck_at_birth: self.struck_at_birth,
            connection: Connection::default(),
        }))
    }

    fn quiesce(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        let Some(pager) = &self.pager else { return Ok(Step::Restart) };
        let mut fixture = fixture!(self, pager, context.fiber);
        self.quiesce.step(self.struck_at_birth, &mut fixture, context)
    }

    fn crash(&mut self, crash: Crash) -> Result<(), Box<Violation>> {
        let has_spilled = self.connections.iter().any(Connection::has_spilled);
        sometimes!(has_spilled, "a crash leaves frames of an unfinished commit");
        for connection in &mut self.connections {
            connection.forget();
        }
        if let Some(recorded) = &self.recorded {
            recorded.borrow_mut().crashed();
        }
        self.boot = Boot::default();
        self.quiesce = Quiesce::default();
        self.grave = self.pager.take().map_or_else(Weak::new, |pager| Arc::downgrade(&pager));
        self.oracles.borrow_mut().observe(&Observation::Crashed(crash))
    }

    fn after_crash(&mut self) -> Result<(), Box<Violation>> {
        self.oracles.borrow_mut().observe(&Observation::Freed { owners: self.grave.strong_count() })
    }

    fn knowledge(&self, disk: &SimDisk) -> Option<Vec<u8>> {
        let dropped = disk.struck_since(&[FaultKind::SyncDropped], self.struck_at_verification).is_some();
        let connections = self.connections.iter().map(Connection::kept).collect();
        self.oracles.borrow().knowledge(dropped, connections)
    }

    fn resume(&mut self, _: &SimDisk, knowledge: &[u8]) -> Result<(), String> {
        let kept = self.oracles.borrow_mut().resume(knowledge)?;
        // A shrinker may have left fewer connections.
        self.connections.iter_mut().zip(kept).for_each(|(connection, kept)| connection.resume(kept));
        Ok(())
    }

    fn locate(&self, place: &Place) -> String {
        place::name(place, &self.path, self.plan.pager.page_size)
    }

    fn describe(&self, fiber: FiberId) -> String {
        match self.connections.get(fiber as usize) {
            Some(connection) => connection.describe(),
            None => match &self.refusal {
                Some((times, error)) => {
                    format!("coming back to life, refused {times} times, the last time: {error}")
                }
                None => self.boot.describe().unwrap_or_else(|| self.quiesce.describe()),
            },
        }
    }

    fn record(&mut self) -> Option<Record> {
        Some(record::begin(&mut self.recorded))
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        self.tally.borrow().counters()
    }
}

/// The fault that accounts for `error`, if one has struck since `before` that can.
fn cause(
    error: &PagerError,
    before: Struck,
    at_birth: Struck,
    context: &Context<'_>,
) -> Option<&'static str> {
    // A failed sync is remembered until the next open, and of the writes of an earlier commit one may have failed before
    // the last has ended; other errors have a cause of their own time.
    let is_older = matches!(error, PagerError::Poisoned { .. } | PagerError::EarlierCommitFailed { .. });
    let since = if is_older { at_birth } else { before };
    let kind = context.disk.struck_since(explanations(error), since)?;
    context.disk.count(|counts| counts.notice(kind));
    Some(kind.name())
}

/// The file that the pager is opened on.
fn database(system: &PagerSystem) -> &Path {
    &system.path
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenterhook_stress::shrink::Replay as _;
    use tenterhook_stress::sim::Setup;
    use tenterhook_stress::subject::{self, Fixed};
    use tenterhook_stress::tape::{Fixture, Source, Tape};

    use crate::PagerSubject;

    #[test]
    fn fixture_whose_knowledge_is_not_understood_is_refused_in_one_line() {
        let setup = Setup::<PagerSubject> { seed: 1, fixed: Fixed::default() };
        let refusal = |knowledge: &[u8]| {
            let mut tape = Tape::default();
            tape.begin_with(Fixture { knowledge: knowledge.to_vec(), ..Fixture::default() }.into());
            Setup::<PagerSubject>::of(setup.file(&Source::from(tape), None)).err()
        };
        let text = refusal(b"{\"history\":7}").expect("it is refused").to_string();
        assert!(text.contains("does not take up: what its oracles knew is not understood"), "{text}");
        assert_eq!(text.lines().count(), 1);
        let system = PagerSystem::new(setup.draw(&Source::from(Tape::default())).plan);
        let known = system.oracles.borrow().knowledge(false, Vec::new()).expect("it has words");
        assert_eq!(refusal(&known), None);
    }

    /// Broke: a boot that was refused until the run lost its patience was reported without the error.
    #[test]
    fn boot_that_is_refused_is_described_with_the_last_error() {
        let mut system =
            PagerSystem::new(subject::draw::<PagerSubject>(&Source::Seed(1), 1, &Fixed::default()).plan);
        system.refusal = Some((3, "page 11 is damaged".into()));
        let control = system.connections();
        let text = system.describe(control);
        assert!(text.contains("refused 3 times") && text.contains("page 11 is damaged"), "{text}");
    }
}
