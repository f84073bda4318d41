//! The tape: every decision of a run that is drawn and not computed.
//!
//! A choice has a bound, and 0 is always the default: no fault, no preemption, no delay, the smallest number. A tape has the
//! choices that are not default. A run with an empty tape is the dullest run there is. A tape may begin with a [`Fixture`] in
//! place of an empty disk.
//!
//! On a tape a choice is named by what it belongs to (an [`Address`]: the operation of a connection in a life of the system, or
//! the call of the disk that the operation made), where in the code it is made (a [`ChoicePoint`]), and how often that address
//! has been there (the occurrence). So an operation can be taken off the tape with all that belongs to it, and every other
//! operation still finds its own choices: that is what a shrinker needs.
//!
//! Each actor holds its own [`Stream`], so drawing takes no lock. A stream draws either from the seed, as a function of the
//! actor, the choice point and how often the stream has been there, or from a recorded [`Tape`].

mod address;
mod file;
mod fixture;
mod record;
mod since;
mod stream;
mod varint;

use std::sync::Arc;

pub use self::address::{Address, Stage};
pub use self::file::{TapeError, TapeFile};
pub use self::fixture::{Beginning, FileImage, Fixture, Unsettled};
pub use self::record::{OperationId, Place, Schedule, StreamRecord, Tape};
pub use self::stream::Stream;

/// Choice points per actor. A stream counts each one's occurrences in place, so the number is fixed.
pub const CHOICE_POINTS: usize = 32;

/// The turn of a step or a delivery, see `schedule/turns.rs`. No stream draws it.
pub(crate) const TURN: u8 = CHOICE_POINTS as u8;
/// The turn of a step that was tried before and had to yield.
pub(crate) const RETRY: u8 = TURN + 1;

/// The turn of the rest of a step whose thread was stopped before its n-th synchronisation operation. The occurrence is n.
pub(crate) const SLICE: u8 = RETRY + 1;
/// The turn of the rest of a step whose thread waited for a lock. The occurrence is the number of its operations so far.
pub(crate) const LOCK: u8 = SLICE + 1;
/// The turn of the rest of a step whose thread asked that others go first.
pub(crate) const GAVE_WAY: u8 = LOCK + 1;

/// Who makes a choice.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actor(u32);

/// Numbers of actors from here on are threads of the system's own.
const HELPERS: u32 = 1 << 30;

impl Actor {
    /// Draws the options of the run before it begins.
    pub const OPTIONS: Actor = Actor(0);
    /// Draws who goes next.
    pub const SCHEDULER: Actor = Actor(1);
    /// Draws delays, faults, and what survives a power loss.
    pub const DISK: Actor = Actor(2);
    /// Draws when power is lost and when the run rests.
    pub const NEMESIS: Actor = Actor(3);
    /// Boots the system and looks it over. No fiber's number, so that it stays who it is with fewer connections.
    pub const CONTROL: Actor = Actor(4);

    /// A thread that the system has started itself, counted from 0 in each life.
    #[cfg(tenterhook_shuttle)]
    pub(crate) const fn helper(index: u32) -> Actor {
        Actor(HELPERS + index)
    }

    /// The fiber `index`, counted from 0.
    pub const fn fiber(index: u32) -> Actor {
        Actor(16 + index)
    }

    /// The fiber's index, if it is one.
    pub const fn as_fiber(self) -> Option<u32> {
        if self.0 >= HELPERS { None } else { self.0.checked_sub(16) }
    }

    /// The actor that [`Actor::code`] stands for.
    pub const fn from_code(code: u32) -> Actor {
        Actor(code)
    }

    /// The number that stands for this actor in traces and keys.
    pub const fn code(self) -> u32 {
        self.0
    }
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Actor::OPTIONS => f.pad("options"),
            Actor::SCHEDULER => f.pad("scheduler"),
            Actor::DISK => f.pad("disk"),
            Actor::NEMESIS => f.pad("nemesis"),
            Actor::CONTROL => f.pad("control"),
            Actor(code) if code >= HELPERS => f.pad(&format!("thread {}", code - HELPERS)),
            Actor(code) => f.pad(&format!("fiber {}", code.saturating_sub(16))),
        }
    }
}

/// Where a choice is made. Numbers are an actor's own: the disk's choice point 0 and a fiber's choice point 0 have nothing in
/// common.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChoicePoint {
    index: u8,
    name: &'static str,
}

impl ChoicePoint {
    /// Choice point number `index` of its actor, below [`CHOICE_POINTS`].
    pub const fn new(index: u8, name: &'static str) -> ChoicePoint {
        assert!((index as usize) < CHOICE_POINTS, "a stream has room for CHOICE_POINTS choice_points");
        ChoicePoint { index, name }
    }

    /// Its number, from 0.
    pub const fn index(self) -> u8 {
        self.index
    }

    /// The name that people read.
    pub const fn name(self) -> &'static str {
        self.name
    }
}

/// A probability in parts per million.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Chance(u32);

impl Chance {
    /// It never happens, and the tape is not asked.
    pub const NEVER: Chance = Chance(0);

    /// `parts` in a million; more than a million is always.
    pub const fn per_million(parts: u32) -> Chance {
        Chance(if parts > 1_000_000 { 1_000_000 } else { parts })
    }

    /// `parts` in a thousand.
    pub const fn per_mille(parts: u32) -> Chance {
        Chance::per_million(parts.saturating_mul(1000))
    }

    /// Parts per million.
    pub const fn parts(self) -> u32 {
        self.0
    }

    /// Whether it can happen at all.
    pub const fn is_possible(self) -> bool {
        self.0 > 0
    }
}

impl std::fmt::Display for Chance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_multiple_of(10_000) {
            write!(f, "{}%", self.0 / 10_000)
        } else {
            write!(f, "{:.3}%", f64::from(self.0) / 10_000.0)
        }
    }
}

/// Where a run's choices come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A function of the seed.
    Seed(u64),
    /// What an earlier run drew; whatever is not on the tape is 0.
    Recorded(Arc<Tape>),
    /// What an earlier run drew up to a step, and from there on a function of the seed.
    Branch {
        /// The choices before.
        tape: Arc<Tape>,
        /// So many steps follow the tape.
        after: u64,
        /// What decides the rest.
        seed: u64,
        /// Where it ends.
        end: BranchEnd,
    },
}

/// Where a run that leaves its tape ends, if it does not fail before.
#[derive(Copy, Clone, Debug)]
pub enum BranchEnd {
    /// Where any other run ends.
    Usual,
    /// After so many steps it comes to its end as any other run does.
    After(u64),
    /// After so many steps the process is killed, and the run is given up: nothing is checked.
    KilledAfter(u64),
}

impl From<Tape> for Source {
    fn from(tape: Tape) -> Source {
        Source::Recorded(Arc::new(tape))
    }
}

impl Source {
    /// A run that follows `tape` for so many steps, and draws from `seed` from there on. A schedule on the tape is told in turns.
    pub fn branch(tape: Tape, after: u64, seed: u64) -> Source {
        Source::Branch { tape: Arc::new(tape.in_turns()), after, seed, end: BranchEnd::Usual }
    }

    /// The first steps of a run that follows `tape`. The process is killed after them, and the run is given up.
    pub fn first_steps(tape: Tape, steps: u64) -> Source {
        let end = BranchEnd::KilledAfter(steps);
        Source::Branch { tape: Arc::new(tape.in_turns()), after: steps, seed: 0, end }
    }

    /// A run that works for so many steps, has the options of `tape` and what it begins with, and draws everything else from `seed`.
    pub fn fresh(tape: &Tape, seed: u64, steps: u64) -> Source {
        let end = BranchEnd::After(steps);
        Source::Branch { tape: Arc::new(tape.dull().in_turns()), after: 0, seed, end }
    }

    /// The tape, if there is one.
    pub fn tape(&self) -> Option<&Tape> {
        match self {
            Source::Seed(_) => None,
            Source::Recorded(tape) | Source::Branch { tape, .. } => Some(tape),
        }
    }
}
