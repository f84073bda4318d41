//! What each adapter does.

mod ends;
mod errors;
mod lives;
mod transfers;

use super::Adapter;
use super::rig::{Rig, Verdict};
use crate::disk::FaultKind;

/// One thing that each adapter does.
pub(super) struct Behaviour<A: Adapter> {
    pub(super) name: &'static str,
    /// Each must strike in some seed.
    pub(super) faults: &'static [FaultKind],
    /// Operations of the disk end before the call that submits them returns.
    pub(super) at_once: bool,
    pub(super) body: fn(&mut Rig<'_, A>) -> Verdict,
}

/// Each behaviour, the plain ones first: what fails there fails further down, too.
pub(super) fn all<A: Adapter>() -> Vec<Behaviour<A>> {
    let plain = |name, body| Behaviour { name, faults: &[], at_once: false, body };
    let faulty = |name, faults, body| Behaviour { name, faults, at_once: false, body };
    vec![
        plain("reads back what was written", transfers::reads_back_what_was_written),
        plain("a read ends at the end of the file", transfers::a_read_ends_at_the_end_of_the_file),
        plain("a truncation sets the length", transfers::a_truncation_sets_the_length),
        plain("the engine is told when the disk has ended, and once", ends::the_engine_is_told_in_time),
        plain("an end belongs to its own operation", ends::an_end_belongs_to_its_own_operation),
        Behaviour {
            at_once: true,
            ..plain("operations that end at once are told once", ends::operations_that_end_at_once)
        },
        plain("of overlapping writes the one that ends last stays", ends::overlapping_writes),
        plain("reads in flight have buffers of their own", ends::reads_have_buffers_of_their_own),
        plain("the engine's own step ends what is in flight", ends::the_step_ends_what_is_in_flight),
        faulty(
            "a short read is no whole one",
            &[FaultKind::ShortRead],
            transfers::a_short_read_is_no_whole_one,
        ),
        faulty(
            "a short write is no whole one",
            &[FaultKind::ShortWrite],
            transfers::a_short_write_is_no_whole_one,
        ),
        faulty(
            "buffers are the engine's after the end",
            &[FaultKind::ShortWrite],
            ends::buffers_after_the_end,
        ),
        faulty("a read error arrives once", &[FaultKind::ReadError], errors::of_a_read),
        faulty("a write error arrives once", &[FaultKind::WriteError], errors::of_a_write),
        faulty("a full disk is told as an error", &[FaultKind::NoSpace], errors::of_a_full_disk),
        faulty("a sync error arrives once", &[FaultKind::SyncFailed], errors::of_a_sync),
        faulty("a truncation error arrives once", &[FaultKind::TruncateError], errors::of_a_truncation),
        faulty("a refused submission arrives once", &[FaultKind::SubmitRefused], errors::of_a_submission),
        faulty("a refused opening is an error", &[FaultKind::OpenError], errors::of_an_opening),
        faulty(
            "an error in the rest of a transfer is the operation's",
            &[FaultKind::ShortRead, FaultKind::ReadError, FaultKind::ShortWrite, FaultKind::WriteError],
            errors::in_the_rest,
        ),
        faulty(
            "a cancelled operation ends once",
            &[FaultKind::Cancelled],
            errors::a_cancelled_operation_ends_once,
        ),
        plain("a sync covers what was written before it", lives::a_sync_covers_what_was_written),
        plain("what is in flight at a crash is never told", lives::what_is_in_flight_is_never_told),
        plain("a handle of an earlier life does nothing", lives::an_old_handle_does_nothing),
    ]
}
