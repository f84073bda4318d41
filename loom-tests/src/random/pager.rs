//! The pager's hand-overs where loom leaves an order out: see `litmus_load_is_not_moved_behind_a_load_and_an_exchange`.

use std::path::Path;
use std::sync::Arc;

use shuttle::thread;
use tenterhook_runtime::IOResult;
use tenterhook_runtime::io::{MemoryIO, drive};
use tenterhook_runtime::pager::{Pager, PagerOptions};

use super::Model;

pub(super) fn models() -> Vec<Model> {
    let body = waiter_looks_while_it_is_granted_the_right;
    vec![Model { name: "waiter_looks_while_it_is_granted_the_right", body }]
}

fn open() -> Arc<Pager> {
    let io = Arc::new(MemoryIO::new());
    let options = PagerOptions { page_size: 512, cache_pages: 4, ..PagerOptions::default() };
    let mut open = Pager::open(io.clone(), Path::new("model.db"), options);
    drive(&*io, || open.step()).expect("no fault")
}

/// A waiter that looks while it is granted the right has it, or is told to look again.
fn waiter_looks_while_it_is_granted_the_right() {
    let pager = open();
    let holder = pager.try_begin_write().expect("free");
    let mut waiter = pager.begin_write();
    assert!(waiter.step().expect("it waits").is_io());
    let looking = thread::spawn(move || (waiter.step(), waiter));
    drop(holder);
    let (step, mut waiter) = looking.join().unwrap();
    if step.expect("nobody cancelled it").is_io() {
        assert!(matches!(waiter.step(), Ok(IOResult::Done(_))));
    }
}
