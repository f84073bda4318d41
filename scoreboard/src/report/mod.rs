//! The table, for people, for programs and for the web.

mod html;
mod markdown;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use serde::Serialize;

use crate::cell::{Cell, Median};
use crate::detector::Detector;
use crate::mutant::Mutant;

/// Everything, in the shape of the JSON document.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) commit: String,
    pub(crate) machine: String,
    pub(crate) detectors: Vec<Detector>,
    pub(crate) rows: Vec<Row>,
    /// The same detectors on the code without a patch: each alarm here is a false one.
    pub(crate) clean: Vec<Figure>,
}

/// One mutant.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) breaks: String,
    pub(crate) source: String,
    pub(crate) bug: String,
    /// Who its header says finds it.
    pub(crate) expected: BTreeSet<Detector>,
    pub(crate) figures: BTreeMap<Detector, Figure>,
}

/// One detector's result.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) detector: Detector,
    pub(crate) runs: usize,
    pub(crate) found: usize,
    /// Tests, executions, schedules or seeds until it was found.
    pub(crate) executions: Option<Median>,
    pub(crate) seconds: Option<Median>,
    /// Of all runs, found or not.
    pub(crate) executions_in_all: u64,
    pub(crate) evidence: String,
}

impl Figure {
    pub(crate) fn new(cell: &Cell) -> Self {
        Self {
            detector: cell.detector,
            runs: cell.attempts.len(),
            found: cell.found(),
            executions: cell.executions(),
            seconds: cell.seconds(),
            executions_in_all: cell.attempts.iter().filter_map(|attempt| attempt.executions).sum(),
            evidence: cell.evidence().to_owned(),
        }
    }

    /// For a line on the terminal.
    pub(crate) fn line(&self) -> String {
        if self.found == 0 { self.text() } else { format!("{:<24} {}", self.text(), self.evidence) }
    }

    /// Short: how soon, and how often if not always.
    fn text(&self) -> String {
        if self.found == 0 {
            return "missed".into();
        }
        let how_soon = match (self.executions, self.seconds) {
            (Some(executions), _) => amount(executions),
            (None, Some(seconds)) => format!("{} s", amount(seconds)),
            (None, None) => "found".into(),
        };
        if self.found == self.runs {
            how_soon
        } else {
            format!("{how_soon} ({} of {})", self.found, self.runs)
        }
    }
}

/// The median, and in brackets the range if there is one.
fn amount(median: Median) -> String {
    let round = |value: f64| {
        if value >= 10.0 { format!("{value:.0}") } else { format!("{}", (value * 10.0).round() / 10.0) }
    };
    let Median { value, low, high } = median;
    if low == high { round(value) } else { format!("{} [{}–{}]", round(value), round(low), round(high)) }
}

impl Row {
    pub(crate) fn new<'a>(mutant: &Mutant, cells: impl Iterator<Item = &'a Cell>) -> Self {
        Self {
            id: mutant.id.clone(),
            breaks: mutant.breaks.clone(),
            source: mutant.source.clone(),
            bug: mutant.bug.clone(),
            expected: mutant.found_by.clone(),
            figures: cells.map(|cell| (cell.detector, Figure::new(cell))).collect(),
        }
    }

    pub(crate) fn is_found(&self) -> bool {
        self.figures.values().any(|figure| figure.found > 0)
    }
}

impl Report {
    /// How many mutants `detector` finds, and how many it looked at.
    pub(crate) fn score(&self, detector: Detector) -> (usize, usize) {
        let figures = self.rows.iter().filter_map(|row| row.figures.get(&detector));
        let (mut found, mut all) = (0, 0);
        for figure in figures {
            all += 1;
            found += usize::from(figure.found > 0);
        }
        (found, all)
    }

    /// How many `detector` finds that the unit tests miss.
    fn beyond_unit(&self, detector: Detector) -> usize {
        let found =
            |row: &Row, detector| row.figures.get(&detector).is_some_and(|figure: &Figure| figure.found > 0);
        self.rows.iter().filter(|row| found(row, detector) && !found(row, Detector::Unit)).count()
    }

    /// What the gates say against this; nothing when they are open.
    pub(crate) fn objections(&self) -> Vec<String> {
        let missed =
            self.rows.iter().filter(|row| !row.is_found()).map(|row| format!("{} is missed by all", row.id));
        let alarms = self.clean.iter().filter(|figure| figure.found > 0);
        let alarms = alarms.map(|figure| {
            format!("{} raises a false alarm on the clean code: {}", figure.detector, figure.evidence)
        });
        let idle = self.detectors.iter().filter(|detector| {
            // The baseline is there to be beaten, and one scheduler to be compared with.
            matches!(detector, Detector::Loom | Detector::Shuttle | Detector::Sweep | Detector::Sim)
                && self.beyond_unit(**detector) == 0
        });
        let idle = idle.map(|detector| format!("{detector} finds nothing that the unit tests miss"));
        let (portfolio, _) = self.score(Detector::Sim);
        let unexpected = self.rows.iter().flat_map(|row| {
            let misses =
                |detector: &&Detector| row.figures.get(*detector).is_some_and(|figure| figure.found == 0);
            row.expected
                .iter()
                .filter(misses)
                .map(|detector| format!("{detector} misses {}, which it is to find", row.id))
        });
        let better = self
            .detectors
            .iter()
            .filter(|detector| detector.is_sim() && self.score(**detector).0 > portfolio);
        let better = better.map(|detector| format!("{detector} alone finds more than the portfolio"));
        missed.chain(unexpected).chain(alarms).chain(idle).chain(better).collect()
    }

    /// Writes `scoreboard.md`, `.json` and `.html` into `folder`.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("scoreboard.md"), markdown::render(self))?;
        fs::write(folder.join("scoreboard.json"), serde_json::to_string_pretty(self)? + "\n")?;
        fs::write(folder.join("scoreboard.html"), html::render(self))
    }
}
