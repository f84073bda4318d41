//! What must hold of every pair of files.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tenterhook_runtime::io::{Buffer, IO, MemoryIO, OpenOptions, Submission};
use tenterhook_runtime::pager::{CheckpointMode, PageNo, Pager, PagerError, PagerOptions};
use tenterhook_runtime::{IOCompletions, IOResult};

use crate::corpus::contents;
use crate::input::Input;

mod uncovered;

/// What a case came to: `opened and sound`, `opened` with the first thing that is wrong, or the name of a refusal.
pub type Kind = String;
/// Why the property does not hold.
pub type Violation = String;
/// What is in the pages that can be read.
type Pages = BTreeMap<PageNo, Vec<u8>>;

const DATABASE: &str = "fuzz.db";
const LOG: &str = "fuzz.db-wal";
/// No case makes a file grow to this; one that did would be refused by the disk.
const MOST_BYTES: u64 = 64 << 20;
/// Steps of machines in a case. They have some hundreds.
const MOST_STEPS: u32 = 20_000;
/// What the pages are filled with that the property writes.
const FILL: u8 = 0xA5;

/// Opens the files. If they are refused, with an error of one line, they are as they were. If not, every page can be read or
/// is an error of one line, the integrity check ends, a commit changes no page that it was not told to, and what is committed
/// is there when the files are opened again. A byte that no checksum covers changes nothing of that.
///
/// # Errors
///
/// What did not hold. A panic goes through.
pub fn check(input: &Input) -> Result<Kind, Violation> {
    let mut world = World::new(input);
    let page_size = input.page_size() as u32;
    let pager = match world.open(page_size)? {
        Ok(pager) => pager,
        Err(error) => return world.refused(input, &error),
    };
    let (kind, before) = world.look(&pager)?;
    let seen = Seen { kind: &kind, pages: &before, sequence: pager.commit_sequence() };
    uncovered::expect_the_same(input, pager.page_count(), &seen)?;
    let written = world.change(&pager)?;
    world.copy(&pager)?;
    world.shorten(&pager)?;
    let (_, after) = world.look(&pager)?;
    expect_kept(&before, &after, written)?;
    world.expect_idle(&pager)?;
    let sequence = pager.commit_sequence();
    drop(pager);
    world.open_again(page_size, sequence, written)?;
    Ok(kind)
}

/// What was found in the files.
#[derive(PartialEq, Eq)]
struct Seen<'a> {
    kind: &'a str,
    pages: &'a Pages,
    sequence: u64,
}

/// The disk, and the patience that is left.
struct World {
    io: Arc<MemoryIO>,
    steps_left: u32,
}

impl World {
    fn new(input: &Input) -> Self {
        let io = Arc::new(MemoryIO::limited(MOST_BYTES));
        for (path, bytes) in [(DATABASE, &input.database), (LOG, &input.log)] {
            if !bytes.is_empty() {
                let file = io.open(Path::new(path), OpenOptions::creating()).expect("memory");
                file.start(Submission::write(0, Buffer::copy_of(bytes), |_, _| {}));
                io.step().expect("memory");
            }
        }
        Self { io, steps_left: MOST_STEPS }
    }

    /// Steps a machine to its end. What it fails with is printed in one line.
    fn drive<T>(
        &mut self,
        what: &str,
        mut step: impl FnMut() -> Result<IOResult<T>, PagerError>,
    ) -> Result<Result<T, PagerError>, Violation> {
        loop {
            self.steps_left =
                self.steps_left.checked_sub(1).ok_or_else(|| format!("{what} does not come to an end"))?;
            let io = match step() {
                Ok(IOResult::Done(value)) => return Ok(Ok(value)),
                Ok(IOResult::IO(io)) => io,
                Err(error) => return one_line(&error).map(|()| Err(error)),
            };
            let ended = self.io.step().expect("memory");
            match io {
                IOCompletions::Single(wait) if ended == 0 && !wait.finished() => {
                    return Err(format!("{what} waits for nothing"));
                }
                _ => {}
            }
        }
    }

    fn open(&mut self, page_size: u32) -> Result<Result<Arc<Pager>, PagerError>, Violation> {
        let options = PagerOptions { page_size, cache_pages: 4, ..PagerOptions::default() };
        let mut open = Pager::open(self.io.clone(), Path::new(DATABASE), options);
        self.drive("opening", || open.step())
    }

    fn refused(&self, input: &Input, error: &PagerError) -> Result<Kind, Violation> {
        for (path, bytes) in [(DATABASE, &input.database), (LOG, &input.log)] {
            if contents(&self.io, path) != *bytes {
                return Err(format!("{path} was changed, and then refused: {error}"));
            }
        }
        Ok(format!("refused: {}", name(error)))
    }

    /// Reads all pages and runs the integrity check.
    fn look(&mut self, pager: &Arc<Pager>) -> Result<(Kind, Pages), Violation> {
        let mut pages = Pages::new();
        let mut reader = pager.begin_read().map_err(|error| error.to_string())?;
        let mut kind = None;
        for page in 2..=reader.page_count() {
            match self.drive("reading a page", || reader.page(page))? {
                Ok(bytes) if bytes.number() != page => {
                    return Err(format!("page {} was read for page {page}", bytes.number()));
                }
                Ok(bytes) => drop(pages.insert(page, bytes.to_vec())),
                Err(PagerError::PageNotAllocated { .. }) => {}
                Err(error) => {
                    kind.get_or_insert_with(|| name(&error));
                }
            }
        }
        let mut check = pager.check_integrity();
        match self.drive("the integrity check", || check.step())? {
            Ok(report) => {
                for problem in &report.problems {
                    one_line(problem)?;
                    kind.get_or_insert_with(|| name(problem));
                }
            }
            Err(error) => {
                kind.get_or_insert_with(|| name(&error));
            }
        }
        Ok((kind.map_or_else(|| "opened and sound".into(), |kind| format!("opened: {kind}")), pages))
    }

    /// Allocates a page, fills it, gives page 2 back and commits; each of which may be refused.
    fn change(&mut self, pager: &Arc<Pager>) -> Result<Option<PageNo>, Violation> {
        let mut begin = pager.begin_write();
        let Ok(mut writer) = self.drive("waiting for the write lock", || begin.step())? else {
            return Err("the write lock is free".into());
        };
        let Ok(page) = self.drive("allocating", || writer.allocate())? else { return Ok(None) };
        let filled = self.drive("changing a page", || {
            writer.page_mut(page).map(|bytes| bytes.map(|bytes| bytes.fill(FILL)))
        })?;
        filled.map_err(|error| format!("page {page} was just allocated: {error}"))?;
        if page != 2 {
            let _ = self.drive("giving a page back", || writer.free(2))?;
        }
        let mut commit = writer.commit();
        let committed = self.drive("a commit", || commit.step())?;
        Ok(committed.ok().map(|_| page))
    }

    fn copy(&mut self, pager: &Arc<Pager>) -> Result<(), Violation> {
        let mut checkpoint = pager.checkpoint(CheckpointMode::Passive);
        self.drive("a checkpoint", || checkpoint.step()).map(drop)
    }

    fn shorten(&mut self, pager: &Arc<Pager>) -> Result<(), Violation> {
        let mut begin = pager.begin_write();
        let Ok(writer) = self.drive("waiting for the write lock", || begin.step())? else {
            return Err("the write lock is free".into());
        };
        let mut vacuum = writer.vacuum();
        let Ok((writer, _)) = self.drive("a vacuum", || vacuum.step())? else { return Ok(()) };
        let mut commit = writer.commit();
        let _ = self.drive("a commit", || commit.step())?;
        self.copy(pager)
    }

    fn expect_idle(&mut self, pager: &Pager) -> Result<(), Violation> {
        while self.io.step().expect("memory") > 0 {}
        let audit = pager.audit();
        if audit.is_idle() { Ok(()) } else { Err(format!("something is left behind: {audit:?}")) }
    }

    /// What could be opened once can be again, with all that was committed.
    fn open_again(
        &mut self,
        page_size: u32,
        sequence: u64,
        written: Option<PageNo>,
    ) -> Result<(), Violation> {
        let pager = self
            .open(page_size)?
            .map_err(|error| format!("it was open up to commit {sequence}, and now: {error}"))?;
        if pager.commit_sequence() != sequence {
            return Err(format!("commit {sequence} became commit {}", pager.commit_sequence()));
        }
        let Some(page) = written else { return Ok(()) };
        let mut reader = pager.begin_read().map_err(|error| error.to_string())?;
        match self.drive("reading a page", || reader.page(page))? {
            Ok(bytes) if bytes.iter().all(|byte| *byte == FILL) => Ok(()),
            Ok(_) => Err(format!("page {page} is not what was committed")),
            Err(error) => Err(format!("page {page} was committed, and now: {error}")),
        }
    }
}

/// No other page was changed: it was neither allocated again nor written over nor lost. Page 2 was given back.
fn expect_kept(before: &Pages, after: &Pages, written: Option<PageNo>) -> Result<(), Violation> {
    if let Some(page) = written.filter(|page| before.contains_key(page)) {
        return Err(format!("page {page} was in use, and was allocated"));
    }
    match before.iter().find(|(page, bytes)| **page != 2 && after.get(page) != Some(bytes)) {
        Some((page, _)) => Err(format!("page {page} is not what it was, and was not changed")),
        None => Ok(()),
    }
}

/// The names of an error and of what is in it, without the figures.
fn name(error: &impl std::fmt::Debug) -> String {
    let text = format!("{error:?}");
    let words = text.split(|letter: char| !letter.is_alphanumeric());
    let names: Vec<_> = words.filter(|word| word.starts_with(char::is_uppercase)).collect();
    names.join(" ")
}

fn one_line(error: &(impl std::fmt::Display + std::fmt::Debug)) -> Result<(), Violation> {
    let line = error.to_string();
    if line.contains('\n') || line.len() < 20 {
        return Err(format!("not printed as one line that says something: {error:?}"));
    }
    Ok(())
}
