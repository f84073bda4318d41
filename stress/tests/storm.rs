//! The storms find nothing in the runtime and its backends as they are.
//!
//! A program without the test harness, whose channels ThreadSanitizer does not see: std comes built without it.

use std::time::Duration;

use tenterhook_stress::exit::ExitCode;
use tenterhook_stress::real::parts::{self, Part, PartsOptions};
use tenterhook_stress::real::storm::{StormBackend, StormOptions, run};
use tenterhook_stress::stop::Stop;

/// Each backend has some rounds. Seen red with each of three faults put back: a ring whose drop unwinds, a step that ends at
/// the first panic, payloads that are dropped where they are caught.
///
/// `TENTERHOOK_STORM_ACTIONS` sets another number of actions: `make sanitize STORM=10000000`.
fn main() {
    let actions = match std::env::var("TENTERHOOK_STORM_ACTIONS") {
        Ok(number) => number.parse().expect("TENTERHOOK_STORM_ACTIONS is a number"),
        Err(_) => 60_000,
    };
    let folder = tempfile::Builder::new().tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let options = StormOptions {
        directory: folder.path().to_owned(),
        seed: 1,
        actions,
        duration: Duration::MAX,
        backends: StormBackend::ALL.to_vec(),
        threads: 4,
        stall: Duration::from_secs(60),
    };
    let (_stopper, stop) = Stop::new();
    let summary = run(&options, &stop).expect("the system gives what it takes");
    eprintln!("{}", summary.text());
    assert_eq!(summary.violation, None, "{}", summary.text());
    assert!(summary.actions >= actions && summary.panics > 0 && summary.dropped > 0, "{}", summary.text());
    assert!(summary.ended_threads > 0, "{}", summary.text());
    parts_are_whole(actions / 6, &stop);
}

/// Completions, waiters, groups and tasks. Their storms find mutants of each, such as a completion that is claimed twice, a group that tests
/// and then links, and a wake that puts a running task into a queue; these short ones were not tried with them.
fn parts_are_whole(cases: u64, stop: &Stop) {
    let options = PartsOptions {
        seed: 1,
        duration: Duration::MAX,
        cases,
        parts: Part::ALL.to_vec(),
        stall: Duration::from_secs(60),
        perturbed: true,
    };
    let summary = parts::run(&options, stop);
    eprintln!("{}", summary.text());
    assert_eq!(summary.exit_code(), ExitCode::Ok, "{}", summary.text());
    for part in &summary.parts {
        let joined = |name| part.actions.iter().any(|count| count.action == name && count.count > 0);
        assert!(part.cases >= cases && joined("ended") && joined("abandoned"), "{}", summary.text());
    }
}
