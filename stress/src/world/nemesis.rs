use crate::system::Crash;
use crate::tape::{Actor, Chance, Lane, Site, Tape};

const LIFE: Site = Site::new(0, "life");
const EARLY: Site = Site::new(1, "early");
const KIND: Site = Site::new(2, "kind");
const REST: Site = Site::new(3, "rest");
const CLEANUP: Site = Site::new(4, "clean-up");

/// A life that ends early ends within this many steps: while the system recovers, or soon after.
const EARLY_STEPS: u32 = 300;

/// When lives end and when they rest.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct NemesisOptions {
    /// Mean length of a life in steps; 0 means that lives do not end before the run does.
    pub mean_life: u32,
    /// Share of lives that end early, most of them inside recovery.
    pub early: Chance,
    /// Share of crashes in which the process is killed and the machine lives on.
    pub killed: Chance,
    /// Mean number of steps between two rests.
    pub mean_rest: u32,
    /// Power is never lost. After each rest, with nothing under way, the process ends and begins anew.
    pub drained_only: bool,
}

impl Default for NemesisOptions {
    /// One life, rests now and then.
    fn default() -> Self {
        NemesisOptions {
            mean_life: 0,
            early: Chance::NEVER,
            killed: Chance::NEVER,
            mean_rest: 1_000,
            drained_only: false,
        }
    }
}

/// Draws the end of lives and their rests.
#[derive(Debug)]
pub(super) struct Nemesis {
    options: NemesisOptions,
    lane: Lane,
    lives: u64,
    crash_at: Option<u64>,
    rest_at: u64,
    last_life: bool,
}

impl Nemesis {
    pub(super) fn new(options: NemesisOptions, lane: Lane) -> Nemesis {
        Nemesis { options, lane, lives: 0, crash_at: None, rest_at: u64::MAX, last_life: false }
    }

    pub(super) fn begin_life(&mut self, now: u64) {
        self.lives += 1;
        let mean = self.options.mean_life;
        self.crash_at = match mean {
            0 => None,
            _ => {
                let early = self.lane.happens(EARLY, self.options.early);
                let bound = if early { EARLY_STEPS } else { mean.saturating_mul(2) };
                // 0, the dull choice, is a life that does not end by itself.
                let steps = self.lane.choose(LIFE, bound);
                (steps > 0).then_some(now + u64::from(steps))
            }
        };
        self.rest_at = u64::MAX;
    }

    pub(super) fn booted(&mut self, now: u64) {
        self.draw_rest(now);
    }

    pub(super) fn rested(&mut self, now: u64) {
        self.draw_rest(now);
    }

    fn draw_rest(&mut self, now: u64) {
        let bound = self.options.mean_rest.saturating_mul(2);
        let steps = self.lane.choose(REST, bound);
        self.rest_at = if steps == 0 { u64::MAX } else { now + u64::from(steps) };
    }

    pub(super) fn rests_at(&self, now: u64) -> bool {
        now >= self.rest_at
    }

    pub(super) fn crashes_at(&mut self, now: u64) -> Option<Crash> {
        if self.crash_at.is_none_or(|at| now < at) {
            return None;
        }
        self.crash_at = None;
        let killed = self.lane.happens(KIND, self.options.killed);
        Some(if killed { Crash::ProcessKilled } else { Crash::PowerLoss })
    }

    /// Nothing happens before the next crash: it comes now.
    pub(super) fn hasten_crash(&mut self, now: u64) -> bool {
        self.crash_at = self.crash_at.map(|_| now);
        self.crash_at.is_some()
    }

    /// How a life ends that has just rested, if it does.
    pub(super) fn reopens_after_rest(&self) -> bool {
        self.options.drained_only
    }

    /// How the run's last life but one ends.
    pub(super) fn last_crash(&self) -> Crash {
        if self.options.drained_only { Crash::ProcessKilled } else { Crash::PowerLoss }
    }

    pub(super) fn drops_operations_first(&mut self) -> bool {
        self.lane.choose(CLEANUP, 2) == 0
    }

    pub(super) fn lives(&self) -> u64 {
        self.lives
    }

    pub(super) fn begin_last_life(&mut self) {
        self.last_life = true;
    }

    pub(super) fn is_last_life(&self) -> bool {
        self.last_life
    }

    pub(super) fn save(&mut self, tape: &mut Tape) {
        tape.insert(Actor::NEMESIS, &mut self.lane);
    }
}
