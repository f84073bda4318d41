//! The table, for people, for programs and for the web.

mod html;
mod markdown;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use serde::Serialize;

use crate::attempt::Outcome;
use crate::cell::{Amount, Cell, Median};
use crate::detector::Detector;
use crate::mutant::Mutant;

/// What the numbers mean, and what they do not.
const LEGEND: &str = "Simulators: seeds, the median of all runs and in brackets the smallest and the largest; a run that found \
nothing counts as more than its budget (`>300`), and one that hangs does not count. Six runs enclose the true median with 97 %; \
with two or three, as those of threads, the brackets are a range and claim nothing. The other numbers say that it was found and \
what that cost, not which detector is better: unit's are the tests of all programs up to and with the one that fails, in cargo's \
order; loom's and shuttle's the executions and schedules of all models up to and with the one that fails, in the list's order, \
for the pager of a shorter list; sweep's are cases, crash's deaths. (k of n): so many runs found it. `inconclusive`: it saw \
nothing, and did not do all that it was to.";

/// Everything, in the shape of the JSON document.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Whether all mutants and all detectors are in it.
    pub(crate) whole: bool,
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
    /// Runs that noticed something, in whatever way.
    pub(crate) found: usize,
    /// Of these, those that hang.
    pub(crate) hangs: usize,
    /// Runs that saw nothing and did not do all that they were to.
    pub(crate) inconclusive: usize,
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
            hangs: cell.count(Outcome::Hangs),
            inconclusive: cell.count(Outcome::Inconclusive),
            executions: cell.executions(),
            seconds: cell.seconds(),
            executions_in_all: cell.executions_in_all(),
            evidence: cell.evidence().to_owned(),
        }
    }

    /// For a line on the terminal.
    pub(crate) fn line(&self) -> String {
        format!("{:<24} {}", self.text(), self.evidence).trim_end().to_owned()
    }

    /// On the clean code: how often it found something that is not there, and how often it did not look.
    fn alarms(&self) -> String {
        match self.inconclusive {
            0 => self.found.to_string(),
            some => format!("{}, {some} of {} inconclusive", self.found, self.runs),
        }
    }

    /// Short: how soon, and how often if not always.
    fn text(&self) -> String {
        let Self { runs, found, hangs, inconclusive, .. } = *self;
        if found == 0 {
            return match inconclusive {
                0 => "missed".into(),
                all if all == runs => "inconclusive".into(),
                some => format!("missed ({some} of {runs} inconclusive)"),
            };
        }
        let how_soon = match (self.executions, self.seconds) {
            _ if hangs == found => "hangs".into(),
            (Some(executions), _) => amounts(executions),
            (None, Some(seconds)) => format!("{} s", amounts(seconds)),
            (None, None) => "found".into(),
        };
        let often = (found < runs).then(|| format!("{found} of {runs}"));
        let hanging = (0 < hangs && hangs < found).then(|| format!("{hangs} by hanging"));
        let notes: Vec<String> = often.into_iter().chain(hanging).collect();
        if notes.is_empty() { how_soon } else { format!("{how_soon} ({})", notes.join(", ")) }
    }
}

/// The median, and in brackets the smallest and the largest if they differ.
fn amounts(median: Median) -> String {
    let Median { value, low, high } = median;
    if low == high {
        amount(value)
    } else {
        format!("{} [{}–{}]", amount(value), amount(low), amount(high))
    }
}

fn amount(amount: Amount) -> String {
    let Amount { value, is_open } = amount;
    let more = if is_open { ">" } else { "" };
    if value >= 10.0 {
        format!("{more}{value:.0}")
    } else {
        format!("{more}{}", (value * 10.0).round() / 10.0)
    }
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

    /// What the gates say against this; nothing when they are open. A part of the table can't say what the whole would.
    pub(crate) fn objections(&self) -> Vec<String> {
        let part = self.unexpected().chain(self.alarms());
        if !self.whole {
            return part.collect();
        }
        let missed = self.rows.iter().filter(|row| !row.is_found());
        let missed = missed.map(|row| format!("{} is missed by all", row.id));
        missed.chain(part).chain(self.idle()).chain(self.better()).collect()
    }

    /// Detectors that do not find what a mutant's header says they do.
    fn unexpected(&self) -> impl Iterator<Item = String> {
        self.rows.iter().flat_map(|row| {
            let misses =
                |detector: &&Detector| row.figures.get(*detector).is_some_and(|figure| figure.found == 0);
            let detectors = row.expected.iter().filter(misses);
            detectors.map(|detector| format!("{detector} misses {}, which it is to find", row.id))
        })
    }

    /// What is wrong with the row of the clean code: something was found, or not all was looked at.
    fn alarms(&self) -> impl Iterator<Item = String> {
        self.clean.iter().filter_map(|figure| {
            let Figure { detector, found, inconclusive, runs, evidence, .. } = figure;
            match (found, inconclusive) {
                (0, 0) => None,
                (0, _) => Some(format!(
                    "{detector} proves too little of the clean code: {inconclusive} of {runs} runs are inconclusive: {evidence}"
                )),
                _ => Some(format!("{detector} raises a false alarm on the clean code: {evidence}")),
            }
        })
    }

    /// Detectors that could be spared. The baseline is there to be beaten, and one scheduler to be compared with.
    fn idle(&self) -> impl Iterator<Item = String> {
        // Unit tests are what the others are held against, and the baseline is another tester's way.
        let others = |detector: &&Detector| !matches!(detector, Detector::Unit | Detector::Baseline);
        let idle = self.detectors.iter().filter(others).filter(|detector| self.beyond_unit(**detector) == 0);
        idle.map(|detector| format!("{detector} finds nothing that the unit tests miss"))
    }

    /// Schedulers that find, of what they look at, more than the portfolio does of the same.
    fn better(&self) -> impl Iterator<Item = String> {
        self.detectors.iter().filter(|detector| detector.is_sim()).filter_map(|&detector| {
            let both = self.rows.iter().filter_map(|row| {
                Some((row.figures.get(&detector)?.found > 0, row.figures.get(&Detector::Sim)?.found > 0))
            });
            let (alone, portfolio) = both.fold((0, 0), |(alone, portfolio), (one, other)| {
                (alone + usize::from(one), portfolio + usize::from(other))
            });
            let said = format!("{detector} alone finds {alone}, the portfolio {portfolio} of the same");
            (alone > portfolio).then_some(said)
        })
    }

    /// Writes `scoreboard.md`, `.json` and `.html` into `folder`.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("scoreboard.md"), markdown::render(self))?;
        fs::write(folder.join("scoreboard.json"), serde_json::to_string_pretty(self)? + "\n")?;
        fs::write(folder.join("scoreboard.html"), html::render(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::Attempt;
    use Outcome::{Found, Hangs, Inconclusive, Missed};

    fn figure(detector: Detector, outcomes: &[Outcome]) -> Figure {
        let attempt = |(number, &outcome)| Attempt {
            outcome,
            executions: (outcome != Hangs).then_some(if outcome == Found { 12 + number as u64 } else { 300 }),
            seconds: 1.0,
            evidence: if outcome == Inconclusive { "did 300 of 400 seeds".into() } else { String::new() },
        };
        Figure::new(&Cell { detector, attempts: outcomes.iter().enumerate().map(attempt).collect() })
    }

    fn text(outcomes: &[Outcome]) -> String {
        figure(Detector::Sim, outcomes).text()
    }

    #[test]
    fn a_cell_says_how_soon_and_how_sure() {
        assert_eq!(text(&[Found]), "12");
        assert_eq!(text(&[Found, Found, Found]), "13 [12–14]");
        assert_eq!(text(&[Found, Found, Missed]), "13 [12–>300] (2 of 3)");
        assert_eq!(text(&[Found, Missed, Missed]), ">300 [12–>300] (1 of 3)");
        assert_eq!(text(&[Hangs, Hangs]), "hangs");
        assert_eq!(text(&[Hangs, Missed]), "hangs (1 of 2)");
        assert_eq!(text(&[Found, Hangs, Missed]), ">156 [12–>300] (2 of 3, 1 by hanging)");
        assert_eq!(text(&[Missed, Missed]), "missed");
        assert_eq!(text(&[Missed, Inconclusive]), "missed (1 of 2 inconclusive)");
        assert_eq!(text(&[Inconclusive]), "inconclusive");
    }

    /// What the simulator makes of a mutant that it is to find, and of the clean code.
    fn report(whole: bool, sim: Outcome, clean: Outcome) -> Report {
        let figures = BTreeMap::from([(Detector::Sim, figure(Detector::Sim, &[sim]))]);
        let expected = BTreeSet::from([Detector::Sim]);
        let [id, breaks, source, bug] = ["pager-x"; 4].map(str::to_owned);
        Report {
            whole,
            commit: String::new(),
            machine: String::new(),
            detectors: vec![Detector::Sim],
            rows: vec![Row { id, breaks, source, bug, expected, figures }],
            clean: vec![figure(Detector::Sim, &[clean])],
        }
    }

    #[test]
    fn a_part_says_what_a_part_can() {
        assert!(report(false, Found, Missed).objections().is_empty());
        let said = report(false, Missed, Found).objections().join("\n");
        assert!(said.contains("misses pager-x") && said.contains("false alarm"), "{said}");
        assert!(!said.contains("by all") && !said.contains("unit tests"), "{said}");
        let said = report(true, Missed, Missed).objections().join("\n");
        assert!(said.contains("by all") && said.contains("unit tests"), "{said}");
    }

    #[test]
    fn the_portfolio_is_held_against_a_scheduler_on_the_same_mutants() {
        let mut report = report(true, Missed, Missed);
        report.detectors.push(Detector::SimPct);
        report.rows[0].figures.insert(Detector::SimPct, figure(Detector::SimPct, &[Found]));
        // One of another area, which the scheduler does not look at, makes up for nothing.
        report.rows.extend(self::report(true, Found, Missed).rows);
        let said = report.objections().join("\n");
        assert!(said.contains("sim-pct alone finds 1, the portfolio 0 of the same"), "{said}");
    }

    #[test]
    fn a_simulator_that_does_not_do_its_seeds_says_nothing_for_the_clean_code() {
        let said = report(false, Found, Inconclusive).objections();
        assert!(said.len() == 1 && said[0].ends_with("did 300 of 400 seeds"), "{said:?}");
        assert_eq!(report(false, Found, Hangs).objections().len(), 1);
    }
}
