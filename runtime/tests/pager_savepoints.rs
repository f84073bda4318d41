//! What a write transaction takes back when it rolls back to a savepoint.

mod pager_support;

use std::collections::BTreeMap;

use pager_support::*;
use tenterhook_runtime::pager::{PagerError, PagerOptions, Savepoint, WriteTransaction};

#[test]
fn rollback_to_a_savepoint_restores_pages_page_count_and_freelist() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let pages: Vec<u32> = (1..6).map(|fill| add_page(&disk, &pager, fill)).collect();
    let mut writer = begin(&disk, &pager);
    fill(&disk, &mut writer, pages[0], 10);
    run(&disk, || writer.free(pages[1])).expect("free");
    let savepoint = writer.savepoint();
    for round in 0..2 {
        fill(&disk, &mut writer, pages[0], 20);
        fill(&disk, &mut writer, pages[2], 20);
        run(&disk, || writer.free(pages[3])).expect("free");
        let taken = [(); 3].map(|()| run(&disk, || writer.allocate()).expect("allocate"));
        assert_eq!(taken, [pages[3], pages[1], 7], "round {round}");
        fill(&disk, &mut writer, 7, 20);
        writer.rollback_to(&savepoint).expect("its own");
        assert_eq!(writer.page_count(), 6);
        assert_eq!(writer.page(7).unwrap_err(), PagerError::PageOutOfRange { page: 7, page_count: 6 });
        assert_eq!(writer.page(pages[1]).unwrap_err(), PagerError::PageNotAllocated { page: pages[1] });
        let found = [0, 2, 3].map(|at| first_byte(&disk, &mut writer, pages[at]));
        assert_eq!(found, [10, 3, 4]);
    }
    assert_eq!(run(&disk, || writer.allocate()), Ok(pages[1]), "the freelist is what it was");
    commit(&disk, writer).expect("commit");
    assert_sound(&disk, &pager);
    let found = [0, 1, 2, 3].map(|at| read_fill(&disk, &pager, pages[at]));
    assert_eq!(found, [Ok(10), Ok(0), Ok(3), Ok(4)]);
}

#[test]
fn transaction_rolled_back_to_its_beginning_commits_nothing() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let page = add_page(&disk, &pager, 1);
    let before = pager.audit();
    let mut writer = begin(&disk, &pager);
    let savepoint = writer.savepoint();
    fill(&disk, &mut writer, page, 2);
    run(&disk, || writer.allocate()).expect("allocate");
    writer.rollback_to(&savepoint).expect("its own");
    commit(&disk, writer).expect("commit");
    assert_eq!(pager.audit(), before);
}

#[test]
fn reference_taken_before_a_rollback_keeps_its_bytes() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let page = add_page(&disk, &pager, 1);
    let mut writer = begin(&disk, &pager);
    let savepoint = writer.savepoint();
    fill(&disk, &mut writer, page, 2);
    let seen = run(&disk, || writer.page(page)).expect("read");
    writer.rollback_to(&savepoint).expect("its own");
    fill(&disk, &mut writer, page, 3);
    assert_eq!((seen[0], first_byte(&disk, &mut writer, page)), (2, 3));
}

#[test]
fn savepoint_is_good_for_its_own_transaction_only_and_while_it_is_open() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let page = add_page(&disk, &pager, 1);
    let mut writer = begin(&disk, &pager);
    let [outer, inner, innermost] = [(); 3].map(|()| writer.savepoint());
    fill(&disk, &mut writer, page, 2);
    writer.release(inner).expect("open");
    assert_eq!(
        writer.rollback_to(&innermost),
        Err(PagerError::NoSuchSavepoint),
        "released with the outer one"
    );
    assert_eq!(writer.release(innermost), Err(PagerError::NoSuchSavepoint));
    assert_eq!(first_byte(&disk, &mut writer, page), 2, "a refusal changes nothing");
    let late = writer.savepoint();
    writer.rollback_to(&outer).expect("open");
    assert_eq!(
        first_byte(&disk, &mut writer, page),
        1,
        "what a released savepoint kept, the one around it restores"
    );
    assert_eq!(writer.rollback_to(&late), Err(PagerError::NoSuchSavepoint), "rolled back beyond");
    writer.rollback();
    // The same serial numbers, another transaction; and one without savepoints.
    let mut other = begin(&disk, &pager);
    assert_eq!(other.rollback_to(&outer), Err(PagerError::NoSuchSavepoint));
    let own = other.savepoint();
    assert_eq!(other.rollback_to(&outer), Err(PagerError::NoSuchSavepoint));
    assert_eq!(other.release(own), Ok(()));
}

/// What the caller has: bytes of allocated pages, and how many pages there are.
type Model = (BTreeMap<u32, u8>, u32);

#[test]
fn random_transactions_with_nested_savepoints_do_what_copies_of_a_model_do() {
    for seed in 0..60 {
        let mut random = Numbers(seed);
        let disk = Disk::new();
        let pager = open(&disk, PagerOptions { cache_pages: 4, ..options() }).expect("open");
        let mut model: Model = (BTreeMap::new(), 1);
        for _ in 0..6 {
            let mut writer = begin(&disk, &pager);
            let mut current = model.clone();
            let mut savepoints: Vec<(Savepoint, Model)> = Vec::new();
            for _ in 0..60 {
                one_change(&disk, &mut writer, &mut random, &mut current, &mut savepoints);
                compare(&disk, &mut writer, &mut random, &current);
            }
            if !random.one_in(4) {
                model = current;
                commit(&disk, writer).expect("commit");
            }
            assert_sound(&disk, &pager);
        }
        let mut writer = begin(&disk, &pager);
        (2..=model.1).for_each(|page| compare_page(&disk, &mut writer, &model, page));
    }
}

fn one_change(
    disk: &Disk,
    writer: &mut WriteTransaction,
    random: &mut Numbers,
    current: &mut Model,
    savepoints: &mut Vec<(Savepoint, Model)>,
) {
    let page = current.0.keys().nth(random.below(current.0.len())).copied();
    match (random.below(10), page) {
        (0, _) => savepoints.push((writer.savepoint(), current.clone())),
        (1, _) if !savepoints.is_empty() => {
            let place = random.below(savepoints.len());
            writer.rollback_to(&savepoints[place].0).expect("open");
            savepoints.truncate(place + 1);
            *current = savepoints[place].1.clone();
        }
        (2, _) if !savepoints.is_empty() => {
            let (savepoint, _) = savepoints.drain(random.below(savepoints.len())..).next().expect("one");
            writer.release(savepoint).expect("open");
        }
        (3..=4, Some(page)) => {
            run(disk, || writer.free(page)).expect("free");
            current.0.remove(&page);
        }
        (5..=7, Some(page)) => {
            let byte = random.next() as u8;
            fill(disk, writer, page, byte);
            current.0.insert(page, byte);
        }
        _ => {
            let page = run(disk, || writer.allocate()).expect("allocate");
            assert!(current.0.insert(page, 0).is_none(), "page {page} was taken");
            current.1 = current.1.max(page);
        }
    }
}

/// Compares the page count and one page.
fn compare(disk: &Disk, writer: &mut WriteTransaction, random: &mut Numbers, expected: &Model) {
    assert_eq!(writer.page_count(), expected.1);
    if expected.1 > 1 {
        compare_page(disk, writer, expected, 2 + random.below(expected.1 as usize - 1) as u32);
    }
}

fn compare_page(disk: &Disk, writer: &mut WriteTransaction, expected: &Model, page: u32) {
    let found = match run(disk, || writer.page(page)) {
        Ok(bytes) => Some(bytes[0]),
        Err(PagerError::PageNotAllocated { .. }) => None,
        Err(error) => panic!("{error}"),
    };
    assert_eq!(found, expected.0.get(&page).copied(), "page {page}");
}
