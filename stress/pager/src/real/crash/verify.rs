//! What must be there after a crash.

use std::path::Path;
use std::sync::Arc;

use tenterhook_runtime::io::{IO, drive};
use tenterhook_runtime::pager::{Pager, PagerError, PagerOptions};

use super::OPTIONS;
use crate::real::ledger::{Audit, Layout};
use tenterhook_stress::real::killed::Seat;
use tenterhook_stress::violation::Violation;

/// Opens the file, recovery and all.
pub(super) fn open(io: &Arc<dyn IO>, path: &Path, options: PagerOptions) -> Result<Arc<Pager>, PagerError> {
    let mut open = Pager::open(Arc::clone(io), path, options);
    drive(&**io, || open.step())
}

/// Recovers what is on `io` and holds it against what each connection must have: the commits of each that are there.
pub(super) fn recover(io: &Arc<dyn IO>, path: &Path, seats: &[Seat]) -> Result<Vec<u64>, Box<Violation>> {
    let pager = open(io, path, OPTIONS).map_err(broken("recovery", "a file that can be opened"))?;
    let found = audit(io, &pager, seats)?;
    let mut check = pager.check_integrity();
    let report = drive(&**io, || check.step()).map_err(broken("integrity", "a file that can be read"))?;
    if !report.is_sound() {
        return Err(Violation::safety("integrity", "no problem", format!("{:?}", report.problems)));
    }
    let audit = pager.audit();
    if !audit.is_idle() {
        return Err(Violation::safety("leaks", "nothing held at rest", format!("{audit:?}")));
    }
    Ok(found)
}

/// Reads everything: the state after some number of commits, that has every commit that must be kept, and none that no connection
/// has asked for.
pub(super) fn audit(
    io: &Arc<dyn IO>,
    pager: &Arc<Pager>,
    seats: &[Seat],
) -> Result<Vec<u64>, Box<Violation>> {
    let layout = Layout { connections: seats.len() as u64, usable: pager.usable_size() };
    let unreadable = broken("atomicity", "pages that can be read");
    let mut audit = Audit::whole(pager, layout).map_err(&unreadable)?;
    let found = drive(&**io, || audit.step()).map_err(&unreadable)?;
    found.map_err(|wrong| {
        let expected = format!("{} {}, as after some number of commits", wrong.place, wrong.expected);
        Violation::safety("atomicity", expected, wrong.seen)
    })?;
    // A file that has not been made has no cells yet.
    let cell = |connection: usize| audit.cells().get(connection).copied().unwrap_or(0);
    let cells: Vec<u64> = (0..seats.len()).map(cell).collect();
    Seat::hold(seats, &cells)?;
    Ok(cells)
}

fn broken(oracle: &'static str, expected: &'static str) -> impl Fn(PagerError) -> Box<Violation> {
    move |error| Violation::safety(oracle, expected, error.to_string())
}
