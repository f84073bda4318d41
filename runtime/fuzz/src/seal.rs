//! Makes checksums good again, by the file format's document and not by the pager's own code.

use crc32c::{crc32c, crc32c_append};
use xxhash_rust::xxh3::xxh3_64;

use crate::input::{FRAME_HEADER, Input, SLOT, Side, get_u32, get_u64, put};

/// Seals every page of the database file as it is.
pub(crate) fn pages(input: &mut Input) {
    let (id, size) = (database_id(input), input.page_size());
    for page in input.database.chunks_exact_mut(size) {
        seal_page(page, id);
    }
}

/// Makes the salts and checksums of the log's headers follow from their other fields.
pub(crate) fn log_headers(input: &mut Input) {
    for slot in input.log.chunks_mut(SLOT).take(2).filter(|slot| slot.len() >= 56 && slot[0] != 0) {
        let seed = [&slot[16..32], &slot[40..44]].concat();
        put(slot, 32, &xxh3_64(&seed).to_le_bytes());
        let checksum = xxh3_64(&slot[..48]);
        put(slot, 48, &checksum.to_le_bytes());
    }
}

/// Seals every frame, its page included, and chains them all. With `adopt` they also become frames of the generation
/// that counts.
pub(crate) fn frames(input: &mut Input, adopt: bool) {
    let (id, size) = (database_id(input), input.block_size(Side::Log));
    let Some((salt, generation, mut chain)) = newest_header(&input.log) else { return };
    for frame in input.log[2 * SLOT..].chunks_exact_mut(size) {
        if adopt {
            put(frame, 8, &salt);
            put(frame, 56, &generation);
        }
        seal_page(&mut frame[FRAME_HEADER..], id);
        let crc = crc32c(&frame[8..60]);
        put(frame, 60, &crc.to_le_bytes());
        put(frame, 0, &chain.to_le_bytes());
        chain = xxh3_64(frame);
        put(frame, 0, &chain.to_le_bytes());
    }
}

/// Salt, generation and checksum of the newest header, whole or not.
fn newest_header(log: &[u8]) -> Option<([u8; 8], [u8; 4], u64)> {
    let slots = log.get(..2 * SLOT)?.chunks(SLOT);
    let newest = slots.max_by_key(|slot| get_u32(slot, 40))?;
    Some((get_u64(newest, 32).to_le_bytes(), get_u32(newest, 40).to_le_bytes(), get_u64(newest, 48)))
}

fn database_id(input: &Input) -> [u8; 8] {
    input.database.get(24..32).map_or([0; 8], |field| get_u64(field, 0).to_le_bytes())
}

fn seal_page(page: &mut [u8], id: [u8; 8]) {
    let at = page.len() - 4;
    let checksum = crc32c_append(crc32c(&id), &page[..at]);
    put(page, at, &checksum.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus;

    /// What the pager wrote is sealed already, so the document and the pager agree, and a fixed-up case is really one.
    #[test]
    fn sealing_what_the_pager_wrote_changes_nothing() {
        for (name, seed) in corpus::seeds() {
            let mut sealed = seed.clone();
            pages(&mut sealed);
            log_headers(&mut sealed);
            assert!(sealed == seed, "{name}");
            frames(&mut sealed, false);
            // Frames of an earlier generation behind those that count are chained again: the first is the newest's.
            let first = seed.log.get(2 * SLOT..2 * SLOT + 512 + FRAME_HEADER);
            assert_eq!(sealed.log.get(2 * SLOT..2 * SLOT + 512 + FRAME_HEADER), first, "{name}");
        }
    }
}
