use tenterhook_runtime::pager::{CheckpointMode, PageNo, PagerError};

use super::fixture::opening;
use super::job::{Act, End, transaction, upgraded};
use super::machines::{check_integrity, checkpoint, read};
use super::{Fixture, Machine, PagerOperation};
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
            |fixture| {
                fixture.evict()?;
                read(&fixture.opened(), vec![3])
            },
        ),
        subject("read a page of the file", all_in_the_file, |fixture| {
            fixture.evict()?;
            read(&fixture.opened(), vec![3])
        }),
        subject(
            "read a cached page",
            |_| Ok(()),
            |fixture| {
                fixture.finish(read(&fixture.opened(), vec![3])?)?;
                read(&fixture.opened(), vec![3])
            },
        ),
        subject("read five pages", half_checkpointed, |fixture| {
            read(&fixture.opened(), vec![2, 9, 3, 11, 4])
        }),
    ]
}

fn writing() -> [PagerOperation; 13] {
    [
        subject("commit nothing", |_| Ok(()), |fixture| commit(fixture, &[])),
        subject("commit one page", half_checkpointed, |fixture| commit(fixture, &[Act::Edit(3, 9)])),
        subject("commit five pages", half_checkpointed, |fixture| {
            let pages = [2, 9, 3, 11, 4];
            commit(fixture, &pages.map(|page| Act::Edit(page, 9)))
        }),
        subject("commit on a fresh log", all_in_the_file, |fixture| commit(fixture, &[Act::Edit(3, 9)])),
        subject("commit into a reset log beside a reader", beside_a_reader, |fixture| {
            commit(fixture, &[Act::Edit(3, 9), Act::Edit(4, 9)])
        }),
        subject("grow the file", half_checkpointed, |fixture| {
            commit(fixture, &[Act::Allocate, Act::Edit(25, 9), Act::Allocate])
        }),
        subject("take free pages", with_free_pages, |fixture| {
            commit(fixture, &[Act::Allocate, Act::Allocate, Act::Edit(7, 9)])
        }),
        subject("free pages", with_free_pages, |fixture| {
            commit(fixture, &[Act::Free(2), Act::Edit(3, 9), Act::Free(4)])
        }),
        subject("go back to a savepoint", with_free_pages, |fixture| {
            let stray = [Act::Allocate, Act::Free(3), Act::Edit(4, 7), Act::Edit(9, 7)];
            let way = [&[Act::Edit(4, 9), Act::Mark][..], &stray, &[Act::GoBack, Act::Edit(11, 9)]].concat();
            commit(fixture, &way)
        }),
        subject("shorten the file", with_a_free_tail, |fixture| {
            commit(fixture, &[Act::Edit(3, 9), Act::Vacuum])
        }),
        subject("shorten the file and go back", with_a_free_tail, |fixture| {
            commit(fixture, &[Act::Mark, Act::Vacuum, Act::GoBack, Act::Allocate])
        }),
        subject("read, then commit", half_checkpointed, |fixture| {
            upgraded(&fixture.opened(), vec![Act::Edit(3, 9)], End::Commit)
        }),
        subject("roll back", with_free_pages, |fixture| {
            let acts = vec![Act::Allocate, Act::Free(3), Act::Edit(4, 9)];
            Ok(transaction(&fixture.opened(), acts, End::Rollback))
        }),
    ]
}

fn spilling() -> [PagerOperation; 6] {
    [
        subject("spill", half_checkpointed, |fixture| {
            commit(fixture, &[&edits(2..=11)[..], &edits(2..=4)].concat())
        }),
        subject("spill on a fresh log", all_in_the_file, |fixture| commit(fixture, &edits(2..=8))),
        subject("spill beside a reader", beside_a_reader, |fixture| {
            commit(fixture, &[&edits(2..=9)[..], &[Act::Allocate, Act::Free(3)]].concat())
        }),
        subject("spill and go back to a savepoint", with_free_pages, |fixture| {
            let stray = [Act::Free(3), Act::Edit(4, 7), Act::Allocate, Act::Edit(11, 7), Act::GoBack];
            let kept = [&[Act::Allocate], &edits(2..=4)[..], &edits(8..=11), &[Act::Mark]].concat();
            commit(fixture, &[&kept[..], &stray, &edits(2..=4)].concat())
        }),
        subject("spill and shorten the file", with_a_free_tail, |fixture| {
            let grown = [[Act::Allocate; 4].as_slice(), &edits(25..=27)].concat();
            let freed = (25..=28).map(Act::Free).collect::<Vec<_>>();
            commit(fixture, &[&grown[..], &edits(2..=4), &freed, &[Act::Vacuum, Act::Edit(3, 9)]].concat())
        }),
        subject("spill and roll back", half_checkpointed, |fixture| {
            Ok(transaction(&fixture.opened(), edits(2..=9), End::Rollback))
        }),
    ]
}

fn upkeep() -> [PagerOperation; 11] {
    [
        subject("checkpoint", half_checkpointed, |fixture| {
            Ok(checkpoint(&fixture.opened(), CheckpointMode::Passive))
        }),
        subject("checkpoint beside a reader", beside_a_reader, |fixture| {
            Ok(checkpoint(&fixture.opened(), CheckpointMode::Passive))
        }),
        subject("checkpoint a shorter file", shortened, |fixture| {
            Ok(checkpoint(&fixture.opened(), CheckpointMode::Passive))
        }),
        subject("checkpoint nothing", all_in_the_file, |fixture| {
            Ok(checkpoint(&fixture.opened(), CheckpointMode::Passive))
        }),
        subject("checkpoint all", half_checkpointed, |fixture| {
            Ok(checkpoint(&fixture.opened(), CheckpointMode::Full))
        }),
        subject("reset the log", half_checkpointed, |fixture| {
            Ok(checkpoint(&fixture.opened(), CheckpointMode::Restart))
        }),
        subject("reset the log for a shorter file", shortened, |fixture| {
            Ok(checkpoint(&fixture.opened(), CheckpointMode::Restart))
        }),
        subject("cut the log off", half_checkpointed, |fixture| {
            Ok(checkpoint(&fixture.opened(), CheckpointMode::Truncate))
        }),
        subject("cut the log off, all of it copied", all_in_the_file, |fixture| {
            Ok(checkpoint(&fixture.opened(), CheckpointMode::Truncate))
        }),
        subject("check integrity", with_free_pages, |fixture| Ok(check_integrity(&fixture.opened()))),
        subject("check integrity of the file", all_in_the_file, |fixture| {
            Ok(check_integrity(&fixture.opened()))
        }),
    ]
}

fn opens() -> [PagerOperation; 3] {
    let open = |name, fixture| PagerOperation {
        name,
        fixture,
        machine: |fixture| Ok(opening(fixture)),
        notices_bit_flips: false,
    };
    [
        open("open with a log", |fixture| {
            half_checkpointed(fixture)?;
            fixture.close();
            Ok(())
        }),
        open("open with all in the log", |fixture| {
            fixture.close();
            Ok(())
        }),
        open("open without a log", |fixture| {
            all_in_the_file(fixture)?;
            fixture.close();
            Ok(())
        }),
    ]
}

fn subject(
    name: &'static str,
    fixture: fn(&mut Fixture) -> Result<(), PagerError>,
    machine: fn(&Fixture) -> Result<Machine, PagerError>,
) -> PagerOperation {
    PagerOperation { name, fixture, machine, notices_bit_flips: true }
}

fn commit(fixture: &Fixture, acts: &[Act]) -> Result<Machine, PagerError> {
    Ok(transaction(&fixture.opened(), acts.to_vec(), End::Commit))
}

fn edits(pages: std::ops::RangeInclusive<PageNo>) -> Vec<Act> {
    pages.map(|page| Act::Edit(page, 9)).collect()
}

/// Nothing is in the log alone.
fn all_in_the_file(fixture: &mut Fixture) -> Result<(), PagerError> {
    fixture.checkpoint()
}

/// Some pages in the file only, some in the log, too.
fn half_checkpointed(fixture: &mut Fixture) -> Result<(), PagerError> {
    fixture.checkpoint()?;
    fixture.commit(vec![Act::Edit(9, 2), Act::Edit(10, 2)])?;
    fixture.commit(vec![Act::Edit(10, 3), Act::Edit(11, 3)])?;
    fixture.evict()
}

/// Three pages are free, and not all of that is in the file.
fn with_free_pages(fixture: &mut Fixture) -> Result<(), PagerError> {
    fixture.commit(vec![Act::Free(5)])?;
    fixture.checkpoint()?;
    fixture.commit(vec![Act::Free(6), Act::Free(7), Act::Edit(8, 2)])?;
    fixture.evict()
}

/// The last two pages of the file are free.
fn with_a_free_tail(fixture: &mut Fixture) -> Result<(), PagerError> {
    fixture.commit(vec![Act::Free(5), Act::Allocate, Act::Allocate, Act::Allocate])?;
    fixture.checkpoint()?;
    fixture.commit(vec![Act::Free(25), Act::Free(26)])?;
    fixture.evict()
}

/// The log has a shorter file than the database file is.
fn shortened(fixture: &mut Fixture) -> Result<(), PagerError> {
    with_a_free_tail(fixture)?;
    fixture.commit(vec![Act::Vacuum])
}

/// A reader holds a snapshot between two commits.
fn beside_a_reader(fixture: &mut Fixture) -> Result<(), PagerError> {
    fixture.commit(vec![Act::Edit(9, 2)])?;
    fixture.begin_reading()?;
    fixture.commit(vec![Act::Edit(9, 3), Act::Edit(10, 3)])?;
    fixture.evict()
}
