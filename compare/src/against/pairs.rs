//! Two processes that take turns, and what the pairs of their figures say.
//!
//! For each row both builds run as processes at once. A pair is one repetition of each, one right after the other, in
//! alternating order, so that what drifts concerns both. Repetitions are short, because other work on the machine can only
//! make them longer: many short ones leave some that nothing interrupted. Each build's figure is the one that a fifth of its
//! repetitions stay within. A process keeps its place in memory as long as it lives, and that alone can cost a few per
//! cent, so both are started again for each launch. A launch counts as one value: the quotient of the two figures.
//!
//! The peer runs in both builds with the same sources. A change of ours counts when its interval leaves 1 and it is
//! also a change relative to the peer.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::revision::{NoRevision, Revision};
use super::worker::Part;
use crate::baseline;
use crate::cli::{Options, Selection};
use crate::exit::Exit;
use crate::output::wrap;
use crate::row::{Plan, Workload};
use crate::session::Failure;
use crate::statistics::{Interval, quantile};
use crate::stop::Stop;

/// Launches of both processes for each row: with eight, an interval from the least to the greatest value holds the true
/// median with 99 %. Dozens of rows are judged at once, and 95 % would raise a false alarm in each run.
const LAUNCHES: usize = 8;
const CONFIDENCE: f64 = 0.99;
/// Pairs for each repetition that a comparison within one process makes.
const PAIRS: usize = 6;
/// The share of a build's repetitions that its figure is taken from.
const UNDISTURBED: f64 = 0.2;
/// Changes below this are not reported: two builds of the same sources differ by as much through their layout alone.
const LEAST: f64 = 0.05;

/// A program that serves rows.
struct Worker {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    fn start(program: &Path) -> Result<Self, NoRevision> {
        let mut child = Command::new(program)
            .arg("--worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| NoRevision::failed(format!("--against: {}: {error}", program.display())))?;
        let requests = child.stdin.take().expect("piped above");
        let answers = BufReader::new(child.stdout.take().expect("piped above"));
        Ok(Self { child, requests, answers })
    }

    fn ask(&mut self, request: &str) -> Result<String, NoRevision> {
        let mut answer = String::new();
        let asked = writeln!(self.requests, "{request}").and_then(|()| self.answers.read_line(&mut answer));
        match asked {
            Ok(read) if read > 0 => Ok(answer.trim().to_owned()),
            // It has written its own complaint to the same standard error.
            _ => Err(NoRevision::failed(format!("--against: a worker ended at {request:?}"))),
        }
    }

    fn row(&mut self, name: &str) -> Result<Vec<Part>, NoRevision> {
        let answer = self.ask(&format!("row {name}"))?;
        serde_json::from_str(&answer)
            .map_err(|error| NoRevision::failed(format!("--against: {answer:?}: {error}")))
    }

    fn run(&mut self, at: usize) -> Result<f64, NoRevision> {
        let answer = self.ask(&format!("run {at}"))?;
        answer.parse().map_err(|error| NoRevision::failed(format!("--against: {answer:?}: {error}")))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Its input ends with `requests`, but that is dropped later. It holds nothing that outlives it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A contender's values: how many times as long it took in this build as in the other one, launch by launch.
#[derive(Clone, Debug)]
struct Moved {
    contender: String,
    ours: bool,
    exact: bool,
    values: Vec<f64>,
}

/// What is said of a contender.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    Same,
    Slower,
    Faster,
}

/// Judges one of ours by its own values and by those of the peer.
fn judge(ours: &Moved, peer: Option<&Moved>) -> (Interval, Verdict) {
    let interval = Interval::of_median_at(&ours.values, CONFIDENCE);
    if ours.exact {
        // Counted: there is no noise, but for where a block happens to begin.
        let is_large = (interval.median - 1.0).abs() >= baseline::LEAST;
        return (interval, if is_large { side(interval.median) } else { Verdict::Same });
    }
    let relative: Vec<f64> = match peer {
        Some(peer) => ours.values.iter().zip(&peer.values).map(|(ours, peer)| ours / peer).collect(),
        None => ours.values.clone(),
    };
    let relative = Interval::of_median_at(&relative, CONFIDENCE);
    let is_change = |interval: &Interval| !interval.contains(1.0) && (interval.median - 1.0).abs() >= LEAST;
    let agree = (interval.median > 1.0) == (relative.median > 1.0);
    let verdict = if is_change(&interval) && is_change(&relative) && agree {
        side(interval.median)
    } else {
        Verdict::Same
    };
    (interval, verdict)
}

fn side(ratio: f64) -> Verdict {
    match ratio {
        _ if ratio > 1.0 => Verdict::Slower,
        _ if ratio < 1.0 => Verdict::Faster,
        _ => Verdict::Same,
    }
}

/// The two builds and how they are asked.
struct Sides<'a> {
    new: &'a Path,
    old: &'a Path,
    pairs: usize,
}

impl Sides<'_> {
    /// Measures a row in both builds.
    fn row(&self, name: &str, stop: &Stop) -> Result<Option<Vec<Moved>>, NoRevision> {
        let mut moved: Vec<Moved> = Vec::new();
        for _ in 0..LAUNCHES {
            let mut new = Worker::start(self.new)?;
            let mut old = Worker::start(self.old)?;
            let (parts, theirs) = (new.row(name)?, old.row(name)?);
            for part in parts {
                let Some(other) = theirs.iter().find(|other| other.contender == part.contender) else {
                    continue;
                };
                let (mut ours, mut others) = (Vec::new(), Vec::new());
                for pair in 0..self.pairs {
                    if stop.is_asked() {
                        return Ok(None);
                    }
                    // Who goes first has the caches of the other contender before it.
                    if pair.is_multiple_of(2) {
                        ours.push(new.run(part.at)?);
                        others.push(old.run(other.at)?);
                    } else {
                        others.push(old.run(other.at)?);
                        ours.push(new.run(part.at)?);
                    }
                }
                let value = quantile(&ours, UNDISTURBED) / quantile(&others, UNDISTURBED);
                match moved.iter_mut().find(|known| known.contender == part.contender) {
                    Some(known) => known.values.push(value),
                    None => {
                        let Part { contender, ours, exact, .. } = part;
                        moved.push(Moved { contender, ours, exact, values: vec![value] });
                    }
                }
            }
        }
        Ok(Some(moved))
    }
}

/// Builds the revision, measures all rows in both builds, and says which changed.
pub(crate) fn compare(revision: &str, selection: &Selection, options: &Options) -> Result<Exit, Failure> {
    let stop = Stop::on_signals();
    let complain = |no: NoRevision| {
        eprintln!("tenterhook-compare: {no}");
        if no.usage { Exit::Usage } else { Exit::NoRevision }
    };
    let other = match Revision::build(revision) {
        Ok(other) => other,
        Err(no) => return Ok(complain(no)),
    };
    let own = std::env::current_exe()?;
    let settings = options.settings();
    let (new, old) = (own.as_path(), other.program.as_path());
    let sides = Sides { new, old, pairs: PAIRS * settings.repetitions };
    let text = format!(
        "this build against {}, the same rows in both: {LAUNCHES} launches of both, {} pairs each, in turns. Above 1 this \
         build takes longer. In brackets the interval that holds the true median with 99 %. The peer is the same code in \
         both: it shows the noise. A change is beyond its interval, of {:.0} % at least, and not the peer's, too.",
        other.commit,
        sides.pairs,
        LEAST * 100.0
    );
    println!("{}", wrap("", 0, &text));
    let mut changed = Vec::new();
    let mut counts = (0, 0);
    for (workload, plan) in plans(selection, options.memory()) {
        match sides.row(&plan.name, &stop) {
            Ok(Some(moved)) => {
                counts.0 += moved.iter().filter(|moved| moved.ours).count();
                changed.extend(report(workload, &plan.name, &moved));
            }
            Ok(None) => {
                counts.1 = 1;
                break;
            }
            // Ctrl-C reaches the workers, too.
            Err(_) if stop.is_asked() => {
                counts.1 = 1;
                break;
            }
            Err(no) => return Ok(complain(no)),
        }
    }
    println!("\n{} of {} figures of ours changed", changed.len(), counts.0);
    changed.iter().for_each(|(_, line)| println!("{}", wrap("  ", 4, line)));
    Ok(match counts.1 {
        1 => Exit::Interrupted,
        _ if changed.iter().any(|(verdict, _)| *verdict == Verdict::Slower) => Exit::Slower,
        _ => Exit::Ok,
    })
}

/// The rows that can be compared. A row at a fixed rate takes its rate from what it measures, which differs between the
/// two builds, so it is left out.
fn plans(selection: &Selection, memory: u64) -> Vec<(&'static Workload, Plan)> {
    let mut all = Vec::new();
    for workload in selection.workloads() {
        for plan in (workload.plans)() {
            let wanted = selection.wants(workload, &plan.name, plan.extent);
            if wanted && plan.memory <= memory / 2 && workload.name != crate::workloads::FIXED_RATE {
                all.push((workload, plan));
            }
        }
    }
    all
}

/// Prints a row; the lines of those that changed.
fn report(workload: &Workload, row: &str, moved: &[Moved]) -> Vec<(Verdict, String)> {
    let peer = moved.iter().find(|moved| !moved.ours);
    println!("\n{row} ({})", workload.name);
    let mut changed = Vec::new();
    for each in moved {
        let (interval, verdict) = judge(each, peer);
        let word = match verdict {
            _ if !each.ours => "peer",
            Verdict::Same => "same",
            Verdict::Slower => "SLOWER",
            Verdict::Faster => "faster",
        };
        let figures = format!("{:.2}x [{:.2}, {:.2}]", interval.median, interval.low, interval.high);
        println!("  {figures:22} {word:8} {}", each.contender);
        if each.ours && verdict != Verdict::Same {
            changed.push((verdict, format!("{word}: {row}: {}: {figures}", each.contender)));
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(values: [f64; LAUNCHES]) -> Moved {
        Moved { contender: "it".into(), ours: true, exact: false, values: values.into() }
    }

    fn verdict(ours: [f64; LAUNCHES], peer: [f64; LAUNCHES]) -> Verdict {
        judge(&moved(ours), Some(&moved(peer))).1
    }

    const NOISE: [f64; LAUNCHES] = [0.98, 1.02, 1.0, 0.99, 1.01, 1.03, 0.97, 1.0];

    #[test]
    fn a_slow_down_of_fifteen_per_cent_is_a_change_and_noise_is_none() {
        assert_eq!(verdict(NOISE.map(|value| value * 1.15), NOISE), Verdict::Slower);
        assert_eq!(verdict(NOISE.map(|value| value * 0.85), NOISE), Verdict::Faster);
        assert_eq!(verdict(NOISE, NOISE), Verdict::Same);
    }

    #[test]
    fn what_moves_with_its_peer_is_no_change() {
        assert_eq!(verdict(NOISE.map(|value| value * 1.15), NOISE.map(|value| value * 1.13)), Verdict::Same);
    }

    #[test]
    fn a_steady_difference_of_layout_is_no_change() {
        assert_eq!(verdict([1.03; LAUNCHES], [1.0; LAUNCHES]), Verdict::Same);
    }

    #[test]
    fn a_count_that_differs_is_a_change() {
        let one = Moved { exact: true, ..moved([1.036; LAUNCHES]) };
        assert_eq!(judge(&one, None).1, Verdict::Slower);
        let one = Moved { exact: true, ..moved([1.0005; LAUNCHES]) };
        assert_eq!(judge(&one, None).1, Verdict::Same);
    }
}
