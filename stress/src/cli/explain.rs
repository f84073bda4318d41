use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::tape::Run;
use super::{interruption, print, usage};
use crate::exit::ExitCode;
use crate::explain::{self, Explanation, Pair, Question, Search};
use crate::progress::Progress;
use crate::subject::Subject;

pub(super) const EXAMPLE: &str =
    "Example:\n  PROGRAM explain tenterhook-runs/failures/durability_2a.tape --svg curve.svg";

/// More continuations and points than this tell nothing more.
const MOST: u32 = 10_000;

/// Width of a share's bar.
const BAR: usize = 40;

/// Finds the step after which a failure was likely, and the nearest run that does not fail.
///
/// The run is followed for its first steps and drawn from there on, many times. The curve is the share of these continuations that
/// fail in the same way. A shrunk tape is explained best. Ctrl-C ends it with what is known by then.
#[derive(Debug, Args)]
pub(super) struct ExplainArguments<S: Subject> {
    #[command(flatten)]
    run: Run<S>,
    /// Continuations from each point of the curve.
    #[arg(long, value_name = "N", default_value_t = Question::default().continuations)]
    continuations: u32,
    /// Evenly spaced points of the curve.
    #[arg(long, value_name = "N", default_value_t = Question::default().points)]
    points: u32,
    /// Write the curve as an SVG file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) fn run<S: Subject>(arguments: ExplainArguments<S>) -> ExitCode {
    let ExplainArguments { run, continuations, points, svg, json } = arguments;
    if !(1..=MOST).contains(&continuations) || !(1..=MOST).contains(&points) {
        return usage(S::PROGRAM, &format!("--continuations and --points must be from 1 to {MOST}"));
    }
    let (setup, source) = match run.find() {
        Ok(run) => run,
        Err(problem) => return usage(S::PROGRAM, &problem),
    };
    let interrupted = interruption(S::PROGRAM);
    let question = Question { continuations, points };
    // As many as the even points need, and about as many again for the jump and the pair.
    let expected = u64::from(continuations).saturating_mul(u64::from(points)).saturating_mul(2);
    let progress = Progress::new(!json, expected, "runs");
    let explained = explain::explain(&setup, &source, question, |runs| {
        progress.show(runs, || "Ctrl-C takes what is known".into());
        !interrupted.is_told()
    });
    progress.clear();
    let explained = match explained {
        Ok(explained) => explained,
        Err(problem) => return usage(S::PROGRAM, &problem.to_string()),
    };
    if json {
        print(&format!("{:#}\n", json!(explained)));
    } else {
        print(&text(&explained));
    }
    if let Some(path) = &svg
        && let Err(error) = std::fs::write(path, explained.svg())
    {
        let path = path.display();
        return usage(S::PROGRAM, &format!("--svg {path}: cannot be written ({error}); name another file"));
    }
    explained.violation.class.into()
}

fn text(explained: &Explanation) -> String {
    let Explanation { violation, steps, curve, jump, pair, runs } = explained;
    let mut text = format!("{violation}\n\nafter step  continuations that fail\n");
    for share in curve {
        let bar = "#".repeat((share.part() * BAR as f64).round() as usize);
        let _ = writeln!(text, "{:>10}  {bar:<BAR$} {:>3} of {}", share.after, share.failed, share.of);
    }
    match jump {
        Some(jump) => {
            let (before, after) = (jump.before, jump.after);
            let _ = writeln!(
                text,
                "\nIt rises most from step {} to {} of {steps}: {} of {} to {} of {}. By the timeline's numbers:",
                before.after, after.after, before.failed, before.of, after.failed, after.of
            );
            lines(&mut text, &jump.lines);
        }
        None => text.push_str("\nIt rises nowhere between the points that were tried.\n"),
    }
    match pair {
        Search::Found(pair) => tell_pair(pair, &mut text),
        Search::NoneOf(0) => text.push_str("\nIt has no choices that are not default.\n"),
        Search::NoneOf(of) => {
            let _ = writeln!(text, "\nWithout any single one of its {of} choices the run still fails.");
        }
        Search::TooMany(of) => {
            let _ =
                writeln!(text, "\nIts {of} choices are too many to be tried one by one: shrink it first.");
        }
        Search::StoppedAfter(tried) => {
            let _ = writeln!(
                text,
                "\nStopped: of {tried} choices none was found without which it does not fail."
            );
        }
    }
    let _ = writeln!(text, "\n{runs} runs");
    text
}

fn tell_pair(pair: &Pair, text: &mut String) {
    let Pair { choice, common, failing, passing, decisive } = pair;
    let (decisive, of) = decisive;
    let _ = writeln!(
        text,
        "\nWithout any one of {decisive} of {of} choices the run does not fail. The nearest such run has {common} events in \
         common with it, and differs in this choice:\n  {choice}"
    );
    continues(text, "The run that fails", failing);
    continues(text, "The one that does not fail", passing);
}

fn continues(text: &mut String, which: &str, lines_after: &[String]) {
    if lines_after.is_empty() {
        let _ = writeln!(text, "{which} ends there.");
    } else {
        let _ = writeln!(text, "{which} continues with:");
        lines(text, lines_after);
    }
}

fn lines(text: &mut String, lines: &[String]) {
    for line in lines {
        let _ = writeln!(text, "  {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_ends_where_the_two_part_is_said_to_end_there() {
        let passing = vec!["36 fiber 0    ends".to_owned()];
        let pair =
            Pair { choice: "amount is 3".into(), common: 35, failing: Vec::new(), passing, decisive: (1, 2) };
        let mut text = String::new();
        tell_pair(&pair, &mut text);
        let told = "amount is 3\nThe run that fails ends there.\nThe one that does not fail continues with:\n  36 fiber 0";
        assert!(text.contains(told), "{text}");
    }
}
