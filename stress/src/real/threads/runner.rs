//! One backend, from one incarnation of the system to the next.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, unbounded};
use tenterhook_runtime::executor::{Executor, Task};
use tenterhook_runtime::io::{Backend, IO};

use super::faults::{Faults, KINDS};
use super::machine::Machine;
use super::shared::Shared;
use super::{Count, Environment, FaultCount, Incarnation, NoiseCount, Run, ThreadsOptions, Workload};
use crate::disk::FaultKind;
use crate::panics::message;
use crate::progress::Progress;
use crate::real::layer::Layer;
use crate::real::memory::Memory;
use crate::real::noise::{Noise, NoiseKind, Place, Report};
use crate::real::room;
use crate::real::stacks::stacks;
use crate::rng;
use crate::stop::Stop;
use crate::violation::Violation;

/// An incarnation that nothing has ended is ended after this.
const LIFETIME: Duration = Duration::from_secs(20);
/// More openings in a row than this that come to nothing are no bad luck.
const STILLBORN: u32 = 50;
/// How often the runner looks whether anything moves.
const LOOK: Duration = Duration::from_millis(50);
/// A kind of fault that did not strike in so many times as many operations as it should take was not put in.
const SURELY: u64 = 40;
/// A kind of noise that was not delivered in so many seconds was not made.
const SURELY_NOISY: f64 = 10.0;

/// A connection at work.
type Connected = Task<(), Infallible>;

pub(super) struct Runner<'a> {
    options: &'a ThreadsOptions,
    workload: Arc<dyn Workload>,
    stop: &'a Stop,
    environment: Arc<Environment>,
    /// The backend without faults.
    below: Arc<dyn IO>,
    shared: Arc<Shared>,
    begun: Instant,
    share: Duration,
    /// Openings in a row that came to nothing.
    stillborn: u32,
    run: Run,
    progress: Progress,
}

impl<'a> Runner<'a> {
    pub(super) fn new(
        options: &'a ThreadsOptions,
        backend: Backend,
        workload: Arc<dyn Workload>,
        stop: &'a Stop,
    ) -> io::Result<Runner<'a>> {
        let below = backend.start().map_err(io::Error::other)?.io;
        let faults = Faults::new(options.seed, &options.faults, options.noise.contains(&NoiseKind::Yields));
        let layer = Arc::new(Layer::new(Arc::clone(&below), faults));
        let directory = options.directory.join(backend.to_string());
        std::fs::create_dir_all(&directory)?;
        let share = options.duration / options.backends.len() as u32;
        let environment = Environment {
            layer: Arc::clone(&layer),
            directory,
            connections: options.connections,
            stall: options.stall,
        };
        Ok(Runner {
            options,
            workload,
            stop,
            environment: Arc::new(environment),
            below,
            shared: Arc::new(Shared::new(layer, options.connections, &options.noise)),
            begun: Instant::now(),
            share,
            stillborn: 0,
            run: Run { backend: backend.to_string(), connections: options.connections, ..Run::default() },
            progress: Progress::new(options.progress, share.as_secs(), "s"),
        })
    }

    pub(super) fn run(mut self) -> io::Result<Run> {
        let mut ambient = self.options.noise.clone();
        ambient.retain(|kind| *kind != NoiseKind::FullDisk);
        let noise = self.noise(&ambient)?;
        while !self.is_over() {
            self.one_incarnation()?;
        }
        drop(noise);
        self.progress.clear();
        self.counted()
    }

    /// The run with everything that was counted. A violation beside a full disk is an error: the disk may have caused
    /// it.
    fn counted(self) -> io::Result<Run> {
        let violation = self.shared.violation();
        if violation.is_some() {
            room::allows_a_verdict(&self.options.directory)?;
        }
        let seconds = self.begun.elapsed().as_secs_f64();
        let noise = |&kind: &NoiseKind| NoiseCount {
            kind: kind.name(),
            delivered: self.shared.noise_delivered(kind),
            had_to: seconds >= SURELY_NOISY,
        };
        let faults = self.shared.layer.watcher();
        let fault = |(kind, of): (FaultKind, u64)| FaultCount {
            kind: kind.name(),
            struck: faults.struck(kind),
            // Each kind of operation is at least a twentieth of all.
            had_to: faults.seen() > of * SURELY * 20,
        };
        let enabled = KINDS.into_iter().filter(|(kind, _)| self.options.faults.contains(kind));
        let count = |(name, count)| Count { name, count };
        let Memory { resident, peak } = Memory::now()?;
        Ok(Run {
            seconds,
            noise: self.options.noise.iter().map(noise).collect(),
            ended: self.shared.progress(),
            counts: self.workload.counts().into_iter().map(count).collect(),
            operations: faults.seen(),
            delayed: faults.delayed(),
            faults: enabled.map(fault).collect(),
            memory_at_end: resident,
            memory_peak: peak,
            violation,
            ..self.run
        })
    }

    fn noise(&self, kinds: &[NoiseKind]) -> io::Result<Noise> {
        let files = self.workload.files(self.environment.directory());
        // The noise's own files are beside the system's directory: a system may list what it has.
        let place = Place { io: Arc::clone(&self.below), files, directory: self.options.directory.clone() };
        Noise::start(kinds, &place, Arc::clone(&self.shared) as Arc<dyn Report>)
    }

    fn is_over(&self) -> bool {
        self.begun.elapsed() >= self.share || self.stop.is_told() || self.shared.violation().is_some()
    }

    /// Opens the system, checks it, runs all connections on it, and checks it again.
    fn one_incarnation(&mut self) -> io::Result<()> {
        self.run.incarnations += 1;
        let (workload, environment) = (Arc::clone(&self.workload), Arc::clone(&self.environment));
        let opened = self.watched("opened", move || workload.open(&environment));
        let Some(opened) = opened else { return Ok(()) };
        let Some(incarnation) = opened else {
            self.stillborn += 1;
            if self.stillborn > STILLBORN {
                let seen = format!("{STILLBORN} openings in a row that have to be repeated, without a fault");
                self.shared.object(*Violation::liveness("liveness", "a system that can be opened", seen));
            }
            return Ok(());
        };
        self.stillborn = 0;
        if self.look_over(&incarnation) && self.work(&incarnation)? {
            self.look_over(&incarnation);
        }
        Ok(())
    }

    /// While no connection works.
    fn look_over(&self, incarnation: &Arc<dyn Incarnation>) -> bool {
        let incarnation = Arc::clone(incarnation);
        self.watched("looked over", move || incarnation.look_over()).is_some()
    }

    /// Runs `call` on its own thread and watches it. A violation, a panic, or no I/O for the time of a stall is reported, and the
    /// result is `None`. After a stall the thread is left behind.
    fn watched<T: Send + 'static>(
        &self,
        what: &str,
        call: impl FnOnce() -> Result<T, Box<Violation>> + Send + 'static,
    ) -> Option<T> {
        let (sender, receiver) = unbounded();
        // A receiver that has gone has given the call up.
        let thread = std::thread::spawn(move || drop(sender.send(call())));
        let moves = || self.shared.layer.watcher().seen();
        let mut moved = (moves(), Instant::now());
        let result = loop {
            match receiver.recv_timeout(LOOK) {
                Ok(result) => break result,
                Err(RecvTimeoutError::Disconnected) => {
                    let panic = thread.join().expect_err("it ends without a result by a panic only");
                    break Err(Violation::panic(message(&*panic)));
                }
                Err(RecvTimeoutError::Timeout) if moves() != moved.0 => moved = (moves(), Instant::now()),
                Err(RecvTimeoutError::Timeout) if moved.1.elapsed() >= self.options.stall => {
                    let seen = format!("no I/O for {:.0} s", self.options.stall.as_secs_f64());
                    let under_way = format!("I/O under way: {}", self.shared.layer.under_way().join(", "));
                    let expected = format!("a system that can be {what}");
                    let mut violation = Violation::liveness("liveness", expected, seen).note(under_way);
                    violation.notes.extend(stacks().iter().map(ToString::to_string));
                    break Err(violation);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        };
        result.map_err(|violation| self.shared.object(*violation)).ok()
    }

    /// All connections work until time is up, the system asks for a restart, or something is wrong. False if it has stalled.
    fn work(&mut self, incarnation: &Arc<dyn Incarnation>) -> io::Result<bool> {
        let shared = Arc::clone(&self.shared);
        shared.begin();
        shared.layer.watcher().set_active(true);
        // Only now: when the files are looked over nothing explains an error.
        let is_full = self.options.noise.contains(&NoiseKind::FullDisk);
        let mut full = if is_full { Some(self.noise(&[NoiseKind::FullDisk])?) } else { None };
        let executor = Executor::new(self.options.workers);
        let tasks = self.spawn(&executor, incarnation);
        let (born, mut moved, mut calm) = (Instant::now(), (shared.progress(), Instant::now()), false);
        while !tasks.iter().all(Task::is_finished) {
            std::thread::sleep(LOOK);
            if self.is_over() || born.elapsed() >= LIFETIME {
                shared.stop();
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
                self.stalled(&**incarnation);
                // The machines wait for something that will not come: they are left behind.
                std::mem::forget::<(Vec<Connected>, Executor)>((waiting, executor));
                return Ok(false);
            }
            self.show()?;
        }
        drop(full);
        shared.layer.watcher().set_active(false);
        self.join(tasks);
        executor.drain();
        Ok(true)
    }

    /// Takes in how connections have ended.
    fn join(&self, tasks: Vec<Connected>) {
        if let Some(violation) = first_panic(tasks) {
            self.shared.object(*violation);
        }
    }

    fn spawn(&self, executor: &Executor, incarnation: &Arc<dyn Incarnation>) -> Vec<Connected> {
        let key = rng::derive(self.options.seed, self.run.incarnations);
        let spawn = |number| {
            let key = rng::derive(key, number);
            let connection = Arc::clone(incarnation).connect(number, key);
            executor.spawn(Machine::new(connection, number, key, &self.shared).into_step())
        };
        (0..self.options.connections).map(spawn).collect()
    }

    fn stalled(&self, incarnation: &dyn Incarnation) {
        let doings = self.shared.doings().into_iter().map(|(doing, count)| format!("{count} at {doing}"));
        let seen = format!("none for {:.0} s", self.options.stall.as_secs_f64());
        let mut violation = Violation::liveness("liveness", "progress", seen)
            .note(format!("connections: {}", doings.collect::<Vec<_>>().join(", ")))
            .note(format!("system: {}", incarnation.describe()))
            .note(format!("I/O under way: {}", self.shared.layer.under_way().join(", ")));
        violation.notes.extend(self.shared.waiting());
        violation.notes.extend(stacks().iter().map(ToString::to_string));
        self.shared.object(*violation);
    }

    fn show(&mut self) -> io::Result<()> {
        let elapsed = self.begun.elapsed();
        if self.run.memory_at_two_minutes.is_none() && elapsed >= Duration::from_secs(120) {
            self.run.memory_at_two_minutes = Some(Memory::now()?.resident);
        }
        self.progress.show(elapsed.as_secs(), || {
            let (ended, Run { backend, incarnations, .. }) = (self.shared.progress(), &self.run);
            format!("{backend}: {ended} operations, {incarnations} incarnations")
        });
        Ok(())
    }
}

/// The panic of the first of `tasks` that has ended with one.
fn first_panic(tasks: Vec<Connected>) -> Option<Box<Violation>> {
    let ends: Vec<_> = tasks.into_iter().map(Task::join).collect();
    ends.into_iter().find_map(|end| Some(Violation::panic(end.err()?.to_string())))
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
