//! What the bytes of the pager's files are, in words, by the document of its format.

use std::path::Path;

use tenterhook_runtime::io::OperationKind;

use tenterhook_stress::disk::Place;

/// Two slots for headers, before the first frame.
const LOG_HEADER: u64 = 2 * 4096;
const FRAME_HEADER: u64 = 64;

/// "page 3", "log header 1", "log frame 7 (page 3, commit 12)", or the file where an operation is about all of it.
pub(super) fn name(place: &Place, database: &Path, page_size: u32) -> String {
    let page_size = u64::from(page_size);
    let is_database = place.path == database;
    if matches!(place.kind, OperationKind::Sync | OperationKind::Truncate) {
        return if is_database { "database" } else { "log" }.into();
    }
    if is_database {
        return several("page", 1 + place.offset / page_size, place.len.div_ceil(page_size));
    }
    let Some(offset) = place.offset.checked_sub(LOG_HEADER) else {
        return several("log header", place.offset / (LOG_HEADER / 2), place.len.div_ceil(LOG_HEADER / 2));
    };
    let size = FRAME_HEADER + page_size;
    let frames = several("log frame", offset / size, place.len.div_ceil(size));
    match (place.len <= size, number(&place.head, 40, 4), number(&place.head, 16, 8)) {
        (true, Some(page), Some(commit)) => format!("{frames} (page {page}, commit {commit})"),
        (false, Some(_), Some(commit)) => format!("{frames} (from commit {commit} on)"),
        _ => frames,
    }
}

fn several(what: &str, first: u64, count: u64) -> String {
    match count.max(1) {
        1 => format!("{what} {first}"),
        count => format!("{what}s {first} to {}", first + count - 1),
    }
}

/// A little-endian field of a frame's header.
fn number(head: &[u8], from: usize, len: usize) -> Option<u64> {
    let mut bytes = [0; 8];
    bytes[..len].copy_from_slice(head.get(from..from + len)?);
    Some(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn named(path: &str, kind: OperationKind, offset: u64, len: u64, head: Vec<u8>) -> String {
        let place = Place { path: PathBuf::from(path), kind, offset, len, head };
        name(&place, Path::new("cloth"), 512)
    }

    #[test]
    fn bytes_are_named_by_page_header_and_frame() {
        use OperationKind::{Read, Sync, Write};
        assert_eq!(named("cloth", Read, 1024, 512, vec![]), "page 3");
        assert_eq!(named("cloth", Write, 0, 2048, vec![]), "pages 1 to 4");
        assert_eq!(named("cloth-wal", Write, 4096, 4096, vec![7; 64]), "log header 1");
        assert_eq!(named("cloth-wal", Read, 8192 + 2 * 576 + 64, 512, vec![]), "log frame 2");
        assert_eq!(named("cloth-wal", Sync, 0, 0, vec![]), "log");
        let mut head = vec![0; 64];
        (head[16], head[40]) = (12, 3);
        assert_eq!(named("cloth-wal", Write, 8192, 576, head.clone()), "log frame 0 (page 3, commit 12)");
        assert_eq!(named("cloth-wal", Write, 8192, 1152, head), "log frames 0 to 1 (from commit 12 on)");
    }
}
