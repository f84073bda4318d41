//! What is done to an operation.

use std::fmt;
use std::str::FromStr;

use super::pair::TO_THE_END;
use crate::disk::{Fate, FaultKind};

/// What is done to one run of an operation. I/Os and yields are counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Case {
    /// Nothing: every I/O ends inside `submit`.
    Undisturbed,
    /// These I/Os are pending for a while, the others end inside `submit`.
    Pending(Vec<u32>),
    /// This I/O is pending, and others are at work meanwhile.
    Disturbed(u32),
    /// All I/O is pending, and this fault befalls this one; which of its effects it has, counted from 0.
    Fault(u32, FaultKind, u32),
    /// All I/O is pending, and the operation is dropped at this yield.
    Dropped(u32),
    /// All I/O is pending, and the operation is dropped when what it waited for at this yield has ended.
    DroppedLate(u32),
    /// All I/O is pending, and what the operation waits for at this yield is cancelled; it had done nothing (0), part (1)
    /// or all (2).
    Cancelled(u32, u32),
    /// All I/O is pending, and the call that waits at this yield is given up, though not its transaction; what it waited for is
    /// left alone (0) or cancelled (1).
    GivenUp(u32, u32),
    /// All I/O is pending, and at this yield another operation runs, to that yield of its own or to its end.
    Paired(u32, u32, u32),
    /// The power goes after this many I/Os have ended; what becomes of each file that has something at stake.
    Crash(u32, Vec<Fallen>),
}

/// What a power loss leaves of one file.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Fallen(pub(crate) Fate);

/// A text that names no case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no case: it must begin with one of {dimensions}, as in 'fault:3:write-error'", dimensions = Case::DIMENSIONS.join(", "))]
pub struct BadCase(String);

impl Case {
    /// The dimension that it belongs to.
    pub fn dimension(&self) -> &'static str {
        match self {
            Case::Undisturbed => "undisturbed",
            Case::Pending(_) => "pending",
            Case::Disturbed(_) => "disturbed",
            Case::Fault(..) => "fault",
            Case::Dropped(_) => "dropped",
            Case::DroppedLate(_) => "dropped-late",
            Case::Cancelled(..) => "cancelled",
            Case::GivenUp(..) => "given-up",
            Case::Paired(..) => "paired",
            Case::Crash(..) => "crash",
        }
    }

    /// All dimensions, in the order of a report.
    pub const DIMENSIONS: [&'static str; 9] = [
        "pending",
        "disturbed",
        "fault",
        "dropped",
        "dropped-late",
        "cancelled",
        "given-up",
        "paired",
        "crash",
    ];
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dimension = self.dimension();
        match self {
            Case::Undisturbed => f.write_str(dimension),
            Case::Pending(ios) => write!(f, "{dimension}:{}", join(ios)),
            Case::Disturbed(at) | Case::Dropped(at) | Case::DroppedLate(at) => write!(f, "{dimension}:{at}"),
            Case::Fault(at, kind, 0) => write!(f, "{dimension}:{at}:{}", kind.name()),
            Case::Fault(at, kind, effect) => write!(f, "{dimension}:{at}:{}:{effect}", kind.name()),
            Case::Cancelled(at, effect) | Case::GivenUp(at, effect) => {
                write!(f, "{dimension}:{at}:{effect}")
            }
            Case::Paired(at, other, TO_THE_END) => write!(f, "{dimension}:{at}:{other}:end"),
            Case::Paired(at, other, until) => write!(f, "{dimension}:{at}:{other}:{until}"),
            Case::Crash(after, fates) => write!(f, "{dimension}:{after}:{}", join(fates)),
        }
    }
}

fn join(items: &[impl fmt::Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

impl FromStr for Case {
    type Err = BadCase;

    fn from_str(text: &str) -> Result<Case, BadCase> {
        let bad = || BadCase(text.into());
        let mut parts = text.split(':');
        let dimension = parts.next().unwrap_or_default();
        let rest: Vec<&str> = parts.collect();
        let number = |text: &str| text.parse::<u32>().map_err(|_| bad());
        Ok(match (dimension, rest.as_slice()) {
            ("undisturbed", []) => Case::Undisturbed,
            ("pending", [ios]) => Case::Pending(list(ios, number)?),
            ("disturbed", [at]) => Case::Disturbed(number(at)?),
            ("dropped", [at]) => Case::Dropped(number(at)?),
            ("dropped-late", [at]) => Case::DroppedLate(number(at)?),
            ("fault", [at, kind, effect @ ..]) if effect.len() <= 1 => {
                let known = FaultKind::ALL.into_iter().find(|known| known.name() == *kind);
                let effect = effect.first().map_or(Ok(0), |effect| number(effect))?;
                Case::Fault(number(at)?, known.ok_or_else(bad)?, effect)
            }
            ("cancelled", [at, effect]) => Case::Cancelled(number(at)?, number(effect)?),
            ("given-up", [at, effect]) => Case::GivenUp(number(at)?, number(effect)?),
            ("paired", [at, other, "end"]) => Case::Paired(number(at)?, number(other)?, TO_THE_END),
            ("paired", [at, other, until]) => Case::Paired(number(at)?, number(other)?, number(until)?),
            ("crash", [after, fates]) => {
                Case::Crash(number(after)?, list(fates, |fate| fate.parse().map_err(|()| bad()))?)
            }
            _ => return Err(bad()),
        })
    }
}

fn list<T>(text: &str, item: impl Fn(&str) -> Result<T, BadCase>) -> Result<Vec<T>, BadCase> {
    text.split(',').filter(|part| !part.is_empty()).map(item).collect()
}

impl fmt::Display for Fallen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Fate::Nothing => f.write_str("nothing"),
            Fate::Everything => f.write_str("everything"),
            Fate::UpTo(change) => write!(f, "up-to-{change}"),
            Fate::AllBut(sector) => write!(f, "all-but-{sector}"),
            Fate::Only(sector) => write!(f, "only-{sector}"),
            Fate::Torn(sector) => write!(f, "torn-{sector}"),
            Fate::Head(sector) => write!(f, "head-of-{sector}"),
        }
    }
}

impl FromStr for Fallen {
    type Err = ();

    fn from_str(text: &str) -> Result<Fallen, ()> {
        let numbered = |name: &str, fate: fn(u32) -> Fate| {
            text.strip_prefix(name)?.parse().ok().map(|number| Fallen(fate(number)))
        };
        match text {
            "nothing" => Ok(Fallen(Fate::Nothing)),
            "everything" => Ok(Fallen(Fate::Everything)),
            _ => numbered("up-to-", Fate::UpTo)
                .or_else(|| numbered("all-but-", Fate::AllBut))
                .or_else(|| numbered("only-", Fate::Only))
                .or_else(|| numbered("torn-", Fate::Torn))
                .or_else(|| numbered("head-of-", Fate::Head))
                .ok_or(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_can_be_typed_as_it_is_printed() {
        let whole = [Fate::Nothing, Fate::Everything, Fate::UpTo(1)];
        let fates = [&whole[..], &[Fate::AllBut(2), Fate::Only(3), Fate::Torn(4), Fate::Head(5)]].concat();
        let cases = [
            Case::Undisturbed,
            Case::Pending(vec![0, 3, 9]),
            Case::Disturbed(2),
            Case::Fault(3, FaultKind::WriteError, 0),
            Case::Fault(3, FaultKind::WriteError, 2),
            Case::Dropped(1),
            Case::DroppedLate(1),
            Case::Cancelled(1, 2),
            Case::GivenUp(3, 1),
            Case::Paired(1, 2, 3),
            Case::Paired(1, 2, TO_THE_END),
            Case::Crash(7, Vec::new()),
            Case::Crash(7, fates.into_iter().map(Fallen).collect()),
        ];
        for case in cases {
            assert_eq!(case.to_string().parse(), Ok(case));
        }
    }

    #[test]
    fn what_is_no_case_is_one_line_with_an_example() {
        for text in [
            "",
            "pending",
            "pending:x",
            "fault:1:no-such",
            "crash:1:all-but-",
            "dropped:1:2",
            "fault:1",
            "fault:1:write-error:x",
        ] {
            let error = text.parse::<Case>().unwrap_err().to_string();
            assert!(error.contains("'fault:3:write-error'") && error.lines().count() == 1, "{error}");
        }
    }
}
