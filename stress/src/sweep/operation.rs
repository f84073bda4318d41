//! What is swept.

use std::sync::Arc;

use tenterhook_runtime::IOResult;
use tenterhook_runtime::io::IO;

/// An operation of a system.
pub trait Operation: Sync {
    /// What people call it.
    fn name(&self) -> String;

    /// A fresh system on the empty files of `io`, and the operation about to begin. Nothing fails here, and no I/O is left
    /// pending.
    ///
    /// # Errors
    ///
    /// Why the system could not be prepared, which is a defect of the subject.
    fn prepare(&self, io: &Arc<dyn IO>) -> Result<Box<dyn Stage>, String>;

    /// The state that a system finds on `io` after a restart, in words or digests that differ if the states do; `None` if
    /// nothing of it is meant to survive. Nothing fails here.
    ///
    /// # Errors
    ///
    /// Why what is there can't be used: a broken promise.
    fn recover(&self, io: &Arc<dyn IO>) -> Result<Option<String>, String> {
        let _ = io;
        Ok(None)
    }

    /// In how many ways the [next change](Stage::go_on) can be made when the operation is over, or after [a restart](Self::resume).
    fn ways_on(&self) -> u32 {
        0
    }

    /// A restart on `io`, and then the next change in this way, as in [`Stage::go_on`]; returns the state. Asked of those
    /// that have ways on. Nothing fails here.
    ///
    /// # Errors
    ///
    /// Why that can't be done: a broken promise.
    fn resume(&self, io: &Arc<dyn IO>, way: u32) -> Result<String, String> {
        let _ = io;
        Err(format!("no way {way} to go on after a restart"))
    }

    /// How many [other operations](Stage::begin_partner) there are to run while this one is suspended.
    fn partners(&self) -> u32 {
        0
    }

    /// Whether the operation may be refused with this error because of what another has done meanwhile.
    fn may_be_refused(&self, error: &str) -> bool {
        let _ = error;
        false
    }

    /// Whether the system notices a flipped bit in whatever it reads.
    fn notices_bit_flips(&self) -> bool {
        false
    }
}

/// How an operation ended: what it came to, or the error with which it was refused. An error that no fault explains is a
/// broken promise, and one that a fault explains is not.
pub type Ending = Result<String, String>;

/// A system with one operation under way.
pub trait Stage {
    /// One step of the operation.
    fn step(&mut self) -> IOResult<Ending>;

    /// Drops the operation where it is.
    fn drop_operation(&mut self);

    /// Gives up the call that the operation waits for, but not the operation: its next step makes another call, and then continues
    /// as if nothing had been. False where that is the same as dropping it.
    fn give_up(&mut self) -> bool {
        false
    }

    /// Begins another operation, one of [`Operation::partners`], beside this one. False if it can't be had now.
    fn begin_partner(&mut self, which: u32) -> bool {
        let _ = which;
        false
    }

    /// One step of that operation.
    fn step_partner(&mut self) -> IOResult<Ending> {
        IOResult::Done(Err("there is no other operation".into()))
    }

    /// Whether that operation may wait for what stays as long as this does, for instance a reader.
    fn partner_may_wait(&self) -> bool {
        false
    }

    /// Drops that operation where it is.
    fn drop_partner(&mut self) {}

    /// What other connections may do while the operation waits: read, evict, change what it must not depend on. Nothing
    /// fails here, and no I/O is left pending.
    fn disturb(&mut self) {}

    /// What the system holds now that the operation has ended or is gone. Nothing fails here any more.
    ///
    /// # Errors
    ///
    /// What is broken: a lock, a pin or a count that was left behind, a damaged page.
    fn state(&mut self) -> Result<String, String>;

    /// The next change to the system, one of [`Operation::ways_on`], after the operation has ended or is gone. What a fault
    /// has left in memory or in a file may stay hidden until a later change builds on it. Nothing fails here any more; what this
    /// acknowledges has to survive a power loss.
    ///
    /// # Errors
    ///
    /// Why the system refuses. After a fault that is its right.
    fn go_on(&mut self, way: u32) -> Result<(), String> {
        let _ = way;
        Ok(())
    }
}
