use std::fmt::Write as _;

use serde::Serialize;

use crate::exit::ExitCode;
use crate::real::noise::Unavailable;
use crate::violation::Violation;

/// What became of a run, backend by backend.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// One for each backend.
    pub runs: Vec<Run>,
    /// Kinds of noise that were asked for and that this machine cannot make.
    pub unavailable: Vec<Unavailable>,
    /// Whether Ctrl-C ended it.
    pub interrupted: bool,
}

/// One backend.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Run {
    /// Its name.
    pub backend: String,
    /// Connections.
    pub connections: u64,
    /// How long it took.
    pub seconds: f64,
    /// Incarnations of the system: openings, those that came to nothing among them.
    pub incarnations: u64,
    /// Operations of connections that have ended.
    pub ended: u64,
    /// What the system has counted.
    pub counts: Vec<Count>,
    /// I/O operations.
    pub operations: u64,
    /// Of those, held back for a while.
    pub delayed: u64,
    /// Faults by kind.
    pub faults: Vec<FaultCount>,
    /// Noise by kind.
    pub noise: Vec<NoiseCount>,
    /// Resident memory after two minutes, if it came to that, in KiB.
    pub memory_at_two_minutes: Option<u64>,
    /// Resident memory at the end, in KiB.
    pub memory_at_end: u64,
    /// The most that there ever was, in KiB.
    pub memory_peak: u64,
    /// What went wrong; nothing is run after it.
    pub violation: Option<Violation>,
}

/// Something that a system has counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// What.
    pub name: &'static str,
    /// How often.
    pub count: u64,
}

/// One kind of noise.
#[derive(Clone, Debug, Serialize)]
pub struct NoiseCount {
    /// Its name.
    pub kind: &'static str,
    /// How often it was delivered.
    pub delivered: u64,
    /// Whether it had to be: the run was long enough.
    pub had_to: bool,
}

/// One kind of fault.
#[derive(Clone, Debug, Serialize)]
pub struct FaultCount {
    /// Its name.
    pub kind: &'static str,
    /// How often it struck.
    pub struck: u64,
    /// Whether it had to: there were so many operations that it cannot have been chance.
    pub had_to: bool,
}

impl Summary {
    /// What was asked for and was never delivered, backend by backend: kinds of fault and noise, and operations at all.
    pub fn undelivered(&self) -> Vec<String> {
        let of = |run: &Run| {
            let never = run.faults.iter().filter(|fault| fault.had_to && fault.struck == 0);
            let silent = run.noise.iter().filter(|noise| noise.had_to && noise.delivered == 0);
            let kinds = never.map(|fault| fault.kind).chain(silent.map(|noise| noise.kind));
            let idle = (run.violation.is_none() && run.ended == 0).then_some("an operation of a connection");
            kinds.chain(idle).map(|kind| format!("{kind} over {}", run.backend)).collect::<Vec<_>>()
        };
        self.runs.iter().flat_map(of).collect()
    }

    /// The exit code.
    pub fn exit_code(&self) -> ExitCode {
        let violation = self.runs.iter().find_map(|run| run.violation.as_ref());
        match violation.map(|violation| violation.class) {
            Some(class) => class.into(),
            None if self.undelivered().is_empty() => ExitCode::Ok,
            None => ExitCode::Internal,
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for run in &self.runs {
            text.push_str(&run.text());
        }
        for Unavailable { kind, reason } in &self.unavailable {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "not made                 {kind}: {reason}");
        }
        if self.interrupted {
            text.push_str("\ninterrupted              yes; the counts end here\n");
        }
        for kind in self.undelivered() {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "TESTER AT FAULT          {kind} was never delivered: the run does not test it"
            );
        }
        text
    }
}

impl Run {
    fn text(&self) -> String {
        let mut text = format!("\n{} with {} connections\n", self.backend, self.connections);
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "  {name:<22} {value}");
        };
        let rate = |count: u64| count as f64 / self.seconds.max(1e-9);
        let mib = |kib: u64| format!("{:.1} MiB", kib as f64 / 1024.0);
        line("elapsed", format!("{:.1} s, {} incarnations", self.seconds, self.incarnations));
        line("operations", format!("{}, {:.0}/s", self.ended, rate(self.ended)));
        for &Count { name, count } in &self.counts {
            line(name, format!("{count}, {:.0}/s", rate(count)));
        }
        line("I/O operations", format!("{}, {} of them held back", self.operations, self.delayed));
        let faults = self.faults.iter().map(|fault| format!("{} {}", fault.struck, fault.kind));
        line("faults", faults.collect::<Vec<_>>().join(", "));
        let noise = self.noise.iter().map(|noise| format!("{} {}", noise.delivered, noise.kind));
        line("noise", noise.collect::<Vec<_>>().join(", "));
        let early = self.memory_at_two_minutes.map_or("it did not last that long".into(), mib);
        line("memory at minute 2", early);
        line("memory at the end", format!("{}, at most {}", mib(self.memory_at_end), mib(self.memory_peak)));
        line("violations", u8::from(self.violation.is_some()).to_string());
        if let Some(violation) = &self.violation {
            let _ = writeln!(text, "\n{violation}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_that_had_to_strike_and_did_not_fails_the_run() {
        let with = |struck, had_to| Summary {
            runs: vec![Run {
                ended: 1,
                faults: vec![FaultCount { kind: "read-error", struck, had_to }],
                ..Run::default()
            }],
            ..Summary::default()
        };
        assert_eq!(with(0, true).exit_code(), ExitCode::Internal);
        assert!(with(0, true).text().contains("read-error over  was never delivered"));
        assert_eq!(with(1, true).exit_code(), ExitCode::Ok);
        assert_eq!(with(0, false).exit_code(), ExitCode::Ok);
    }

    #[test]
    fn noise_that_cannot_be_made_is_told() {
        let unavailable = Unavailable { kind: "direct".into(), reason: "no device".into() };
        let summary = Summary { unavailable: vec![unavailable], ..Summary::default() };
        assert!(summary.text().contains("not made                 direct: no device"), "{}", summary.text());
        assert_eq!(serde_json::json!(summary)["unavailable"][0]["kind"], "direct");
    }

    #[test]
    fn noise_that_had_to_be_made_and_was_not_fails_the_run() {
        let with = |delivered, had_to| Summary {
            runs: vec![Run {
                ended: 1,
                noise: vec![NoiseCount { kind: "signals", delivered, had_to }],
                ..Run::default()
            }],
            ..Summary::default()
        };
        assert_eq!(with(0, true).exit_code(), ExitCode::Internal);
        assert!(with(0, true).text().contains("signals over  was never delivered"));
        assert_eq!([with(1, true), with(0, false)].map(|summary| summary.exit_code()), [ExitCode::Ok; 2]);
    }
}
