//! What a campaign has counted, and what it has found.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::evidence::Exhibit;
use super::harm::Harm;
use super::record::{Entries, Tag};
use super::remains::{Ending, Remains};
use crate::exit::ExitCode;
use crate::real::noise::{NoiseKind, Unavailable};
use crate::violation::Violation;

/// Everything counted over a campaign, in as many sittings as it took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Its seed: another one makes another campaign.
    pub seed: u64,
    /// Children that have died.
    pub kills: u64,
    /// Of those, killed from outside at a random moment: also those that had not reached their point in time.
    pub random_kills: u64,
    /// Of those, ended by themselves before that, because of an I/O that had been failed on purpose.
    #[serde(default)]
    pub gave_up: u64,
    /// Named points, and how often each was armed and reached.
    pub points: Vec<PointCount>,
    /// Kinds of harm, how many children were to come to each and how often it was done.
    #[serde(default)]
    pub harms: Vec<HarmCount>,
    /// The same for kinds of noise.
    #[serde(default)]
    pub noise: Vec<HarmCount>,
    /// Files that were recovered after a death, and were as they must be.
    pub recoveries: u64,
    /// Power losses that were tried, and recovered from.
    pub power_losses: u64,
    /// Of those, how many had something at stake.
    pub at_stake: u64,
    /// How many were followed by another, in the recovery.
    #[serde(default)]
    pub twice: u64,
    /// How many were made real: their files took the place of the real ones.
    #[serde(default)]
    pub falls: u64,
    /// Commits in the file.
    pub commits: u64,
    /// Time that this took.
    pub seconds: f64,
    /// What went wrong; nothing is run after it.
    pub failure: Option<Failure>,
    /// Kinds of noise that were asked for and that this machine cannot make.
    #[serde(default)]
    pub unavailable: Vec<Unavailable>,
    /// Whether Ctrl-C ended it.
    #[serde(skip)]
    pub interrupted: bool,
    /// Whether points that were armed and never reached count: a campaign that was cut short says nothing.
    #[serde(skip)]
    pub is_whole: bool,
}

/// One named point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointCount {
    /// Its name.
    pub point: String,
    /// How often a child was to die there.
    pub armed: u64,
    /// How often one did.
    pub reached: u64,
}

/// One kind of harm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HarmCount {
    /// Its name.
    pub harm: String,
    /// How many children it was meant for.
    pub meant: u64,
    /// How often it was done.
    pub done: u64,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// After which death, counted from 1.
    pub kill: u64,
    /// How that child died.
    pub death: String,
    /// What was looked at.
    pub image: String,
    /// What is wrong with it.
    pub violation: Violation,
    /// Where the files are.
    pub kept: String,
    /// What to look at there.
    #[serde(default)]
    pub evidence: Vec<Exhibit>,
}

impl Failure {
    fn text(&self, program: &str) -> String {
        let Failure { kill, death, image, violation, kept, evidence } = self;
        let mut text = format!(
            "\n{violation}\n  after     death {kill}: {death}\n  in        {image}\n  files     {kept}\n"
        );
        for Exhibit { path, what } in evidence {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  evidence  {}: {what}", path.display());
        }
        if let Some(folder) = evidence.first().and_then(|exhibit| exhibit.path.parent()) {
            let _ = writeln!(text, "  again     {program} crash --examine {}", folder.display());
        }
        text
    }
}

/// A point that was armed less often may have been missed by chance.
const ENOUGH: u64 = 20;
/// The same for a harm that was meant for fewer children: many die before they come to it.
const ENOUGH_CHILDREN: u64 = 40;

impl Summary {
    /// Takes in a death: where it was to be, what was meant for the child, and what it has left.
    pub(super) fn count(
        &mut self,
        point: Option<usize>,
        harms: &[Harm],
        noise: &[NoiseKind],
        remains: &Remains,
    ) {
        self.kills += 1;
        let reached = point.is_some() && remains.has_reached();
        if let Some(point) = point.and_then(|point| self.points.get_mut(point)) {
            point.armed += 1;
            point.reached += u64::from(reached);
        }
        match remains.ending {
            _ if reached => {}
            Ending::Itself => self.gave_up += 1,
            Ending::Killed | Ending::Stalled(_) => self.random_kills += 1,
        }
        for harm in harms {
            named(&mut self.harms, harm.name()).into_iter().for_each(|count| count.meant += 1);
        }
        for kind in noise {
            named(&mut self.noise, kind.name()).into_iter().for_each(|count| count.meant += 1);
        }
        if let Some(count) = named(&mut self.noise, NoiseKind::Stops.name()) {
            count.done += remains.stops;
        }
        for entry in Entries(&remains.record) {
            let number = entry.number as usize;
            let count = match entry.tag {
                Tag::Harm => Harm::ALL.get(number).and_then(|harm| named(&mut self.harms, harm.name())),
                Tag::Noise => NoiseKind::ALL.get(number).and_then(|kind| named(&mut self.noise, kind.name())),
                _ => None,
            };
            if let Some(count) = count {
                count.done += entry.value;
            }
        }
    }

    /// Points that no child reached although many were to die there: they test nothing.
    pub fn unreached(&self) -> Vec<&str> {
        let missed = self.points.iter().filter(|point| point.armed >= ENOUGH && point.reached == 0);
        missed.map(|point| point.point.as_str()).collect()
    }

    /// Kinds of harm that no child came to although they were meant for many: they test nothing.
    pub fn undone(&self) -> Vec<&str> {
        let missed = self
            .harms
            .iter()
            .chain(&self.noise)
            .filter(|harm| harm.meant >= ENOUGH_CHILDREN && harm.done == 0);
        missed.map(|harm| harm.harm.as_str()).collect()
    }

    /// What was meant for children, and how often it happened: points, harms and noise.
    pub fn meant(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        let points = self.points.iter().map(|point| (point.point.as_str(), point.armed, point.reached));
        points.chain(
            self.harms.iter().chain(&self.noise).map(|harm| (harm.harm.as_str(), harm.meant, harm.done)),
        )
    }

    /// The exit code.
    pub fn exit_code(&self) -> ExitCode {
        match self.failure.as_ref().map(|failure| failure.violation.class) {
            Some(class) => class.into(),
            None if self.unreached().is_empty() && self.undone().is_empty() => ExitCode::Ok,
            None => ExitCode::Internal,
        }
    }

    /// For people. `program` is what the command that looks at the evidence begins with.
    pub fn text(&self, program: &str) -> String {
        let mut text = String::from("\n");
        let mut line = |name: &str, value: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name:<24} {value}");
        };
        if self.interrupted {
            line("interrupted", "yes; the counts end here".into());
        }
        for Unavailable { kind, reason } in &self.unavailable {
            line("not made", format!("{kind}: {reason}"));
        }
        let Summary { kills, random_kills, gave_up, .. } = self;
        line("deaths", format!("{kills}, {random_kills} of them at random moments, {gave_up} by failed I/O"));
        line("recoveries", format!("{} of the files as they were, all sound", self.recoveries));
        line(
            "power losses",
            format!(
                "{}, {} with something at stake, {} with another in the recovery, {} made real",
                self.power_losses, self.at_stake, self.twice, self.falls
            ),
        );
        line("commits", self.commits.to_string());
        line(
            "elapsed",
            format!("{:.1} s, {:.1} deaths/s", self.seconds, self.kills as f64 / self.seconds.max(1e-9)),
        );
        if !self.points.is_empty() {
            let _ = writeln!(text, "{:<32} {:>8} {:>8}", "point", "armed", "reached");
        }
        for point in &self.points {
            let _ = writeln!(text, "  {:<30} {:>8} {:>8}", point.point, point.armed, point.reached);
        }
        if !(self.harms.is_empty() && self.noise.is_empty()) {
            let _ = writeln!(text, "{:<32} {:>8} {:>8}", "harm and noise", "children", "done");
        }
        for harm in self.harms.iter().chain(&self.noise) {
            let _ = writeln!(text, "  {:<30} {:>8} {:>8}", harm.harm, harm.meant, harm.done);
        }
        for harm in self.undone() {
            let _ = writeln!(
                text,
                "TESTER AT FAULT          {harm} was never delivered to a child: the run does not test it"
            );
        }
        for point in self.unreached() {
            let _ =
                writeln!(text, "TESTER AT FAULT          no child reached {point}: the run does not test it");
        }
        let _ = writeln!(text, "violations               {}", u8::from(self.failure.is_some()));
        self.failure.iter().for_each(|failure| text.push_str(&failure.text(program)));
        text
    }
}

/// Where a kind of harm or noise is counted, if it is.
fn named<'a>(counts: &'a mut [HarmCount], name: &str) -> Option<&'a mut HarmCount> {
    counts.iter_mut().find(|count| count.harm == name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::super::record::append;
    use super::*;
    use crate::real::layer::Role;

    /// Everything at 0.
    fn fresh() -> Summary {
        let count = |harm: &str| HarmCount { harm: harm.into(), meant: 0, done: 0 };
        Summary {
            points: vec![PointCount { point: "before-dawn".into(), armed: 0, reached: 0 }],
            harms: Harm::ALL.map(|harm| count(harm.name())).to_vec(),
            noise: NoiseKind::OF_CHILDREN.map(|kind| count(kind.name())).to_vec(),
            ..Summary::default()
        }
    }

    /// Broke: a child that ended before its point because a harm had hit it counted as one that had reached it.
    #[test]
    fn only_a_child_that_has_said_so_has_come_by_its_point() {
        let after = |point, ending, says_so: bool| {
            let mut record = Vec::new();
            if says_so {
                append(&mut record, Tag::Reached, Role::Database, 0, 0, &[]).unwrap();
            }
            let status = std::process::ExitStatus::from_raw(9);
            let remains = Remains { status, ending, record, words: String::new(), stops: 0 };
            let mut summary = fresh();
            summary.count(point, &[], &[], &remains);
            let PointCount { armed, reached, .. } = summary.points[0];
            (armed, reached, summary.random_kills, summary.gave_up)
        };
        assert_eq!(after(Some(0), Ending::Itself, true), (1, 1, 0, 0));
        assert_eq!(after(Some(0), Ending::Killed, true), (1, 1, 0, 0));
        assert_eq!(after(Some(0), Ending::Itself, false), (1, 0, 0, 1));
        assert_eq!(after(Some(0), Ending::Killed, false), (1, 0, 1, 0));
        assert_eq!(after(None, Ending::Killed, false), (0, 0, 1, 0));
        assert_eq!(after(None, Ending::Itself, false), (0, 0, 0, 1));
    }

    #[test]
    fn a_point_that_is_armed_often_and_never_reached_fails_the_campaign() {
        let with = |armed, reached| Summary {
            points: vec![PointCount { point: "before-dawn".into(), armed, reached }],
            ..Summary::default()
        };
        assert_eq!(with(20, 0).exit_code(), ExitCode::Internal);
        assert!(with(20, 0).text("x").contains("no child reached before-dawn"));
        assert_eq!(with(20, 1).exit_code(), ExitCode::Ok);
        assert_eq!(with(19, 0).exit_code(), ExitCode::Ok);
    }

    #[test]
    fn what_was_meant_and_done_is_told_with_its_name() {
        let points = vec![PointCount { point: "before-dawn".into(), armed: 3, reached: 2 }];
        let harms = vec![HarmCount { harm: "drought".into(), meant: 5, done: 4 }];
        let summary = Summary { points, harms, ..Summary::default() };
        assert_eq!(summary.meant().collect::<Vec<_>>(), [("before-dawn", 3, 2), ("drought", 5, 4)]);
    }

    #[test]
    fn a_harm_that_was_meant_for_many_and_never_done_fails_the_campaign() {
        let with = |meant, done| Summary {
            harms: vec![HarmCount { harm: "drought".into(), meant, done }],
            ..Summary::default()
        };
        assert_eq!(with(40, 0).exit_code(), ExitCode::Internal);
        assert!(with(40, 0).text("x").contains("drought was never delivered to a child"));
        assert_eq!([with(40, 1), with(39, 0)].map(|summary| summary.exit_code()), [ExitCode::Ok; 2]);
    }
}
