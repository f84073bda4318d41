//! Large files: what checking and opening them takes. `big [GiB] [log frames]`, 4 and 1,000,000 if not said.
//!
//! Makes a database of so many GiB through the thread backend in a temporary folder, and checks its integrity with
//! progress; then a database with a log of so many frames of 512-byte pages, and opens it. Prints times, and the peak of
//! memory from the beginning of each (Linux only). Needs twice the GiB of disk while it runs.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tenterhook_runtime::io::{Backend, IO, drive};
use tenterhook_runtime::pager::{CheckpointMode, Pager, PagerError, PagerOptions, WriteTransaction};

/// Pages of one commit.
const COMMIT: u32 = 4000;
/// How often each page of the long log is written.
const VERSIONS: u32 = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let gib: u64 = arguments.next().map_or(Ok(4), |argument| argument.parse())?;
    let frames: u32 = arguments.next().map_or(Ok(1_000_000), |argument| argument.parse())?;
    let io = Backend::Threads.start()?.io;
    let folder = tempfile::tempdir()?;
    check_big_file(&io, &folder.path().join("big.db"), gib)?;
    open_long_log(&io, &folder.path().join("long.db"), frames)
}

fn check_big_file(io: &Arc<dyn IO>, path: &Path, gib: u64) -> Result<(), Box<dyn Error>> {
    let options = PagerOptions::default();
    let pages = u32::try_from((gib << 30) / u64::from(options.page_size))?;
    let begun = Instant::now();
    let pager = open(io, path, options)?;
    while pager.page_count() < pages {
        let count = COMMIT.min(pages - pager.page_count());
        commit(io, &pager, |writer| {
            (0..count).try_for_each(|_| drive(&**io, || writer.allocate()).map(drop))
        })?;
        let mut checkpoint = pager.checkpoint(CheckpointMode::Passive);
        drive(&**io, || checkpoint.step())?;
    }
    drop(pager);
    println!("made a file of {} bytes in {:.1?}", fs::metadata(path)?.len(), begun.elapsed());

    let pager = open(io, path, options)?;
    let before = forget_peak();
    let begun = Instant::now();
    let (mut check, mut told) = (pager.check_integrity(), 0);
    let report = drive(&**io, || {
        let step = check.step();
        let (done, total) = check.progress();
        let tenths = u64::from(done) * 10 / u64::from(total.max(1));
        if tenths > told {
            told = tenths;
            println!("checked {done} of {total} pages after {:.1?}", begun.elapsed());
        }
        step
    })?;
    println!(
        "{} pages, {} problems: {:.1?}, {}",
        report.pages,
        report.problem_count,
        begun.elapsed(),
        peak(&before)
    );
    if report.is_sound() { Ok(()) } else { Err("the file is not sound".into()) }
}

fn open_long_log(io: &Arc<dyn IO>, path: &Path, frames: u32) -> Result<(), Box<dyn Error>> {
    let options = PagerOptions { page_size: 512, ..PagerOptions::default() };
    let pager = open(io, path, options)?;
    let pages = (frames / VERSIONS).max(1);
    let mut written = 0;
    while written < frames {
        let until = frames.min(written + COMMIT);
        commit(io, &pager, |writer| {
            (written..until).try_for_each(|frame| match frame < pages {
                true => drive(&**io, || writer.allocate()).map(drop),
                false => touch(io, writer, 2 + frame % pages, frame),
            })
        })?;
        written = until;
    }
    let in_log = pager.audit().log_frames;
    drop(pager);
    let before = forget_peak();
    let begun = Instant::now();
    let pager = open(io, path, options)?;
    println!(
        "opened a log of {in_log} frames of {pages} pages in {:.2?}, {}",
        begun.elapsed(),
        peak(&before)
    );
    assert_eq!(pager.audit().log_frames, in_log, "all of it was found");
    Ok(())
}

fn open(io: &Arc<dyn IO>, path: &Path, options: PagerOptions) -> Result<Arc<Pager>, PagerError> {
    let mut open = Pager::open(Arc::clone(io), path, options);
    drive(&**io, || open.step())
}

fn touch(io: &Arc<dyn IO>, writer: &mut WriteTransaction, page: u32, value: u32) -> Result<(), PagerError> {
    drive(&**io, || Ok(writer.page_mut(page)?.map(|bytes| bytes[..4].copy_from_slice(&value.to_le_bytes()))))
}

fn commit(
    io: &Arc<dyn IO>,
    pager: &Arc<Pager>,
    change: impl FnOnce(&mut WriteTransaction) -> Result<(), PagerError>,
) -> Result<u64, PagerError> {
    let mut writer = pager.try_begin_write()?;
    change(&mut writer)?;
    let mut commit = writer.commit();
    drive(&**io, || commit.step())
}

/// The peak counts from now on. Returns the memory that is in use.
fn forget_peak() -> String {
    // Where there is no such file there is no peak to print either.
    let _ = fs::write("/proc/self/clear_refs", "5");
    memory("VmRSS:")
}

/// The most memory that the process has had, in words.
fn peak(before: &str) -> String {
    format!("peak memory {}, {before} before", memory("VmHWM:"))
}

fn memory(field: &str) -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.map_or("unknown", str::trim).to_owned()
}
