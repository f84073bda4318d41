use super::*;
use crate::history::{Event, Recorded as _, write_edn, write_json};

fn append(list: u64, element: u64) -> Operation {
    Operation::Append { list, element }
}

fn read(list: u64, seen: &[u64]) -> Operation {
    Operation::Read { list, seen: Some(seen.to_vec()) }
}

/// Transactions one after another that all commit.
fn serial(transactions: &[&[Operation]]) -> History {
    let mut history = History::default();
    for operations in transactions {
        let id = history.begin(0, operations.to_vec());
        history.committed(id, operations.to_vec());
    }
    history
}

/// Transactions that are all under way together and all commit.
fn together(transactions: &[&[Operation]]) -> History {
    let mut history = History::default();
    let ids: Vec<TransactionId> =
        transactions.iter().map(|operations| history.begin(0, operations.to_vec())).collect();
    for (id, operations) in ids.into_iter().zip(transactions) {
        history.committed(id, operations.to_vec());
    }
    history
}

/// The strongest level that the history passes, and what it says of the next one.
fn strongest(history: &History) -> (Option<Level>, String) {
    let levels = [Level::ReadCommitted, Level::Snapshot, Level::Serializable, Level::StrictSerializable];
    let mut passed = None;
    for level in levels {
        match history.check(level) {
            Ok(()) => passed = Some(level),
            Err(violation) => return (passed, violation.seen),
        }
    }
    (passed, String::new())
}

#[test]
fn a_serial_history_passes_all_levels() {
    let history = serial(&[
        &[append(1, 1), read(1, &[1])],
        &[read(1, &[1]), append(1, 2), append(2, 3)],
        &[read(1, &[1, 2]), read(2, &[3])],
    ]);
    assert_eq!(strongest(&history).0, Some(Level::StrictSerializable));
}

#[test]
fn an_aborted_read_is_no_level() {
    let mut history = History::default();
    let id = history.begin(0, vec![append(1, 1)]);
    history.aborted(id);
    let id = history.begin(1, vec![read(1, &[1])]);
    history.committed(id, vec![read(1, &[1])]);
    let (level, seen) = strongest(&history);
    assert_eq!(level, None);
    assert!(seen.contains("T0 appended"), "{seen}");
}

#[test]
fn what_is_unknown_may_be_read_or_not() {
    for seen in [&[][..], &[1]] {
        let mut history = History::default();
        history.begin(0, vec![append(1, 1)]);
        history.crashed();
        let id = history.begin(1, vec![read(1, seen)]);
        history.committed(id, vec![read(1, seen)]);
        assert_eq!(strongest(&history).0, Some(Level::StrictSerializable), "{seen:?}");
    }
}

#[test]
fn half_a_transaction_is_no_level() {
    let history = together(&[&[append(1, 1), append(1, 2)], &[read(1, &[1])]]);
    assert_eq!(strongest(&history).0, None);
    let history = together(&[&[append(1, 1), read(1, &[])]]);
    assert_eq!(strongest(&history).0, None, "it does not read its own append");
    let history = together(&[&[read(1, &[1]), append(1, 1)]]);
    assert_eq!(strongest(&history).0, None, "it reads what it appends later");
}

#[test]
fn elements_that_were_never_appended_or_that_come_twice_or_in_two_orders_are_no_level() {
    for reads in [
        [read(1, &[9]), read(1, &[9])],
        [read(1, &[1, 1]), read(1, &[1])],
        [read(1, &[1, 2]), read(1, &[2, 1])],
    ] {
        let [one, other] = reads;
        let history = together(&[&[append(1, 1)], &[append(1, 2)], &[one], &[other]]);
        assert_eq!(strongest(&history).0, None);
    }
}

#[test]
fn dirty_writes_are_no_level() {
    let history = together(&[
        &[append(1, 1), append(2, 2)],
        &[append(1, 3), append(2, 4)],
        &[read(1, &[1, 3]), read(2, &[4, 2])],
    ]);
    let (level, seen) = strongest(&history);
    assert_eq!(level, None);
    assert!(seen.contains("G0"), "{seen}");
}

#[test]
fn two_that_read_each_other_are_no_level() {
    let history = together(&[&[append(1, 1), read(2, &[2])], &[append(2, 2), read(1, &[1])]]);
    let (level, seen) = strongest(&history);
    assert_eq!(level, None);
    assert!(seen.contains("G1c"), "{seen}");
}

#[test]
fn a_lost_update_and_read_skew_are_read_committed() {
    let lost = together(&[&[read(1, &[]), append(1, 1)], &[read(1, &[]), append(1, 2)], &[read(1, &[1, 2])]]);
    let skew = together(&[&[append(1, 1), append(2, 2)], &[read(1, &[]), read(2, &[2])]]);
    for history in [lost, skew] {
        let (level, seen) = strongest(&history);
        assert_eq!(level, Some(Level::ReadCommitted));
        assert!(seen.contains("G-single") || seen.contains("both read"), "{seen}");
    }
}

#[test]
fn a_lost_update_that_no_later_read_shows_is_one_all_the_same() {
    let history = together(&[&[read(1, &[]), append(1, 1)], &[read(1, &[]), append(1, 2)]]);
    let (level, seen) = strongest(&history);
    assert_eq!(level, Some(Level::ReadCommitted), "{seen}");
}

#[test]
fn half_of_a_transaction_that_was_under_way_at_a_crash_is_half_a_transaction() {
    let mut history = History::default();
    history.begin(0, vec![append(1, 1), append(2, 2)]);
    history.crashed();
    let operations = vec![read(1, &[1]), read(2, &[])];
    let id = history.begin(1, operations.clone());
    history.committed(id, operations);
    let (level, seen) = strongest(&history);
    assert_eq!(level, Some(Level::ReadCommitted));
    assert!(seen.contains("G-single"), "{seen}");
}

#[test]
fn write_skew_is_snapshot_isolation() {
    let history = together(&[&[read(1, &[]), append(2, 2)], &[read(2, &[]), append(1, 1)]]);
    let (level, seen) = strongest(&history);
    assert_eq!(level, Some(Level::Snapshot));
    assert!(seen.contains("G2"), "{seen}");
}

#[test]
fn a_stale_read_is_serializable_and_not_strictly() {
    let history = serial(&[&[append(1, 1)], &[read(1, &[])]]);
    let (level, seen) = strongest(&history);
    assert_eq!(level, Some(Level::Serializable));
    assert!(seen.contains("real time"), "{seen}");
    let history = together(&[&[append(1, 1)], &[read(1, &[])]]);
    assert_eq!(strongest(&history).0, Some(Level::StrictSerializable));
}

#[test]
fn an_acknowledged_append_that_no_read_has_is_lost_if_a_later_transaction_does_not_see_it() {
    let history = serial(&[&[append(1, 1)], &[append(1, 2)], &[read(1, &[2])]]);
    assert_eq!(strongest(&history).0, Some(Level::Serializable));
}

#[test]
fn a_history_is_written_as_json_and_as_edn() {
    let mut history = History::default();
    let element = history.element();
    let id = history.begin(3, vec![append(7, element), Operation::Read { list: 7, seen: None }]);
    history.committed(id, vec![append(7, element), read(7, &[element])]);
    history.begin(4, vec![append(7, 2)]);
    history.crashed();
    let text = |write: fn(&[Event], &mut Vec<u8>) -> std::io::Result<()>| {
        let mut text = Vec::new();
        write(&history.events(), &mut text).unwrap();
        String::from_utf8(text).unwrap()
    };
    let edn = text(write_edn);
    assert_eq!(
        edn,
        "{:index 0 :time 1 :type :invoke :process 3 :f :txn :value [[:append 7 1] [:r 7 nil]]}\n\
         {:index 1 :time 2 :type :ok :process 3 :f :txn :value [[:append 7 1] [:r 7 [1]]]}\n\
         {:index 2 :time 3 :type :invoke :process 4 :f :txn :value [[:append 7 2]]}\n\
         {:index 3 :time 4 :type :info :process 4 :f :txn :value [[:append 7 2]]}\n"
    );
    let json = text(write_json);
    assert!(json.starts_with(
        r#"{"f":"txn","index":0,"process":3,"type":"invoke","value":[["append",7,1],["r",7,null]]}"#
    ));
}
