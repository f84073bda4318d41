//! A run of turso_core as the tester sees it.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use tenterhook_runtime::io::IO;
use tenterhook_stress::disk::Place;
use tenterhook_stress::system::{Context, Crash, Memory, Step, System};
use tenterhook_stress::violation::Violation;

use crate::db::Notes;
use crate::io::SimIo;
use crate::model::Model;
use crate::plan::Plan;
use crate::verdict;
use crate::workload::{Bank, Counts, Done, Operation, Stop, boot, look_over};

/// How turso_core dies of a failed sync, by default and on purpose.
const DIES: &str = "fsync error (data_sync_retry=off)";

/// What a fiber is at.
struct Work {
    name: String,
    future: Pin<Box<dyn Future<Output = Done<()>>>>,
}

pub(crate) struct Turso {
    bank: Rc<Bank>,
    /// By fiber; the last is the one that boots and looks over.
    works: Vec<Option<Work>>,
    /// The machine of the present life.
    io: Option<Arc<SimIo>>,
    /// The last error of an opening.
    refusal: String,
}

impl Turso {
    pub(crate) fn new(plan: &Plan, connections: u32) -> Turso {
        let bank = Bank {
            plan: plan.clone(),
            connections,
            model: RefCell::new(Model::new(plan.accounts, connections)),
            history: RefCell::default(),
            counts: RefCell::default(),
            database: RefCell::default(),
            sessions: (0..connections).map(|_| RefCell::default()).collect(),
            notes: Rc::new(Notes::default()),
        };
        Turso {
            bank: Rc::new(bank),
            works: (0..=connections).map(|_| None).collect(),
            io: None,
            refusal: String::new(),
        }
    }

    /// Polls what a fiber is at.
    fn poll(&mut self, context: &mut Context<'_>) -> Result<Option<Done<()>>, Box<Violation>> {
        let work = self.works[context.fiber as usize].as_mut().expect("begun by the caller");
        let mut waker = std::task::Context::from_waker(context.waker());
        let polled = work.future.as_mut().poll(&mut waker);
        for said in self.bank.notes.take_said() {
            context.remark(|| said);
        }
        Ok(match polled {
            Poll::Pending => None,
            Poll::Ready(done) => {
                self.works[context.fiber as usize] = None;
                Some(done)
            }
        })
    }

    /// What was in the engine's memory goes.
    fn forget(&mut self) {
        let memory = self.bank.plan.memory;
        self.io.take().inspect(|io| io.die());
        for work in &mut self.works {
            memory.end(work.take());
        }
        for session in &self.bank.sessions {
            memory.end(session.take());
        }
        memory.end(self.bank.database.take());
    }

    fn waits(&self) -> Step {
        if self.bank.notes.take_yield() { Step::Yield } else { Step::Pending }
    }

    /// `Ok(true)` if it came to its end.
    fn judge(&mut self, done: Done<()>, context: &mut Context<'_>) -> Result<bool, Box<Violation>> {
        match done {
            Ok(()) => Ok(true),
            Err(Stop::Broken(violation)) => Err(violation),
            Err(Stop::Refused(error)) => {
                self.refusal = error.to_string();
                let is_io = verdict::judge(&error, context)?;
                let mut counts = self.bank.counts.borrow_mut();
                counts.io_errors += u64::from(is_io);
                counts.refused += u64::from(!is_io);
                Ok(false)
            }
        }
    }

    fn control(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        let Some(done) = self.poll(context)? else { return Ok(self.waits()) };
        match self.judge(done, context)? {
            true => Ok(Step::Ended),
            // Another attempt, after the others.
            false => Ok(Step::Yield),
        }
    }
}

impl System for Turso {
    fn connections(&self) -> u32 {
        self.bank.connections
    }

    fn boot(&mut self, io: &Arc<dyn IO>, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        let fiber = context.fiber as usize;
        if self.works[fiber].is_none() {
            // An attempt that failed leaves nothing behind, as a process that ended.
            self.forget();
            let io = Arc::new(SimIo::new(io, context.disk, self.bank.plan.broken));
            let future = Box::pin(boot(Rc::clone(&self.bank), Arc::clone(&io)));
            self.io = Some(io);
            self.works[fiber] = Some(Work { name: "open".into(), future });
        }
        self.control(context)
    }

    fn step(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        let fiber = context.fiber as usize;
        if self.works[fiber].is_none() {
            let operation = Operation::draw(context.stream, &self.bank.plan);
            let name = operation.name();
            let future = Box::pin(Rc::clone(&self.bank).operate(fiber, operation));
            self.works[fiber] = Some(Work { name, future });
        }
        let Some(done) = self.poll(context)? else { return Ok(self.waits()) };
        self.judge(done, context)?;
        Ok(Step::Ended)
    }

    fn quiesce(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        let fiber = context.fiber as usize;
        if self.works[fiber].is_none() {
            let future = Box::pin(look_over(Rc::clone(&self.bank)));
            self.works[fiber] = Some(Work { name: "look over".into(), future });
        }
        self.control(context)
    }

    fn panicked(&mut self, message: &str) -> Result<(), Box<Violation>> {
        if !message.starts_with(DIES) && !self.bank.plan.forgives_panics {
            return Err(Violation::panic(message));
        }
        self.bank.counts.borrow_mut().deaths += 1;
        Ok(())
    }

    fn memory(&self) -> Memory {
        self.bank.plan.memory
    }

    fn crash(&mut self, crash: Crash) -> Result<(), Box<Violation>> {
        self.forget();
        drop((self.bank.notes.take_said(), self.bank.notes.take_yield()));
        self.bank.model.borrow_mut().ended(crash);
        self.bank.history.borrow_mut().crashed();
        Ok(())
    }

    fn describe(&self, fiber: u32) -> String {
        let name = self.works[fiber as usize].as_ref().map_or("nothing", |work| &work.name);
        if self.refusal.is_empty() {
            name.into()
        } else {
            format!("{name}, the last error: {}", self.refusal)
        }
    }

    fn locate(&self, place: &Place) -> String {
        let name = place.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let page = u64::from(self.bank.plan.page_size);
        if name.ends_with("-wal") && place.offset >= 32 {
            return format!("{name} frame {}", (place.offset - 32) / (page + 24) + 1);
        }
        if name.ends_with(".db") {
            return format!("{name} page {}", place.offset / page + 1);
        }
        name
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let counts = self.bank.counts.borrow().clone();
        let Counts {
            commits,
            snapshots,
            checkpoints,
            whole_checkpoints,
            integrity_checks,
            boots,
            refused,
            io_errors,
            deaths,
        } = counts;
        vec![
            ("commits", commits),
            ("snapshots", snapshots),
            ("checkpoints", checkpoints),
            ("whole checkpoints", whole_checkpoints),
            ("integrity checks", integrity_checks),
            ("boots", boots),
            ("refused", refused),
            ("I/O errors", io_errors),
            ("deaths by a panic", deaths),
        ]
    }
}

impl Drop for Turso {
    fn drop(&mut self) {
        self.forget();
    }
}
