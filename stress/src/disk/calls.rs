//! Which call of which operation the disk serves: what its choices belong to on a tape.

use std::collections::BTreeMap;

use super::queue::Pending;
use super::{SimDisk, State};
use crate::schedule::NextDelivery;
use crate::tape::{Actor, Address, Place, Stage, TURN};

/// Who calls. Kept for runs that are recorded or replayed only.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// The operation whose step or callback runs.
    owner: Address,
    /// Its call that began last.
    call: Address,
    /// The present turn.
    turn: u32,
    /// How many calls each operation of the present life has made.
    made: BTreeMap<(Actor, u32), u32>,
    /// What the world has not been told of.
    news: Vec<News>,
    /// Turns say when an operation is delivered, and nothing is drawn of its delay.
    pub(super) in_turns: bool,
}

/// What became of an operation without the world, told by the place of its turn.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It is in flight and waits for its delivery.
    Begun(Place),
    /// The system under test has delivered it by [`IO::step`](tenterhook_runtime::io::IO::step).
    Ended(Place),
}

impl SimDisk {
    /// From here on choices belong to the calls of the operations that [`SimDisk::serve`] names. With `in_turns` no operation is
    /// delayed: its turn alone says when it is delivered.
    pub(crate) fn keep_addresses(&self, in_turns: bool) {
        self.shared.lock().calls = Some(Box::new(Calls { in_turns, ..Calls::default() }));
    }

    /// Calls from here on are those of the operation `owner`, at `turn`.
    pub(crate) fn serve(&self, owner: Address, turn: u32) {
        let mut state = self.shared.lock();
        let Some(calls) = &mut state.calls else { return };
        if calls.owner.life != owner.life {
            calls.made.clear();
        }
        (calls.owner, calls.turn) = (owner, turn);
    }

    /// The tape ends here: from here on the disk draws, delays too. What is in flight has none, and can be delivered at once.
    pub(crate) fn leave_tape(&self) {
        let mut state = self.shared.lock();
        state.stream.leave_tape();
        if let Some(calls) = &mut state.calls {
            calls.in_turns = false;
        }
    }

    /// It is `turn` now.
    pub(crate) fn set_turn(&self, turn: u32) {
        if let Some(calls) = &mut self.shared.lock().calls {
            calls.turn = turn;
        }
    }

    /// Moves what has happened since the last call into `news`.
    pub(crate) fn take_news(&self, news: &mut Vec<News>) {
        if let Some(calls) = &mut self.shared.lock().calls {
            news.append(&mut calls.news);
        }
    }

    /// Where the turn of one of the due operations is on a tape.
    pub(crate) fn place_of(&self, index: u32) -> Option<Place> {
        self.shared.lock().queue.due(index).map(turn_of)
    }

    /// The due operation whose turn comes first.
    pub(crate) fn next_delivery(&self) -> Option<NextDelivery> {
        let state = self.shared.lock();
        let due = state.queue.all_due().map(|(index, pending)| NextDelivery {
            turn: pending.turn,
            token: pending.token,
            index,
        });
        due.min_by_key(|next| (next.turn, next.token))
    }
}

impl State {
    /// A call begins: what is drawn from here on belongs to it.
    pub(super) fn begin_call(&mut self) -> Address {
        let Some(calls) = &mut self.calls else { return Address::default() };
        let made = calls.made.entry((calls.owner.actor, calls.owner.operation)).or_insert(0);
        *made += 1;
        let address = calls.owner.call(*made);
        calls.call = address;
        self.stream.enter(address);
        address
    }

    /// The call that began last.
    pub(super) fn call(&self) -> Address {
        self.calls.as_ref().map_or(Address::default(), |calls| calls.call)
    }

    /// What is drawn from here on belongs to `address`.
    pub(super) fn go_on_with(&mut self, address: Address) {
        if self.calls.is_some() {
            self.stream.enter(address);
        }
    }

    /// What is drawn from here on belongs to the end of this life, and to one of its files.
    pub(super) fn end_with(&mut self, file: u32) {
        if let Some(calls) = &self.calls {
            let owner = Address::operation(calls.owner.life, Actor::DISK, 0);
            self.stream.enter(owner.call(1 + file).at(Stage::CRASHED));
        }
    }

    /// The turn at which an operation that is submitted now is delivered.
    pub(super) fn turn(&self) -> u32 {
        let Some(calls) = &self.calls else { return 0 };
        match self.stream.recorded(TURN, 0) {
            0 => calls.turn,
            later => (later - 1).max(calls.turn),
        }
    }

    /// An operation is in flight and waits for its delivery.
    pub(super) fn note_begun(&mut self, address: Address) {
        if let Some(calls) = &mut self.calls {
            calls.news.push(News::Begun(Place { address, choice_point: TURN, occurrence: 0 }));
        }
    }

    /// The operations that the system under test delivers by a step of its own, in order: all that are due, but where turns say
    /// who goes next those whose turn has come, or else the one whose turn is first.
    pub(super) fn due_for_step(&self) -> Vec<u64> {
        let all = || self.queue.all_due().map(|(_, pending)| (pending.turn, pending.token));
        let now = match &self.calls {
            Some(calls) if calls.in_turns => all().min().map_or(0, |(turn, _)| turn).max(calls.turn),
            Some(_) | None => u32::MAX,
        };
        all().filter(|&(turn, _)| turn <= now).map(|(_, token)| token).collect()
    }

    /// The system under test delivers an operation. Returns which of the due ones it is.
    pub(super) fn note_ended(&mut self, token: u64) -> Option<u32> {
        let (index, pending) = self.queue.all_due().find(|(_, pending)| pending.token == token)?;
        if let Some(calls) = &mut self.calls {
            calls.news.push(News::Ended(turn_of(pending)));
        }
        Some(index)
    }

    /// What a callback of `pending` calls for belongs to its operation. Returns whose calls were served before.
    pub(super) fn serve_callback(&mut self, pending: &Pending) -> Address {
        let Some(calls) = &mut self.calls else { return Address::default() };
        let Address { life, actor, operation, .. } = pending.address;
        std::mem::replace(&mut calls.owner, Address::operation(life, actor, operation))
    }

    /// The callback has returned: calls are those of `owner` again.
    pub(super) fn serve_again(&mut self, owner: Address) {
        if let Some(calls) = &mut self.calls {
            calls.owner = owner;
        }
    }
}

fn turn_of(pending: &Pending) -> Place {
    Place { address: pending.address, choice_point: TURN, occurrence: 0 }
}
