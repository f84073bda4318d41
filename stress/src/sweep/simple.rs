//! An operation made of closures, for a system whose state is all in its files.

use std::fmt::{Debug, Display};
use std::sync::Arc;

use tenterhook_runtime::IOResult;
use tenterhook_runtime::io::IO;

use super::operation::{Ending, Operation, Stage};

/// An operation that `begin` begins on the empty files of a backend, and the state that `load` finds there, before and after a
/// restart. `begin` returns one step of the operation, to be called again until it is done.
///
/// # Examples
///
/// A machine that does no I/O, and a system without files:
///
/// ```
/// use tenterhook_runtime::IOResult;
/// use tenterhook_stress::sweep::{Bounds, operation, sweep};
///
/// let idle = operation("do nothing", |_| Ok(|| Ok::<_, String>(IOResult::Done(()))), |_| Ok(()));
/// assert!(sweep(&*idle, Bounds::default()).is_ok());
/// ```
pub fn operation<B, M, T, E, L, S>(name: &str, begin: B, load: L) -> Box<dyn Operation>
where
    B: Fn(&Arc<dyn IO>) -> Result<M, String> + Send + Sync + 'static,
    M: FnMut() -> Result<IOResult<T>, E> + 'static,
    T: Debug,
    E: Display,
    L: Fn(&Arc<dyn IO>) -> Result<S, String> + Send + Sync + 'static,
    S: Debug,
{
    let begin = move |io: &Arc<dyn IO>| {
        let mut machine = begin(io)?;
        let step = move || match machine() {
            Ok(stepped) => stepped.map(|value| Ok(format!("{value:?}"))),
            Err(error) => IOResult::Done(Err(error.to_string())),
        };
        Ok(Box::new(step) as Machine)
    };
    let load = move |io: &Arc<dyn IO>| load(io).map(|state| format!("{state:?}"));
    Box::new(Simple { name: name.to_owned(), begin: Box::new(begin), load: Arc::new(load) })
}

type Machine = Box<dyn FnMut() -> IOResult<Ending>>;
type Begin = dyn Fn(&Arc<dyn IO>) -> Result<Machine, String> + Send + Sync;
type Load = dyn Fn(&Arc<dyn IO>) -> Result<String, String> + Send + Sync;

struct Simple {
    name: String,
    begin: Box<Begin>,
    load: Arc<Load>,
}

struct SimpleStage {
    machine: Option<Machine>,
    io: Arc<dyn IO>,
    load: Arc<Load>,
}

impl Operation for Simple {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn prepare(&self, io: &Arc<dyn IO>) -> Result<Box<dyn Stage>, String> {
        let machine = Some((self.begin)(io)?);
        Ok(Box::new(SimpleStage { machine, io: Arc::clone(io), load: Arc::clone(&self.load) }))
    }

    fn recover(&self, io: &Arc<dyn IO>) -> Result<Option<String>, String> {
        (self.load)(io).map(Some)
    }
}

impl Stage for SimpleStage {
    fn step(&mut self) -> IOResult<Ending> {
        match &mut self.machine {
            Some(machine) => machine(),
            None => IOResult::Done(Err("the operation was dropped".into())),
        }
    }

    fn drop_operation(&mut self) {
        self.machine = None;
    }

    fn state(&mut self) -> Result<String, String> {
        (self.load)(&self.io)
    }
}
