use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::*;
use crate::disk::FaultKind;
use crate::options::{Fixed, FixedWorld, NoOptions};
use crate::shrink::Replay as _;
use crate::sim::Setup;
use crate::subject::Drawn;
use crate::system::{Context, Crash, Step, System};
use crate::tape::{Actor, Chance, ChoicePoint, Source, Stream};
use crate::world::{Keep, RunOutcome};

const YIELDS: ChoicePoint = ChoicePoint::new(0, "yields");

/// Steps of a run that does not end by itself.
const LONG: u64 = 1_000_000_000;
static LONG_RUN_BEGUN: AtomicBool = AtomicBool::new(false);

/// Adds and yields, and does nothing wrong.
#[derive(Copy, Clone, Debug)]
struct Adding;

struct Sums {
    connections: u32,
    added: u64,
}

impl System for Sums {
    fn connections(&self) -> u32 {
        self.connections
    }

    fn step(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        if context.stream.happens(YIELDS, Chance::per_mille(300)) {
            return Ok(Step::Yield);
        }
        self.added += 1;
        Ok(Step::Ended)
    }

    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![("added", self.added)]
    }
}

impl Subject for Adding {
    const NAME: &'static str = "adding";
    type Options = NoOptions;
    type Plan = ();
    type System = Sums;

    fn draw(stream: &mut Stream, seed: u64, fixed: &Fixed<NoOptions>) -> Drawn<()> {
        Drawn::common(stream, seed, fixed, &[FaultKind::PowerLoss], ())
    }

    fn system(drawn: &Drawn<()>) -> Sums {
        if drawn.world.steps == LONG {
            // ORDERING: Relaxed: the thread that waits for it polls.
            LONG_RUN_BEGUN.store(true, Relaxed);
        }
        Sums { connections: drawn.connections, added: 0 }
    }
}

fn steps(steps: u64) -> Fixed<NoOptions> {
    Fixed { world: FixedWorld { steps: Some(steps), ..FixedWorld::default() }, ..Fixed::default() }
}

fn options(seeds: u64, jobs: usize) -> CampaignOptions<Adding> {
    CampaignOptions {
        first_seed: 100,
        seeds: Some(seeds),
        duration: None,
        jobs,
        recheck: 2,
        strict: false,
        max_failures: 1,
        state: None,
        fixed: steps(1_500),
        progress: false,
    }
}

fn campaign(options: &CampaignOptions<Adding>) -> Summary {
    let (_stopper, stop) = Stop::new();
    Campaign::open(options).expect("no state directory, nothing to go wrong").run(&stop)
}

/// What does not depend on how long things took.
fn comparable(summary: Summary) -> Totals {
    Totals { busy_nanos: 0, last_trace: 0, slowest: None, ..summary.totals }
}

#[test]
fn results_do_not_depend_on_what_runs_beside_them() {
    let alone = campaign(&options(12, 1));
    assert_eq!(alone.exit_code(), ExitCode::Ok, "{:?}", alone.failures);
    assert_eq!(alone.totals.seeds, 12);
    assert!(alone.totals.rechecked > 0, "a share is run twice");
    assert_eq!(comparable(alone), comparable(campaign(&options(12, 4))));
}

#[test]
fn a_campaign_resumes_where_it_was_interrupted() {
    let temporary = tempfile::tempdir().expect("a directory for this test");
    let directory = temporary.path().join("soak");
    let with_state = |seeds| CampaignOptions { state: Some(directory.clone()), ..options(seeds, 2) };
    assert_eq!(campaign(&with_state(5)).totals.seeds, 5);
    // As an interruption would leave it: the last line cut off.
    let path = directory.join("campaign.jsonl");
    let mut text = std::fs::read_to_string(&path).expect("was written");
    text.push_str("{\"progress\":{\"next\":9");
    std::fs::write(&path, text).expect("can be written");
    let resumed = campaign(&with_state(12));
    assert!(resumed.earlier > Duration::ZERO);
    assert_eq!(comparable(resumed), comparable(campaign(&options(12, 2))));

    let other_flags = CampaignOptions { fixed: Fixed::default(), ..with_state(12) };
    let error = Campaign::open(&other_flags).unwrap_err().to_string();
    assert!(error.contains("made with other flags") && error.lines().count() == 1, "{error}");
    std::fs::write(&path, "something else\n").expect("can be written");
    let error = Campaign::open(&with_state(12)).unwrap_err().to_string();
    assert!(error.contains("line 1 is no line of a campaign"), "{error}");
}

#[test]
fn an_interrupted_campaign_counts_what_there_was() {
    let options = CampaignOptions { fixed: steps(LONG), ..options(1, 1) };
    let (stopper, stop) = Stop::new();
    let stop_once_it_runs = std::thread::spawn(move || {
        // ORDERING: Relaxed, as above.
        while !LONG_RUN_BEGUN.load(Relaxed) {
            std::thread::yield_now();
        }
        drop(stopper);
    });
    let summary = Campaign::open(&options).expect("no state directory").run(&stop);
    stop_once_it_runs.join().expect("it does not panic");
    assert!(summary.interrupted && summary.totals.cut_short == 1 && summary.totals.seeds == 0);
    assert!(summary.elapsed < Duration::from_secs(5));
    assert_eq!(summary.exit_code(), ExitCode::Ok);
}

fn empty_summary() -> Summary {
    Summary {
        totals: Totals { seeds: 100, ..Totals::default() },
        failures: Vec::new(),
        first_seed: 100,
        elapsed: Duration::ZERO,
        earlier: Duration::ZERO,
        interrupted: false,
        warnings: Vec::new(),
        internal: None,
    }
}

fn failure(finding: Finding) -> Failure {
    Failure {
        seed: 1,
        options: Vec::new(),
        steps: 5,
        trace_hash: 9,
        finding,
        command: "tenterhook sim --seed 0x1".into(),
    }
}

#[test]
fn exit_codes_follow_the_gravest_finding() {
    let nondeterminism = Finding::Nondeterminism { event: Some(3), first: "a".into(), second: "b".into() };
    let found = [
        (Finding::Violation(*Violation::liveness("liveness", "x", "y")), ExitCode::Liveness),
        (Finding::Violation(*Violation::safety("leaks", "x", "y")), ExitCode::Violation),
        (Finding::Violation(*Violation::panic("y")), ExitCode::Violation),
        (nondeterminism, ExitCode::Nondeterminism),
    ];
    let mut summary = empty_summary();
    assert_eq!(summary.exit_code(), ExitCode::Ok);
    summary.internal = Some("never delivered".into());
    assert_eq!(summary.exit_code(), ExitCode::Internal);
    for (finding, code) in found {
        summary.failures.push(failure(finding));
        assert_eq!(summary.exit_code(), code);
    }
}

#[test]
fn a_fault_that_was_requested_and_never_delivered_fails_a_large_campaign() {
    let with = |seeds, requested, delivered| {
        let mut summary = empty_summary();
        summary.totals.seeds = seeds;
        let fault = &mut summary.totals.faults[FaultKind::ShortRead as usize];
        (fault.seeds, fault.requested, fault.delivered) = (seeds, requested, delivered);
        summary.judge_faults();
        summary
    };
    let dead = with(64, 16, 0);
    assert_eq!(dead.exit_code(), ExitCode::Internal);
    assert!(dead.internal.unwrap().starts_with("short-read was requested 16 times"));
    assert_eq!(with(64, 16, 1).exit_code(), ExitCode::Ok);
    assert_eq!(with(63, 16, 0).exit_code(), ExitCode::Ok, "too small to mean something");
    let idle = with(64, 0, 0);
    assert_eq!((idle.exit_code(), idle.warnings.len()), (ExitCode::Ok, 1), "it had no occasion");
}

#[test]
fn a_seed_that_is_not_proven_deterministic_is_a_warning() {
    let judge = |counters| {
        let mut summary = empty_summary();
        summary.totals = Totals { seeds: 9, counters, ..Totals::default() };
        summary.judge_order();
        summary.warnings.concat()
    };
    assert_eq!(judge(vec![(NOT_PROVEN.to_owned(), 0)]) + &judge(Vec::new()), "");
    let warning = judge(vec![("commits".to_owned(), 7), (NOT_PROVEN.to_owned(), 2)]);
    assert!(warning.starts_with("2 of 9 seeds are not proven deterministic"), "{warning}");
}

#[test]
fn a_point_that_is_never_reached_is_named_and_fails_a_strict_campaign() {
    let judge = |seeds, strict, count| {
        let reached = [("pigs fly".to_owned(), count), ("the sun rises".to_owned(), 9)];
        let mut summary = empty_summary();
        summary.totals = Totals { seeds, reached: reached.into(), ..Totals::default() };
        summary.judge_points(strict);
        (summary.exit_code(), summary.warnings.concat() + &summary.internal.unwrap_or_default())
    };
    let (code, told) = judge(200, false, 0);
    assert_eq!(code, ExitCode::Ok);
    assert_eq!(told, "1 of 2 points not reached in 200 seeds");
    assert_eq!(judge(199, false, 0), (ExitCode::Ok, String::new()));
    let strict = judge(10, true, 0);
    assert_eq!(strict, (ExitCode::Internal, "points not reached in 10 seeds: pigs fly".to_owned()));
    assert_eq!(judge(200, true, 1), (ExitCode::Ok, String::new()));
}

#[test]
fn two_runs_that_differ_are_told_apart_at_their_first_event() {
    let run = |seed| -> RunOutcome {
        let drawn = crate::subject::draw::<Adding>(&Source::Seed(3), 3, &steps(500));
        let (source, watch) = (Source::Seed(seed), crate::watch::Watch::default());
        crate::sim::run_from::<Adding>(&source, &drawn, crate::world::Keep::Events, &watch)
    };
    assert!(worker::difference(&run(1), &run(1)).is_none());
    let Some(Finding::Nondeterminism { event, first, second }) = worker::difference(&run(1), &run(2)) else {
        panic!("the traces of two seeds differ");
    };
    assert!(event.is_some() && first != second, "{event:?} {first} {second}");
    // As long as each other, and still not the same.
    let other = RunOutcome { trace_hash: run(1).trace_hash ^ 1, ..run(1) };
    assert!(worker::difference(&run(1), &other).is_some());
}

#[test]
fn the_last_line_of_a_failure_is_the_command_that_repeats_it() {
    let mut summary = empty_summary();
    summary.failures.push(failure(Finding::Violation(*Violation::safety(
        "durability",
        "commit 5",
        "commit 4",
    ))));
    let text = crate::report::failures(&options(4, 1), &summary, false);
    assert!(text.contains("expected  commit 5") && text.contains("seen      commit 4"), "{text}");
    let text = crate::report::glance(&options(4, 1), &summary, &[]);
    assert_eq!(text.lines().last(), Some("tenterhook sim --seed 0x1"));
}

#[test]
fn a_summary_with_everything_in_it_fits_on_a_screen_and_ends_with_its_command() {
    let mut summary = campaign(&options(4, 1));
    for fault in &mut summary.totals.faults {
        (fault.seeds, fault.delivered) = (4, 1_000);
    }
    summary.totals.counters = (0..9).map(|number| (format!("counter {number}"), number)).collect();
    summary.totals.reached = (0..30).map(|number| (format!("point {number:02}"), number / 20)).collect();
    summary.warnings = (0..9).map(|number| format!("warning {number}")).collect();
    summary.interrupted = true;
    let text = crate::report::glance(&options(4, 1), &summary, &[]);
    let lines: Vec<&str> = text.trim_start().lines().collect();
    assert!(lines.len() <= 25, "{} lines:\n{text}", lines.len());
    assert!(lines[0].starts_with("verdict          passed, interrupted"), "{text}");
    assert_eq!(lines.last(), Some(&"adding sim --seed 0x64 --seeds 4 --steps 1500"));
    let has = |part: &str| lines.iter().any(|line| line.contains(part));
    for shown in
        ["counter 1", "10 of 30", "point 03", "and 16 more", "6 more", "lying disk             3,000"]
    {
        assert!(has(shown), "{shown}:\n{text}");
    }
    assert!(!has("counter 2") && !has("point 04") && !has("point 29"), "{text}");
}

#[test]
fn the_notes_of_a_failure_are_capped_unless_all_are_asked_for() {
    let violation = (0..20).fold(Violation::liveness("liveness", "x", "y"), |violation, number| {
        violation.note(format!("fiber {number}"))
    });
    let mut summary = empty_summary();
    summary.failures.push(failure(Finding::Violation(*violation)));
    let short = crate::report::failures(&options(4, 1), &summary, false);
    assert!(
        short.contains("fiber 7") && !short.contains("fiber 8") && short.contains("and 12 more"),
        "{short}"
    );
    assert!(crate::report::failures(&options(4, 1), &summary, true).contains("fiber 19"));
}

#[test]
fn the_repeating_command_has_every_flag_that_decides_the_run() {
    let world = FixedWorld { connections: Some(64), ..steps(9).world };
    let command = worker::command::<Adding>(7, &Fixed { world, ..Fixed::default() });
    assert_eq!(command, "adding sim --seed 0x7 --connections 64 --steps 9");
}

/// `explain` tells choices by their names.
#[test]
fn a_run_names_what_its_options_drew() {
    let setup = Setup::<Adding> { seed: 1, fixed: Fixed::default() };
    let run = setup.play(&Source::Seed(1), Keep::Tape);
    let choices = run.tape.choices().map(|(place, _)| (place.address.actor, place.choice_point));
    let of_options: Vec<_> = choices.filter(|(actor, _)| *actor == Actor::OPTIONS).collect();
    assert!(!of_options.is_empty() && of_options.iter().all(|choice| run.names.contains_key(choice)));
}
