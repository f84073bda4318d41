//! Named moments in which a process kills itself.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use tenterhook_runtime::io::OperationKind;
use tenterhook_runtime::{CompletionError, Outcome};

use super::death::die;
use super::harm::Harm;
use super::record::{LOG_HEADERS, Recorder};
use super::variety::{Subject, Variety};
use tenterhook_stress::real::layer::{Passing, Role, Verdict, Watcher};
use tenterhook_stress::real::noise::NoiseKind;

/// A moment: before an operation goes to the backend, or after it has ended there and before its waiters are woken.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// Whether the pager is still being opened.
    pub in_recovery: bool,
    /// Whether the operation has ended.
    pub after: bool,
    /// Its file.
    pub role: Role,
    /// What it is.
    pub kind: OperationKind,
}

/// A name that no point has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPoint(String);

impl Point {
    /// Every point that this pager reaches: it never reads a log that it does not recover, and never cuts its database.
    pub fn all() -> Vec<Point> {
        let at_work = [
            (Role::Log, OperationKind::Write),
            (Role::Log, OperationKind::Sync),
            (Role::Database, OperationKind::Read),
            (Role::Database, OperationKind::Write),
            (Role::Database, OperationKind::Sync),
        ];
        let in_recovery = [
            (Role::Log, OperationKind::Read),
            (Role::Log, OperationKind::Write),
            (Role::Log, OperationKind::Sync),
            (Role::Database, OperationKind::Read),
        ];
        let work = at_work.into_iter().map(|which| (false, which));
        let points = work.chain(in_recovery.into_iter().map(|which| (true, which)));
        let sides =
            |(in_recovery, (role, kind))| [false, true].map(|after| Point { in_recovery, after, role, kind });
        points.flat_map(sides).collect()
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
    type Err = UnknownPoint;

    fn from_str(text: &str) -> Result<Point, UnknownPoint> {
        let known = Point::all().into_iter().find(|point| point.to_string() == text);
        known.ok_or_else(|| UnknownPoint(text.into()))
    }
}

impl fmt::Display for UnknownPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = Point::all().iter().map(ToString::to_string).collect();
        write!(f, "there is no point '{}': it must be one of {}", self.0, names.join(", "))
    }
}

impl std::error::Error for UnknownPoint {}

/// Kills its process when a point has been reached so many times, does the harm that is meant for it, and records everything.
pub(super) struct Trigger {
    armed: Option<(Point, u32)>,
    reached: AtomicU32,
    opened: AtomicBool,
    recorder: Recorder,
    variety: Variety,
    /// Whether an error of the opening is our own doing.
    struck: AtomicBool,
    /// Writes, syncs, writes of log headers and truncations, after the opening and in it.
    seen: [[AtomicU64; 4]; 2],
}

impl Trigger {
    /// Kills at the `occurrence`-th time, counted from 1, that `point` is reached.
    pub(super) fn new(armed: Option<(Point, u32)>, recorder: Recorder, variety: Variety) -> Trigger {
        let (opened, struck) = (AtomicBool::new(false), AtomicBool::new(false));
        let (reached, seen) = (AtomicU32::new(0), <[[AtomicU64; 4]; 2]>::default());
        Trigger { armed, reached, opened, recorder, variety, struck, seen }
    }

    pub(super) fn recorder(&self) -> &Recorder {
        &self.recorder
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
        let is_header = passing.role == Role::Log && passing.descriptor.offset < LOG_HEADERS;
        let header = (which == 0 && is_header).then(|| next(&seen[2]));
        let Some((harm, verdict)) = self.variety.verdict(Subject { kind, in_opening, occurrence, header })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_can_be_typed_as_it_is_printed() {
        for point in Point::all() {
            assert_eq!(point.to_string().parse(), Ok(point));
        }
        let error = "before-dawn".parse::<Point>().unwrap_err().to_string();
        assert!(error.contains("before-log-sync") && error.lines().count() == 1, "{error}");
    }
}
