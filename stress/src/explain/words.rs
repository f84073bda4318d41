//! A choice in words.

use crate::tape::{Actor, Address, Place, RETRY, TURN};
use crate::world::{Names, is_cut};

/// What `value` at `place` means: whose choice it is, and which.
pub(super) fn describe(place: Place, value: u32, names: &Names) -> String {
    let Place { address, choice_point, occurrence } = place;
    let whose = whose(address);
    match choice_point {
        TURN if address.call > 0 => format!("{whose} is delivered late, at turn {}", value - 1),
        TURN if occurrence == 0 => format!("{whose} begins late, at turn {}", value - 1),
        TURN => format!("{whose} is preempted before its step {}, until turn {}", occurrence + 1, value - 1),
        RETRY => format!("{whose} tries again at turn {}", value - 1),
        _ if address.actor == Actor::NEMESIS && is_cut(choice_point) => {
            format!("{whose}: a crash, a rest or the end comes at turn {}", value - 1)
        }
        _ => {
            let name = name(address, choice_point, names);
            let times = if occurrence > 0 { format!(", time {}", occurrence + 1) } else { String::new() };
            format!("{whose}: {name}{times} is {value}")
        }
    }
}

fn whose(address: Address) -> String {
    let Address { life, actor, operation, call, .. } = address;
    let life = if life > 0 { format!("life {life}, ") } else { String::new() };
    let call = if call > 0 { format!(", call {call} of the disk") } else { String::new() };
    match actor {
        Actor::NEMESIS | Actor::DISK | Actor::SCHEDULER | Actor::OPTIONS => format!("{life}{actor}{call}"),
        _ => format!("{life}operation {operation} of {actor}{call}"),
    }
}

/// The disk draws for calls of others, so a name may be among its own.
fn name(address: Address, choice_point: u8, names: &Names) -> String {
    let actor = match address {
        Address { call: 1.., .. } => Actor::DISK,
        Address { actor, .. } if actor.as_fiber().is_some() => Actor::fiber(0),
        Address { actor, .. } => actor,
    };
    names
        .get(&(actor, choice_point))
        .map_or_else(|| format!("choice point {choice_point}"), |&name| name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_told_by_its_owner_and_its_name() {
        let names = Names::from([((Actor::DISK, 3), "fault"), ((Actor::fiber(0), 3), "amount")]);
        let operation = Address::operation(1, Actor::fiber(4), 2);
        let told = |address, choice_point, occurrence| {
            describe(Place { address, choice_point, occurrence }, 9, &names)
        };
        assert_eq!(
            told(operation.call(5), 3, 0),
            "life 1, operation 2 of fiber 4, call 5 of the disk: fault is 9"
        );
        assert_eq!(told(operation, 3, 1), "life 1, operation 2 of fiber 4: amount, time 2 is 9");
        assert_eq!(
            told(operation, TURN, 7),
            "life 1, operation 2 of fiber 4 is preempted before its step 8, until turn 8"
        );
        let crash = Address::operation(0, Actor::NEMESIS, 0);
        assert_eq!(told(crash, 7, 0), "nemesis: a crash, a rest or the end comes at turn 8");
        assert_eq!(told(crash, 2, 0), "nemesis: choice point 2 is 9");
    }
}
