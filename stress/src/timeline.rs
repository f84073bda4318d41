//! A run as a person can follow it: one lane for the disk, one for each connection, time downwards.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::disk::{describe_event, describe_operation};
use crate::tape::Actor;
use crate::trace::EventKind;
use crate::world::RunOutcome;

/// More lanes than this do not fit beside each other: then each line names its lane.
const LANES: usize = 4;
const WIDTH: usize = 34;

/// One line of the timeline.
struct Moment {
    event: usize,
    actor: Actor,
    text: String,
}

/// Draws the run of `outcome`, which must have kept its story; steps that only repeat the line above are folded.
pub fn draw(outcome: &RunOutcome) -> String {
    let moments = moments(outcome);
    let mut lanes: Vec<Actor> = moments.iter().map(|moment| moment.actor).collect();
    lanes.sort_unstable();
    lanes.dedup();
    lanes.retain(|&actor| actor != Actor::NEMESIS);
    let mut text = String::new();
    if lanes.len() <= LANES {
        side_by_side(&moments, &lanes, &mut text);
    } else {
        one_below_the_other(&moments, &mut text);
    }
    if let Some(violation) = &outcome.violation {
        let _ = writeln!(text, "{violation}");
    }
    text
}

fn side_by_side(moments: &[Moment], lanes: &[Actor], text: &mut String) {
    let _ = write!(text, "{:>7} ", "event");
    for lane in lanes {
        let _ = write!(text, "| {:<WIDTH$} ", lane.to_string());
    }
    text.push('\n');
    let rule = "-".repeat(8 + lanes.len() * (WIDTH + 3));
    let _ = writeln!(text, "{rule}");
    for moment in moments {
        let Some(column) = lanes.iter().position(|&lane| lane == moment.actor) else {
            let _ = writeln!(text, "{:>7} ======== {} ========", moment.event, moment.text);
            continue;
        };
        for (row, line) in wrapped(&moment.text).into_iter().enumerate() {
            let event = if row == 0 { moment.event.to_string() } else { String::new() };
            let _ = write!(text, "{event:>7} ");
            for _ in 0..column {
                let _ = write!(text, "| {:<WIDTH$} ", "");
            }
            let _ = writeln!(text, "| {line}");
        }
    }
}

fn one_below_the_other(moments: &[Moment], text: &mut String) {
    for Moment { event, actor, text: what } in moments {
        let _ = writeln!(text, "{event:>7} {actor:<10} {what}");
    }
}

/// Lines of a lane's width, broken between words.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is a line from the start");
        if line.is_empty() {
            line.push_str(word);
        } else if line.len() + 1 + word.len() <= WIDTH {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(format!("  {word}"));
        }
    }
    lines
}

fn moments(outcome: &RunOutcome) -> Vec<Moment> {
    let captions: BTreeMap<usize, &str> =
        outcome.captions.iter().map(|(event, text)| (*event, text.as_str())).collect();
    let mut last: BTreeMap<Actor, String> = BTreeMap::new();
    let mut moments = Vec::new();
    for (index, event) in outcome.trace.events().unwrap_or_default().iter().enumerate() {
        let text = match event.kind {
            EventKind::Step => captions.get(&index).map_or(String::new(), |&caption| caption.to_owned()),
            EventKind::Submitted => match captions.get(&index) {
                Some(place) => format!("<- {} {place}", describe_operation(event.detail)),
                None => format!("<- {}", describe_operation(event.detail)),
            },
            EventKind::Delivered => format!("-> {}", describe_event(event.detail, event.value)),
            EventKind::Crashed => {
                let what = if event.detail == crate::disk::FaultKind::PowerLoss as u32 {
                    "power loss"
                } else {
                    "process killed"
                };
                last.clear();
                what.into()
            }
            EventKind::Calm if event.detail == 1 => "faults stop".into(),
            EventKind::Calm => "faults resume".into(),
            EventKind::Wait
            | EventKind::Ended
            | EventKind::Observed
            | EventKind::Picked
            | EventKind::Finished => continue,
        };
        let repeats = event.kind == EventKind::Step && last.get(&event.actor) == Some(&text);
        if text.is_empty() || repeats {
            continue;
        }
        if event.kind == EventKind::Step {
            last.insert(event.actor, text.clone());
        }
        moments.push(Moment { event: index, actor: event.actor, text });
    }
    moments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_none_is_lost() {
        let text = "a checkpoint that waits for the pages which it has begun to write";
        let lines = wrapped(text);
        assert!(lines.len() > 1 && lines.iter().all(|line| line.len() <= WIDTH + 2));
        let joined: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
        assert_eq!(joined.join(" "), text);
    }
}
