//! What each adapter does whose calls block.

use std::sync::Arc;

use super::super::rig::{NAME, Seen, Verdict, pattern};
use super::Adapter;
use super::rig::Rig;
use crate::disk::FaultKind;

mod calls;
mod errors;
mod lives;
mod transfers;

/// One thing that each adapter does.
pub(super) struct Behaviour<A: Adapter> {
    pub(super) name: &'static str,
    /// Each must strike in some seed.
    pub(super) faults: &'static [FaultKind],
    pub(super) body: fn(&mut Rig<'_, A>) -> Verdict,
}

/// Each behaviour, the plain ones first: what fails there fails further down, too.
pub(super) fn all<A: Adapter>() -> Vec<Behaviour<A>> {
    let plain = |name, body| Behaviour { name, faults: &[], body };
    let faulty = |name, faults, body| Behaviour { name, faults, body };
    vec![
        plain("reads back what was written", transfers::reads_back_what_was_written),
        plain("a read ends at the end of the file", transfers::a_read_ends_at_the_end_of_the_file),
        plain("a truncation sets the length", transfers::a_truncation_sets_the_length),
        plain("a call comes back when the disk has ended it", calls::a_call_comes_back_when_it_has_ended),
        plain("another connection may call meanwhile", calls::another_connection_may_call_meanwhile),
        plain("a lock that is held alone keeps others out", calls::locks_keep_others_out),
        plain("a removed file is gone", calls::a_removed_file_is_gone),
        faulty("a short read is continued", &[FaultKind::ShortRead], transfers::a_short_read_is_continued),
        faulty("a short write is continued", &[FaultKind::ShortWrite], transfers::a_short_write_is_continued),
        faulty("a read error is handed on", &[FaultKind::ReadError], errors::of_a_read),
        faulty("a write error is handed on", &[FaultKind::WriteError], errors::of_a_write),
        faulty("a full disk is an error", &[FaultKind::NoSpace], errors::of_a_full_disk),
        faulty("a sync error is handed on", &[FaultKind::SyncFailed], errors::of_a_sync),
        faulty("a truncation error is handed on", &[FaultKind::TruncateError], errors::of_a_truncation),
        faulty("a refused opening is an error", &[FaultKind::OpenError], errors::of_an_opening),
        faulty(
            "an error in the rest of a transfer is handed on",
            &[FaultKind::ShortRead, FaultKind::ReadError, FaultKind::ShortWrite, FaultKind::WriteError],
            errors::in_the_rest,
        ),
        plain("a sync covers what was written before it", lives::a_sync_covers_what_was_written),
        plain("the length lasts", lives::the_length_lasts),
        plain("a name lasts", lives::a_name_lasts),
        plain("a new name lasts", lives::a_new_name_lasts),
        plain("a call that the end of a life cuts off comes back", lives::a_call_that_is_cut_off_comes_back),
        plain("calls after the end of a life change nothing", lives::later_calls_change_nothing),
    ]
}

/// The calls without faults, each of which must end well.
impl<A: Adapter> Rig<'_, A> {
    fn opened(&mut self, name: &'static str) -> Result<Arc<A::File>, String> {
        let opened = self.call(move |adapter, call| adapter.open(call, name))?;
        opened.map(Arc::new).map_err(|error| format!("without a fault it does not open a file: {error}"))
    }

    /// Writes `len` bytes of the pattern `of` at `offset`.
    fn filled(&mut self, file: &Arc<A::File>, of: u8, offset: u64, len: usize) -> Result<(), String> {
        self.well("a write", file, move |adapter, call, file| {
            adapter.write(call, file, offset, &pattern(of, offset, len))
        })
    }

    fn synced(&mut self, file: &Arc<A::File>) -> Result<(), String> {
        self.well("a sync", file, |adapter, call, file| adapter.sync(call, file))
    }

    fn truncated(&mut self, file: &Arc<A::File>, len: u64) -> Result<(), String> {
        self.well("a truncation", file, move |adapter, call, file| adapter.truncate(call, file, len))
    }

    fn length(&mut self, file: &Arc<A::File>) -> Result<u64, String> {
        self.well("to ask for the length", file, |adapter, call, file| adapter.len(call, file))
    }

    /// What a read of `len` bytes at `offset` brings.
    fn read(
        &mut self,
        file: &Arc<A::File>,
        offset: u64,
        len: usize,
    ) -> Result<Result<Vec<u8>, String>, String> {
        let file = Arc::clone(file);
        self.call(move |adapter, call| {
            let mut bytes = vec![0xdb; len];
            let count = adapter.read(call, &file, offset, &mut bytes)?;
            bytes.truncate(count);
            Ok(bytes)
        })
    }

    fn well<R: Send + 'static>(
        &mut self,
        what: &str,
        file: &Arc<A::File>,
        call: impl FnOnce(&A, &crate::blocking::Call, &A::File) -> Result<R, String> + Send + 'static,
    ) -> Result<R, String> {
        let file = Arc::clone(file);
        let done = self.call(move |adapter, here| call(adapter, here, &file))?;
        done.map_err(|error| format!("{what} fails without a fault: {error}"))
    }
}

fn kept(is_kept: bool, wrong: impl FnOnce() -> String) -> Verdict {
    if is_kept { Ok(Seen::Kept) } else { Err(wrong()) }
}

/// The first byte in which two contents differ.
fn difference(expected: &[u8], found: &[u8]) -> String {
    if expected.len() != found.len() {
        return format!("{} bytes instead of {}", found.len(), expected.len());
    }
    let place = expected.iter().zip(found).position(|(one, other)| one != other);
    place.map_or("no difference".into(), |place| format!("wrong from byte {place} on"))
}
