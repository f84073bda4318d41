//! The pager's pipeline of commits: who begins to write while another's commit is in flight builds on that.

use std::sync::Arc;

use loom::thread;
use tenterhook_runtime::IOResult;
use tenterhook_runtime::io::IO;

use crate::model::{EXHAUSTIVE, Model, models};
use crate::models::pager_fixture::{Fixture, drive};

pub(crate) fn models() -> Vec<Model> {
    models![
        EXHAUSTIVE => writer_begins_vs_sync_ends;
    ]
}

/// A commit is in flight until its sync has ended and published from then on, with nothing in between: a writer that
/// begins in any moment sees it.
fn writer_begins_vs_sync_ends() {
    let fixture = Fixture::with(1, 4);
    let mut writer = fixture.begin();
    fixture.fill(&mut writer, 2, 2);
    let mut commit = writer.commit();
    assert!(commit.step().unwrap().is_io() && commit.is_submitted());
    fixture.io.step().unwrap();
    assert!(commit.step().unwrap().is_io(), "written, and not durable");
    let pager = Arc::clone(&fixture.pager);
    let beginning = thread::spawn(move || match pager.begin_write().step().unwrap() {
        IOResult::Done(writer) => writer,
        IOResult::IO(_) => panic!("the right was given up with the commit"),
    });
    fixture.io.step().unwrap();
    let mut writer = beginning.join().unwrap();
    let page = drive(&fixture.io, || writer.page(2));
    assert!(page.iter().all(|byte| *byte == 2), "it builds on an older commit");
    drop((page, writer));
    drive(&fixture.io, || commit.step());
    fixture.assert_idle();
}
