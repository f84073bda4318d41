//! What connections share: completers that anyone may end, completions that anyone may wait for, an executor.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use tenterhook_runtime::executor::Executor;
use tenterhook_runtime::io::{Buffer, File, Submission};
use tenterhook_runtime::sync;
use tenterhook_runtime::{Completer, Completion, CompletionError, CompletionGroup, Outcome};
use tenterhook_stress::violation::Violation;

/// So many completions are remembered for others.
const KNOWN: usize = 12;

/// One completion with what its callback was told. The tester's own counts are no scheduling points.
#[derive(Clone)]
pub(crate) struct Watched {
    pub(crate) completion: Completion,
    pub(crate) told: Arc<Told>,
}

/// What a callback was told.
#[derive(Default)]
pub(crate) struct Told {
    times: AtomicU32,
    /// What a callback does first is a scheduling point, as what a user's callback does would be.
    works: sync::atomic::AtomicU32,
    outcome: std::sync::Mutex<Option<Outcome>>,
}

impl Told {
    pub(crate) fn tell(&self, outcome: Outcome) {
        // ORDERING: it orders nothing.
        self.works.fetch_add(1, Relaxed);
        // ORDERING: all threads of a run are coroutines of one thread.
        self.times.fetch_add(1, Relaxed);
        *self.outcome.lock().unwrap() = Some(outcome);
    }
}

impl Watched {
    /// A leaf and the right to end it.
    pub(crate) fn leaf() -> (Watched, Completer) {
        let told = Arc::new(Told::default());
        let teller = Arc::clone(&told);
        let (completion, completer) = Completion::new(move |outcome| teller.tell(outcome));
        (Watched { completion, told }, completer)
    }

    /// A read of the disk.
    pub(crate) fn read(file: &dyn File, offset: u64) -> Watched {
        let told = Arc::new(Told::default());
        let teller = Arc::clone(&told);
        let read = Submission::read(offset, Buffer::zeroed(512), move |outcome, _| teller.tell(outcome));
        Watched { completion: file.start(read), told }
    }

    /// A group of `children`.
    pub(crate) fn group(children: &[Watched], drains: bool) -> (CompletionGroup, Arc<Told>) {
        let told = Arc::new(Told::default());
        let teller = Arc::clone(&told);
        let tell = move |outcome| teller.tell(outcome);
        let mut group = if drains { CompletionGroup::drain(tell) } else { CompletionGroup::new(tell) };
        children.iter().for_each(|child| group.add(&child.completion));
        (group, told)
    }

    /// Its callback runs once, before it is seen to have finished, with the outcome that all see.
    pub(crate) fn judge(&self) -> Result<(), Box<Violation>> {
        let Some(result) = self.completion.result() else { return Ok(()) };
        let (times, told) = (self.told.times.load(Relaxed), *self.told.outcome.lock().unwrap());
        if times != 1 || told != Some(result) {
            let expected =
                format!("one call of the callback, with {result:?}, before the completion has finished");
            return Err(Violation::safety("callback", expected, format!("{times} calls, with {told:?}")));
        }
        let (succeeded, failed) = (self.completion.succeeded(), self.completion.failed());
        if succeeded != result.is_ok() || failed != result.is_err() || !self.completion.finished() {
            let seen = format!("succeeded {succeeded}, failed {failed}");
            return Err(Violation::safety("one answer", format!("that of {result:?}"), seen));
        }
        Ok(())
    }
}

/// What all connections share.
#[derive(Default)]
pub(crate) struct Board {
    open: RefCell<Vec<Completer>>,
    known: RefCell<Vec<Rc<Watched>>>,
    executor: RefCell<Option<Rc<Executor>>>,
    file: RefCell<Option<Arc<dyn File>>>,
    pub(crate) groups: Cell<u64>,
    pub(crate) tasks: Cell<u64>,
    pub(crate) waits: Cell<u64>,
    pub(crate) ended: Cell<u64>,
}

impl Board {
    pub(crate) fn open(&self, file: Arc<dyn File>) {
        self.file.replace(Some(file));
        self.executor.replace(Some(Rc::new(Executor::new(2))));
    }

    /// The life is over: everything goes, in an order that a program might have.
    pub(crate) fn close(&self) {
        let open = self.open.take();
        drop(open);
        drop(self.known.take());
        drop(self.file.take());
        let executor = self.executor.take();
        drop(executor);
    }

    pub(crate) fn put(&self, completer: Completer) {
        self.open.borrow_mut().push(completer);
    }

    /// Takes one of the open completers out: `choose` is given how many there are.
    pub(crate) fn take(&self, choose: impl FnOnce(u32) -> u32) -> Option<Completer> {
        let mut open = self.open.borrow_mut();
        if open.is_empty() {
            return None;
        }
        let index = choose(open.len() as u32) as usize;
        Some(open.swap_remove(index))
    }

    pub(crate) fn file(&self) -> Option<Arc<dyn File>> {
        self.file.borrow().clone()
    }

    /// The executor that all share.
    pub(crate) fn executor(&self) -> Option<Rc<Executor>> {
        self.executor.borrow().clone()
    }

    pub(crate) fn remember(&self, watched: &Watched) {
        // A completion is not cloned or dropped while anything is borrowed: its thread may be stopped there.
        let watched = Rc::new(watched.clone());
        let forgotten = {
            let mut known = self.known.borrow_mut();
            known.push(watched);
            (known.len() > KNOWN).then(|| known.remove(0))
        };
        drop(forgotten);
    }

    pub(crate) fn recall(&self, choose: impl FnOnce(u32) -> u32) -> Option<Watched> {
        let found = {
            let known = self.known.borrow();
            if known.is_empty() {
                return None;
            }
            let index = choose(known.len() as u32) as usize;
            Rc::clone(&known[index])
        };
        Some(Watched::clone(&found))
    }

    /// At rest nothing is open, and what has been remembered has finished.
    pub(crate) fn judge_rest(&self) -> Result<(), Box<Violation>> {
        let known = self.known.borrow().clone();
        known.iter().try_for_each(|watched| watched.judge())?;
        let open = self.open.borrow().len();
        let pending = known.iter().filter(|watched| !watched.completion.finished()).count();
        if open > 0 || pending > 0 {
            let seen = format!("{open} completers, {pending} completions that are pending");
            return Err(Violation::liveness(
                "rest",
                "nothing is pending when all operations have ended",
                seen,
            ));
        }
        Ok(())
    }

    pub(crate) fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("groups", self.groups.get()),
            ("tasks", self.tasks.get()),
            ("waits", self.waits.get()),
            ("completers ended", self.ended.get()),
        ]
    }
}

/// Whether `outcome` of a group of `children` can be.
pub(crate) fn judge_group(
    outcome: Outcome,
    children: &[Watched],
    drains: bool,
    cancelled: bool,
) -> Result<(), Box<Violation>> {
    children.iter().try_for_each(Watched::judge)?;
    let results: Vec<Option<Outcome>> = children.iter().map(|child| child.completion.result()).collect();
    let pending = results.iter().filter(|result| result.is_none()).count();
    let wrong = |expected: &str| {
        let seen = format!("{outcome:?} of children {results:?}");
        Err(Violation::safety("group", expected, seen))
    };
    match outcome {
        _ if drains && pending > 0 && !cancelled => wrong("a drained group ends after its children"),
        Ok(_) if results.iter().any(|result| !matches!(result, Some(Ok(_)))) => {
            wrong("success only after the success of all children")
        }
        Err(CompletionError::Cancelled) if cancelled => Ok(()),
        Err(error) if !results.contains(&Some(Err(error))) => wrong("the error of one of the children"),
        _ => Ok(()),
    }
}
