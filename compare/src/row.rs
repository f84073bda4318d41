//! What is compared: rows, their sizes, and the plans that say which rows there are before any is built.

use crate::contender::Contender;
use crate::goal::Goal;

/// What is measured in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Nanoseconds an operation, of `run`.
    Time,
    /// Bytes alive an operation, between `prepare` and `run`.
    Memory,
    /// Nanoseconds within which 99 of 100 operations ended, counted from the moment at which each was due.
    Tail,
}

/// A contender and what it is called in the table.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    /// Whether it runs on the runtime of this project. Only these are judged against an earlier run.
    pub(crate) ours: bool,
    pub(crate) contender: Box<dyn Contender>,
}

impl Entry {
    /// A peer.
    pub(crate) fn new(name: &'static str, contender: impl Contender + 'static) -> Self {
        Self { name, ours: false, contender: Box::new(contender) }
    }

    /// One of ours.
    pub(crate) fn ours(name: &'static str, contender: impl Contender + 'static) -> Self {
        Self { name, ours: true, contender: Box::new(contender) }
    }
}

/// A contender that can't take part on this machine.
pub(crate) struct Absent {
    pub(crate) name: &'static str,
    pub(crate) reason: String,
}

/// One piece of work and those who do it.
pub(crate) struct Row {
    /// Short and unique in the report. The plan sets it.
    pub(crate) name: String,
    /// What is done, in a line.
    pub(crate) about: &'static str,
    /// What one operation is: "completion", "group".
    pub(crate) operation: &'static str,
    pub(crate) measure: Measure,
    /// Operations come in multiples of this.
    pub(crate) granule: u64,
    /// Operations of one repetition, where a rate fixes them; else they are sized to the time that a repetition has.
    pub(crate) fixed: Option<u64>,
    /// What the evidence of a run of so many operations must be.
    pub(crate) expected: Box<dyn Fn(u64) -> u64>,
    /// The contender that ratios are taken to.
    pub(crate) baseline: &'static str,
    pub(crate) contenders: Vec<Entry>,
    pub(crate) absent: Vec<Absent>,
    pub(crate) goals: Vec<Goal>,
}

impl Row {
    /// A timed row whose operations each add one to the evidence.
    pub(crate) fn timed(operation: &'static str, baseline: &'static str) -> Self {
        Self {
            name: String::new(),
            about: "",
            operation,
            measure: Measure::Time,
            granule: 1,
            fixed: None,
            expected: Box::new(|operations| operations),
            baseline,
            contenders: Vec::new(),
            absent: Vec::new(),
            goals: Vec::new(),
        }
    }

    /// The unit of the row's figures.
    pub(crate) fn unit(&self) -> String {
        match self.measure {
            Measure::Time => format!("ns per {}", self.operation),
            Measure::Memory => format!("bytes alive per {}", self.operation),
            Measure::Tail => format!("ns p99 per {}", self.operation),
        }
    }
}

/// How much of the comparison is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Extent {
    Quick,
    Normal,
    Full,
}

/// Where a row stands in a series of rows that differ in size alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The series: "group".
    pub(crate) series: &'static str,
    /// What is counted: "children".
    pub(crate) axis: &'static str,
    pub(crate) size: u64,
    /// Whether a figure is the cost of the whole size, and not of one of its parts.
    pub(crate) whole: bool,
}

/// A row before it is built. Contenders start threads and fill files, so each row is built when its turn comes.
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) place: Option<Place>,
    /// The least extent that includes the row.
    pub(crate) extent: Extent,
    /// Bytes of memory without which it is skipped.
    pub(crate) memory: u64,
    build: Box<dyn FnOnce() -> Row>,
}

impl Plan {
    pub(crate) fn new(name: impl Into<String>, build: impl FnOnce() -> Row + 'static) -> Self {
        let (name, build) = (name.into(), Box::new(build));
        Self { name, place: None, extent: Extent::Quick, memory: 64 << 20, build }
    }

    /// Measured from this extent on.
    pub(crate) fn from(self, extent: Extent) -> Self {
        Self { extent, ..self }
    }

    /// One of a series whose figures are each the cost of `size` together.
    pub(crate) fn whole(self, series: &'static str, axis: &'static str, size: u64) -> Self {
        Self { place: Some(Place { series, axis, size, whole: true }), ..self }
    }

    /// One of a series whose figures are each the cost of one among `size`.
    pub(crate) fn each(self, series: &'static str, axis: &'static str, size: u64) -> Self {
        Self { place: Some(Place { series, axis, size, whole: false }), ..self }
    }

    /// Needs so many bytes.
    pub(crate) fn needs(self, memory: u64) -> Self {
        Self { memory, ..self }
    }

    pub(crate) fn build(self) -> Row {
        Row { name: self.name, ..(self.build)() }
    }
}

/// Rows of one series: its name, and what builds the row of a size.
pub(crate) type Series = (&'static str, fn(u64) -> Row);

/// A command line word for rows that belong together.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) plans: fn() -> Vec<Plan>,
}
