//! Processes that are killed, as one of the kinds of runs of a job.

use std::fs;
use std::io;

use tenterhook_stress::real::killed::{Killed, KilledProcesses, Meant, Stretch};
use tenterhook_stress::stop::Stop;
use tenterhook_stress::violation::Violation;

use super::planted::BUGS;
use super::program::{document, expect};

const COMMAND: &str = "job job --seed 1 --jobs 1 --steps 300 --quiet --seeds 20 --mix sim=1,crash=1";

/// Deaths that are only told of. `lost` finds something, `unreached` comes to no point.
pub(crate) struct Told;

impl KilledProcesses for Told {
    fn run(&self, stretch: &Stretch<'_>, _: &Stop) -> io::Result<Killed> {
        let planted = std::env::var(BUGS).unwrap_or_default();
        fs::write(stretch.directory.join("remains"), "the files of a failure")?;
        let violation = || Violation::safety("durability", "commit 5".to_owned(), "commit 4".to_owned());
        let done = u64::from(!planted.contains("unreached"));
        Ok(Killed {
            deaths: 50,
            counts: vec![("power losses".into(), 7)],
            meant: vec![Meant { name: "before-dawn".into(), meant: 50, done }],
            found: planted.contains("lost").then(|| (violation(), "planted crash".to_owned())),
            interrupted: false,
        })
    }
}

/// Seen red with stretches that are never given out, and with files that stay in the scratch folder.
pub(crate) fn found() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    expect(0, folder, "", COMMAND);
    let crash = document(folder, "report job --json")["job"]["other_kinds"]["crash"].clone();
    let units = crash["units"].as_u64().expect("a number");
    assert!(units > 0, "{crash}");
    assert_eq!(crash["counters"]["power losses"], 7 * units);
    let once = serde_json::json!({ "before-dawn": { "meant": 50 * units, "done": units } });
    assert_eq!(crash["faults"], once);

    // A job of its own: in one that goes on, how long the first sitting's stretches took decides whether there is another.
    let command = COMMAND.replace("job job", "job lost") + " --until-failure";
    let out = expect(10, folder, "lost", &command);
    assert!(out.contains("FAILED: 1 cause, in 0 of") && out.contains("seeds, and in crash"), "{out}");
    let causes = document(folder, "failures lost --json");
    let cause = &causes[0];
    assert_eq!((&cause["command"], &cause["has_tape"]), (&"planted crash".into(), &false.into()));
    let failures = fs::read_dir(folder.join("lost/failures")).expect("a folder of failures");
    let kept = failures.flatten().any(|failure| failure.path().join("remains").exists());
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
    assert!(out.contains("processes were to come to before-dawn, and none did"), "{out}");
}
