//! What one connection is at, and a step of its transaction.

use super::*;

pub(super) enum Work {
    Idle,
    Reading(ReadTransaction, Vec<u32>),
    AwaitingRight(BeginWrite),
    Writing(WriteTransaction, Model, usize, Change),
    /// With its place among those that were asked for.
    Committing(Commit, usize),
    Checkpointing(Checkpoint),
    Checking(IntegrityCheck),
}

#[derive(Clone, Copy)]
pub(super) enum Change {
    None,
    Set(u32, u64),
    Allocate(u64),
    Fill(u32, u64),
    Free(u32),
}

pub(super) struct Fiber {
    pub(super) work: Work,
    pub(super) waits_for: Option<Completion>,
}

pub(super) fn stamp_of(bytes: &[u8]) -> u64 {
    let words: Vec<u64> = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
    assert!(words.iter().all(|word| *word == words[0]), "a page is half one thing and half another");
    words[0]
}

pub(super) fn read(
    page: Result<IOResult<tenterhook_runtime::pager::PageRef>, PagerError>,
    expected: Option<u64>,
) -> Result<IOResult<()>, PagerError> {
    match (page, expected) {
        (Ok(page), expected) => Ok(page.map(|bytes| assert_eq!(Some(stamp_of(&bytes)), expected))),
        (Err(PagerError::PageNotAllocated { .. } | PagerError::PageOutOfRange { .. }), None) => {
            Ok(IOResult::Done(()))
        }
        (Err(error), _) => Err(error),
    }
}

pub(super) fn write(
    writer: &mut WriteTransaction,
    model: &mut Model,
    left: &mut usize,
    change: &mut Change,
    random: &mut Numbers,
) -> Result<IOResult<()>, PagerError> {
    let stamp = |bytes: &mut [u8], value: u64| {
        bytes.as_chunks_mut::<8>().0.iter_mut().for_each(|word| *word = value.to_le_bytes());
    };
    match *change {
        Change::None => {
            *left -= 1;
            let pages: Vec<u32> = model.keys().copied().collect();
            let page = pages.get(random.below(pages.len())).copied();
            *change = match (random.below(10), page) {
                (0..4, _) | (_, None) => Change::Allocate(random.next()),
                (4..8, Some(page)) => Change::Set(page, random.next()),
                (_, Some(page)) => Change::Free(page),
            };
        }
        Change::Set(page, value) | Change::Fill(page, value) => {
            match writer.page_mut(page)? {
                IOResult::IO(io) => return Ok(IOResult::IO(io)),
                IOResult::Done(bytes) => stamp(bytes, value),
            }
            model.insert(page, value);
            *change = Change::None;
        }
        Change::Allocate(value) => match writer.allocate()? {
            IOResult::IO(io) => return Ok(IOResult::IO(io)),
            IOResult::Done(page) => {
                assert!(model.insert(page, value).is_none(), "page {page} was allocated already");
                *change = Change::Fill(page, value);
            }
        },
        Change::Free(page) => match writer.free(page)? {
            IOResult::IO(io) => return Ok(IOResult::IO(io)),
            IOResult::Done(()) => {
                model.remove(&page);
                *change = Change::None;
            }
        },
    }
    Ok(IOResult::Done(()))
}
