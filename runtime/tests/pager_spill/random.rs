//! Transactions that spill, drawn, beside a model; and dropped at every yield.

use super::*;

/// What the caller has in each page, and how many pages there are.
type Model = (BTreeMap<u32, u8>, u32);

fn act(disk: &Disk, writer: &mut WriteTransaction, model: &mut Model, random: &mut Numbers) {
    let page = 2 + random.below(model.1 as usize) as u32;
    let is_there = model.0.contains_key(&page);
    match random.below(10) {
        0..3 => {
            let page = run(disk, || writer.allocate()).expect("allocate");
            assert_eq!(model.0.insert(page, 0), None);
            model.1 = model.1.max(page);
        }
        3..5 if is_there => {
            run(disk, || writer.free(page)).expect("free");
            model.0.remove(&page);
        }
        5..7 if is_there => assert_eq!(first_byte(disk, writer, page), model.0[&page], "page {page}"),
        _ if is_there => {
            let value = random.next() as u8;
            fill(disk, writer, page, value);
            model.0.insert(page, value);
        }
        _ => {}
    }
    assert_eq!(writer.page_count(), model.1);
}

fn vacuum(disk: &Disk, writer: WriteTransaction, model: &mut Model) -> WriteTransaction {
    let mut vacuum = writer.vacuum();
    let (writer, _) = run(disk, || vacuum.step()).expect("vacuum");
    let last = model.0.last_key_value().map_or(1, |(page, _)| *page);
    model.1 = if model.1 > 1 { last.max(2) } else { 1 };
    writer
}

#[test]
fn random_transactions_that_spill_do_what_copies_of_a_model_do() {
    for seed in 0..80 {
        let mut random = Numbers(seed);
        let disk = Disk::new();
        let spill_pages = 1 + random.below(6);
        let pager = open(&disk, PagerOptions { cache_pages: 4, ..spilling(spill_pages) }).expect("open");
        let mut committed: Model = (BTreeMap::new(), 1);
        for _ in 0..12 {
            let (mut writer, mut model) = (begin(&disk, &pager), committed.clone());
            let mut marks: Vec<(Savepoint, Model)> = Vec::new();
            for _ in 0..random.below(60) {
                match random.below(16) {
                    0 => marks.push((writer.savepoint(), model.clone())),
                    1 | 2 if !marks.is_empty() => {
                        marks.truncate(1 + random.below(marks.len()));
                        let (mark, before) = marks.last().expect("one at least");
                        writer.rollback_to(mark).expect("its own");
                        model = before.clone();
                    }
                    3 if !marks.is_empty() => {
                        marks.truncate(1 + random.below(marks.len()));
                        let (mark, _) = marks.pop().expect("one at least");
                        writer.release(mark).expect("its own");
                    }
                    4 if random.one_in(3) => writer = vacuum(&disk, writer, &mut model),
                    _ => act(&disk, &mut writer, &mut model, &mut random),
                }
            }
            if random.one_in(4) {
                writer.rollback();
            } else {
                commit(&disk, writer).expect("commit");
                committed = model;
            }
            if random.one_in(4) {
                checkpoint(&disk, &pager);
            }
            assert_sound(&disk, &pager);
            let lost = disk.after_power_loss(|| false);
            let recovered = open(&lost, options()).expect("recover");
            for (disk, pager) in [(&disk, &pager), (&lost, &recovered)] {
                assert_eq!(pager.page_count(), committed.1, "seed {seed}");
                for (page, value) in &committed.0 {
                    assert_eq!(read_fill(disk, pager, *page), Ok(*value), "seed {seed}, page {page}");
                }
                assert!(pager.audit().is_idle());
            }
        }
    }
}

#[test]
fn dropping_at_any_yield_leaves_nothing() {
    for yields in 0..60 {
        let (disk, pager) = prepare(2);
        let mut left = yields;
        let mut give_up = || {
            left -= 1;
            left < 0
        };
        // Steps until the machine is done; false when it was dropped instead.
        let mut writer = begin(&disk, &pager);
        disk.hold(true);
        let mut done = true;
        'changes: for page in [2, 3, 4, 5, 2, 6, 3] {
            while writer.page_mut(page).expect("no fault").is_io() {
                if give_up() {
                    done = false;
                    break 'changes;
                }
                disk.release(0);
            }
        }
        if done {
            let mut commit = writer.commit();
            while ended(&mut commit).is_none() && !give_up() {
                disk.release(0);
            }
        } else {
            drop(writer);
        }
        finish(&disk);
        assert!(!kinds(&disk).contains(&Truncate) && pager.audit().is_idle(), "{:?}", pager.audit());
        disk.hold(false);
        fill_pages(&disk, &pager, &[2, 3, 4, 5], 9).expect("commit");
        assert_sound(&disk, &pager);
    }
}
