//! Room on the disk for real files. On a full disk a write fails that should not: what an oracle sees beside one is no finding.

use std::io;
use std::path::Path;

/// What has to be free for real files of some seconds to begin with. They take some tens of MiB.
const TO_BEGIN: u64 = 256 << 20;
/// What has to be left for what was seen to count. Well below what is wanted at first, or a run could fill its own disk again and again.
const LEFT: u64 = 16 << 20;

/// Whether there is room at `folder` to begin.
///
/// # Errors
///
/// [`io::ErrorKind::StorageFull`] when there is none.
pub fn to_begin(folder: &Path) -> io::Result<()> {
    has(folder, TO_BEGIN)
}

/// A disk that does not say how much it has is believed to have enough.
fn has(folder: &Path, wanted: u64) -> io::Result<()> {
    let Ok(disk) = rustix::fs::statvfs(folder) else { return Ok(()) };
    if disk.f_bavail.saturating_mul(disk.f_frsize) >= wanted {
        return Ok(());
    }
    let wanted = wanted >> 20;
    Err(io::Error::new(io::ErrorKind::StorageFull, format!("real files want {wanted} MiB to be free")))
}

/// Whether a violation in `folder` may be one: not beside a full disk.
///
/// # Errors
///
/// [`io::ErrorKind::StorageFull`] when there is no room.
pub fn allows_a_verdict(folder: &Path) -> io::Result<()> {
    has(folder, LEFT).map_err(|full| {
        io::Error::new(
            full.kind(),
            format!("something went wrong beside a full disk ({full}); make room, and run it again"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_asked_how_much_it_has() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = rustix::fs::statvfs(folder.path()).expect("it is there");
        let free = disk.f_bavail * disk.f_frsize;
        assert_eq!(to_begin(folder.path()).is_ok(), free >= TO_BEGIN);
        assert_eq!(allows_a_verdict(folder.path()).is_ok(), free >= LEFT);
        assert!(to_begin(&folder.path().join("nowhere")).is_ok());
        // A file system without blocks.
        for asked in [to_begin, allows_a_verdict] {
            let problem = asked(Path::new("/proc")).expect_err("nothing is free there");
            assert_eq!(problem.kind(), io::ErrorKind::StorageFull);
        }
    }
}
