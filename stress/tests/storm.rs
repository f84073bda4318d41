//! The storm finds nothing in the backends as they are.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tenterhook_stress::real::storm::{StormBackend, StormOptions, run};

/// Each backend has some rounds. Seen red with each of three faults put back: a ring whose drop unwinds, a step that ends at
/// the first panic, payloads that are dropped where they are caught.
#[test]
fn storm_over_every_backend_finds_nothing() {
    let folder = tempfile::Builder::new().tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let options = StormOptions {
        directory: folder.path().to_owned(),
        seed: 1,
        actions: 60_000,
        duration: Duration::from_secs(600),
        backends: StormBackend::ALL.to_vec(),
        threads: 4,
        stall: Duration::from_secs(60),
    };
    let summary = run(&options, &AtomicBool::new(false)).expect("the system gives what it takes");
    assert_eq!(summary.violation, None, "{}", summary.text());
    assert!(summary.actions >= 60_000 && summary.panics > 0 && summary.dropped > 0, "{}", summary.text());
}
