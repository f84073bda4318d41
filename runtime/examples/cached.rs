//! What a cached read of a 4 KiB page costs beside a bare copy of 4 KiB: `cached [rounds]`.
//!
//! The pages are 1,024, in a fixed random order, so that both find them in the same processor cache. A read is a lookup,
//! a pin, a copy of the page, and the pin's end. Snapshots are of two kinds: one reads all from the database file's
//! versions, the other has to look each page up in the log's index first. Two threads read at once in the last lines.

use std::error::Error;
use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::Instant;

use tenterhook_runtime::IOResult;
use tenterhook_runtime::io::{MemoryIO, drive};
use tenterhook_runtime::pager::{CheckpointMode, Pager, PagerError, PagerOptions, ReadTransaction};

const PAGES: u32 = 1024;
const PAGE: usize = 4096;

fn main() -> Result<(), Box<dyn Error>> {
    let rounds: u32 = std::env::args().nth(1).map_or(Ok(2000), |rounds| rounds.parse())?;
    let io = Arc::new(MemoryIO::new());
    let mut open = Pager::open(
        io.clone(),
        "cached.db".as_ref(),
        PagerOptions { cache_pages: 4096, ..PagerOptions::default() },
    );
    let pager = drive(&*io, || open.step())?;
    let mut writer = pager.try_begin_write()?;
    for _ in 0..PAGES {
        let page = drive(&*io, || writer.allocate())?;
        drive(&*io, || Ok::<_, PagerError>(writer.page_mut(page)?.map(|bytes| bytes.fill(page as u8))))?;
    }
    let mut commit = writer.commit();
    drive(&*io, || commit.step())?;

    let bare = measure(1, rounds, bare_copies());
    println!("bare copy of 4 KiB                     {bare:>8.1} ns");
    warm(&io, &pager)?;
    compare("read from the log's versions", &pager, rounds, bare)?;
    let mut checkpoint = pager.checkpoint(CheckpointMode::Passive);
    drive(&*io, || checkpoint.step())?;
    warm(&io, &pager)?;
    compare("read from the database's versions", &pager, rounds, bare)?;
    println!("{:?}", pager.cache_counters());
    Ok(())
}

/// Has every page in the cache.
fn warm(io: &MemoryIO, pager: &Arc<Pager>) -> Result<(), PagerError> {
    let mut reader = pager.begin_read()?;
    order().try_for_each(|page| drive(io, || reader.page(page)).map(drop))
}

/// One thread, then two: nanoseconds a read, and the ratio to a bare copy.
fn compare(what: &str, pager: &Arc<Pager>, rounds: u32, bare: f64) -> Result<(), PagerError> {
    for threads in [1, 2] {
        let taken = measure(threads, rounds, || reads(pager.begin_read().expect("there is no limit")));
        println!("{what:<33} x {threads}  {taken:>8.1} ns  {:.2} of a bare copy", taken / bare);
    }
    Ok(())
}

fn bare_copies() -> impl Fn() -> Box<dyn FnMut(u32)> + Sync {
    || {
        let pages: Vec<Box<[u8]>> = (0..PAGES + 2).map(|page| vec![page as u8; PAGE].into()).collect();
        let mut copy = vec![0; PAGE];
        Box::new(move |page| {
            copy.copy_from_slice(black_box(&pages[page as usize]));
            black_box(&copy);
        })
    }
}

fn reads(mut reader: ReadTransaction) -> Box<dyn FnMut(u32)> {
    let mut copy = vec![0; PAGE];
    Box::new(move |page| {
        let Ok(IOResult::Done(page)) = reader.page(page) else { panic!("page {page} is not cached") };
        copy[..page.len()].copy_from_slice(&page);
        black_box(&copy);
    })
}

/// Page numbers, each once, in an order that no prefetcher guesses.
fn order() -> impl Iterator<Item = u32> {
    (0..PAGES).map(|at| 2 + at.wrapping_mul(389) % PAGES)
}

/// Nanoseconds that one call takes in each of so many threads at once.
fn measure(threads: usize, rounds: u32, make: impl Fn() -> Box<dyn FnMut(u32)> + Sync) -> f64 {
    let barrier = Barrier::new(threads);
    let run = || {
        let mut call = make();
        order().for_each(&mut call);
        barrier.wait();
        let begun = Instant::now();
        for _ in 0..rounds {
            order().for_each(&mut call);
        }
        begun.elapsed().as_nanos() as f64 / f64::from(rounds * PAGES)
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        all.into_iter().map(|thread| thread.join().expect("no panic")).fold(0.0, f64::max)
    })
}
