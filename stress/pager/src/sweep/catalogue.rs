use tenterhook_runtime::pager::{CheckpointMode, PageNo, PagerError};

use super::house::opening;
use super::job::{Act, End, transaction, upgraded};
use super::machines::{check_integrity, checkpoint, read};
use super::{House, Machine, PagerOperation};
use tenterhook_stress::sweep::Operation;

/// Every operation of the pager, from every state of the file in which it takes another way.
pub fn catalogue() -> Vec<Box<dyn Operation>> {
    let boxed = |subject: PagerOperation| Box::new(subject) as Box<dyn Operation>;
    reading()
        .into_iter()
        .chain(writing())
        .chain(spilling())
        .chain(upkeep())
        .chain(opens())
        .map(boxed)
        .collect()
}

fn reading() -> [PagerOperation; 4] {
    [
        subject(
            "read a page of the log",
            |_| Ok(()),
            |house| {
                house.evict()?;
                read(&house.opened(), vec![3])
            },
        ),
        subject("read a page of the file", all_in_the_file, |house| {
            house.evict()?;
            read(&house.opened(), vec![3])
        }),
        subject(
            "read a cached page",
            |_| Ok(()),
            |house| {
                house.finish(read(&house.opened(), vec![3])?)?;
                read(&house.opened(), vec![3])
            },
        ),
        subject("read five pages", half_checkpointed, |house| read(&house.opened(), vec![2, 9, 3, 11, 4])),
    ]
}

fn writing() -> [PagerOperation; 13] {
    [
        subject("commit nothing", |_| Ok(()), |house| commit(house, &[])),
        subject("commit one page", half_checkpointed, |house| commit(house, &[Act::Edit(3, 9)])),
        subject("commit five pages", half_checkpointed, |house| {
            let pages = [2, 9, 3, 11, 4];
            commit(house, &pages.map(|page| Act::Edit(page, 9)))
        }),
        subject("commit on a fresh log", all_in_the_file, |house| commit(house, &[Act::Edit(3, 9)])),
        subject("commit a log anew beside a reader", beside_a_reader, |house| {
            commit(house, &[Act::Edit(3, 9), Act::Edit(4, 9)])
        }),
        subject("grow the file", half_checkpointed, |house| {
            commit(house, &[Act::Allocate, Act::Edit(25, 9), Act::Allocate])
        }),
        subject("take free pages", with_free_pages, |house| {
            commit(house, &[Act::Allocate, Act::Allocate, Act::Edit(7, 9)])
        }),
        subject("free pages", with_free_pages, |house| {
            commit(house, &[Act::Free(2), Act::Edit(3, 9), Act::Free(4)])
        }),
        subject("go back to a savepoint", with_free_pages, |house| {
            let stray = [Act::Allocate, Act::Free(3), Act::Edit(4, 7), Act::Edit(9, 7)];
            let way = [&[Act::Edit(4, 9), Act::Mark][..], &stray, &[Act::GoBack, Act::Edit(11, 9)]].concat();
            commit(house, &way)
        }),
        subject("shorten the file", with_a_free_tail, |house| commit(house, &[Act::Edit(3, 9), Act::Vacuum])),
        subject("shorten the file and go back", with_a_free_tail, |house| {
            commit(house, &[Act::Mark, Act::Vacuum, Act::GoBack, Act::Allocate])
        }),
        subject("read, then commit", half_checkpointed, |house| {
            upgraded(&house.opened(), vec![Act::Edit(3, 9)], End::Commit)
        }),
        subject("roll back", with_free_pages, |house| {
            let acts = vec![Act::Allocate, Act::Free(3), Act::Edit(4, 9)];
            Ok(transaction(&house.opened(), acts, End::Rollback))
        }),
    ]
}

fn spilling() -> [PagerOperation; 6] {
    [
        subject("spill", half_checkpointed, |house| {
            commit(house, &[&edits(2..=11)[..], &edits(2..=4)].concat())
        }),
        subject("spill on a fresh log", all_in_the_file, |house| commit(house, &edits(2..=8))),
        subject("spill beside a reader", beside_a_reader, |house| {
            commit(house, &[&edits(2..=9)[..], &[Act::Allocate, Act::Free(3)]].concat())
        }),
        subject("spill and go back to a savepoint", with_free_pages, |house| {
            let stray = [Act::Free(3), Act::Edit(4, 7), Act::Allocate, Act::Edit(11, 7), Act::GoBack];
            let kept = [&[Act::Allocate], &edits(2..=4)[..], &edits(8..=11), &[Act::Mark]].concat();
            commit(house, &[&kept[..], &stray, &edits(2..=4)].concat())
        }),
        subject("spill and shorten the file", with_a_free_tail, |house| {
            let grown = [[Act::Allocate; 4].as_slice(), &edits(25..=27)].concat();
            let freed = (25..=28).map(Act::Free).collect::<Vec<_>>();
            commit(house, &[&grown[..], &edits(2..=4), &freed, &[Act::Vacuum, Act::Edit(3, 9)]].concat())
        }),
        subject("spill and roll back", half_checkpointed, |house| {
            Ok(transaction(&house.opened(), edits(2..=9), End::Rollback))
        }),
    ]
}

fn upkeep() -> [PagerOperation; 11] {
    [
        subject("checkpoint", half_checkpointed, |house| {
            Ok(checkpoint(&house.opened(), CheckpointMode::Passive))
        }),
        subject("checkpoint beside a reader", beside_a_reader, |house| {
            Ok(checkpoint(&house.opened(), CheckpointMode::Passive))
        }),
        subject("checkpoint a shorter file", shortened, |house| {
            Ok(checkpoint(&house.opened(), CheckpointMode::Passive))
        }),
        subject("checkpoint nothing", all_in_the_file, |house| {
            Ok(checkpoint(&house.opened(), CheckpointMode::Passive))
        }),
        subject("checkpoint all", half_checkpointed, |house| {
            Ok(checkpoint(&house.opened(), CheckpointMode::Full))
        }),
        subject("begin the log anew", half_checkpointed, |house| {
            Ok(checkpoint(&house.opened(), CheckpointMode::Restart))
        }),
        subject("begin the log anew for a shorter file", shortened, |house| {
            Ok(checkpoint(&house.opened(), CheckpointMode::Restart))
        }),
        subject("cut the log off", half_checkpointed, |house| {
            Ok(checkpoint(&house.opened(), CheckpointMode::Truncate))
        }),
        subject("cut the log off, all of it copied", all_in_the_file, |house| {
            Ok(checkpoint(&house.opened(), CheckpointMode::Truncate))
        }),
        subject("check integrity", with_free_pages, |house| Ok(check_integrity(&house.opened()))),
        subject("check integrity of the file", all_in_the_file, |house| Ok(check_integrity(&house.opened()))),
    ]
}

fn opens() -> [PagerOperation; 3] {
    let open = |name, house| PagerOperation {
        name,
        house,
        machine: |house| Ok(opening(house)),
        notices_bit_flips: false,
    };
    [
        open("open with a log", |house| {
            half_checkpointed(house)?;
            house.close();
            Ok(())
        }),
        open("open with all in the log", |house| {
            house.close();
            Ok(())
        }),
        open("open without a log", |house| {
            all_in_the_file(house)?;
            house.close();
            Ok(())
        }),
    ]
}

fn subject(
    name: &'static str,
    house: fn(&mut House) -> Result<(), PagerError>,
    machine: fn(&House) -> Result<Machine, PagerError>,
) -> PagerOperation {
    PagerOperation { name, house, machine, notices_bit_flips: true }
}

fn commit(house: &House, acts: &[Act]) -> Result<Machine, PagerError> {
    Ok(transaction(&house.opened(), acts.to_vec(), End::Commit))
}

fn edits(pages: std::ops::RangeInclusive<PageNo>) -> Vec<Act> {
    pages.map(|page| Act::Edit(page, 9)).collect()
}

/// Nothing is in the log alone.
fn all_in_the_file(house: &mut House) -> Result<(), PagerError> {
    house.checkpoint()
}

/// Some pages in the file only, some in the log, too.
fn half_checkpointed(house: &mut House) -> Result<(), PagerError> {
    house.checkpoint()?;
    house.commit(vec![Act::Edit(9, 2), Act::Edit(10, 2)])?;
    house.commit(vec![Act::Edit(10, 3), Act::Edit(11, 3)])?;
    house.evict()
}

/// Three pages are free, and not all of that is in the file.
fn with_free_pages(house: &mut House) -> Result<(), PagerError> {
    house.commit(vec![Act::Free(5)])?;
    house.checkpoint()?;
    house.commit(vec![Act::Free(6), Act::Free(7), Act::Edit(8, 2)])?;
    house.evict()
}

/// The last two pages of the file are free.
fn with_a_free_tail(house: &mut House) -> Result<(), PagerError> {
    house.commit(vec![Act::Free(5), Act::Allocate, Act::Allocate, Act::Allocate])?;
    house.checkpoint()?;
    house.commit(vec![Act::Free(25), Act::Free(26)])?;
    house.evict()
}

/// The log has a shorter file than the database file is.
fn shortened(house: &mut House) -> Result<(), PagerError> {
    with_a_free_tail(house)?;
    house.commit(vec![Act::Vacuum])
}

/// Somebody reads a snapshot between two commits.
fn beside_a_reader(house: &mut House) -> Result<(), PagerError> {
    house.commit(vec![Act::Edit(9, 2)])?;
    house.begin_reading()?;
    house.commit(vec![Act::Edit(9, 3), Act::Edit(10, 3)])?;
    house.evict()
}
