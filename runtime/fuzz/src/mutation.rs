//! What is done to a case before it is opened.
#![allow(missing_docs, reason = "places, counted round and round, and what is put there")]

use proptest::collection::vec;
use proptest::prelude::*;

use crate::corpus;
use crate::input::{FRAME_HEADER, Input, SLOT, Side, put};
use crate::seal;

/// One change. Places are taken round and round, so every change means something in every file that is not empty.
#[derive(Clone, Debug)]
pub enum Mutation {
    /// Flips a bit.
    Flip(Side, u32),
    /// Cuts the file to so many of its bytes.
    Cut(Side, u32),
    /// Adds bytes at the end.
    Append(Side, Vec<u8>),
    /// Replaces the file.
    Replace(Side, Vec<u8>),
    /// Puts four bytes into a field of a page, counted from its beginning or its end.
    PageField { page: u32, field: FieldOfPage, value: u32 },
    /// Puts four bytes into a field of the database file's header page.
    HeaderField { field: u8, value: u32 },
    /// Puts four bytes into a field of a header of the log.
    LogHeaderField { slot: bool, field: u8, value: u32 },
    /// Puts four bytes into a field of a frame.
    FrameField { frame: u32, field: u8, value: u32 },
    /// Copies one page or frame over another.
    CopyBlock { side: Side, from: u32, to: u32 },
    /// Swaps two pages or frames.
    SwapBlocks { side: Side, one: u32, other: u32 },
    /// Takes a page or frame out; what is behind it moves up.
    RemoveBlock { side: Side, block: u32 },
    /// Copies the page of a frame into the database file, or the other way round.
    CrossBlock { frame: u32, page: u32, to_log: bool },
    /// Copies bytes from another seed's file to the same place.
    Splice { side: Side, seed: u8, from: u32, len: u32 },
    /// Takes another seed's file.
    Take { side: Side, seed: u8 },
    /// Makes checksums good again.
    Seal(Repair),
}

/// A field that every page has, or every free page.
#[derive(Clone, Copy, Debug)]
pub enum FieldOfPage {
    /// The first four bytes: on a free page, the next one.
    Next,
    /// The number.
    Number,
    /// The commit that wrote it.
    Sequence,
    /// The kind; the value's lowest byte.
    Kind,
}

/// Which checksums are made good.
#[derive(Clone, Copy, Debug)]
pub struct Repair {
    /// Those of the database file's pages.
    pub pages: bool,
    /// Those of the log's headers.
    pub log_headers: bool,
    /// Those of the frames, and the chain.
    pub frames: bool,
    /// Frames also get the salt and generation that count.
    pub adopt: bool,
}

const HEADER_FIELDS: [usize; 9] = [0, 16, 20, 24, 32, 36, 40, 44, 48];
const LOG_HEADER_FIELDS: [usize; 8] = [8, 12, 16, 24, 32, 40, 44, 48];
const FRAME_FIELDS: [usize; 13] = [0, 8, 16, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60];

/// Seeds and what is done to them.
pub fn case() -> impl Strategy<Value = (u8, Vec<Mutation>)> {
    (any::<u8>(), vec(mutation(), 0..8), prop::option::weighted(0.7, repair())).prop_map(
        |(seed, mut mutations, repair)| {
            mutations.extend(repair.map(Mutation::Seal));
            (seed, mutations)
        },
    )
}

/// The case: `seed` of the corpus, changed.
pub fn build(seed: u8, mutations: &[Mutation]) -> Input {
    let mut input = corpus::seed(seed);
    mutations.iter().for_each(|mutation| mutation.apply(&mut input));
    input
}

fn side() -> impl Strategy<Value = Side> + Clone {
    prop_oneof![Just(Side::Database), Just(Side::Log)]
}

fn value() -> impl Strategy<Value = u32> + Clone {
    prop_oneof![
        6 => 0..16_u32,
        1 => prop::sample::select(vec![63, 64, 255, 1 << 16, 1 << 31, u32::MAX - 1, u32::MAX]),
        1 => any::<u32>(),
    ]
}

fn repair() -> impl Strategy<Value = Repair> + Clone {
    (prop::bool::weighted(0.9), prop::bool::weighted(0.9), prop::bool::weighted(0.9), any::<bool>())
        .prop_map(|(pages, log_headers, frames, adopt)| Repair { pages, log_headers, frames, adopt })
}

fn mutation() -> impl Strategy<Value = Mutation> {
    use Mutation::*;
    let field = prop::sample::select(vec![
        FieldOfPage::Next,
        FieldOfPage::Number,
        FieldOfPage::Sequence,
        FieldOfPage::Kind,
    ]);
    prop_oneof![
        2 => (side(), any::<u32>()).prop_map(|(side, bit)| Flip(side, bit)),
        1 => (side(), any::<u32>()).prop_map(|(side, len)| Cut(side, len)),
        1 => (side(), vec(any::<u8>(), 0..700)).prop_map(|(side, bytes)| Append(side, bytes)),
        1 => (side(), vec(any::<u8>(), 0..2000)).prop_map(|(side, bytes)| Replace(side, bytes)),
        4 => (0..16_u32, field, value()).prop_map(|(page, field, value)| PageField { page, field, value }),
        4 => (any::<u8>(), value()).prop_map(|(field, value)| HeaderField { field, value }),
        3 => (any::<bool>(), any::<u8>(), value())
            .prop_map(|(slot, field, value)| LogHeaderField { slot, field, value }),
        6 => (0..16_u32, any::<u8>(), value())
            .prop_map(|(frame, field, value)| FrameField { frame, field, value }),
        2 => (side(), 0..16_u32, 0..16_u32).prop_map(|(side, from, to)| CopyBlock { side, from, to }),
        2 => (side(), 0..16_u32, 0..16_u32).prop_map(|(side, one, other)| SwapBlocks { side, one, other }),
        1 => (side(), 0..16_u32).prop_map(|(side, block)| RemoveBlock { side, block }),
        1 => (0..16_u32, 0..16_u32, any::<bool>())
            .prop_map(|(frame, page, to_log)| CrossBlock { frame, page, to_log }),
        1 => (side(), any::<u8>(), any::<u32>(), 0..4096_u32)
            .prop_map(|(side, seed, from, len)| Splice { side, seed, from, len }),
        1 => (side(), any::<u8>()).prop_map(|(side, seed)| Take { side, seed }),
        3 => repair().prop_map(Seal),
    ]
}

impl Mutation {
    fn apply(&self, input: &mut Input) {
        match self {
            Self::Flip(side, bit) => flip(input.side_mut(*side), *bit),
            Self::Cut(side, len) => {
                let file = input.side_mut(*side);
                file.truncate(*len as usize % (file.len() + 1));
            }
            Self::Append(side, bytes) => input.side_mut(*side).extend_from_slice(bytes),
            Self::Replace(side, bytes) => bytes.clone_into(input.side_mut(*side)),
            Self::PageField { page, field, value } => page_field(input, *page, *field, *value),
            Self::HeaderField { field, value } => {
                put_if_there(&mut input.database, HEADER_FIELDS[usize::from(*field) % 9], *value);
            }
            Self::LogHeaderField { slot, field, value } => {
                let at = usize::from(*slot) * SLOT + LOG_HEADER_FIELDS[usize::from(*field) % 8];
                put_if_there(&mut input.log, at, *value);
            }
            Self::FrameField { frame, field, value } => {
                if let Some(at) = input.block(Side::Log, *frame) {
                    put_if_there(&mut input.log, at + FRAME_FIELDS[usize::from(*field) % 13], *value);
                }
            }
            Self::CopyBlock { side, from, to } => blocks(input, *side, *from, *to, false),
            Self::SwapBlocks { side, one, other } => blocks(input, *side, *one, *other, true),
            Self::RemoveBlock { side, block } => {
                if let Some(at) = input.block(*side, *block) {
                    let size = input.block_size(*side);
                    input.side_mut(*side).drain(at..at + size);
                }
            }
            Self::CrossBlock { frame, page, to_log } => cross(input, *frame, *page, *to_log),
            Self::Splice { side, seed, from, len } => splice(input, *side, *seed, *from, *len),
            Self::Take { side, seed } => {
                corpus::seed(*seed).side(*side).clone_into(input.side_mut(*side));
            }
            Self::Seal(repair) => repair.apply(input),
        }
    }
}

impl Repair {
    fn apply(self, input: &mut Input) {
        if self.pages {
            seal::pages(input);
        }
        if self.log_headers {
            seal::log_headers(input);
        }
        if self.frames {
            seal::frames(input, self.adopt);
        }
    }
}

fn flip(file: &mut [u8], bit: u32) {
    if let Some(bit) = (bit as usize).checked_rem(file.len() * 8) {
        file[bit / 8] ^= 1 << (bit % 8);
    }
}

fn put_if_there(file: &mut [u8], at: usize, value: u32) {
    if at + 4 <= file.len() {
        put(file, at, &value.to_le_bytes());
    }
}

fn page_field(input: &mut Input, page: u32, field: FieldOfPage, value: u32) {
    let Some(start) = input.block(Side::Database, page) else { return };
    let trailer = start + input.page_size() - 16;
    match field {
        FieldOfPage::Next => put_if_there(&mut input.database, start, value),
        FieldOfPage::Number => put_if_there(&mut input.database, trailer, value),
        FieldOfPage::Sequence => put_if_there(&mut input.database, trailer + 4, value),
        FieldOfPage::Kind => input.database[trailer + 11] = value as u8,
    }
}

fn blocks(input: &mut Input, side: Side, from: u32, to: u32, both: bool) {
    let (Some(from), Some(to)) = (input.block(side, from), input.block(side, to)) else { return };
    let size = input.block_size(side);
    let file = input.side_mut(side);
    let replaced = file[to..to + size].to_vec();
    file.copy_within(from..from + size, to);
    if both {
        put(file, from, &replaced);
    }
}

fn cross(input: &mut Input, frame: u32, page: u32, to_log: bool) {
    let (Some(frame), Some(page)) = (input.block(Side::Log, frame), input.block(Side::Database, page)) else {
        return;
    };
    let (size, frame) = (input.page_size(), frame + FRAME_HEADER);
    if to_log {
        put(&mut input.log, frame, &input.database[page..page + size]);
    } else {
        put(&mut input.database, page, &input.log[frame..frame + size]);
    }
}

fn splice(input: &mut Input, side: Side, seed: u8, from: u32, len: u32) {
    let other = corpus::seed(seed);
    let (file, other) = (input.side_mut(side), other.side(side));
    let Some(from) = (from as usize).checked_rem(file.len().min(other.len())) else { return };
    let end = (from + len as usize).min(file.len()).min(other.len());
    file[from..end].copy_from_slice(&other[from..end]);
}
