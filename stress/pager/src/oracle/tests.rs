//! Each oracle sees a good history and keeps still, and a bad one and fires.

use std::sync::Arc;

use tenterhook_runtime::CompletionError;
use tenterhook_runtime::pager::IntegrityProblem;

use super::*;
use tenterhook_stress::violation::Class;

/// What a person writes down of a history; expands to observations.
enum Seen {
    Crash(Crash),
    Open(u64),
    Recovered(&'static [u64]),
    Reader(u64),
    Read(u64, PageNo, u64),
    Writer(u64),
    Commit(TransactionId, u64, &'static [(PageNo, u64)]),
    Done(TransactionId, u64),
    Failed(TransactionId),
    Dropped(TransactionId, bool),
    Waits(TransactionId),
    WaitsReading(TransactionId),
    SendsReadersAway,
    AwaitsNobody,
    Refused(TransactionId),
    Gets(TransactionId),
    Leaves(TransactionId),
}

use Seen::{
    AwaitsNobody, Commit, Crash as Crashes, Done, Dropped, Gets, Leaves, Open, Read, Reader, Recovered,
    Refused, SendsReadersAway, Waits, WaitsReading, Writer,
};

fn observe(oracles: &mut Oracles, seen: &Seen) -> Verdict {
    let floor = oracles.history().acknowledged();
    let asked = oracles.history().turns_awaited();
    oracles.observe(&match *seen {
        Crashes(crash) => Observation::Crashed(crash),
        Open(sequence) => Observation::Opened { sequence },
        Recovered(pages) => Observation::Recovered { pages },
        Reader(sequence) => Observation::ReadBegan { sequence, floor },
        Read(sequence, page, digest) => Observation::PageRead { sequence, page, digest },
        Writer(base) => Observation::WriteBegan { base, raced: false },
        Commit(id, base, changes) => Observation::CommitBegan { id, base, changes },
        Done(id, sequence) => Observation::Committed { id, sequence },
        Seen::Failed(id) => Observation::CommitFailed { id },
        Dropped(id, submitted) => Observation::CommitDropped { id, submitted },
        Waits(id) => Observation::TurnAwaited { id, asked, reads: false },
        WaitsReading(id) => Observation::TurnAwaited { id, asked, reads: true },
        SendsReadersAway => Observation::ReadersAwaited,
        AwaitsNobody => Observation::ReadersAwaitedNoMore,
        Refused(id) => Observation::TurnRefused { id },
        Gets(id) => Observation::TurnCame { id, asked },
        Leaves(id) => Observation::TurnLeft { id },
    })
}

/// The verdict on the last of `history`; everything before it must pass.
fn verdict(history: &[Seen]) -> Result<Oracles, Box<Violation>> {
    let mut oracles = Oracles::default();
    for (index, seen) in history.iter().enumerate() {
        match observe(&mut oracles, seen) {
            Err(violation) if index + 1 == history.len() => return Err(violation),
            Err(violation) => panic!("fired at {index}, too early: {violation}"),
            Ok(()) => {}
        }
    }
    Ok(oracles)
}

fn passes(history: &[Seen]) -> Oracles {
    verdict(history).unwrap_or_else(|violation| panic!("{violation}"))
}

fn fires(oracle: &str, history: &[Seen]) -> Box<Violation> {
    let violation = verdict(history).err().unwrap_or_else(|| panic!("{oracle} keeps still"));
    assert_eq!((violation.oracle.as_str(), violation.class), (oracle, Class::Safety), "{violation}");
    violation
}

/// Two acknowledged commits: pages 2 and 3 written, then page 3 again.
macro_rules! two_commits {
    ($($more:expr),* $(,)?) => {
        [
            Open(0), Recovered(&[]),
            Writer(0), Commit(1, 0, &[(2, 20), (3, 30)]), Done(1, 1),
            Writer(1), Commit(2, 1, &[(3, 31)]), Done(2, 2),
            $($more),*
        ]
    };
}

#[test]
fn readers_of_committed_states_raise_nothing() {
    passes(&two_commits![Reader(2), Read(2, 2, 20), Read(2, 3, 31), Read(1, 3, 30), Read(2, 4, ABSENT)]);
}

#[test]
fn snapshot_fires_on_a_page_from_another_commit() {
    let violation = fires("snapshot", &two_commits![Reader(2), Read(2, 3, 30)]);
    assert!(violation.seen.contains("from commit 1"), "{violation}");
    fires("snapshot", &two_commits![Reader(2), Read(1, 3, 31)]);
    fires("snapshot", &two_commits![Reader(2), Read(2, 2, ABSENT)]);
}

#[test]
fn snapshot_fires_on_a_reader_that_begins_in_the_past_or_in_the_future() {
    fires("snapshot", &two_commits![Reader(1)]);
    fires("snapshot", &two_commits![Reader(3)]);
    fires("snapshot", &two_commits![Writer(2), Commit(3, 2, &[]), Reader(4)]);
}

#[test]
fn snapshot_fires_on_a_pinned_page_that_changes() {
    let mut oracles = passes(&two_commits![]);
    assert!(oracles.observe(&Observation::PinnedAgain { page: 2, before: 20, after: 20 }).is_ok());
    let fired = oracles.observe(&Observation::PinnedAgain { page: 2, before: 20, after: 21 });
    assert_eq!(fired.unwrap_err().oracle, "snapshot");
}

#[test]
fn a_commit_may_be_read_before_its_acknowledgement_but_not_after_its_failure() {
    passes(&two_commits![
        Writer(2),
        Commit(3, 2, &[(2, 22)]),
        Reader(3),
        Read(3, 2, 22),
        Done(3, 3),
        Reader(3)
    ]);
    fires("snapshot", &two_commits![Writer(2), Commit(3, 2, &[(2, 22)]), Seen::Failed(3), Reader(3)]);
    fires("snapshot", &two_commits![Writer(2), Commit(3, 2, &[(2, 22)]), Dropped(3, false), Reader(3)]);
}

/// Two more commits in flight: 3 upon commit 2, 4 upon 3.
macro_rules! two_on_their_way {
    ($($more:expr),* $(,)?) => {
        two_commits![
            Writer(2), Commit(3, 2, &[(2, 22)]), Writer(3), Read(3, 2, 22), Commit(4, 3, &[(3, 33)]), $($more),*
        ]
    };
}

#[test]
fn commits_on_their_way_are_acknowledged_in_any_order_and_seen_together() {
    passes(&two_on_their_way![Done(4, 4), Reader(4), Read(4, 2, 22), Read(4, 3, 33), Done(3, 3)]);
    passes(&two_on_their_way![Reader(4), Done(3, 3), Done(4, 4)]);
    passes(&two_on_their_way![Dropped(3, true), Done(4, 4), Reader(4)]);
    fires("commit order", &two_on_their_way![Done(4, 3)]);
    fires("snapshot", &two_on_their_way![Reader(2), Read(4, 3, 31)]);
}

#[test]
fn commit_whose_base_has_failed_can_neither_be_acknowledged_nor_seen() {
    fires("commit order", &two_on_their_way![Seen::Failed(3), Done(4, 4)]);
    fires("snapshot", &two_on_their_way![Seen::Failed(3), Reader(4)]);
    fires("atomicity", &two_on_their_way![Done(4, 4), Seen::Failed(3)]);
    fires("commit order", &two_on_their_way![Seen::Failed(3), Writer(3)]);
    passes(&two_on_their_way![Seen::Failed(3), Seen::Failed(4), Writer(2), Commit(5, 2, &[]), Done(5, 3)]);
}

#[test]
fn recovery_brings_back_a_commit_with_all_that_it_was_built_upon_or_not_at_all() {
    let crash = |sequence, pages: &'static [u64]| {
        verdict(&two_on_their_way![Crashes(Crash::PowerLoss), Open(sequence), Recovered(pages)])
            .map(|oracles| oracles.history().head())
    };
    assert_eq!(crash(4, &[0, 0, 22, 33]).ok(), Some(4));
    assert_eq!(crash(3, &[0, 0, 22, 31]).ok(), Some(3));
    assert_eq!(crash(2, &[0, 0, 20, 31]).ok(), Some(2));
    assert_eq!(crash(4, &[0, 0, 20, 33]).unwrap_err().oracle, "atomicity");
    assert_eq!(crash(3, &[0, 0, 20, 33]).unwrap_err().oracle, "atomicity");
    // 5 took the place of 3 and was acknowledged: 4, which was built on 3, can't come back.
    let replaced = two_on_their_way![
        Seen::Failed(3),
        Writer(2),
        Commit(5, 2, &[(2, 25)]),
        Done(5, 3),
        Crashes(Crash::PowerLoss),
        Open(4),
    ];
    fires("durability", &replaced);
}

#[test]
fn atomicity_fires_on_a_failed_commit_that_was_visible() {
    fires("atomicity", &two_commits![Writer(2), Commit(3, 2, &[(2, 22)]), Reader(3), Seen::Failed(3)]);
    fires("atomicity", &two_commits![Writer(2), Commit(3, 2, &[(2, 22)]), Reader(3), Dropped(3, false)]);
}

#[test]
fn commit_order_fires_on_a_writer_that_starts_from_an_old_commit() {
    fires("commit order", &two_commits![Writer(1)]);
    fires("commit order", &two_commits![Writer(3)]);
}

#[test]
fn commit_order_fires_on_a_wrong_number_and_on_two_writers_at_a_time() {
    fires("commit order", &two_commits![Writer(2), Commit(3, 2, &[]), Done(3, 4)]);
    fires("commit order", &two_commits![Writer(2), Commit(3, 2, &[]), Writer(2), Done(3, 3)]);
    fires("commit order", &two_commits![Done(2, 2)]);
    fires("commit order", &two_commits![Writer(2), Commit(3, 2, &[]), Reader(3), Done(3, 4)]);
}

#[test]
fn durability_fires_on_a_lost_acknowledgement_and_on_a_commit_from_nowhere() {
    fires("durability", &two_commits![Crashes(Crash::PowerLoss), Open(1)]);
    fires("durability", &two_commits![Crashes(Crash::PowerLoss), Open(3)]);
}

#[test]
fn recovery_may_bring_back_what_was_asked_for_and_nothing_that_contradicts_an_acknowledgement() {
    let lost = two_commits![
        Writer(2),
        Commit(3, 2, &[(2, 22)]),
        Crashes(Crash::PowerLoss),
        Open(2),
        Recovered(&[0, 0, 20, 31]),
        Reader(2),
    ];
    passes(&lost);
    let kept = two_commits![
        Writer(2),
        Commit(3, 2, &[(2, 22)]),
        Crashes(Crash::PowerLoss),
        Open(3),
        Recovered(&[0, 0, 22, 31]),
        Reader(3),
    ];
    assert_eq!(passes(&kept).history().acknowledged(), 3, "what came through a power loss must stay");
    // Transaction 3 failed, 4 took its place and was acknowledged: 3 can't come back.
    let replaced = two_commits![
        Writer(2),
        Commit(3, 2, &[(2, 22)]),
        Seen::Failed(3),
        Writer(2),
        Commit(4, 2, &[(2, 23)]),
        Done(4, 3),
        Crashes(Crash::PowerLoss),
        Open(3),
        Recovered(&[0, 0, 22, 31]),
    ];
    fires("atomicity", &replaced);
}

#[test]
fn of_two_open_commits_upon_one_either_may_come_back_whole() {
    for (pages, sound) in [(&[0, 0, 22, 31], true), (&[0, 0, 20, 33], true), (&[0, 0, 22, 33], false)] {
        let history = two_commits![
            Writer(2),
            Commit(3, 2, &[(2, 22)]),
            Seen::Failed(3),
            Writer(2),
            Commit(4, 2, &[(3, 33)]),
            Crashes(Crash::PowerLoss),
            Open(3),
            Recovered(pages),
        ];
        assert_eq!(verdict(&history).is_ok(), sound, "{pages:?}");
    }
}

#[test]
fn late_syncs_let_a_power_loss_take_the_newest_commits_and_nothing_else() {
    let late = |more: Vec<Seen>| {
        let mut oracles = Oracles::of_late_syncs();
        for seen in two_commits![].iter().chain(&more) {
            observe(&mut oracles, seen)?;
        }
        Ok::<_, Box<Violation>>(oracles.history().head())
    };
    let after = |crash, sequence, pages| late(vec![Crashes(crash), Open(sequence), Recovered(pages)]);
    assert_eq!(after(Crash::PowerLoss, 2, &[0, 0, 20, 31]).ok(), Some(2));
    assert_eq!(after(Crash::PowerLoss, 1, &[0, 0, 20, 30]).ok(), Some(1));
    assert_eq!(after(Crash::PowerLoss, 0, &[]).ok(), Some(0));
    assert_eq!(after(Crash::PowerLoss, 1, &[0, 0, 20, 31]).unwrap_err().oracle, "atomicity");
    assert_eq!(after(Crash::ProcessKilled, 1, &[0, 0, 20, 30]).unwrap_err().oracle, "durability");
    let mut oracles = Oracles::of_late_syncs();
    for seen in &two_commits![] {
        assert!(observe(&mut oracles, seen).is_ok());
    }
    assert!(oracles.observe(&Observation::Checkpointed { sequence: 1 }).is_ok());
    assert!(observe(&mut oracles, &Crashes(Crash::PowerLoss)).is_ok());
    assert_eq!(observe(&mut oracles, &Open(0)).unwrap_err().oracle, "durability");
}

#[test]
fn atomicity_fires_on_half_a_transaction_after_recovery() {
    let half = two_commits![
        Writer(2),
        Commit(3, 2, &[(2, 22), (3, 33), (4, 40)]),
        Crashes(Crash::PowerLoss),
        Open(3),
        Recovered(&[0, 0, 22, 33]),
    ];
    let violation = fires("atomicity", &half);
    assert!(violation.expected.contains("page 4"), "{violation}");
    fires("atomicity", &two_commits![Crashes(Crash::PowerLoss), Open(2), Recovered(&[0, 0, 20, 30])]);
}

#[test]
fn atomicity_fires_on_a_broken_invariant() {
    let mut oracles = Oracles::default();
    let sum = |seen| Observation::Invariant { sequence: 5, what: "sum", expected: 100, seen };
    assert!(oracles.observe(&sum(100)).is_ok());
    assert_eq!(oracles.observe(&sum(99)).unwrap_err().oracle, "atomicity");
}

#[test]
fn after_a_kill_an_unacknowledged_commit_that_recovery_has_shown_must_stay() {
    fires(
        "durability",
        &two_commits![
            Writer(2),
            Commit(3, 2, &[(2, 22)]),
            Crashes(Crash::ProcessKilled),
            Open(3),
            Recovered(&[0, 0, 22, 31]),
            Reader(3),
            Crashes(Crash::PowerLoss),
            Open(2),
        ],
    );
}

fn audit() -> Audit {
    Audit {
        readers: 0,
        pins: 0,
        writer_held: false,
        writers_waiting: 0,
        checkpoint_running: false,
        loading: 0,
        commits_pending: 0,
        commits_published: 9,
        log_syncs: 9,
        log_writes: 0,
        database_writes: 0,
        cached: 10,
        log_frames: 5,
        log_checkpointed: 1,
        commit_sequence: 2,
        poisoned: false,
    }
}

#[test]
fn leaks_fires_on_each_thing_that_can_be_left_behind() {
    let mut oracles = Oracles::default();
    assert!(oracles.observe(&Observation::AtRest(&audit())).is_ok());
    let left_behind = [
        Audit { readers: 1, ..audit() },
        Audit { pins: 1, ..audit() },
        Audit { writer_held: true, ..audit() },
        Audit { writers_waiting: 1, ..audit() },
        Audit { checkpoint_running: true, ..audit() },
        Audit { loading: 1, ..audit() },
        Audit { commits_pending: 1, ..audit() },
        Audit { log_writes: 1, ..audit() },
        Audit { database_writes: 1, ..audit() },
    ];
    for audit in &left_behind {
        assert_eq!(oracles.observe(&Observation::AtRest(audit)).unwrap_err().oracle, "leaks", "{audit:?}");
    }
    assert!(oracles.observe(&Observation::Freed { owners: 0 }).is_ok());
    assert_eq!(oracles.observe(&Observation::Freed { owners: 1 }).unwrap_err().oracle, "leaks");
}

#[test]
fn integrity_fires_on_problems_and_on_pages_that_are_neither_used_nor_free() {
    let mut oracles = passes(&two_commits![]);
    let sound =
        IntegrityReport { sequence: 2, pages: 4, free_pages: 1, problems: Vec::new(), problem_count: 0 };
    assert!(oracles.observe(&Observation::Checked { report: &sound, at_rest: true }).is_ok());
    let lost = IntegrityReport { pages: 5, ..sound.clone() };
    let fired = oracles.observe(&Observation::Checked { report: &lost, at_rest: true });
    assert_eq!(fired.unwrap_err().oracle, "integrity");
    let twice = IntegrityReport {
        problems: vec![IntegrityProblem::FreeTwice { page: 4 }],
        problem_count: 1,
        ..sound.clone()
    };
    for at_rest in [true, false] {
        let fired = oracles.observe(&Observation::Checked { report: &twice, at_rest });
        assert_eq!(fired.unwrap_err().oracle, "integrity");
    }
}

#[test]
fn honesty_fires_on_an_error_that_no_fault_accounts_for() {
    let mut oracles = Oracles::default();
    let path: Arc<std::path::Path> = Arc::from("db".as_ref() as &std::path::Path);
    let error = PagerError::Io { operation: "read", path, error: CompletionError::Abandoned };
    let failed = |cause| Observation::Failed { what: "a read", error: &error, cause };
    assert!(oracles.observe(&failed(Some("read-error"))).is_ok());
    assert_eq!(oracles.observe(&failed(None)).unwrap_err().oracle, "unexplained error");
}

#[test]
fn old_versions_are_forgotten_at_rest_and_the_newest_is_not() {
    let mut oracles = passes(&two_commits![]);
    assert!(oracles.observe(&Observation::AtRest(&audit())).is_ok());
    assert_eq!((oracles.history().digest(2, 2), oracles.history().digest(3, 2)), (20, 31));
    assert_eq!(oracles.history().digest(3, 1), ABSENT, "forgotten");
    assert_eq!(oracles.history().live_pages(2), 2);
}

#[test]
fn write_right_goes_round_in_the_order_of_asking() {
    passes(&[Gets(1), Waits(2), Waits(3), Gets(2), Gets(3), Gets(4)]);
    passes(&[Waits(2), Waits(3), Leaves(2), Gets(3)]);
    passes(&[Waits(2), Crashes(Crash::PowerLoss), Open(0), Gets(3)]);
    passes(&[WaitsReading(2), Waits(3), SendsReadersAway, Gets(3), Leaves(2)]);
    fires("fairness", &[WaitsReading(2), Waits(3), Gets(3)]);
    fires("fairness", &[Waits(2), Waits(3), SendsReadersAway, Gets(3)]);
    passes(&[WaitsReading(2), Waits(3), SendsReadersAway, AwaitsNobody, Gets(2), Gets(3)]);
    passes(&[WaitsReading(2), SendsReadersAway, AwaitsNobody, Refused(2)]);
    passes(&[SendsReadersAway, Refused(2)]);
    fires("fairness", &[Refused(2)]);
    fires("fairness", &[SendsReadersAway, AwaitsNobody, WaitsReading(2), Refused(2)]);
    fires("fairness", &[Waits(2), SendsReadersAway, AwaitsNobody, Refused(2)]);
    fires("fairness", &[Waits(2), Waits(3), Gets(3)]);
    fires("fairness", &[Waits(2), Gets(3)]);
    fires("fairness", &[Waits(2), Waits(3), Leaves(3), Waits(4), Gets(4)]);
}

#[test]
fn invention_knows_what_a_transaction_may_have_written_before_its_commit() {
    let mut oracles = Oracles::of_a_lying_disk();
    let read = |digest| Observation::PageRead { sequence: 1, page: 2, digest };
    assert_eq!(oracles.observe(&read(7)).unwrap_err().oracle, "fabricated read");
    assert!(oracles.observe(&Observation::PageChanged { page: 2, digest: 7 }).is_ok());
    assert!(oracles.observe(&read(7)).is_ok());
    assert_eq!(oracles.observe(&read(8)).unwrap_err().oracle, "fabricated read");
    let elsewhere = Observation::PageRead { sequence: 1, page: 3, digest: 7 };
    assert_eq!(oracles.observe(&elsewhere).unwrap_err().oracle, "fabricated read");
}

/// With threads two may ask at the same time, and what they are told is told in another order. Broke when every waiter counted that had
/// been told before.
#[test]
fn fairness_accepts_a_writer_that_asked_before_another_one_was_told_to_wait() {
    let mut oracles = passes(&[Open(0), Recovered(&[]), Waits(1)]);
    let observe = |oracles: &mut Oracles, seen| oracles.observe(&seen);
    observe(&mut oracles, Observation::TurnAwaited { id: 2, asked: 0, reads: false }).unwrap();
    observe(&mut oracles, Observation::TurnCame { id: 2, asked: 0 }).unwrap();
    observe(&mut oracles, Observation::TurnCame { id: 3, asked: 1 }).unwrap_err();
}

/// A commit that is acknowledged while a reader begins may be missing in its snapshot.
#[test]
fn snapshot_accepts_a_reader_that_asked_before_the_acknowledgement() {
    let mut oracles = passes(&two_commits![]);
    oracles.observe(&Observation::ReadBegan { sequence: 1, floor: 1 }).unwrap();
    oracles.observe(&Observation::ReadBegan { sequence: 1, floor: 2 }).unwrap_err();
}
