//! One run of a detector, and what it says.

use std::os::unix::process::ExitStatusExt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::detector::{Budget, Detector};
use crate::process::Ended;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// It looked as long as it was to, and saw nothing.
    Missed,
    /// It says that something is wrong, or died of it.
    Found,
    /// It did not end, which is a way of noticing.
    Hangs,
    /// It saw nothing, and did not do all that it was to.
    Inconclusive,
}

/// One run of a detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) outcome: Outcome,
    /// Until it found something, or in all; where the detector says so.
    pub(crate) executions: Option<u64>,
    pub(crate) seconds: f64,
    /// The first line that says what was found, or what was not done.
    pub(crate) evidence: String,
}

impl Attempt {
    /// Reads a run's outcome; an error when the detector itself could not do its work.
    pub(crate) fn of(detector: Detector, budget: Budget, ended: &Ended) -> Result<Self, String> {
        let executions = match detector {
            Detector::Unit => tests(&ended.output),
            Detector::Loom | Detector::Shuttle => summed(&ended.output, detector.unit()),
            Detector::Sweep => count(&ended.output, "cases"),
            Detector::Crash => count(&ended.output, "kills"),
            _ if detector.is_real_threads() => None,
            _ => count(&ended.output, "seeds"),
        };
        let status = ended.status.map(|status| (status.code(), status.signal()));
        let (outcome, evidence) = match status {
            None => (Outcome::Hangs, "hangs".into()),
            Some((Some(0), _)) if detector.is_sim() => seeds_done(executions, budget.seeds)?,
            Some((Some(code), _)) => read(detector, code, &ended.output)?,
            Some((None, signal)) => {
                (Outcome::Found, format!("dies of signal {}", signal.unwrap_or_default()))
            }
        };
        Ok(Self { outcome, executions, seconds: ended.elapsed.as_secs_f64(), evidence })
    }

    /// Whether it noticed something, in whatever way.
    pub(crate) fn is_found(&self) -> bool {
        matches!(self.outcome, Outcome::Found | Outcome::Hangs)
    }
}

/// What an exit code means. With our own programs 2 is about the command line and the machine, never about the mutant.
fn read(detector: Detector, code: i32, output: &str) -> Result<(Outcome, String), String> {
    match (detector, code) {
        (_, 0) => Ok((Outcome::Missed, String::new())),
        // Cargo says that it runs a program. When it does not get as far, no test has seen the mutant.
        (Detector::Unit, _) if !output.contains("Running ") => Err(evidence(output)),
        (Detector::Unit, _) => Ok((Outcome::Found, evidence(output))),
        (_, 2) => Err(evidence(output)),
        (_, 70) if detector == Detector::Crash || detector.is_real_threads() => {
            Ok((Outcome::Inconclusive, "something that it was to do never happened".into()))
        }
        // A defect may show as anything; on the clean code nothing does.
        (Detector::Loom | Detector::Shuttle | Detector::Crash, _) | (_, 10..=12) => {
            Ok((Outcome::Found, evidence(output)))
        }
        // A sanitizer has codes of its own.
        _ if detector.is_real_threads() => Ok((Outcome::Found, evidence(output))),
        // A gate of the simulator's own: a fault that was asked for and never struck.
        (_, 70) if output.contains("never delivered") => Ok((Outcome::Found, evidence(output))),
        _ => Err(format!("exit code {code}: {}", evidence(output))),
    }
}

/// Of a simulator that saw nothing: whether it ran all its seeds. It ends by itself when its time is up.
fn seeds_done(done: Option<u64>, all: u64) -> Result<(Outcome, String), String> {
    match done {
        None => Err("its document has no number of seeds".into()),
        Some(0) => Ok((Outcome::Hangs, "not even the first seed ended".into())),
        Some(done) if done < all => Ok((Outcome::Inconclusive, format!("did {done} of {all} seeds"))),
        Some(_) => Ok((Outcome::Missed, String::new())),
    }
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
    const TELLING: [&str; 8] = [
        "SUMMARY: ",
        "FAILED ",
        "\"seen\":",
        "never delivered",
        "panicked at",
        "... FAILED",
        "deadlock",
        "error:",
    ];
    let lines = || output.lines().map(str::trim);
    let told = TELLING.iter().find_map(|word| lines().find(|line| line.contains(word)));
    let line = told.or_else(|| lines().rfind(|line| !line.is_empty())).unwrap_or_default();
    line.split(' ').map(of_any_machine).collect::<Vec<_>>().join(" ").chars().take(160).collect()
}

/// Of an absolute path, in quotes or not, the name of the file: the folders differ between machines.
fn of_any_machine(word: &str) -> String {
    let path = word.trim_start_matches(['"', '\'', '(']);
    match path.starts_with('/') {
        true => {
            let name = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(path);
            format!("{}{name}", &word[..word.len() - path.len()])
        }
        false => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;
    use std::time::Duration;

    use super::*;

    /// What is made of a detector that ends with `code`, of a budget of 300 seeds.
    fn outcome(detector: Detector, code: i32, output: &str) -> Result<(Outcome, String), String> {
        of(detector, Some(ExitStatus::from_raw(code << 8)), output)
    }

    fn of(detector: Detector, status: Option<ExitStatus>, output: &str) -> Result<(Outcome, String), String> {
        let ended = Ended { status, elapsed: Duration::from_secs(1), output: output.into() };
        let budget = Budget { time: Duration::from_secs(240), repetitions: 1, seeds: 300 };
        Attempt::of(detector, budget, &ended).map(|attempt| (attempt.outcome, attempt.evidence))
    }

    #[test]
    fn a_broken_environment_is_never_a_find() {
        for detector in Detector::ALL {
            let read = outcome(detector, 2, "tenterhook: no scratch directory");
            assert_eq!(read, Err("tenterhook: no scratch directory".into()), "{detector}");
        }
        let unit = outcome(Detector::Unit, 101, "error: no matching package");
        assert_eq!(unit, Err("error: no matching package".into()));
        let unit = outcome(Detector::Unit, 101, "   Running unittests\na ... FAILED\n").unwrap();
        assert_eq!(unit, (Outcome::Found, "a ... FAILED".into()));
    }

    #[test]
    fn faults_that_never_struck_are_no_find_of_crash_and_threads() {
        for detector in [Detector::Crash, Detector::Threads, Detector::Storm, Detector::ThreadsTsan] {
            assert_eq!(outcome(detector, 70, "{}").unwrap().0, Outcome::Inconclusive, "{detector}");
            assert_eq!(outcome(detector, 10, "{}").unwrap().0, Outcome::Found, "{detector}");
        }
        assert_eq!(outcome(Detector::Sim, 70, "torn was never delivered").unwrap().0, Outcome::Found);
        assert!(outcome(Detector::Sim, 70, "cannot write").is_err());
    }

    #[test]
    fn what_does_not_end_hangs_and_what_a_signal_ends_has_found_it() {
        for detector in Detector::ALL {
            assert_eq!(of(detector, None, ""), Ok((Outcome::Hangs, "hangs".into())), "{detector}");
            let died = of(detector, Some(ExitStatus::from_raw(11)), "");
            assert_eq!(died, Ok((Outcome::Found, "dies of signal 11".into())), "{detector}");
        }
    }

    #[test]
    fn a_simulator_has_to_do_all_its_seeds() {
        let sim = |seeds: u64| outcome(Detector::SimPct, 0, &format!("{{\"seeds\": {seeds}}}")).unwrap();
        assert_eq!(sim(300), (Outcome::Missed, String::new()));
        assert_eq!(sim(299), (Outcome::Inconclusive, "did 299 of 300 seeds".into()));
        assert_eq!(sim(0).0, Outcome::Hangs);
        assert!(outcome(Detector::Sim, 0, "nothing").is_err());
    }

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
        assert_eq!(evidence("\"seen\": \"/tmp/x/a.db is damaged\""), "\"seen\": \"a.db is damaged\"");
    }
}
