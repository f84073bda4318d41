//! The two files of a case, and where things are in them.

/// A database file and its log, as bytes. An empty one does not exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// The database file.
    pub database: Vec<u8>,
    /// The log.
    pub log: Vec<u8>,
}

/// One of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The database file: pages.
    Database,
    /// The log: two slots for headers, and frames.
    Log,
}

/// Bytes of a slot for a log's header.
pub(crate) const SLOT: usize = 4096;
/// Bytes of a frame before its page.
pub(crate) const FRAME_HEADER: usize = 64;

impl Input {
    /// Bytes in a page: what the database file says, if that is possible.
    pub fn page_size(&self) -> usize {
        let said = self.database.get(20..24).map_or(0, |field| get_u32(field, 0)) as usize;
        if said.is_power_of_two() && (512..=65536).contains(&said) { said } else { 512 }
    }

    pub(crate) fn side(&self, side: Side) -> &Vec<u8> {
        match side {
            Side::Database => &self.database,
            Side::Log => &self.log,
        }
    }

    pub(crate) fn side_mut(&mut self, side: Side) -> &mut Vec<u8> {
        match side {
            Side::Database => &mut self.database,
            Side::Log => &mut self.log,
        }
    }

    /// Bytes of one page or frame.
    pub(crate) fn block_size(&self, side: Side) -> usize {
        match side {
            Side::Database => self.page_size(),
            Side::Log => FRAME_HEADER + self.page_size(),
        }
    }

    /// Whole pages or frames.
    pub(crate) fn blocks(&self, side: Side) -> usize {
        self.side(side).len().saturating_sub(blocks_begin(side)) / self.block_size(side)
    }

    /// Where page or frame `block`, counted from 0 and round and round, begins; `None` when there is none.
    pub(crate) fn block(&self, side: Side, block: u32) -> Option<usize> {
        let block = (block as usize).checked_rem(self.blocks(side))?;
        Some(blocks_begin(side) + block * self.block_size(side))
    }
}

fn blocks_begin(side: Side) -> usize {
    match side {
        Side::Database => 0,
        Side::Log => 2 * SLOT,
    }
}

/// The four bytes at `at`, little-endian.
pub(crate) fn get_u32(bytes: &[u8], at: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(field)
}

/// The eight bytes at `at`, little-endian.
pub(crate) fn get_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from(get_u32(bytes, at)) | u64::from(get_u32(bytes, at + 4)) << 32
}

/// Writes `field` at `at`.
pub(crate) fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}
