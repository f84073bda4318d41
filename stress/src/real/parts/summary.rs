//! What the storms did and found.

use std::fmt::Write as _;

use super::Part;
use super::counts::{Action, Count, Counts};
use super::crew::EpochEnd;
use super::near::Near;
use super::storm::Storm;
use crate::exit::ExitCode;
use crate::violation::Violation;

/// A run with fewer cases, or with fewer epochs, need not have done everything.
const SURELY: (u64, u64) = (100_000, 100);

/// What became of a run, storm by storm.
#[derive(Clone, Debug, serde::Serialize)]
pub struct PartsSummary {
    /// As it was asked for.
    pub seed: u64,
    /// One for each storm.
    pub parts: Vec<PartSummary>,
}

/// One storm.
#[derive(Clone, Debug, serde::Serialize)]
pub struct PartSummary {
    /// What it was about.
    pub part: Part,
    /// Crews of threads.
    pub epochs: u64,
    /// Rounds of all crews.
    pub rounds: u64,
    /// Cases of all rounds.
    pub cases: u64,
    /// How long it took.
    pub seconds: f64,
    /// What was done.
    pub actions: Vec<Count>,
    /// What was asked for and never done, if the run was long enough for that to be no chance.
    pub undelivered: Vec<&'static str>,
    /// Pairs of points that two threads came to within two microseconds, most often first.
    pub closest: Vec<(String, u64)>,
    /// What was found; nothing is run after it.
    pub violation: Option<Violation>,
    #[serde(skip)]
    counts: Counts,
}

impl PartSummary {
    pub(super) fn new(part: Part) -> PartSummary {
        PartSummary {
            part,
            epochs: 0,
            rounds: 0,
            cases: 0,
            seconds: 0.0,
            actions: Vec::new(),
            undelivered: Vec::new(),
            closest: Vec::new(),
            violation: None,
            counts: Counts::default(),
        }
    }

    pub(super) fn take<S: Storm>(&mut self, end: EpochEnd) {
        self.epochs += 1;
        self.rounds += end.rounds;
        self.cases += end.rounds * (S::CASES * end.threads) as u64;
        self.counts.merge(&end.counts);
        let place = format!(
            "storm of {} with {} threads, in round {}",
            self.part.name(),
            end.threads,
            self.rounds + 1
        );
        self.violation = end.violation.map(|violation| *violation.note(place));
    }

    /// The counts are complete.
    pub(super) fn finish(&mut self, own: &[Action], perturbed: bool, near: &Near) {
        let asked = own.iter().chain(if perturbed { &Action::PERTURBATIONS[..] } else { &[] });
        let never = asked.filter(|action| self.counts.of(**action) == 0).map(|action| action.name());
        if self.violation.is_none() && self.cases >= SURELY.0 && self.epochs >= SURELY.1 {
            self.undelivered = never.collect();
        }
        self.actions = self.counts.list();
        self.closest = near.closest(6);
    }

    fn text(&self) -> String {
        let mut text = format!("\nstorm of {}\n", self.part.name());
        let mut line = |name: &str, value: String| {
            // Writing to a string can't fail.
            let _ = writeln!(text, "  {name:<22} {value}");
        };
        let rate = self.cases as f64 / self.seconds.max(1e-9);
        line("elapsed", format!("{:.1} s, {} crews, {} rounds", self.seconds, self.epochs, self.rounds));
        line("cases", format!("{}, {rate:.0}/s", self.cases));
        for Count { action, count } in &self.actions {
            line(action, count.to_string());
        }
        let closest = self.closest.iter().map(|(pair, count)| format!("{pair} {count}"));
        line("closest", closest.collect::<Vec<_>>().join(", "));
        line("violations", u8::from(self.violation.is_some()).to_string());
        if let Some(violation) = &self.violation {
            let _ = writeln!(text, "\n{violation}");
        }
        for action in &self.undelivered {
            let _ = writeln!(
                text,
                "TESTER AT FAULT          {action} was never delivered: the run does not test it"
            );
        }
        text
    }
}

impl PartsSummary {
    /// The exit code.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        let violation = self.parts.iter().find_map(|part| part.violation.as_ref());
        match violation.map(|violation| violation.class) {
            Some(class) => class.into(),
            None if self.parts.iter().all(|part| part.undelivered.is_empty()) => ExitCode::Ok,
            None => ExitCode::Internal,
        }
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        self.parts.iter().map(PartSummary::text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_that_is_asked_for_and_never_done_fails_a_long_run_and_no_short_one() {
        let run = |cases, epochs, done: bool| {
            let mut part = PartSummary { cases, epochs, ..PartSummary::new(Part::Groups) };
            part.counts.add_if(done, Action::Built);
            part.finish(&[Action::Built], false, &Near::new());
            PartsSummary { seed: 1, parts: vec![part] }
        };
        assert_eq!(run(SURELY.0, SURELY.1, false).exit_code(), ExitCode::Internal);
        assert!(run(SURELY.0, SURELY.1, false).text().contains("built was never delivered"));
        for quiet in [run(SURELY.0, SURELY.1, true), run(1, SURELY.1, false), run(SURELY.0, 1, false)] {
            assert_eq!(quiet.exit_code(), ExitCode::Ok);
        }
    }
}
