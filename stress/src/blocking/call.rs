//! What a job holds while it runs.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use tenterhook_runtime::{Completion, Outcome};

use super::seat::{News, Seat, State};
use crate::disk::{self, Struck};
use crate::rng;
use crate::schedule::FiberId;
use crate::tape::{Chance, ChoicePoint};

/// Choice points of a fiber that this module draws from. A system's own are below 28.
const ENTROPY: ChoicePoint = ChoicePoint::new(31, "entropy");
const JITTER: ChoicePoint = ChoicePoint::new(30, "the clock's jitter");

/// What a step takes on the clock that an engine sees.
const MICROSECONDS_A_STEP: u64 = 100;

/// Calls that a job may make after its life has ended. It is to end, and each call tells it so.
const LATE_CALLS: u32 = 10_000;

/// The life of the engine has ended: the power is off, or the process is dead.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the power is off")]
pub struct Gone;

impl Gone {
    /// Unwinds to the end of the job, for an engine in Rust that has no way to return an error. It is no panic: no hook runs, and
    /// no violation comes of it.
    pub fn unwind(self) -> ! {
        std::panic::resume_unwind(Box::new(self))
    }
}

thread_local! {
    static HERE: RefCell<Option<Call>> = const { RefCell::new(None) };
}

/// A job's way to the world. It belongs to the thread of the job; [`Call::here`] finds it inside an engine's callbacks.
#[derive(Clone)]
pub struct Call {
    seat: Arc<Seat>,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("fiber", &self.seat.fiber).finish_non_exhaustive()
    }
}

impl Call {
    pub(super) fn new(seat: &Arc<Seat>) -> Call {
        Call { seat: Arc::clone(seat) }
    }

    /// From here on [`Call::here`] finds this in the present thread.
    pub(super) fn settle(&self) {
        HERE.set(Some(self.clone()));
    }

    /// The call of the job that runs in this thread, if one does.
    pub fn here() -> Option<Call> {
        HERE.try_with(|here| here.borrow().clone()).ok().flatten()
    }

    /// The fiber whose job this is. The fiber that boots the system and looks it over has the number after the last connection's.
    pub fn fiber(&self) -> FiberId {
        self.seat.fiber
    }

    /// A scheduling point: another fiber may be stepped here.
    ///
    /// # Errors
    ///
    /// When the life has ended.
    pub fn pause(&self) -> Result<(), Gone> {
        self.pass(News::Continue)
    }

    /// A scheduling point at which the others are to go first. For a loop that waits for something which another fiber does.
    ///
    /// # Errors
    ///
    /// When the life has ended.
    pub fn yield_now(&self) -> Result<(), Gone> {
        self.pass(News::Yield)
    }

    /// Waits for a completion. A scheduling point, whether or not it has finished already.
    ///
    /// # Errors
    ///
    /// When the life has ended; the completion may then never finish.
    pub fn wait(&self, completion: &Completion) -> Result<Outcome, Gone> {
        loop {
            let finished = completion.result();
            self.pass(if finished.is_some() { News::Continue } else { News::Wait(completion.clone()) })?;
            if let Some(outcome) = finished.or_else(|| completion.result()) {
                return Ok(outcome);
            }
        }
    }

    /// Waits for another connection's thread, on behalf of a mutex: also after the life has ended: that thread runs to the end of its job first.
    pub fn wait_for_peer(&self, completion: &Completion) {
        let mut state = self.seat.lock();
        state.waits_for_thread = Some(completion.clone());
        self.seat.pass(&mut state, News::Wait(completion.clone()));
        state.waits_for_thread = None;
    }

    fn pass(&self, news: News) -> Result<(), Gone> {
        let mut state = self.seat.lock();
        if state.gone {
            return self.refuse(&mut state);
        }
        self.seat.pass(&mut state, news);
        if state.gone { Err(Gone) } else { Ok(()) }
    }

    fn refuse(&self, state: &mut parking_lot::MutexGuard<'_, State>) -> Result<(), Gone> {
        state.late_calls += 1;
        if state.late_calls > LATE_CALLS {
            // The thread is given up: it is never given the token again.
            self.seat.give_back(state, News::Stuck);
            loop {
                self.seat.await_turn(state);
                self.seat.give_back(state, News::Stuck);
            }
        }
        Err(Gone)
    }

    /// Whether the life has ended.
    pub fn is_gone(&self) -> bool {
        self.seat.lock().gone
    }

    /// A choice in `0..bound`, from the fiber's stream. 0 once the life has ended.
    pub fn choose(&self, choice_point: ChoicePoint, bound: u32) -> u32 {
        let mut state = self.seat.lock();
        if state.gone { 0 } else { state.lent.stream.choose(choice_point, bound) }
    }

    /// Whether something that happens with `chance` happens now. It does not once the life has ended.
    pub fn happens(&self, choice_point: ChoicePoint, chance: Chance) -> bool {
        let mut state = self.seat.lock();
        !state.gone && state.lent.stream.happens(choice_point, chance)
    }

    /// An index into `weights`, in proportion to them. 0 once the life has ended.
    pub fn weighted(&self, choice_point: ChoicePoint, weights: &[u32]) -> usize {
        let mut state = self.seat.lock();
        if state.gone { 0 } else { state.lent.stream.weighted(choice_point, weights) }
    }

    /// Random bytes, from the fiber's stream. Two calls give different bytes also on a tape of default choices, since an engine
    /// may rely on that: the step, the fiber and the number of the call within the step go into them.
    pub fn entropy(&self, bytes: &mut [u8]) {
        let mut state = self.seat.lock();
        let drawn = if state.gone { 0 } else { state.lent.stream.choose(ENTROPY, u32::MAX) };
        let step = state.lent.step << 8 | u64::from(self.seat.fiber & 0xff);
        let key = rng::derive(rng::derive(1, step), u64::from(drawn));
        let key = if state.lent.entropies == 0 { key } else { rng::derive(key, state.lent.entropies) };
        state.lent.entropies += 1;
        disk::fill(key, bytes);
    }

    /// The time since 1970 as the engine is to see it: it follows the steps, with a drawn jitter.
    pub fn now(&self) -> Duration {
        let mut state = self.seat.lock();
        let jitter = if state.gone { 0 } else { state.lent.stream.mostly_small(JITTER, 1_000) };
        let passed = state.lent.step * MICROSECONDS_A_STEP + u64::from(jitter);
        disk::wall_clock(passed)
    }

    /// The number of the step.
    pub fn step(&self) -> u64 {
        self.seat.lock().lent.step
    }

    /// Whether faults have stopped.
    pub fn is_calm(&self) -> bool {
        self.seat.lock().lent.calm
    }

    /// Faults that the disk had delivered when the step began.
    pub fn struck(&self) -> Struck {
        self.seat.lock().lent.struck
    }

    /// Puts something that was seen into the trace.
    pub fn observe(&self, detail: u32, value: u64) {
        let mut state = self.seat.lock();
        if !state.gone {
            state.lent.observed.push((detail, value));
        }
    }

    /// Says something to people who read the timeline. It is only put into words if the timeline is drawn, and decides nothing.
    pub fn remark(&self, words: impl FnOnce() -> String) {
        if self.seat.lock().lent.is_told {
            let words = words();
            self.seat.lock().lent.remarks.push(words);
        }
    }

    /// Says what the thread is about to do, for a timeline and for reports of threads that do not come back.
    pub fn doing(&self, what: &str) {
        let mut state = self.seat.lock();
        state.lent.doing.clear();
        state.lent.doing.push_str(what);
    }

    /// Whether the timeline is kept: [`Call::doing`] may then be given details that cost something to put into words.
    pub fn is_told(&self) -> bool {
        self.seat.lock().lent.is_told
    }
}
