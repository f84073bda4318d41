//! Every operation of the pager, as subjects.

mod catalogue;
mod fixture;
mod job;
mod machines;
mod partners;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tenterhook_runtime::IOResult;
use tenterhook_runtime::io::IO;
use tenterhook_runtime::pager::PagerError;

pub use self::catalogue::catalogue;
use self::fixture::{Fixture, WAYS_ON};
use tenterhook_stress::sweep::{Ending, Operation, Stage};

/// An operation of the pager.
trait Operate {
    /// Called again until it is done.
    fn step(&mut self) -> Result<IOResult<String>, PagerError>;

    /// Gives up the call that waits, but not the operation.
    fn give_up(&mut self) -> bool {
        false
    }
}

impl<F: FnMut() -> Result<IOResult<String>, PagerError>> Operate for F {
    fn step(&mut self) -> Result<IOResult<String>, PagerError> {
        self()
    }
}

type Machine = Box<dyn Operate>;

/// One operation on a file that has been prepared for it.
struct PagerOperation {
    name: &'static str,
    /// Makes the file, and whatever else there has to be.
    fixture: fn(&mut Fixture) -> Result<(), PagerError>,
    /// Makes the machine.
    machine: fn(&Fixture) -> Result<Machine, PagerError>,
    /// Whether it reads no log on its own: a log that is recovered cannot tell a flipped bit from its own torn end.
    notices_bit_flips: bool,
}

impl Operation for PagerOperation {
    fn name(&self) -> String {
        self.name.into()
    }

    fn prepare(&self, io: &Arc<dyn IO>) -> Result<Box<dyn Stage>, String> {
        let prepare = || -> Result<PagerStage, PagerError> {
            let mut fixture = Fixture::new(io)?;
            (self.fixture)(&mut fixture)?;
            let machine = (self.machine)(&fixture)?;
            Ok(PagerStage { machine: Some(machine), partner: None, waits_for_readers: false, fixture })
        };
        prepare().map(|stage| Box::new(stage) as Box<dyn Stage>).map_err(|error| error.to_string())
    }

    fn recover(&self, io: &Arc<dyn IO>) -> Result<Option<String>, String> {
        fixture::open(io)
            .and_then(|pager| fixture::read_all(io, &pager))
            .map_err(|error| error.to_string())?
            .map(Some)
    }

    fn partners(&self) -> u32 {
        partners::COUNT
    }

    /// Who has read before it asks for the write lock may come too late, or be in a checkpoint's way.
    fn may_be_refused(&self, error: &str) -> bool {
        error.starts_with("the snapshot of commit")
            || error.starts_with("the write lock is with a checkpoint")
    }

    fn ways_on(&self) -> u32 {
        WAYS_ON
    }

    fn resume(&self, io: &Arc<dyn IO>, way: u32) -> Result<String, String> {
        let resume = || {
            let pager = fixture::open(io)?;
            fixture::go_on(io, &pager, way)?;
            fixture::read_all(io, &pager)
        };
        resume().map_err(|error| error.to_string())?
    }

    fn notices_bit_flips(&self) -> bool {
        self.notices_bit_flips
    }
}

/// One step of a machine, which goes when it has ended.
fn step(machine: &mut Option<Machine>) -> IOResult<Ending> {
    let Some(running) = machine else { return IOResult::Done(Err("it has ended".into())) };
    let ending = match running.step() {
        Ok(IOResult::IO(io)) => return IOResult::IO(io),
        Ok(IOResult::Done(ending)) => Ok(ending),
        Err(error) => Err(error.to_string()),
    };
    *machine = None;
    IOResult::Done(ending)
}

struct PagerStage {
    machine: Option<Machine>,
    partner: Option<Machine>,
    /// Whether the partner waits for readers of older commits.
    waits_for_readers: bool,
    fixture: Fixture,
}

impl Stage for PagerStage {
    fn step(&mut self) -> IOResult<Ending> {
        step(&mut self.machine)
    }

    fn give_up(&mut self) -> bool {
        self.machine.as_mut().is_some_and(|machine| machine.give_up())
    }

    fn begin_partner(&mut self, which: u32) -> bool {
        let partner = self.fixture.if_opened().and_then(|pager| partners::partner(&pager, which).ok());
        self.partner = partner;
        self.waits_for_readers = partners::waits_for_readers(which);
        self.partner.is_some()
    }

    fn step_partner(&mut self) -> IOResult<Ending> {
        step(&mut self.partner)
    }

    fn partner_may_wait(&self) -> bool {
        self.waits_for_readers && self.fixture.has_reader()
    }

    fn drop_partner(&mut self) {
        self.partner = None;
    }

    fn drop_operation(&mut self) {
        self.machine = None;
    }

    fn disturb(&mut self) {
        // Reads what evicts everything else. Whatever goes wrong here shows in the state at the end.
        let _ = self.fixture.evict();
    }

    fn state(&mut self) -> Result<String, String> {
        let pager = self.fixture.pager_now().map_err(|error| error.to_string())?;
        let state = fixture::read_all(self.fixture.io(), &pager).map_err(|error| error.to_string())??;
        self.fixture.leave();
        let audit = pager.audit();
        if audit.is_idle() { Ok(state) } else { Err(format!("{audit:?}")) }
    }

    fn go_on(&mut self, way: u32) -> Result<(), String> {
        // A reader that stays would prevent the reset of the log.
        self.fixture.leave();
        let go_on = || fixture::go_on(self.fixture.io(), &self.fixture.pager_now()?, way);
        go_on().map_err(|error| error.to_string())
    }
}
