//! The run of a tape as data for a page: lanes and events.

use serde_json::{Value, json};

use crate::tape::Actor;
use crate::timeline;
use crate::trace::EventKind;
use crate::world::RunOutcome;

/// More events than this are not drawn: the last ones are.
const EVENTS: usize = 5_000;

/// The lanes of a run that has kept its story: the disk, what happens to all, and one for each connection.
pub fn document(outcome: &RunOutcome) -> Value {
    let moments = timeline::moments(outcome);
    let skipped = moments.len().saturating_sub(EVENTS);
    let moments = &moments[skipped..];
    let mut actors: Vec<Actor> = moments.iter().map(|moment| moment.actor).collect();
    actors.sort_unstable();
    actors.dedup();
    // What happens to all is drawn across the lanes.
    actors.retain(|&actor| actor != Actor::NEMESIS);
    let traced = outcome.trace.events().unwrap_or_default();
    let events = moments.iter().map(|moment| {
        let kind = match moment.kind {
            EventKind::Submitted => "submitted",
            EventKind::Delivered => "delivered",
            EventKind::Crashed => "crashed",
            EventKind::Calm => "calm",
            EventKind::Step => "step",
            _ => "remark",
        };
        let value = traced.get(moment.event).map_or_else(String::new, |event| {
            format!("detail {:#x}, value {:#x}", event.detail, event.value)
        });
        let lane = actors.iter().position(|&actor| actor == moment.actor);
        json!({ "at": moment.event, "lane": lane, "kind": kind, "fault": moment.struck, "text": moment.text, "value": value })
    });
    json!({
        "lanes": actors.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "events": events.collect::<Vec<_>>(),
        "skipped": skipped,
        "end": traced.len(),
        "violation": outcome.violation,
    })
}
