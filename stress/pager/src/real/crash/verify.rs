//! What must be there after a crash.

use std::path::Path;
use std::sync::Arc;

use tenterhook_runtime::io::{IO, drive};
use tenterhook_runtime::pager::{Pager, PagerError};

use super::OPTIONS;
use super::acks::Acks;
use super::child::open;
use crate::real::ledger::{Audit, Layout};
use tenterhook_stress::violation::Violation;

/// Why something could not be looked at, or what is wrong with it.
#[derive(Debug)]
pub(super) enum Objection {
    Broken(Box<Violation>),
    Table(std::io::Error),
}

impl std::fmt::Display for Objection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Objection::Broken(violation) => violation.fmt(f),
            Objection::Table(error) => write!(f, "the table of acknowledgements: {error}"),
        }
    }
}

impl std::error::Error for Objection {}

impl From<Box<Violation>> for Objection {
    fn from(violation: Box<Violation>) -> Self {
        Objection::Broken(violation)
    }
}

/// Recovers what is on `io` and holds it against the table: how many commits it has.
pub(super) fn recover(io: &Arc<dyn IO>, path: &Path, acks: &Acks) -> Result<u64, Objection> {
    let pager = open(io, path, OPTIONS).map_err(broken("recovery", "a file that can be opened"))?;
    let commits = audit(io, &pager, acks)?;
    let mut check = pager.check_integrity();
    let report = drive(&**io, || check.step()).map_err(broken("integrity", "a file that can be read"))?;
    if !report.is_sound() {
        return Err(Violation::safety("integrity", "no problem", format!("{:?}", report.problems)).into());
    }
    let audit = pager.audit();
    if !audit.is_idle() {
        return Err(Violation::safety(
            "leaks",
            "nothing held when nobody does anything",
            format!("{audit:?}"),
        )
        .into());
    }
    Ok(commits)
}

/// Reads everything: the state after some number of commits, that holds every commit that somebody was told of, and none
/// that nobody has asked for.
pub(super) fn audit(io: &Arc<dyn IO>, pager: &Arc<Pager>, acks: &Acks) -> Result<u64, Objection> {
    let table = acks.read().map_err(Objection::Table)?;
    let layout = Layout { connections: table.len() as u64, usable: pager.usable_size() };
    let unreadable = broken("atomicity", "pages that can be read");
    let mut audit = Audit::whole(pager, layout).map_err(&unreadable)?;
    let found = drive(&**io, || audit.step()).map_err(&unreadable)?;
    let commits = found.map_err(|wrong| {
        let expected = format!("{} {}, as after some number of commits", wrong.place, wrong.expected);
        Violation::safety("atomicity", expected, wrong.seen)
    })?;
    // A file that has not been made has no cells yet.
    let cells = |connection: usize| audit.cells().get(connection).copied().unwrap_or(0);
    for (connection, (asked, told)) in table.into_iter().enumerate() {
        let own = cells(connection);
        if !(told..=asked).contains(&own) {
            let expected = format!(
                "from {told} commits of connection {connection}, which were acknowledged, to {asked}, which were asked for"
            );
            return Err(
                Violation::safety("durability", expected, format!("{own}, of {commits} in all")).into()
            );
        }
    }
    Ok(commits)
}

fn broken(oracle: &'static str, expected: &'static str) -> impl Fn(PagerError) -> Objection {
    move |error| Violation::safety(oracle, expected, error.to_string()).into()
}
