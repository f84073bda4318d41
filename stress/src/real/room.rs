//! Room on the disk for real files. On a full disk a write fails that should not: what an oracle sees beside one is no finding.

use std::io;
use std::path::Path;

/// What has to be free. The files of some seconds take some tens of MiB.
const ROOM: u64 = 64 << 20;

/// Whether there is room at `folder`. A disk that does not say how much it has is believed to have enough.
///
/// # Errors
///
/// [`io::ErrorKind::StorageFull`] when there is none.
pub fn check(folder: &Path) -> io::Result<()> {
    let Ok(disk) = rustix::fs::statvfs(folder) else { return Ok(()) };
    if disk.f_bavail.saturating_mul(disk.f_frsize) >= ROOM {
        return Ok(());
    }
    let wanted = ROOM >> 20;
    Err(io::Error::new(io::ErrorKind::StorageFull, format!("real files want {wanted} MiB to be free")))
}

/// Whether a violation in `folder` may be one: not beside a full disk.
///
/// # Errors
///
/// [`io::ErrorKind::StorageFull`] when there is no room.
pub fn allows_a_verdict(folder: &Path) -> io::Result<()> {
    check(folder).map_err(|full| {
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
        assert_eq!(check(folder.path()).is_ok(), disk.f_bavail * disk.f_frsize >= ROOM);
        assert!(check(&folder.path().join("nowhere")).is_ok());
        // A file system without blocks.
        let problem = check(Path::new("/proc")).expect_err("nothing is free there");
        assert_eq!(problem.kind(), io::ErrorKind::StorageFull);
    }
}
