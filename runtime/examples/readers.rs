//! Many machines, each of which reads pages of a real file, on few workers: `readers [machines] [backend] [workers]`.
//!
//! Every page is checked. Says how long it took, what the process weighed at its heaviest, and what the idle workers
//! do afterwards: they sleep, so their count of context switches stands still.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tenterhook_runtime::executor::{Builder, Task};
use tenterhook_runtime::io::{Backend, Buffer, File, OpenOptions, Submission};
use tenterhook_runtime::{Completion, CompletionError, IOCompletions, IOResult};

const PAGE: usize = 4096;
const PAGES: u64 = 4096;
const READS: u64 = 4;

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("readers: {error}; use: readers [machines] [memory|threads|uring|auto] [workers]");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let argument =
        |position: usize, default: &str| arguments.get(position).cloned().unwrap_or(default.into());
    let machines: u64 = argument(0, "100000").parse()?;
    let started = argument(1, "auto").parse::<Backend>()?.start()?;
    let workers: NonZero<usize> = argument(2, "2").parse()?;
    if let Some(why) = &started.fallback {
        eprintln!("readers: {why}; going on with {}", started.backend);
    }
    if matches!(started.backend, Backend::Memory | Backend::Yielding) {
        return Err("this is about real files: threads, uring or auto".into());
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("pages");
    fs::write(&path, (0..PAGES).flat_map(page_of).collect::<Vec<u8>>())?;
    let file = started.io.open(&path, OpenOptions::default())?;

    let executor = Builder::new().workers(workers).name("worker").build()?;
    let begun = Instant::now();
    let tasks: Vec<Task<u64, CompletionError>> =
        (0..machines).map(|number| executor.spawn(reader(Arc::clone(&file), number))).collect();
    println!("spawned {machines} machines in {:.2?}", begun.elapsed());
    let mut read = 0;
    for task in tasks {
        read += task.join()?;
    }
    let elapsed = begun.elapsed();
    println!(
        "{read} pages read and checked in {elapsed:.2?} through {} on {workers} workers: {:.0} reads/s",
        started.backend,
        read as f64 / elapsed.as_secs_f64()
    );
    println!("peak memory {} MiB", peak_memory()? >> 10);
    let before = switches("worker-")?;
    std::thread::sleep(Duration::from_secs(2));
    let after = switches("worker-")?;
    let woken: u64 = after.iter().map(|(thread, count)| count - before.get(thread).unwrap_or(&0)).sum();
    println!("idle for 2 s: {} workers woke up {woken} times", after.len());
    executor.drain();
    Ok(())
}

/// What page `number` holds.
fn page_of(number: u64) -> [u8; PAGE] {
    let mut page = [number as u8; PAGE];
    page[..8].copy_from_slice(&number.to_le_bytes());
    page
}

/// Reads [`READS`] pages, one after the other, and compares each with what it must be.
fn reader(
    file: Arc<dyn File>,
    number: u64,
) -> impl FnMut() -> Result<IOResult<u64>, CompletionError> + Send + 'static {
    let (mut done, mut reading) = (0, None::<Completion>);
    move || {
        loop {
            if let Some(read) = &reading {
                match read.result() {
                    Some(outcome) => outcome?,
                    None => return Ok(IOResult::IO(IOCompletions::Single(read.clone()))),
                };
                (reading, done) = (None, done + 1);
            }
            if done == READS {
                return Ok(IOResult::Done(done));
            }
            let page = number.wrapping_mul(31).wrapping_add(done * 997) % PAGES;
            let check = move |outcome: Result<u64, CompletionError>, buffer: Buffer| {
                assert!(
                    outcome.is_err() || buffer[..] == page_of(page),
                    "page {page} is not what was written"
                );
            };
            reading = Some(file.start(Submission::read(page * PAGE as u64, Buffer::zeroed(PAGE), check)));
        }
    }
}

/// The process's greatest resident size, in KiB.
fn peak_memory() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// How often each thread whose name begins with `prefix` has given up its processor by itself.
fn switches(prefix: &str) -> Result<BTreeMap<String, u64>, Box<dyn Error>> {
    let mut counts = BTreeMap::new();
    for thread in fs::read_dir("/proc/self/task")? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let (Some(name), Some(count)) = (field("Name:"), field("voluntary_ctxt_switches:")) else { continue };
        if name.starts_with(prefix) {
            counts.insert(name.to_owned(), count.parse()?);
        }
    }
    Ok(counts)
}
