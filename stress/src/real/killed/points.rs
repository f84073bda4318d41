//! Named moments in which a process kills itself.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use tenterhook_runtime::io::OperationKind;
use tenterhook_runtime::{CompletionError, Outcome};

use super::death::{die, object};
use super::files::SystemFiles;
use super::harm::Harm;
use super::record::Recorder;
use super::variety::{Target, Variety};
use crate::real::layer::{Passing, Role, Verdict, Watcher};
use crate::real::noise::NoiseKind;
use crate::violation::Violation;

/// A moment: before an operation goes to the backend, or after it has ended there and before its waiters are woken.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// Whether the system is still being opened.
    pub in_recovery: bool,
    /// Whether the operation has ended.
    pub after: bool,
    /// Its file.
    pub role: Role,
    /// What it is.
    pub kind: OperationKind,
}

impl Point {
    /// Before and after operations of these kinds, once the system is open.
    pub fn at_work(which: &[(Role, OperationKind)]) -> Vec<Point> {
        Point::around(false, which)
    }

    /// Before and after operations of these kinds, while the system is being opened.
    pub fn in_recovery(which: &[(Role, OperationKind)]) -> Vec<Point> {
        Point::around(true, which)
    }

    fn around(in_recovery: bool, which: &[(Role, OperationKind)]) -> Vec<Point> {
        let sides = |&(role, kind): &_| [false, true].map(|after| Point { in_recovery, after, role, kind });
        which.iter().flat_map(sides).collect()
    }

    /// Every point that any system may reach.
    fn every() -> Vec<Point> {
        use OperationKind::{Read, Sync, Truncate, Write};
        let kinds = [Read, Write, Sync, Truncate];
        let which = [Role::Log, Role::Database].map(|role| kinds.map(|kind| (role, kind))).concat();
        [Point::at_work(&which), Point::in_recovery(&which)].concat()
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = if self.in_recovery { "recovery-" } else { "" };
        let side = if self.after { "after" } else { "before" };
        let kind = match self.kind {
            OperationKind::Read => "read",
            OperationKind::Write => "write",
            OperationKind::Sync => "sync",
            OperationKind::Truncate => "truncate",
        };
        f.pad(&format!("{stage}{side}-{}-{kind}", self.role.name()))
    }
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Point, String> {
        let known = Point::every().into_iter().find(|point| point.to_string() == text);
        known.ok_or_else(|| format!("there is no point '{text}'"))
    }
}

/// Kills its process when a point has been reached so many times, does the harm that is meant for it, and records everything.
pub(super) struct Trigger {
    armed: Option<(Point, u32)>,
    reached: AtomicU32,
    opened: AtomicBool,
    recorder: Arc<Recorder>,
    files: SystemFiles,
    variety: Variety,
    /// Whether an error of the opening is our own doing.
    struck: AtomicBool,
    /// Writes, syncs, writes of log headers and truncations, after the opening and in it.
    seen: [[AtomicU64; 4]; 2],
}

impl Trigger {
    /// Kills at the `occurrence`-th time, counted from 1, that `point` is reached.
    pub(super) fn new(
        armed: Option<(Point, u32)>,
        recorder: Arc<Recorder>,
        files: SystemFiles,
        variety: Variety,
    ) -> Trigger {
        let (opened, struck) = (AtomicBool::new(false), AtomicBool::new(false));
        let (reached, seen) = (AtomicU32::new(0), <[[AtomicU64; 4]; 2]>::default());
        Trigger { armed, reached, opened, recorder, files, variety, struck, seen }
    }

    /// Recovery is over.
    pub(super) fn opened(&self) {
        // ORDERING: Release, pairs with the load in `is_opened`; a point a moment to either side of the change is right too.
        self.opened.store(true, Ordering::Release);
    }

    /// Whether an I/O was failed on purpose.
    pub(super) fn has_struck(&self) -> bool {
        // ORDERING: Acquire, pairs with the store in `harm`: who sees the error, by way of the completion that brought it, sees
        // what explains it.
        self.struck.load(Ordering::Acquire)
    }

    fn is_opened(&self) -> bool {
        // ORDERING: Acquire, pairs with the store in `opened`.
        self.opened.load(Ordering::Acquire)
    }

    /// The harm that is planned for an operation. It is in the record before it happens.
    fn harm(&self, passing: &Passing) -> Verdict {
        let kind = passing.descriptor.kind;
        let in_opening = !self.is_opened();
        let which = match kind {
            OperationKind::Write => 0,
            OperationKind::Sync => 1,
            OperationKind::Truncate => 3,
            OperationKind::Read => return Verdict::Pass,
        };
        // ORDERING: Relaxed: a count.
        let next = |count: &AtomicU64| count.fetch_add(1, Ordering::Relaxed) + 1;
        let seen = &self.seen[usize::from(in_opening)];
        let occurrence = next(&seen[which]);
        let is_header = passing.role == Role::Log && passing.descriptor.offset < self.files.headers();
        let header = (which == 0 && is_header).then(|| next(&seen[2]));
        let Some((harm, verdict)) = self.variety.verdict(Target { kind, in_opening, occurrence, header })
        else {
            return Verdict::Pass;
        };
        self.recorder.harms(harm as u64, 1);
        if harm == Harm::DroppedSync {
            self.recorder.drops(passing, self.variety.spares(occurrence));
        }
        if !matches!(verdict, Verdict::Delay(_)) {
            // ORDERING: Release, pairs with the load in `has_struck`.
            self.struck.store(true, Ordering::Release);
        }
        verdict
    }

    fn at(&self, passing: &Passing, after: bool) {
        let Some((point, occurrence)) = self.armed else { return };
        let in_recovery = !self.is_opened();
        let here = Point { in_recovery, after, role: passing.role, kind: passing.descriptor.kind };
        // ORDERING: Relaxed: a count.
        if here == point && self.reached.fetch_add(1, Ordering::Relaxed) + 1 == occurrence {
            // The pipe outlives its writer.
            self.recorder.reaches();
            die();
        }
    }
}

impl Watcher for Trigger {
    fn role(&self, path: &Path) -> Role {
        // A record of part of the files would convict an innocent system.
        self.files.role_of(path).unwrap_or_else(|| stranger(path, "opened"))
    }

    fn removes(&self, path: &Path) {
        stranger(path, "removed")
    }

    fn begins(&self, passing: &Passing, bytes: &[&[u8]]) -> Verdict {
        self.at(passing, false);
        let verdict = self.harm(passing);
        // A sync that is to fail has made nothing durable, whatever the real one does.
        let fails =
            passing.descriptor.kind == OperationKind::Sync && matches!(verdict, Verdict::FailLate(..));
        if !fails && !matches!(verdict, Verdict::Refuse(_) | Verdict::RefuseLate(..)) {
            self.recorder.begins(passing, bytes);
        }
        verdict
    }

    fn ended(&self, passing: &Passing, outcome: Outcome) {
        if outcome == Err(CompletionError::NoSpace) {
            self.recorder.hears(NoiseKind::FullDisk, 1);
            // ORDERING: Release, pairs with the load in `has_struck`.
            self.struck.store(true, Ordering::Release);
        }
        self.recorder.ended(passing, outcome);
        self.at(passing, true);
    }
}

/// Ends the process: what it does can't be replayed.
fn stranger(path: &Path, what: &str) -> ! {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let expected = "files that the system has named, and that stay";
    object(&Violation::safety("files", expected, format!("'{name}' was {what}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_can_be_typed_as_it_is_printed() {
        let every = Point::every();
        assert_eq!(every.len(), 32);
        for point in every {
            assert_eq!(point.to_string().parse(), Ok(point));
        }
        let error = "before-dawn".parse::<Point>().unwrap_err();
        assert!(error.contains("before-dawn") && error.lines().count() == 1, "{error}");
    }
}
