//! Processes that are killed, as people meet them: of the tally, whose I/O is recorded, and of an engine that opens its files by itself.
//! When the environment says so, this program is the tester of one of them, and of one that offers nothing to kill.

mod own;
mod rude;
#[path = "../../examples/tally/main.rs"]
#[allow(dead_code, reason = "its main is that of the example")]
mod tally;

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use own::OwnSubject;
use rude::RudeSubject;
use serde_json::Value;
use tally::{Tally, TallySubject};
use tenterhook_stress::cli::{NoCommands, run};
use tenterhook_stress::subject::{Drawn, Fixed, NoOptions, Subject};
use tenterhook_stress::tape::Stream;

const ROLE: &str = "TENTERHOOK_PROGRAM";

/// It is only simulated.
#[derive(Copy, Clone, Debug)]
struct SimulatedSubject;

impl Subject for SimulatedSubject {
    const NAME: &'static str = "simulated";
    type Options = NoOptions;
    type Plan = bool;
    type System = Tally;

    fn draw(stream: &mut Stream, seed: u64, fixed: &Fixed<NoOptions>) -> Drawn<bool> {
        Drawn::common(stream, seed, fixed, &[], false)
    }

    fn system(drawn: &Drawn<bool>) -> Tally {
        TallySubject::system(drawn)
    }
}

type Test = (&'static str, fn());

const TESTS: &[Test] = &[
    ("the_example_keeps_what_it_tells", the_example_keeps_what_it_tells),
    ("a_count_that_is_told_before_it_is_synced_is_found", a_count_that_is_told_before_it_is_synced_is_found),
    (
        "an_engine_with_files_of_its_own_keeps_what_it_tells",
        an_engine_with_files_of_its_own_keeps_what_it_tells,
    ),
    (
        "its_commit_that_is_told_before_it_is_written_is_found",
        its_commit_that_is_told_before_it_is_written_is_found,
    ),
    ("its_process_that_hangs_is_found", its_process_that_hangs_is_found),
    (
        "what_a_system_does_not_offer_is_refused_in_one_line",
        what_a_system_does_not_offer_is_refused_in_one_line,
    ),
    ("a_process_that_does_what_it_must_not_is_found", a_process_that_does_what_it_must_not_is_found),
    ("help_shows_what_a_system_offers", help_shows_what_a_system_offers),
];

fn main() -> ExitCode {
    if let Ok(role) = std::env::var(ROLE) {
        let arguments = std::env::args_os();
        return match role.as_str() {
            "own" => run::<OwnSubject, NoCommands>(arguments),
            "rude" => run::<RudeSubject, NoCommands>(arguments),
            "simulated" => run::<SimulatedSubject, NoCommands>(arguments),
            _ => run::<TallySubject, NoCommands>(arguments),
        }
        .into();
    }
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let (mut passed, mut failed) = (0, 0);
    for (name, test) in TESTS.iter().filter(|(name, _)| name.contains(&wanted)) {
        match catch_unwind(test) {
            Ok(()) => passed += 1,
            Err(_) => {
                failed += 1;
                println!("{name}: FAILED");
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    // A run that selects no test fails.
    if failed > 0 || passed == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn program(role: &str, arguments: &str) -> Output {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(arguments.split_whitespace()).env(ROLE, role);
    command.output().expect("the program starts")
}

/// The document of a campaign, which must end with `code`.
fn crash(code: i32, role: &str, arguments: &str) -> Value {
    let output = program(role, &format!("crash --json --quiet {arguments}"));
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{problem}"));
    assert_eq!(output.status.code(), Some(code), "{document:#}\n{problem}");
    document
}

/// Looks at the evidence of a failure again, which must show `oracle`, and removes it.
fn examine(role: &str, document: &Value, oracle: &str) {
    let failure = &document["failure"];
    assert_eq!(failure["violation"]["oracle"], oracle, "{document:#}");
    let kept = PathBuf::from(failure["kept"].as_str().expect("a path"));
    for exhibit in failure["evidence"].as_array().expect("a list") {
        assert!(Path::new(exhibit["path"].as_str().expect("a path")).exists(), "{document:#}");
    }
    let examined = program(role, &format!("crash --examine {}", kept.join("evidence").display()));
    let said = String::from_utf8_lossy(&examined.stdout).into_owned();
    assert_eq!(examined.status.code(), Some(10), "{said}");
    let seen = failure["violation"]["seen"].as_str().expect("a text");
    assert!(said.contains(seen) && said.contains(failure["image"].as_str().expect("a text")), "{said}");
    std::fs::remove_dir_all(kept).expect("it is ours");
}

fn the_example_keeps_what_it_tells() {
    let document = crash(0, "tally", "--kills 40");
    assert_eq!((&document["recoveries"], &document["power_losses"]), (&40.into(), &960.into()));
    for count in ["commits", "at_stake", "falls"] {
        assert!(document[count].as_u64() > Some(0), "{count}: {document:#}");
    }
    // What it is not up to is not meant for it.
    for (list, name) in [("harms", "dropped-sync"), ("harms", "given-up"), ("noise", "full-disk")] {
        let counts = document[list].as_array().expect("a list");
        assert!(!counts.is_empty() && counts.iter().all(|count| count["harm"] != name), "{document:#}");
    }
}

/// Seen red with a plant that does nothing.
fn a_count_that_is_told_before_it_is_synced_is_found() {
    examine("tally", &crash(10, "tally", "--kills 200 --plant hasty"), "durability");
}

fn an_engine_with_files_of_its_own_keeps_what_it_tells() {
    let document = crash(0, "own", "--kills 40");
    assert_eq!((&document["recoveries"], &document["power_losses"]), (&40.into(), &0.into()));
    assert_eq!((&document["points"], &document["harms"]), (&Value::Array(vec![]), &Value::Array(vec![])));
    assert!(document["commits"].as_u64() > Some(0), "{document:#}");
}

/// Seen red with a plant that does nothing.
fn its_commit_that_is_told_before_it_is_written_is_found() {
    examine("own", &crash(10, "own", "--kills 1000 --plant early"), "durability");
}

fn its_process_that_hangs_is_found() {
    let document = crash(11, "own", "--kills 60 --plant stall --stall 600ms");
    assert_eq!(document["failure"]["violation"]["oracle"], "liveness", "{document:#}");
    let kept = document["failure"]["kept"].as_str().expect("a path");
    assert!(Path::new(kept).join("evidence/left/commits/0").exists(), "{document:#}");
    std::fs::remove_dir_all(kept).expect("it is ours");
}

fn what_a_system_does_not_offer_is_refused_in_one_line() {
    for (role, arguments, expected) in [
        ("simulated", "", "simulated offers no processes to kill"),
        ("simulated", "--plant weed", "simulated has no bugs to plant"),
        ("own", "--points before-log-sync", "--points before-log-sync: own opens its files by itself"),
        ("own", "--power-losses 3", "--power-losses 3: own opens its files by itself"),
        ("own", "--backend uring", "--backend uring: own opens its files by itself"),
        ("own", "--noise full-disk", "it must be one of signals, stops, cold-files"),
        ("own", "--plant weed", "it must be one of early, stall"),
        ("tally", "--points before-log-sync", "it must be one of before-database-write"),
        ("tally", "--noise full-disk", "it must be one of signals, stops, ended-threads, cold-files"),
        ("tally", "--examine /dev/null/x", "--examine /dev/null/x"),
    ] {
        let output = program(
            role,
            &format!("crash --kills 1 {arguments}").replace("--kills 1 --examine", "--examine"),
        );
        let problem = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{role} {arguments}: {problem}");
        assert!(problem.contains(expected) && problem.lines().count() == 1, "{role} {arguments}: {problem}");
    }
}

fn a_process_that_does_what_it_must_not_is_found() {
    for (plant, expected) in [
        ("opens", "'other' was opened"),
        ("removes", "'tally' was removed"),
        ("ends", "it has ended"),
        ("fails", "connection 7: it fell"),
    ] {
        let document = crash(10, "rude", &format!("--kills 60 --points none --plant {plant}"));
        let seen = document["failure"]["violation"]["seen"].as_str().expect("a text");
        assert!(seen.contains(expected), "{plant}: {document:#}");
        std::fs::remove_dir_all(document["failure"]["kept"].as_str().expect("a path")).expect("it is ours");
    }
}

fn help_shows_what_a_system_offers() {
    let help = |role: &str, arguments: &str| {
        String::from_utf8(program(role, arguments).stdout).expect("the program speaks UTF-8")
    };
    assert!(help("tally", "--help").contains("Kill processes that use the tally"));
    assert!(!help("simulated", "--help").contains("Kill processes"));
    let (tally, own) = (help("tally", "crash --help"), help("own", "crash --help"));
    assert!(tally.contains("the run must find: hasty\n") && tally.contains("--power-losses"), "{tally}");
    assert!(own.contains("the run must find: early or stall\n") && !own.contains("--power-losses"), "{own}");
}
