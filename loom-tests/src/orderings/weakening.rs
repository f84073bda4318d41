//! An ordering of the source made one step weaker.

use std::collections::BTreeSet;
use std::fmt;

use tenterhook_loom_tests::explored::Place;

/// One weakening. Its name is what the environment variable takes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Weakening {
    pub(crate) place: Place,
    pub(crate) to: &'static str,
}

impl Weakening {
    /// Every step down from the orderings at `places`.
    pub(crate) fn all<'a>(places: impl Iterator<Item = &'a Place>) -> Vec<Self> {
        let places: BTreeSet<&Place> = places.collect();
        let step =
            |place: &'a Place| steps(&place.ordering).iter().map(|to| Self { place: place.clone(), to });
        places.into_iter().flat_map(step).collect()
    }

    /// As the table says it.
    pub(crate) fn short(&self) -> String {
        let Place { file, line, role, ordering, .. } = &self.place;
        format!("{file}:{line} {role} {ordering} to {}", self.to)
    }
}

/// What is one step weaker.
fn steps(ordering: &str) -> &'static [&'static str] {
    match ordering {
        "AcqRel" => &["Acquire", "Release"],
        "Acquire" | "Release" => &["Relaxed"],
        _ => &[],
    }
}

impl fmt::Display for Weakening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { file, line, column, role, ordering } = &self.place;
        write!(f, "{file}:{line}:{column}:{role}:{ordering}->{}", self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_down_is_a_weakening_and_relaxed_has_none() {
        let place = |ordering: &str| Place {
            file: "a.rs".into(),
            line: 1,
            column: 2,
            role: ordering.to_lowercase(),
            ordering: ordering.into(),
        };
        let places = ["AcqRel", "Acquire", "Relaxed", "Acquire"].map(place);
        let names: Vec<_> = Weakening::all(places.iter()).iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            [
                "a.rs:1:2:acqrel:AcqRel->Acquire",
                "a.rs:1:2:acqrel:AcqRel->Release",
                "a.rs:1:2:acquire:Acquire->Relaxed"
            ]
        );
    }
}
