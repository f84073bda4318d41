//! Every operation of the pager, as subjects.

mod catalogue;
mod house;
mod job;
mod machines;

use std::sync::Arc;

use tenterhook_runtime::IOResult;
use tenterhook_runtime::io::IO;
use tenterhook_runtime::pager::PagerError;

pub use self::catalogue::catalogue;
use self::house::{House, WAYS_ON};
use super::subject::{Ending, Stage, Subject};

/// An operation of the pager; called again until it is done.
type Machine = Box<dyn FnMut() -> Result<IOResult<String>, PagerError>>;

/// One operation on a file that has been prepared for it.
struct PagerSubject {
    name: &'static str,
    /// Makes the file, and whatever else there has to be.
    house: fn(&mut House) -> Result<(), PagerError>,
    /// Makes the machine.
    machine: fn(&House) -> Result<Machine, PagerError>,
    /// Whether it reads no log on its own: a log that is recovered cannot tell a flipped bit from its own torn end.
    notices_bit_flips: bool,
}

impl Subject for PagerSubject {
    fn name(&self) -> String {
        self.name.into()
    }

    fn prepare(&self, io: &Arc<dyn IO>) -> Result<Box<dyn Stage>, String> {
        let prepare = || -> Result<PagerStage, PagerError> {
            let mut house = House::new(io)?;
            (self.house)(&mut house)?;
            let machine = (self.machine)(&house)?;
            Ok(PagerStage { machine: Some(machine), house })
        };
        prepare().map(|stage| Box::new(stage) as Box<dyn Stage>).map_err(|error| error.to_string())
    }

    fn recover(&self, io: &Arc<dyn IO>) -> Result<Option<String>, String> {
        house::open(io)
            .and_then(|pager| house::read_all(io, &pager))
            .map_err(|error| error.to_string())?
            .map(Some)
    }

    fn ways_on(&self) -> u32 {
        WAYS_ON
    }

    fn resume(&self, io: &Arc<dyn IO>, way: u32) -> Result<String, String> {
        let resume = || {
            let pager = house::open(io)?;
            house::go_on(io, &pager, way)?;
            house::read_all(io, &pager)
        };
        resume().map_err(|error| error.to_string())?
    }

    fn notices_bit_flips(&self) -> bool {
        self.notices_bit_flips
    }
}

struct PagerStage {
    machine: Option<Machine>,
    house: House,
}

impl Stage for PagerStage {
    fn step(&mut self) -> IOResult<Ending> {
        let Some(machine) = &mut self.machine else { return IOResult::Done(Err("it has ended".into())) };
        let ending = match machine() {
            Ok(IOResult::IO(io)) => return IOResult::IO(io),
            Ok(IOResult::Done(ending)) => Ok(ending),
            Err(error) => Err(error.to_string()),
        };
        self.machine = None;
        IOResult::Done(ending)
    }

    fn drop_operation(&mut self) {
        self.machine = None;
    }

    fn disturb(&mut self) {
        // Reads what evicts everything else. Whatever goes wrong here shows in the state at the end.
        let _ = self.house.evict();
    }

    fn state(&mut self) -> Result<String, String> {
        let pager = self.house.pager_now().map_err(|error| error.to_string())?;
        let state = house::read_all(self.house.io(), &pager).map_err(|error| error.to_string())??;
        self.house.leave();
        let audit = pager.audit();
        if audit.is_idle() { Ok(state) } else { Err(format!("{audit:?}")) }
    }

    fn go_on(&mut self, way: u32) -> Result<(), String> {
        // A reader that stays would be in the way of a log that is begun anew.
        self.house.leave();
        let go_on = || house::go_on(self.house.io(), &self.house.pager_now()?, way);
        go_on().map_err(|error| error.to_string())
    }
}
