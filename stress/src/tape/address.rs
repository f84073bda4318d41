use super::Actor;

/// What a choice belongs to: an operation of an actor, or a call of the disk that the operation made.
///
/// An operation that is taken off the tape takes its choices along and moves no other operation's.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// The life of the system, counted from 0.
    pub life: u32,
    /// Who.
    pub actor: Actor,
    /// Which of the actor's operations in that life, counted from 0.
    pub operation: u32,
    /// Which of the operation's calls of the disk, counted from 1; 0 is the operation itself.
    pub call: u32,
    /// When in the call.
    pub stage: Stage,
}

/// When in a call of the disk something is drawn.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stage(u32);

impl Stage {
    /// While it is submitted.
    pub const SUBMITTED: Stage = Stage(0);
    /// While it is delivered.
    pub const DELIVERED: Stage = Stage(1);
    /// While a life ends.
    pub const CRASHED: Stage = Stage(2);

    /// While its cancellation is asked for, for the `nth` time.
    pub const fn cancelled(nth: u32) -> Stage {
        Stage(3 + 2 * nth)
    }

    /// While the power goes: what becomes of the `nth` change that it has made.
    pub const fn change(nth: u32) -> Stage {
        Stage(4 + 2 * nth)
    }

    /// The stage that [`Stage::code`] stands for.
    pub const fn from_code(code: u32) -> Stage {
        Stage(code)
    }

    /// The number that stands for it in files.
    pub const fn code(self) -> u32 {
        self.0
    }
}

impl Address {
    /// That of an operation.
    pub const fn operation(life: u32, actor: Actor, operation: u32) -> Address {
        Address { life, actor, operation, call: 0, stage: Stage::SUBMITTED }
    }

    /// That of a call of the operation.
    #[must_use]
    pub const fn call(self, call: u32) -> Address {
        Address { call, ..self }
    }

    /// The same call at another stage.
    #[must_use]
    pub const fn at(self, stage: Stage) -> Address {
        Address { stage, ..self }
    }
}
