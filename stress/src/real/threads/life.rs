//! From one opening of the file to the next.

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tenterhook_runtime::executor::{Executor, Task};
use tenterhook_runtime::io::{Backend, IO, drive};
use tenterhook_runtime::pager::{Durability, Pager, PagerError, PagerOptions};

use super::ThreadsOptions;
use super::faults::{Faults, KINDS};
use super::shared::{Life, Shared};
use super::summary::{FaultCount, NoiseCount, Run, Summary};
use super::worker::Worker;
use crate::real::layer::Layer;
use crate::real::ledger::{Audit, Layout, Make};
use crate::real::noise::{Noise, NoiseKind, Place, Report};
use crate::rng;
use crate::violation::Violation;

/// A life that no failed sync has ended is ended after this.
const LIFE: Duration = Duration::from_secs(20);
/// How often somebody looks whether anything moves.
const LOOK: Duration = Duration::from_millis(50);
/// A kind of fault that did not strike in so many times as many operations as it should take was not put in.
const SURELY: u64 = 40;
/// A kind of noise that was not delivered in so many seconds was not made.
const SURELY_NOISY: f64 = 10.0;

/// Small pages and a cache that is smaller than the file, so that pages are read from it.
const OPTIONS: PagerOptions = PagerOptions {
    page_size: 1024,
    cache_pages: 48,
    spill_pages: 2048,
    checkpoint_frames: 400,
    restart_frames: 1600,
    max_pages: u32::MAX,
    durability: Durability::Full,
    id_seed: 13,
};

/// Runs each backend for its share of the time; stops at the first violation. `interrupted` is set by Ctrl-C.
///
/// # Errors
///
/// When a backend or the directory cannot be used.
pub fn run(options: &ThreadsOptions, interrupted: &AtomicBool) -> io::Result<Summary> {
    let mut summary = Summary::default();
    for &backend in &options.backends {
        let run = Runner::new(options, backend, interrupted)?.run()?;
        let is_over = run.violation.is_some();
        summary.runs.push(run);
        summary.interrupted = interrupted.load(Ordering::Relaxed);
        if is_over || summary.interrupted {
            break;
        }
    }
    Ok(summary)
}

struct Runner<'a> {
    options: &'a ThreadsOptions,
    backend: Backend,
    interrupted: &'a AtomicBool,
    io: Arc<dyn IO>,
    /// The backend without faults.
    below: Arc<dyn IO>,
    shared: Arc<Shared>,
    begun: Instant,
    share: Duration,
    run: Run,
    bar: ProgressBar,
}

impl<'a> Runner<'a> {
    fn new(
        options: &'a ThreadsOptions,
        backend: Backend,
        interrupted: &'a AtomicBool,
    ) -> io::Result<Runner<'a>> {
        let below = backend.start().map_err(io::Error::other)?.io;
        let faults = Faults::new(options.seed, &options.faults, options.noise.contains(&NoiseKind::Yields));
        let layer = Arc::new(Layer::new(Arc::clone(&below), faults));
        let run = Run { backend: backend.to_string(), connections: options.connections, ..Run::default() };
        let share = options.duration / options.backends.len() as u32;
        Ok(Runner {
            options,
            backend,
            interrupted,
            io: Arc::clone(&layer) as Arc<dyn IO>,
            below,
            shared: Arc::new(Shared::new(layer, options.connections, &options.noise)),
            begun: Instant::now(),
            share,
            run,
            bar: bar(options, share),
        })
    }

    fn run(mut self) -> io::Result<Run> {
        let mut ambient = self.options.noise.clone();
        ambient.retain(|kind| *kind != NoiseKind::FullDisk);
        let noise = self.noise(&ambient)?;
        while !self.is_over() {
            self.one_life()?;
        }
        drop(noise);
        self.bar.finish_and_clear();
        let seconds = self.begun.elapsed().as_secs_f64();
        let noise = |&kind: &NoiseKind| NoiseCount {
            kind: kind.name(),
            delivered: self.shared.noise_delivered(kind),
            had_to: seconds >= SURELY_NOISY,
        };
        let noise = self.options.noise.iter().map(noise).collect();
        let shared = &self.shared;
        let faults = shared.layer.watcher();
        // ORDERING: Relaxed: the machines have been joined.
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let fault = |(kind, of): (crate::disk::FaultKind, u64)| FaultCount {
            kind: kind.name(),
            struck: faults.struck(kind),
            // Each kind of operation is at least a twentieth of all.
            had_to: faults.seen() > of * SURELY * 20,
        };
        let enabled = KINDS.into_iter().filter(|(kind, _)| self.options.faults.contains(kind));
        let (memory_at_end, memory_peak) = memory()?;
        Ok(Run {
            seconds,
            noise,
            commits: count(&shared.commits),
            reads: count(&shared.reads),
            checkpoints: count(&shared.checkpoints),
            errors: count(&shared.errors),
            operations: faults.seen(),
            delayed: faults.delayed(),
            faults: enabled.map(fault).collect(),
            memory_at_end,
            memory_peak,
            violation: shared.violation(),
            ..self.run
        })
    }

    fn path(&self) -> PathBuf {
        self.options.directory.join(format!("{}.db", self.backend))
    }

    fn noise(&self, kinds: &[NoiseKind]) -> io::Result<Noise> {
        let mut log = self.path().into_os_string();
        log.push("-wal");
        let files = vec![self.path(), log.into()];
        let place = Place { io: Arc::clone(&self.below), files, directory: self.options.directory.clone() };
        Noise::start(kinds, &place, Arc::clone(&self.shared) as Arc<dyn Report>)
    }

    fn is_over(&self) -> bool {
        self.begun.elapsed() >= self.share
            || self.interrupted.load(Ordering::Relaxed)
            || self.shared.violation().is_some()
    }

    /// Recovers the file, looks it over, has everybody work on it, and looks it over again.
    fn one_life(&mut self) -> io::Result<()> {
        self.run.lives += 1;
        let mut open = Pager::open(Arc::clone(&self.io), &self.path(), OPTIONS);
        let opened = drive(&*self.io, || open.step());
        let Some(pager) = self.expect("recovery", "a file that can be opened", opened) else { return Ok(()) };
        let layout = Layout { connections: self.options.connections, usable: pager.usable_size() };
        let life = Life { pager, layout, shared: Arc::clone(&self.shared) };
        let Some(cells) = self.look_over(&life) else { return Ok(()) };
        self.shared.settle(&cells);
        let mut make = Make::new(&life.pager, layout);
        let made = drive(&*self.io, || make.step());
        if self.expect("recovery", "a file that can be written", made).is_none() {
            return Ok(());
        }
        self.work(&life)?;
        self.look_over(&life);
        Ok(())
    }

    /// Everybody works until time is up, the pager refuses, or something is wrong.
    fn work(&mut self, life: &Life) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        // ORDERING: Relaxed: nobody works yet.
        shared.stop.store(false, Ordering::Relaxed);
        shared.poisoned.store(false, Ordering::Relaxed);
        shared.layer.watcher().set_active(true);
        // Only now: when the file is looked over nothing explains an error.
        let is_full = self.options.noise.contains(&NoiseKind::FullDisk);
        let mut full = if is_full { Some(self.noise(&[NoiseKind::FullDisk])?) } else { None };
        let executor = Executor::new(self.options.workers);
        let key = rng::derive(self.options.seed, self.run.lives);
        let tasks: Vec<_> = (0..self.options.connections)
            .map(|connection| executor.spawn(Worker::new(life, connection, key).machine()))
            .collect();
        let born = Instant::now();
        let mut moved = (shared.progress(), Instant::now());
        let mut calm = false;
        while !tasks.iter().all(|task| task.is_finished()) {
            std::thread::sleep(LOOK);
            if self.is_over() || born.elapsed() >= LIFE {
                // ORDERING: Relaxed, as in `is_stopped`.
                shared.stop.store(true, Ordering::Relaxed);
            }
            if shared.is_stopped() && !calm {
                // Faults stop with the work: from here on everything must end.
                calm = true;
                full = None;
                shared.layer.watcher().set_active(false);
            }
            let progress = shared.progress();
            if progress != moved.0 {
                moved = (progress, Instant::now());
            } else if moved.1.elapsed() >= self.options.stall {
                let (ended, waiting) = tasks.into_iter().partition(|task| task.is_finished());
                // A connection that has panicked may be what the others wait for.
                self.join(ended);
                self.stalled(life);
                // The machines wait for something that will not come: they are left behind.
                std::mem::forget::<(Vec<Task<(), Infallible>>, Executor)>((waiting, executor));
                return Ok(());
            }
            self.show()?;
        }
        drop(full);
        shared.layer.watcher().set_active(false);
        self.join(tasks);
        executor.drain();
        Ok(())
    }

    /// Takes in how connections have ended.
    fn join(&self, tasks: Vec<Task<(), Infallible>>) {
        if let Some(violation) = first_panic(tasks) {
            self.shared.object(*violation);
        }
    }

    /// The pager's holdings once the I/O that it owns has ended: what machines began and did not wait for, because they were
    /// dropped or because a sync had failed. At the latest when that has taken as long as a stall.
    fn audit_at_rest(&self, life: &Life) -> tenterhook_runtime::pager::Audit {
        let begun = Instant::now();
        loop {
            let audit = life.pager.audit();
            let under_way = audit.log_writes + audit.database_writes + audit.loading;
            if under_way == 0 || begun.elapsed() >= self.options.stall {
                return audit;
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Nobody does anything: the file is sound, nothing is held, and nobody's commits are missing. How many each has, if so.
    fn look_over(&self, life: &Life) -> Option<Vec<u64>> {
        let audit = self.audit_at_rest(life);
        if !audit.is_idle() {
            let expected = "nothing held when nobody does anything";
            self.shared.object(*Violation::safety("leaks", expected, format!("{audit:?}")));
            return None;
        }
        let mut check = life.pager.check_integrity();
        let report = drive(&*self.io, || check.step());
        let report = self.expect("integrity", "a file that can be read", report)?;
        if !report.is_sound() {
            let seen = format!("{:?}", report.problems);
            self.shared.object(*Violation::safety("integrity", "no problem", seen));
            return None;
        }
        let found = Audit::whole(&life.pager, life.layout).and_then(|mut audit| {
            let found = drive(&*self.io, || audit.step())?;
            Ok(found.map(|_| audit.cells().to_vec()))
        });
        match self.expect("integrity", "a file that can be read", found)? {
            Ok(cells) => self.compare(&cells).then_some(cells),
            Err(wrong) => {
                let expected = format!("{} {}, as after some number of commits", wrong.place, wrong.expected);
                self.shared.object(*Violation::safety("atomicity", expected, wrong.seen));
                None
            }
        }
    }

    /// Each connection has what it was told of, and not more than it asked for.
    fn compare(&self, cells: &[u64]) -> bool {
        for (connection, (asked, told)) in self.shared.table().into_iter().enumerate() {
            let own = cells.get(connection).copied().unwrap_or(0);
            if !(told..=asked).contains(&own) {
                let expected = format!(
                    "from {told} commits of connection {connection}, which were acknowledged, to {asked}, which were asked for"
                );
                self.shared.object(*Violation::safety("durability", expected, own.to_string()));
                return false;
            }
        }
        true
    }

    /// Faults are off: there is no excuse.
    fn expect<T>(&self, oracle: &str, expected: &str, result: Result<T, PagerError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            // The sync that failed is remembered until the file is opened anew.
            Err(PagerError::Poisoned { .. }) => None,
            Err(error) => {
                self.shared.object(*Violation::safety(oracle, expected, error.to_string()));
                None
            }
        }
    }

    fn stalled(&self, life: &Life) {
        let doings = self.shared.doings().into_iter().map(|(doing, count)| format!("{count} at {doing}"));
        let seen = format!("none for {:.0} s", self.options.stall.as_secs_f64());
        let violation = Violation::liveness("liveness", "progress", seen)
            .note(format!("connections: {}", doings.collect::<Vec<_>>().join(", ")))
            .note(format!("pager: {:?}", life.pager.audit()))
            .note(format!("I/O under way: {}", self.shared.layer.under_way().join(", ")));
        self.shared.object(*violation);
    }

    fn show(&mut self) -> io::Result<()> {
        let elapsed = self.begun.elapsed();
        if self.run.memory_at_two_minutes.is_none() && elapsed >= Duration::from_secs(120) {
            self.run.memory_at_two_minutes = Some(memory()?.0);
        }
        self.bar.set_position(elapsed.as_secs());
        // ORDERING: Relaxed: a count.
        let commits = self.shared.commits.load(Ordering::Relaxed);
        let (backend, lives) = (self.backend, self.run.lives);
        self.bar.set_message(format!("{backend}: {commits} commits, {lives} lives"));
        Ok(())
    }
}

/// The panic of the first of `tasks` that has ended with one.
fn first_panic(tasks: Vec<Task<(), Infallible>>) -> Option<Box<Violation>> {
    let ends: Vec<_> = tasks.into_iter().map(Task::join).collect();
    ends.into_iter().find_map(|end| Some(Violation::panic(end.err()?.to_string())))
}

fn bar(options: &ThreadsOptions, share: Duration) -> ProgressBar {
    let target = if options.progress { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(share.as_secs()), target);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} s  {msg}") {
        bar.set_style(style);
    }
    bar
}

/// Resident memory of this process now and at most, in KiB.
fn memory() -> io::Result<(u64, u64)> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
    };
    Ok((field("VmRSS:"), field("VmHWM:")))
}

#[cfg(test)]
mod tests {
    use tenterhook_runtime::IOResult;

    use super::*;

    #[test]
    fn a_panic_of_any_connection_is_found_among_those_that_have_ended() {
        let executor = Executor::new(1);
        let spawn = |panics: bool| {
            executor.spawn(move || {
                assert!(!panics, "the thread snapped");
                Ok::<_, Infallible>(IOResult::Done(()))
            })
        };
        let found = first_panic(vec![spawn(false), spawn(true), spawn(false)]).expect("a panic");
        assert!(found.seen.contains("the thread snapped"), "{found}");
        assert_eq!(first_panic(vec![spawn(false)]), None);
    }
}
