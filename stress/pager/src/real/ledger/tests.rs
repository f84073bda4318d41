use std::path::Path;
use std::sync::Arc;

use tenterhook_runtime::io::{IO, MemoryIO, drive};
use tenterhook_runtime::pager::{PageNo, Pager, PagerError, PagerOptions};

use super::*;

fn pager() -> (Arc<dyn IO>, Arc<Pager>, Layout) {
    let io: Arc<dyn IO> = Arc::new(MemoryIO::new());
    let options = PagerOptions { page_size: 512, ..PagerOptions::default() };
    let mut open = Pager::open(Arc::clone(&io), Path::new("x"), options);
    let pager = drive(&*io, || open.step()).expect("nothing fails");
    let layout = Layout { connections: 100, usable: pager.usable_size() };
    let mut make = Make::new(&pager, layout);
    drive(&*io, || make.step()).expect("nothing fails");
    (io, pager, layout)
}

fn post(io: &Arc<dyn IO>, pager: &Arc<Pager>, layout: Layout, connection: u64) -> Committed {
    let mut post = Post::new(pager, layout, connection);
    drive(&**io, || post.step(|_| {})).expect("nothing fails")
}

fn look(io: &Arc<dyn IO>, pager: &Arc<Pager>, layout: Layout) -> Result<u64, Wrong> {
    let mut audit = Audit::whole(pager, layout).expect("nothing fails");
    drive(&**io, || audit.step()).expect("nothing fails")
}

#[test]
fn every_snapshot_of_a_sound_pager_is_what_its_number_says() {
    let (io, pager, layout) = pager();
    assert_eq!(look(&io, &pager, layout), Ok(0));
    for number in 1..=200 {
        let connection = number * 37 % 100;
        let committed = post(&io, &pager, layout, connection);
        assert_eq!(committed.number, number);
        assert_eq!(look(&io, &pager, layout), Ok(number));
        let mut glance = Audit::glance(&pager, layout, number).expect("nothing fails");
        assert_eq!(drive(&*io, || glance.step()).expect("nothing fails"), Ok(number));
    }
}

#[test]
fn an_upgrade_that_comes_too_late_begins_again() {
    let (io, pager, layout) = pager();
    // The first has handed its frames to the log and given up the right; what it has done is not to be seen yet.
    let mut first = Post::new(&pager, layout, 2);
    assert!(first.step(|_| {}).expect("nothing fails").is_io());
    assert_eq!(first.describe(), "the commit to be durable");
    let mut second = Post::new(&pager, layout, 1);
    assert!(second.step(|_| {}).expect("nothing fails").is_io());
    let [first, second] =
        [&mut first, &mut second].map(|post| drive(&*io, || post.step(|_| {})).expect("nothing fails"));
    assert_eq!((first.number, second.number), (1, 2));
    assert_eq!(look(&io, &pager, layout), Ok(2));
}

#[test]
fn tidying_shortens_the_file_and_changes_nothing_that_counts() {
    let (io, pager, layout) = pager();
    for number in 1..=9 {
        post(&io, &pager, layout, number);
    }
    let pages = pager.page_count();
    let mut tidy = Tidy::new(&pager, 20);
    let mut most = pages;
    drive(&*io, || {
        let stepped = tidy.step();
        most = most.max(pager.page_count());
        stepped
    })
    .expect("nothing fails");
    assert!(most >= pages + 20 && pager.page_count() <= pages, "{pages}, {most}, {}", pager.page_count());
    assert_eq!(look(&io, &pager, layout), Ok(9));
}

#[test]
fn each_thing_that_can_be_wrong_is_seen() {
    // The page, the byte that is changed, and where it is noticed.
    let (_, _, layout) = pager();
    let cell = layout.cell(37).0;
    let stamped = layout.stripe(layout.stamped(9)[0]);
    for (page, at, place) in [
        (Layout::ROOT, 100, "root"),
        (cell, layout.cell(37).1, "the cells of all connections together"),
        (stamped, 8, "of the stripe"),
        (Layout::DIRECTORY, 8, "slot"),
    ] {
        let (io, pager, layout) = self::pager();
        for connection in 1..=9 {
            post(&io, &pager, layout, connection);
        }
        spoil(&io, &pager, page, at).expect("nothing fails");
        let wrong = look(&io, &pager, layout).expect_err("it was spoilt");
        assert!(wrong.place.contains(place), "{wrong}");
    }
}

/// Changes a byte in a commit without a number, unknown to the checks.
fn spoil(io: &Arc<dyn IO>, pager: &Arc<Pager>, page: PageNo, at: usize) -> Result<(), PagerError> {
    let mut begin = pager.begin_write();
    let mut transaction = drive(&**io, || begin.step())?;
    drive(&**io, || Ok::<_, PagerError>(transaction.page_mut(page)?.map(|bytes| bytes[at] ^= 0xff)))?;
    let mut commit = transaction.commit();
    drive(&**io, || commit.step()).map(drop)
}
