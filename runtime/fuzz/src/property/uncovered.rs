//! Bytes that no checksum covers, by the format's description: what follows a log header in its slot, what follows the last whole
//! frame, and what follows the last page.

use std::ops::Range;

use super::{Seen, Violation, World};
use crate::input::Input;

/// A slot of the log for a header, and what of it is covered.
const SLOT: usize = 4096;
const SLOTS: usize = 2;
const HEADER: usize = 56;
const FRAME_HEADER: usize = 64;

/// Changes one such byte, another for each input, or all of them, and demands the same pages, the same commit and the same problems.
pub(super) fn expect_the_same(input: &Input, page_count: u32, seen: &Seen<'_>) -> Result<(), Violation> {
    let mut changed = input.clone();
    let Some(place) = change(&mut changed, page_count) else { return Ok(()) };
    let mut world = World::new(&changed);
    let pager = match world.open(changed.page_size() as u32)? {
        Ok(pager) => pager,
        Err(error) => return Err(format!("{place}, which no checksum covers, was changed: {error}")),
    };
    let (kind, pages) = world.look(&pager)?;
    let now = Seen { kind: &kind, pages: &pages, sequence: pager.commit_sequence() };
    if now == *seen {
        return Ok(());
    }
    let [was, is] = [seen, &now].map(|seen| format!("commit {}, {}", seen.sequence, seen.kind));
    Err(format!("{place}, which no checksum covers, was changed: {was} became {is}, or a page changed"))
}

/// Changes one of the bytes, or all, if there are any, and says which.
fn change(input: &mut Input, page_count: u32) -> Option<String> {
    let frame = FRAME_HEADER + input.page_size();
    let (log, pages) = (input.log.len(), page_count as usize * input.page_size());
    let slots = (0..SLOTS).map(|slot| (slot * SLOT + HEADER).min(log)..((slot + 1) * SLOT).min(log));
    let tail = log - log.saturating_sub(SLOTS * SLOT) % frame..log;
    let in_log: Vec<Range<usize>> = slots.chain([tail]).collect();
    let beyond = pages.min(input.database.len())..input.database.len();
    let count = in_log.iter().chain([&beyond]).map(ExactSizeIterator::len).sum::<usize>();
    // As good as drawn: it depends on every byte of the input.
    let drawn = crc32c::crc32c_append(crc32c::crc32c(&input.log), &input.database) as usize;
    let mut place = (drawn / 2).checked_rem(count)?;
    if drawn.is_multiple_of(2) {
        in_log.into_iter().flatten().for_each(|at| input.log[at] ^= 0xff);
        input.database[beyond].iter_mut().for_each(|byte| *byte ^= 0xff);
        return Some("each byte".into());
    }
    for range in in_log {
        match place.checked_sub(range.len()) {
            Some(rest) => place = rest,
            None => {
                input.log[range.start + place] ^= 1 << (drawn % 7);
                return Some(format!("byte {} of the log", range.start + place));
            }
        }
    }
    input.database[beyond.start + place] ^= 1 << (drawn % 7);
    Some(format!("byte {} of the database file", beyond.start + place))
}
