//! Processes that are killed, as one of the kinds of runs of a job.

use std::convert::Infallible;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use tenterhook_runtime::io::{IO, OperationKind};
use tenterhook_stress::real::killed::{Harm, Killable, Opening, Point, Recorded, Seat, SystemFiles};
use tenterhook_stress::real::layer::Role;
use tenterhook_stress::real::noise::NoiseKind;
use tenterhook_stress::subject::Subject as _;
use tenterhook_stress::violation::Violation;

use super::planted::is_planted;
use super::program::{document, expect};
use super::tally::TallySubject;

const COMMAND: &str = "job job --seed 1 --jobs 1 --steps 300 --quiet --seeds 20 --mix sim=1,crash=1";

/// The processes of the tally. With `lost` a check overlooks what is there. With `unreached` they are to die at a point to which they
/// never come.
struct Planted(Box<dyn Recorded>);

pub(crate) fn planted() -> Option<Killable> {
    match TallySubject::killed()? {
        Killable::Recorded(system) => Some(Killable::Recorded(Box::new(Planted(system)))),
        unrecorded @ Killable::Unrecorded(_) => Some(unrecorded),
    }
}

impl Recorded for Planted {
    fn files(&self, directory: &Path) -> SystemFiles {
        self.0.files(directory)
    }

    fn points(&self) -> Vec<Point> {
        match is_planted("unreached") {
            true => Point::at_work(&[(Role::Database, OperationKind::Truncate)]),
            false => self.0.points(),
        }
    }

    fn harms(&self) -> Vec<Harm> {
        self.0.harms()
    }

    fn noise(&self) -> Vec<NoiseKind> {
        self.0.noise()
    }

    fn work(&self, opening: Opening, io: &Arc<dyn IO>) -> Result<Infallible, Box<dyn Error>> {
        if is_planted("unreached") {
            opening.process().die();
        }
        self.0.work(opening, io)
    }

    fn check(&self, io: &Arc<dyn IO>, directory: &Path, seats: &[Seat]) -> Result<Vec<u64>, Box<Violation>> {
        let found = self.0.check(io, directory, seats)?;
        Ok(if is_planted("lost") { Vec::new() } else { found })
    }
}

/// Seen red with stretches that are never given out, with files that stay in the scratch folder, and without the counts of a stretch.
pub(crate) fn found() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    expect(0, folder, "", COMMAND);
    let crash = document(folder, "report job --json")["job"]["other_kinds"]["crash"].clone();
    let number = |value: &serde_json::Value| value.as_u64().unwrap_or(0);
    assert!(number(&crash["units"]) > 0, "{crash}");
    let counters = &crash["counters"];
    let deaths = number(&counters["deaths"]);
    assert!(deaths > 0 && number(&counters["recoveries"]) == deaths, "{crash}");
    assert_eq!(number(&counters["power losses"]), 24 * deaths, "{crash}");
    let faults = crash["faults"].as_object().expect("a table");
    let came_to = |name: &str| {
        let of = |part| {
            faults.iter().filter(|(known, _)| known.contains(name)).map(|(_, it)| number(&it[part])).sum()
        };
        (of("meant"), of("done"))
    };
    let (armed, reached): (u64, u64) = came_to("database");
    assert!(0 < reached && reached <= armed && armed <= deaths, "{crash}");

    // A job of its own: in one that goes on, how long the first sitting's stretches took decides whether there is another.
    let command = COMMAND.replace("job job", "job lost") + " --until-failure";
    let out = expect(10, folder, "lost", &command);
    assert!(out.contains("FAILED: 1 cause, in 0 of") && out.contains("seeds, and in crash"), "{out}");
    let causes = document(folder, "failures lost --json");
    let cause = &causes[0];
    let repeats = cause["command"].as_str().expect("a command");
    assert!(repeats.starts_with("planted crash --seed 0x"), "{repeats}");
    assert_eq!(cause["has_tape"], false);
    let failures = fs::read_dir(folder.join("lost/failures")).expect("a folder of failures");
    let kept = failures.flatten().any(|failure| failure.path().join("evidence/README.txt").exists());
    assert!(kept, "the files of the failure are there");
    // What was the kernel's can't be replayed.
    let out = expect(0, folder, "", "retest lost");
    assert!(out.contains("cannot tell"), "{out}");
}

/// Seen red without the count of what was meant.
pub(crate) fn unreached() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = expect(70, folder.path(), "unreached", COMMAND);
    assert!(out.starts_with("verdict          TESTER AT FAULT: crash: "), "{out}");
    assert!(out.contains("processes were to come to after-database-truncate, and none did"), "{out}");
}
