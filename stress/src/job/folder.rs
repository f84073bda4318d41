//! A folder for each signature: what is left of its smallest run.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use super::build;
use super::catalogue::Cause;

/// Where they are in the job's folder.
pub(super) const FAILURES: &str = "failures";
/// Where files are before they belong to a signature. A sitting begins with none.
pub(super) const SCRATCH: &str = "scratch";
/// What a person opens first.
pub(super) const ACCOUNT: &str = "failure.txt";

/// The folder of `signature`.
pub(super) fn of(job: &Path, signature: &str) -> PathBuf {
    job.join(FAILURES).join(signature)
}

/// Makes the files in `from` those of `signature`, in place of what there is.
pub(super) fn adopt(job: &Path, signature: &str, from: &Path) -> io::Result<()> {
    std::fs::create_dir_all(job.join(FAILURES))?;
    let to = of(job, signature);
    match std::fs::remove_dir_all(&to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => std::fs::rename(from, &to),
    }
}

/// The file of `signature` that ends so, if there is one.
pub(super) fn file(job: &Path, signature: &str, extension: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(of(job, signature)).ok()?;
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    paths
        .filter(|path| path.extension().is_some_and(|found| found == extension) && !path.ends_with(ACCOUNT))
        .min()
}

/// Whether `error` goes away when there is room again.
pub(super) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// Whether there is a tape of `signature`.
pub(super) fn has_tape(job: &Path, signature: &str) -> bool {
    file(job, signature, "tape").is_some()
}

/// Writes the account of `cause` into its folder.
pub(super) fn write_account(job: &Path, cause: &Cause) -> io::Result<()> {
    let folder = of(job, &cause.signature);
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(ACCOUNT), account(job, cause))
}

/// All that is known about a cause, its last line the command that repeats it.
pub(super) fn account(job: &Path, cause: &Cause) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<16} {value}");
    };
    let state: &'static str = cause.state.into();
    line("signature", &cause.signature);
    line("state", state);
    line("oracle", &format!("{}, {}", cause.oracle, cause.class));
    line("in all runs", &cause.text);
    if !cause.operations.is_empty() {
        line("last operations", &cause.operations);
    }
    line("expected", &cause.expected);
    line("seen", &cause.seen);
    line("seeds", &cause.count.to_string());
    line("first seen", &format!("{}, build {}", build::date(cause.first_seen), cause.first_build));
    line("last seen", &format!("{}, build {}", build::date(cause.last_seen), cause.last_build));
    if let Some((build, at)) = &cause.looked {
        line("looked at", &format!("{}, build {build}", build::date(*at)));
    }
    line("machine", &build::machine());
    if cause.has_tape {
        line("smallest run", &format!("{}, seed {:#x}", cause.size(), cause.seed));
        for (name, extension) in [("tape", "tape"), ("regression test", "rs"), ("timeline", "txt")] {
            if let Some(path) = file(job, &cause.signature, extension) {
                line(name, &path.display().to_string());
            }
        }
    }
    for (name, value) in &cause.options {
        line(name, value);
    }
    let _ = writeln!(text, "\nrepeat with:\n{}", cause.command);
    text
}

/// Takes away what a sitting that was killed has left.
pub(super) fn clear_scratch(job: &Path) -> io::Result<PathBuf> {
    let scratch = job.join(SCRATCH);
    match std::fs::remove_dir_all(&scratch) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::create_dir_all(&scratch)?;
    Ok(scratch)
}
