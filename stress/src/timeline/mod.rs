//! A run as a person can follow it: one lane for the disk, one for each connection, time downwards.

mod together;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::disk::describe_operation;
use crate::tape::Actor;
use crate::trace::EventKind;
use crate::violation::Violation;
use crate::words::{COLUMNS, broken, many, wrapped};
use crate::world::{RunOutcome, WAITS};
use together::together;

/// Columns of an event's number and the space behind it.
const NUMBER: usize = 8;
/// Columns of an actor's name and the space behind it, where lanes are not beside each other.
const NAME: usize = 11;
/// Columns before what was expected and seen.
const TOLD: usize = 12;
/// Narrower lanes than this are not put beside each other.
const NARROWEST: usize = 30;
/// A stretch of a boot without faults that has more lines than this is told in one.
const LONG_BOOT: usize = 12;

/// Bytes of `<-`, `->` and `<>`.
const ARROW: usize = 2;

/// One line of the timeline.
#[derive(Clone)]
pub(crate) struct Moment {
    pub(crate) event: usize,
    pub(crate) actor: Actor,
    pub(crate) kind: EventKind,
    /// A fault has its hand in it.
    pub(crate) struck: bool,
    pub(crate) text: String,
}

impl Moment {
    /// Whether the system boots, and nothing goes wrong.
    fn is_quiet(&self) -> bool {
        !self.struck && matches!(self.actor, Actor::CONTROL | Actor::DISK)
    }

    /// An operation's line tells its end, too: both arrows, and what it ended with if it was not done.
    fn ends_with(&mut self, end: &Moment) {
        self.text.replace_range(..ARROW, "<>");
        if let Some((_, result)) = end.text.rsplit_once(": ").filter(|(_, result)| *result != "done") {
            self.text += &format!(" -> {result}");
        }
        self.struck |= end.struck;
    }
}

/// Draws the run of `outcome`, which must have kept its story. Steps that only repeat the line above are left out, and a
/// long stretch of a boot without a fault is one line. No line is longer than 110 columns, unless a word is.
pub fn draw(outcome: &RunOutcome) -> String {
    drawn(outcome, together(&fold_boots(answered(moments(outcome)))))
}

/// [`draw`] with a line for each operation, those of boots too.
pub fn draw_whole(outcome: &RunOutcome) -> String {
    drawn(outcome, answered(moments(outcome)))
}

fn drawn(outcome: &RunOutcome, moments: Vec<Moment>) -> String {
    let mut lanes: Vec<Actor> = moments.iter().map(|moment| moment.actor).collect();
    lanes.sort_unstable();
    lanes.dedup();
    lanes.retain(|&actor| actor != Actor::NEMESIS);
    let width = ((COLUMNS - NUMBER) / lanes.len().max(1)).saturating_sub(3);
    let mut text = String::new();
    if let Some(fixture) = outcome.tape.fixture() {
        let told = format!("begins with a fixture: {}", fixture.describe());
        wrapped(&told, COLUMNS).iter().for_each(|line| text.extend([line, "\n"]));
    }
    if width >= NARROWEST {
        side_by_side(&moments, &lanes, width, &mut text);
    } else {
        one_below_the_other(&moments, &mut text);
    }
    if let Some(violation) = &outcome.violation {
        text.push_str(&told(violation));
    }
    text
}

/// A violation in lines.
fn told(violation: &Violation) -> String {
    let lines: Vec<String> =
        violation.to_string().lines().flat_map(|line| broken(line, COLUMNS, TOLD)).collect();
    lines.join("\n") + "\n"
}

fn side_by_side(moments: &[Moment], lanes: &[Actor], width: usize, text: &mut String) {
    let mut header = format!("{:>7} ", "event");
    for lane in lanes {
        let _ = write!(header, "| {:<width$} ", lane.to_string());
    }
    let rule = "-".repeat(NUMBER + lanes.len() * (width + 3));
    let _ = writeln!(text, "{}\n{rule}", header.trim_end());
    for moment in moments {
        let Some(column) = lanes.iter().position(|&lane| lane == moment.actor) else {
            banner(moment, text);
            continue;
        };
        for (row, line) in wrapped(&moment.text, width).into_iter().enumerate() {
            let event = if row == 0 { moment.event.to_string() } else { String::new() };
            let _ = write!(text, "{event:>7} ");
            for _ in 0..column {
                let _ = write!(text, "| {:<width$} ", "");
            }
            let _ = writeln!(text, "| {line}");
        }
    }
}

fn one_below_the_other(moments: &[Moment], text: &mut String) {
    for moment in moments {
        if moment.actor == Actor::NEMESIS {
            banner(moment, text);
            continue;
        }
        for (row, line) in wrapped(&moment.text, COLUMNS - NUMBER - NAME).into_iter().enumerate() {
            let (event, actor) = match row {
                0 => (moment.event.to_string(), moment.actor.to_string()),
                _ => Default::default(),
            };
            let _ = writeln!(text, "{event:>7} {actor:<10} {line}");
        }
    }
}

/// What happens to all lanes.
fn banner(moment: &Moment, text: &mut String) {
    const RULE: &str = "========";
    let lines = wrapped(&moment.text, COLUMNS - NUMBER - 2 * (RULE.len() + 1));
    for (row, line) in lines.iter().enumerate() {
        let (event, before) = if row == 0 { (moment.event.to_string(), RULE) } else { Default::default() };
        let _ = write!(text, "{event:>7} {before:<width$} {line}", width = RULE.len());
        text.push_str(if row + 1 == lines.len() { " ========\n" } else { "\n" });
    }
}

/// What a person is told of a run that has kept its story, in its order.
pub(crate) fn moments(outcome: &RunOutcome) -> Vec<Moment> {
    let mut captions = outcome.captions.iter().peekable();
    // What each lane did last, without whether it waits.
    let mut last: BTreeMap<Actor, String> = BTreeMap::new();
    let mut moments = Vec::new();
    for (index, event) in outcome.trace.events().unwrap_or_default().iter().enumerate() {
        let mut said = Vec::new();
        while let Some((_, caption)) = captions.next_if(|(at, _)| *at == index) {
            said.push(caption.as_str());
        }
        let mut show = |text: String, struck| {
            moments.push(Moment { event: index, actor: event.actor, kind: event.kind, struck, text });
        };
        let is_struck = event.detail >> 12 > 0;
        match event.kind {
            EventKind::Step => {
                let Some((&doing, remarks)) = said.split_last() else { continue };
                remarks.iter().for_each(|&remark| show(remark.to_owned(), true));
                let deed = doing.strip_suffix(WAITS).unwrap_or(doing);
                if !doing.is_empty() && last.get(&event.actor).is_none_or(|before| before != deed) {
                    last.insert(event.actor, deed.to_owned());
                    show(doing.to_owned(), false);
                }
            }
            EventKind::Submitted | EventKind::Delivered => {
                let arrow = if event.kind == EventKind::Submitted { "<-" } else { "->" };
                let operation = describe_operation(event.detail);
                show(format!("{arrow} {operation} {}", said.first().unwrap_or(&"")), is_struck);
            }
            EventKind::Crashed => {
                let is_power_loss = event.detail == crate::disk::FaultKind::PowerLoss as u32;
                last.clear();
                show(if is_power_loss { "power loss" } else { "process killed" }.into(), true);
            }
            EventKind::Calm if event.detail == 1 => show("faults stop".into(), false),
            EventKind::Calm => show("faults may strike".into(), false),
            _ => said.iter().for_each(|&remark| show(remark.to_owned(), true)),
        }
    }
    moments
}

/// Tells an operation and its end in one line where nothing happens between them, and nothing else in flight could have this end.
fn answered(moments: Vec<Moment>) -> Vec<Moment> {
    let mut told: Vec<Moment> = Vec::new();
    let mut in_flight: Vec<String> = Vec::new();
    for moment in moments {
        match moment.kind {
            EventKind::Submitted => in_flight.push(moment.text.clone()),
            EventKind::Crashed => in_flight.clear(),
            EventKind::Delivered => {
                let is_alone = in_flight.iter().filter(|begun| may_end(begun, &moment.text)).count() == 1;
                if let Some(first) = in_flight.iter().position(|begun| may_end(begun, &moment.text)) {
                    in_flight.remove(first);
                }
                let is_next = |last: &&mut Moment| {
                    last.kind == EventKind::Submitted && may_end(&last.text, &moment.text)
                };
                if let Some(begun) = told.last_mut().filter(|last| is_alone && is_next(last)) {
                    begun.ends_with(&moment);
                    continue;
                }
            }
            _ => {}
        }
        told.push(moment);
    }
    told
}

/// Whether the line of an end tells the operation and the file of a submission's line.
fn may_end(submission: &str, end: &str) -> bool {
    let ended = end.rsplit_once(": ").map_or(end, |(ended, _)| ended);
    let rest = submission[ARROW..].strip_prefix(&ended[ARROW..]);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

/// Tells stretches of boots in which nothing goes wrong in one line each. A boot lasts from the run's begin, or a crash, until
/// the next crash, or until faults may strike; the boot that the run ends in is all there.
fn fold_boots(moments: Vec<Moment>) -> Vec<Moment> {
    let mut folded: Vec<Moment> = Vec::new();
    // Where the present boot begins in `folded`.
    let mut boot = Some(0);
    for moment in moments {
        let ends = matches!(moment.kind, EventKind::Calm | EventKind::Crashed);
        if let Some(from) = boot.filter(|_| ends) {
            let told = folded.split_off(from);
            folded.extend(told.chunk_by(|one, next| one.is_quiet() == next.is_quiet()).flat_map(fold));
            boot = None;
        }
        let crashed = moment.kind == EventKind::Crashed;
        folded.push(moment);
        if crashed {
            boot = Some(folded.len());
        }
    }
    folded
}

/// One line for a long stretch in which nothing goes wrong, else all of it.
fn fold(stretch: &[Moment]) -> Vec<Moment> {
    match stretch {
        [first, ..] if first.is_quiet() && stretch.len() > LONG_BOOT => vec![in_one_line(stretch)],
        _ => stretch.to_vec(),
    }
}

fn in_one_line(boot: &[Moment]) -> Moment {
    let count = |operation: &str| {
        let submitted = boot.iter().filter(|moment| moment.kind == EventKind::Submitted);
        let told = submitted.filter(|moment| moment.text[ARROW..].starts_with(&format!(" {operation} ")));
        many(told.count() as u64, operation)
    };
    let [reads, writes, syncs] = ["read", "write", "sync"].map(count);
    let text = format!("opens and prepares: {reads}, {writes}, {syncs}, without a fault (folded)");
    Moment { event: boot[0].event, actor: Actor::CONTROL, kind: EventKind::Step, struck: false, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_to_all_is_as_wide_as_the_page_at_most() {
        let told = |words: &str| {
            let mut text = String::new();
            let told = moment(7, Actor::NEMESIS, EventKind::Crashed, true);
            banner(&Moment { text: words.to_owned(), ..told }, &mut text);
            text
        };
        assert_eq!(told("power loss"), "      7 ======== power loss ========\n");
        let long = told(
            "the freelist leads to page 7, which can't be on it: it may name pages 2 to 7 that are free and so on",
        );
        assert_eq!(long.lines().count(), 2);
        assert!(long.lines().all(|line| line.len() <= COLUMNS), "{long}");
        assert_eq!(long.matches("========").count(), 2);
    }

    #[test]
    fn a_long_violation_is_broken_under_its_first_word() {
        let seen = "a page that ".repeat(12);
        let text = told(&Violation::safety("durability", "commit 1", seen.trim()).note("in engine::commit"));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.iter().all(|line| line.chars().count() <= COLUMNS), "{text}");
        assert_eq!(lines[..2], ["VIOLATION of durability", "  expected  commit 1"]);
        assert!(lines[2].starts_with("  seen      a page") && lines[3].starts_with("            "), "{text}");
        assert_eq!(lines[4..], ["  note      in engine::commit"]);
    }

    #[test]
    fn an_operation_and_its_end_are_one_line_only_where_nothing_is_between() {
        let at =
            |event, kind, text: &str| Moment { text: text.into(), ..moment(event, Actor::DISK, kind, false) };
        let submitted = |event, text| at(event, EventKind::Submitted, text);
        let delivered = |event, text| at(event, EventKind::Delivered, text);
        let lines = |moments: &[Moment]| -> Vec<String> {
            answered(moments.to_vec()).into_iter().map(|moment| moment.text).collect()
        };
        let short = [submitted(0, "<- read f: 9 bytes at 0"), delivered(1, "-> read f: 5 of 9 bytes")];
        assert_eq!(lines(&short), ["<> read f: 9 bytes at 0 -> 5 of 9 bytes"]);
        let (write, done) = (submitted(0, "<- write f: 9 bytes at 0"), delivered(1, "-> write f: done"));
        assert_eq!(lines(&[write.clone(), done.clone()]), ["<> write f: 9 bytes at 0"]);
        // It may be the end of the one before.
        let second = submitted(1, "<- write f: 9 bytes at 9");
        assert_eq!(lines(&[write.clone(), second.clone(), done.clone(), done.clone()]).len(), 4);
        // It is that of another file.
        let other = submitted(0, "<- write ff: 9 bytes at 0");
        assert_eq!(lines(&[other, write.clone(), done.clone()]).len(), 2);
        // A step is between.
        let step = at(1, EventKind::Step, "commit");
        assert_eq!(lines(&[write.clone(), step, done.clone()]).len(), 3);
        // What was in flight at a crash never ends.
        let crashed = at(1, EventKind::Crashed, "power loss");
        assert_eq!(lines(&[write, crashed, second, done]).len(), 3);
        let sync = [submitted(0, "<- sync f"), delivered(1, "-> sync f: I/O error")];
        assert_eq!(lines(&sync), ["<> sync f -> I/O error"]);
    }

    fn moment(event: usize, actor: Actor, kind: EventKind, struck: bool) -> Moment {
        Moment { event, actor, kind, struck, text: "<- write page 1".into() }
    }

    /// A boot of `lines` submissions, of which one is `struck`, and a connection's step.
    fn run(lines: usize, struck: Option<usize>) -> Vec<Moment> {
        let boot = (0..lines).map(|n| moment(n, Actor::DISK, EventKind::Submitted, struck == Some(n)));
        let started = moment(lines, Actor::NEMESIS, EventKind::Calm, false);
        boot.chain([started, moment(lines + 1, Actor::fiber(0), EventKind::Step, false)]).collect()
    }

    #[test]
    fn stretches_of_a_boot_without_a_fault_are_one_line_each_and_the_rest_is_all_there() {
        let folded = fold_boots(run(50, None));
        assert_eq!(folded.len(), 3);
        assert!(folded[0].text.contains("50 writes"), "{}", folded[0].text);
        assert!(fold_boots(run(50, Some(20))).iter().any(|moment| moment.struck));
        assert_eq!(fold_boots(run(50, Some(20))).len(), 5);
        assert_eq!(fold_boots(run(3, None)).len(), 5);
        // However long it is, what a fault has its hand in is told line by line.
        let mut harmed = run(50, None);
        harmed[..50].iter_mut().for_each(|moment| moment.struck = true);
        assert_eq!(fold_boots(harmed).len(), 52);
        // A run that ends in its boot.
        assert_eq!(fold_boots(run(50, None).drain(..50).collect()).len(), 50);
        // One that a crash ends, and the next.
        let mut crashed = run(50, None);
        crashed.splice(50.., [moment(50, Actor::NEMESIS, EventKind::Crashed, true)]);
        crashed.extend(run(50, None));
        assert_eq!(fold_boots(crashed).len(), 5);
        let mut killed = run(50, None);
        killed.push(moment(60, Actor::NEMESIS, EventKind::Crashed, true));
        killed.extend(run(50, None));
        assert_eq!(fold_boots(killed).len(), 7);
    }
}
