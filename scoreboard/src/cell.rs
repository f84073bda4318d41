//! What one detector made of one mutant.

use std::os::unix::process::ExitStatusExt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::detector::Detector;
use crate::process::Ended;

/// One run of a detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) found: bool,
    /// Until it found something, or in all; where the detector says so.
    pub(crate) executions: Option<u64>,
    pub(crate) seconds: f64,
    /// The first line that says what was found.
    pub(crate) evidence: String,
}

/// All runs of a detector on a mutant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) detector: Detector,
    pub(crate) attempts: Vec<Attempt>,
}

/// A median, and between which of the attempts the true one lies with 95 %; the whole range if there are few.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Median {
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Attempt {
    /// Reads a run's outcome; an error when the detector itself could not do its work.
    pub(crate) fn of(detector: Detector, ended: &Ended) -> Result<Self, String> {
        let code = ended.status.and_then(|status| status.code());
        let (found, executions) = match detector {
            Detector::Unit => (code != Some(0), tests(&ended.output)),
            Detector::Loom | Detector::Shuttle => {
                if code == Some(2) {
                    return Err(evidence(&ended.output));
                }
                (code != Some(0), summed(&ended.output, detector.unit()))
            }
            // A defect may show as anything; on the clean code nothing does.
            Detector::Crash => (code != Some(0), count(&ended.output, "kills")),
            Detector::Threads => (code != Some(0), None),
            Detector::Sweep => match code {
                Some(0) => (false, count(&ended.output, "cases")),
                Some(10 | 11) => (true, count(&ended.output, "cases")),
                None => (true, None),
                _ => return Err(evidence(&ended.output)),
            },
            _ => match code {
                // The time was up: it looked for as long as it was given.
                None if ended.status.is_none() => (false, None),
                Some(0) => (false, count(&ended.output, "seeds")),
                Some(10..=12) => (true, count(&ended.output, "seeds")),
                // A gate of the simulator's own: a fault that was asked for and never struck.
                Some(70) if ended.output.contains("never delivered") => (true, count(&ended.output, "seeds")),
                _ => return Err(evidence(&ended.output)),
            },
        };
        let signal = ended.status.and_then(|status| status.signal());
        let evidence = match (found, ended.status, signal) {
            (false, ..) => String::new(),
            (true, None, _) => "hangs".into(),
            (true, _, Some(signal)) => format!("dies of signal {signal}"),
            (true, _, None) => evidence(&ended.output),
        };
        Ok(Self { found, executions, seconds: ended.elapsed.as_secs_f64(), evidence })
    }
}

impl Cell {
    pub(crate) fn found(&self) -> usize {
        self.attempts.iter().filter(|attempt| attempt.found).count()
    }

    /// Of the runs that found it. With fewer than half of them the median of all is beyond the budget.
    pub(crate) fn executions(&self) -> Option<Median> {
        median(
            self.attempts
                .iter()
                .filter(|attempt| attempt.found)
                .filter_map(|attempt| attempt.executions)
                .map(|n| n as f64),
        )
    }

    pub(crate) fn seconds(&self) -> Option<Median> {
        median(self.attempts.iter().filter(|attempt| attempt.found).map(|attempt| attempt.seconds))
    }

    pub(crate) fn evidence(&self) -> &str {
        self.attempts.iter().find(|attempt| attempt.found).map_or("", |attempt| &attempt.evidence)
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<Median> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let (low, high) = (*values.first()?, *values.last()?);
    let middle = values.len() / 2;
    let value = if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    };
    Some(Median { value, low, high })
}

/// The tests that ran, from the harness's lines and our own programs'.
fn tests(output: &str) -> Option<u64> {
    let counts = output.lines().filter_map(|line| {
        let line = line
            .strip_prefix("test result: ")
            .and_then(|line| line.split_once(". "))
            .map_or(line, |(_, rest)| rest);
        let (passed, rest) = line.split_once(" passed")?;
        let failed = rest.strip_prefix("; ").or(rest.strip_prefix(", "))?.split(' ').next()?;
        Some(passed.trim().parse::<u64>().ok()? + failed.parse::<u64>().ok()?)
    });
    counts.reduce(|sum, count| sum + count)
}

/// The number before `unit` in the summary: "14 models, 28395 executions, 2.0 s".
fn summed(output: &str, unit: &str) -> Option<u64> {
    let line = output.lines().rev().find(|line| line.contains(" models, "))?;
    let part = line.split(", ").find_map(|part| part.strip_suffix(unit))?;
    part.trim().parse().ok()
}

/// A number of the program's document.
fn count(output: &str, name: &str) -> Option<u64> {
    let document = &output[output.find('{')?..];
    let mut values = serde_json::Deserializer::from_str(document).into_iter::<Value>();
    values.next()?.ok()?.get(name)?.as_u64()
}

/// The line that says most.
fn evidence(output: &str) -> String {
    const TELLING: [&str; 7] =
        ["FAILED ", "\"seen\":", "never delivered", "panicked at", "... FAILED", "deadlock", "error:"];
    let lines = || output.lines().map(str::trim);
    let told = TELLING.iter().find_map(|word| lines().find(|line| line.contains(word)));
    let line = told.or_else(|| lines().rfind(|line| !line.is_empty())).unwrap_or_default();
    line.split(' ').map(of_any_machine).collect::<Vec<_>>().join(" ").chars().take(160).collect()
}

/// Of an absolute path the name of the file: the rest says where somebody keeps things.
fn of_any_machine(word: &str) -> &str {
    match word.starts_with('/') {
        true => word.rsplit('/').find(|part| !part.is_empty()).unwrap_or(word),
        false => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_what_programs_print() {
        let cargo = "test result: ok. 8 passed; 0 failed; 0 ignored\n114 passed, 1 failed, 0 skipped\n";
        assert_eq!(tests(cargo), Some(123));
        assert_eq!(tests("nothing"), None);
        assert_eq!(
            summed("x\n14 models, 28395 executions, 2.0 s\n1 passed, 0 failed\n", "executions"),
            Some(28_395)
        );
        assert_eq!(count("warning\n{\"seeds\": 17}\nmore", "seeds"), Some(17));
    }

    #[test]
    fn evidence_names_files_and_not_where_they_are() {
        let output = "thread 'a' panicked at /home/me/crates/b-0.1/src/c.rs:2:5:\nerror: src/d.rs";
        assert_eq!(evidence(output), "thread 'a' panicked at c.rs:2:5:");
    }

    #[test]
    fn the_median_is_of_those_that_found_it() {
        let attempt = |found, executions| Attempt {
            found,
            executions: Some(executions),
            seconds: 1.0,
            evidence: String::new(),
        };
        let attempts = vec![attempt(true, 9), attempt(false, 1_000), attempt(true, 3), attempt(true, 4)];
        let cell = Cell { detector: Detector::Sim, attempts };
        assert_eq!(cell.found(), 3);
        assert_eq!(cell.executions(), Some(Median { value: 4.0, low: 3.0, high: 9.0 }));
    }
}
