use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::figures::Figures;
use super::view::View;
use crate::campaign::Totals;
use crate::disk::FaultKind;
use crate::job::catalogue::{Cause, State};
use crate::job::plan::Shard;
use crate::job::row::Mode;

/// What a terminal of `width` columns and `height` lines shows of `view`.
fn drawn(view: &View, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view.draw(frame)).unwrap();
    let buffer = terminal.backend().buffer().clone();
    let cells: Vec<&str> = buffer.content().iter().map(|cell| cell.symbol()).collect();
    cells.chunks(usize::from(width)).map(|line| line.concat()).collect()
}

fn figures(seconds: u64, steps: u64, points: &[&str]) -> Figures {
    let mut totals = Totals { seeds: 1_234, steps, busy_nanos: 1_000_000_000, ..Totals::default() };
    // Without those of the program.
    totals.reached.clear();
    for point in ["early", "late", "never"] {
        totals.reached.insert(point.into(), u64::from(points.contains(&point)));
    }
    for fault in &mut totals.faults {
        match fault.kind {
            FaultKind::PowerLoss => (fault.seeds, fault.delivered) = (9, 4_321),
            FaultKind::ReadError => (fault.seeds, fault.delivered) = (9, 0),
            _ => {}
        }
    }
    Figures {
        subject: "tally",
        folder: "soak".into(),
        shard: Shard::WHOLE,
        worked: Duration::from_secs(seconds),
        duration: Some(Duration::from_secs(400)),
        seeds: None,
        totals,
        others: vec![(Mode::Sweep, 7, Duration::from_secs(3))],
        failures: 0,
        causes: Vec::new(),
        resident: 50 * 1024,
        canary: (20, 6),
        unkept: 0,
    }
}

fn cause(signature: &str, state: State) -> Cause {
    Cause {
        signature: signature.into(),
        state,
        oracle: "sum".into(),
        class: "safety".into(),
        text: "expected N; seen N".into(),
        operations: String::new(),
        count: 5,
        first_seen: 0,
        last_seen: 0,
        first_build: String::new(),
        last_build: String::new(),
        looked: None,
        has_tape: false,
        deviations: 0,
        steps: 0,
        seed: 1,
        expected: String::new(),
        seen: String::new(),
        options: Vec::new(),
        command: String::new(),
        mode: None,
    }
}

/// The place of the line that has `text`.
#[track_caller]
fn at(lines: &[String], text: &str) -> usize {
    let found = lines.iter().position(|line| line.contains(text));
    found.unwrap_or_else(|| panic!("no line has {text:?}:\n{}", lines.join("\n")))
}

#[test]
fn view_tells_progress_counts_faults_and_news() {
    let mut view = View::default();
    view.take(figures(100, 1_000_000, &["early"]));
    view.take(figures(102, 3_000_000, &["early", "late"]));
    view.tell("gone: sum-1\nstill fails: sum-2");
    let lines = drawn(&view, 110, 34);
    at(&lines, "tally · soak");
    at(&lines, "0:01:42 of 0:06:40, about 0:04:58 left");
    at(&lines, "1,234 seeds · 3,000,000 steps · 0 crashes · no failure");
    at(&lines, "canary found in 6 of 20 seeds · 50 MiB resident · sweep 7 (3 s)");
    at(&lines, "1.00 M steps/s");
    at(&lines, "none so far");
    assert!(at(&lines, "4,321 power-loss") < at(&lines, " 0 read-error"), "the most delivered comes first");
    at(&lines, "points: 2 of 3 reached");
    assert!(at(&lines, "102 s late") < at(&lines, "100 s early"), "the newest comes first");
    assert!(at(&lines, "gone: sum-1") < at(&lines, "still fails: sum-2"));
    assert!(!lines.iter().any(|line| line.contains("never")));
}

#[test]
fn view_lists_failures_and_says_how_many_do_not_fit() {
    let mut view = View::default();
    let mut now = figures(100, 1_000_000, &[]);
    now.failures = 2_000;
    now.causes = (0..30).map(|number| cause(&format!("sum-{number:03}"), State::Open)).collect();
    view.take(now);
    let lines = drawn(&view, 100, 30);
    at(&lines, "2,000 failures");
    at(&lines, "failures by signature: 30");
    let shown = lines.iter().filter(|line| line.contains("sum-0")).count();
    assert!(shown > 0 && shown < 30);
    at(&lines, &format!("{} more", 30 - shown));
}

#[test]
fn view_of_a_small_terminal_is_progress_failures_and_the_newest_news() {
    let mut view = View::default();
    view.take(figures(100, 1_000_000, &[]));
    (0..40).for_each(|number| view.tell(&format!("news {number}.")));
    let lines = drawn(&view, 40, 8);
    at(&lines, "0:01:40 of 0:06:40");
    at(&lines, "0 failures");
    at(&lines, "news 39.");
    assert!(!lines.iter().any(|line| line.contains("news 3.")));
    // Nothing of it needs room.
    drawn(&view, 1, 1);
    drawn(&View::default(), 80, 24);
}

#[test]
fn progress_without_an_end_has_no_time_left() {
    let mut now = figures(3_700, 1, &[]);
    (now.duration, now.seeds) = (None, None);
    assert_eq!(now.progress(), "1:01:40, until Ctrl-C");
    assert_eq!(now.share(), None);
    now.seeds = Some(4_936);
    now.shard = Shard { number: 1, of: 2 };
    assert_eq!(now.progress(), "1:01:40, seed 1,234 of 2,468, about 1:01:40 left");
}
