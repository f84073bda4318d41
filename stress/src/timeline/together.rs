//! Many operations of one kind, one after the other, in one line.

use super::{ARROW, Moment};
use crate::trace::EventKind;

/// So many are told together.
const MANY: usize = 4;

/// Tells neighbouring lines together that differ only in the place: `<- read page 2, log frame 0, page 4 to 15`. What a fault has its
/// hand in, or what has another result than "done", has a line of its own; so have two operations at one place.
pub(super) fn together(moments: &[Moment]) -> Vec<Moment> {
    let lines = moments.chunk_by(|one, next| Line::of(one).is_some_and(|line| line.is_like(Line::of(next))));
    lines.flat_map(|lines| in_one(lines).map_or_else(|| lines.to_vec(), |line| vec![line])).collect()
}

fn in_one(moments: &[Moment]) -> Option<Moment> {
    let lines: Vec<Line<'_>> = moments.iter().filter_map(Line::of).collect();
    let mut places: Vec<&str> = lines.iter().map(|line| line.place).collect();
    let told = ranges(&places);
    places.sort_unstable();
    places.dedup();
    if lines.len() < MANY || places.len() < lines.len() {
        return None;
    }
    let first = &moments[0];
    let end = if first.kind == EventKind::Delivered { ": done" } else { "" };
    let text = format!("{} {told}{end}", lines[0].deed);
    Some(Moment { text, ..first.clone() })
}

/// The parts of an operation's line.
#[derive(Clone, Copy)]
struct Line<'a> {
    kind: EventKind,
    /// The arrow and the operation.
    deed: &'a str,
    place: &'a str,
}

impl<'a> Line<'a> {
    fn of(moment: &'a Moment) -> Option<Line<'a>> {
        let (text, kind) = (moment.text.as_str(), moment.kind);
        let operation = text.get(ARROW + 1..)?.split(' ').next()?;
        let (deed, rest) = text.split_at_checked(ARROW + 1 + operation.len())?;
        let (place, result) = rest.trim_start().split_once(": ").unwrap_or((rest.trim_start(), ""));
        let is_plain = match kind {
            EventKind::Submitted => !text.contains(" -> "),
            EventKind::Delivered => result == "done",
            _ => false,
        };
        (is_plain && !moment.struck).then_some(Line { kind, deed, place })
    }

    fn is_like(self, next: Option<Line<'_>>) -> bool {
        next.is_some_and(|next| (self.kind, self.deed) == (next.kind, next.deed))
    }
}

/// The places in their order; three and more with ascending numbers as a range.
fn ranges(places: &[&str]) -> String {
    let numbered = |place: &str| -> Option<(String, u64)> {
        let (name, number) = place.rsplit_once(' ')?;
        Some((name.to_owned(), number.parse().ok()?))
    };
    let follows = |one: &&str, next: &&str| match (numbered(one), numbered(next)) {
        (Some((name, number)), Some((other, next))) => name == other && next == number + 1,
        _ => false,
    };
    let runs =
        places.chunk_by(follows).flat_map(|run| match (run, run.last().and_then(|last| numbered(last))) {
            ([first, _, _, ..], Some((_, last))) => vec![format!("{first} to {last}")],
            _ => run.iter().map(|&place| place.to_owned()).collect(),
        });
    runs.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Actor;

    fn told(kind: EventKind, lines: &[&str]) -> Vec<String> {
        let moment = |text: &&str| Moment {
            event: 0,
            actor: Actor::DISK,
            kind,
            struck: text.contains('('),
            text: (*text).to_owned(),
        };
        let moments: Vec<Moment> = lines.iter().map(moment).collect();
        together(&moments).into_iter().map(|moment| moment.text).collect()
    }

    #[test]
    fn many_places_are_told_together_in_their_order() {
        let read = |place: &str| format!("<- read {place}: 512 bytes at 0");
        let reads: Vec<String> =
            ["page 2", "log frame 0", "page 4", "page 5", "page 6"].iter().map(|place| read(place)).collect();
        let reads: Vec<&str> = reads.iter().map(String::as_str).collect();
        assert_eq!(told(EventKind::Submitted, &reads), ["<- read page 2, log frame 0, page 4 to 6"]);
        assert_eq!(told(EventKind::Submitted, &reads[..3]), reads[..3]);
        assert_eq!(ranges(&["page 4", "page 6", "page 8", "log 9"]), "page 4, page 6, page 8, log 9");
        let ends = ["-> sync a: done", "-> sync b: done", "-> sync d: done", "-> sync c: done"];
        assert_eq!(told(EventKind::Delivered, &ends), ["-> sync a, b, d, c: done"]);
    }

    #[test]
    fn what_is_not_like_its_neighbours_has_a_line_of_its_own() {
        let one_failed = ["-> sync a: done", "-> sync b: done", "-> sync c: I/O error", "-> sync d: done"];
        assert_eq!(told(EventKind::Delivered, &one_failed), one_failed);
        let done = ["-> sync a: done", "-> sync b: done"];
        let failed = ["-> sync c: I/O error", "-> sync (sync-failed) d: done"];
        let lines = [done, failed, done, done].concat();
        assert_eq!(told(EventKind::Delivered, &lines), lines, "errors, faults, and places that come twice");
        let short = ["<> read a: 9 bytes at 0 -> 5 of 9 bytes"; 5];
        assert_eq!(told(EventKind::Submitted, &short), short);
        let mixed = [
            "<- read a: 1 bytes at 0",
            "<- read b: 1 bytes at 0",
            "<- write c: 1 bytes at 0",
            "<- read d: 1 bytes at 0",
        ];
        assert_eq!(told(EventKind::Submitted, &mixed), mixed);
    }
}
