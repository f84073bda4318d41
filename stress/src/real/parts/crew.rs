//! The threads of an epoch and their rounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use parking_lot::{Condvar, Mutex};

use super::barrier::Barrier;
use super::counts::{Action, Counts};
use super::meeting::{Delays, Draws, Meeting};
use super::near::{Near, Point};
use super::plan::{self, Place, Plan};
use super::storm::{Storm, stalled};
use crate::panics;
use crate::rng;
use crate::stop::Stop;
use crate::violation::Violation;

/// How often a thread looks whether the others have come to its case.
const LOOKS: u32 = 300;
/// How often the runner looks whether anything moves.
const LOOK: Duration = Duration::from_millis(20);
/// So long the others have to end when one has found something; then they are left behind.
const FAREWELL: Duration = Duration::from_millis(500);

/// How far an epoch may go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) rounds: u64,
    pub(super) until: Option<Instant>,
    pub(super) stall: Duration,
}

/// What became of an epoch.
pub(super) struct EpochEnd {
    pub(super) rounds: u64,
    pub(super) threads: usize,
    pub(super) counts: Counts,
    pub(super) violation: Option<Box<Violation>>,
}

/// A crew before it begins.
pub(super) struct Epoch<S: Storm> {
    crew: Arc<Crew<S>>,
}

/// What the threads of an epoch share. The locks are parking_lot's, which the sanitizers see: std comes built without them.
struct Crew<S: Storm> {
    storm: S,
    key: u64,
    plan: Plan,
    limits: Limits,
    processors: Vec<usize>,
    near: Arc<Near>,
    begun: Instant,
    barrier: Barrier,
    /// Hands, by giver and taker.
    hands: Vec<Vec<Mutex<Vec<S::Hand>>>>,
    /// What threads give back, by the one that has set the case up and the one that gives.
    seen: Vec<Vec<Mutex<Vec<S::Seen>>>>,
    /// The case and the point that each thread has come to.
    places: Vec<CachePadded<Standing>>,
    /// The last point in each case of a round.
    last: Vec<AtomicU64>,
    /// No further round. ORDERING: Relaxed: written before a barrier and read behind it.
    over: AtomicBool,
    /// ORDERING: Relaxed: a count.
    rounds: AtomicU64,
    /// Threads that have not ended.
    left: Mutex<usize>,
    ended: Condvar,
    counts: Mutex<Counts>,
    violation: Mutex<Option<Box<Violation>>>,
}

/// ORDERING: Relaxed throughout: the storm puts no order between its threads within a round.
#[derive(Default)]
struct Standing {
    /// Cases that it has come to since the begin of the epoch.
    cases: AtomicU64,
    /// Cases that it has set up, come to, or judged.
    moves: AtomicU64,
    point: AtomicU64,
}

impl<S: Storm> Epoch<S> {
    pub(super) fn new(key: u64, perturbed: bool, limits: Limits, near: &Arc<Near>) -> Self {
        let plan = Plan::draw(key, perturbed);
        let threads = plan.threads;
        let crew = Crew {
            storm: S::begin(rng::derive(key, 1), threads, limits.stall),
            key: rng::derive(key, 2),
            limits: Limits { rounds: limits.rounds.min(plan.rounds), ..limits },
            processors: plan::processors(),
            near: Arc::clone(near),
            begun: Instant::now(),
            barrier: Barrier::new(threads),
            hands: (0..threads).map(|_| (0..threads).map(|_| Mutex::default()).collect()).collect(),
            seen: (0..threads).map(|_| (0..threads).map(|_| Mutex::default()).collect()).collect(),
            places: (0..threads).map(|_| CachePadded::default()).collect(),
            last: (0..S::CASES * threads).map(|_| AtomicU64::new(u64::MAX)).collect(),
            over: AtomicBool::new(false),
            rounds: AtomicU64::new(0),
            left: Mutex::new(threads),
            ended: Condvar::new(),
            counts: Mutex::default(),
            violation: Mutex::default(),
            plan,
        };
        Epoch { crew: Arc::new(crew) }
    }

    /// Runs its rounds. After a stall or a violation threads may be left behind.
    pub(super) fn run(self, stop: &Stop) -> EpochEnd {
        let Self { crew } = self;
        let spawn = |thread| {
            let (crew, stop) = (Arc::clone(&crew), stop.clone());
            let name = std::thread::Builder::new().name(format!("storm-{thread}"));
            name.spawn(move || crew.member(thread, &stop))
        };
        let threads: Vec<JoinHandle<()>> =
            (0..crew.plan.threads).map(|thread| spawn(thread).expect("the system gives threads")).collect();
        let all_ended = crew.watch();
        if all_ended {
            threads.into_iter().for_each(|thread| thread.join().expect("its panics are caught"));
        }
        let (rounds, threads) = (crew.rounds.load(Relaxed), crew.plan.threads);
        let (counts, violation) = (std::mem::take(&mut *crew.counts.lock()), crew.violation.lock().take());
        let end = EpochEnd { rounds, threads, counts, violation };
        match Arc::try_unwrap(crew) {
            Ok(crew) if end.violation.is_none() => EpochEnd { violation: crew.storm.finish().err(), ..end },
            // Dropping what is broken could be the end of the process.
            kept => {
                std::mem::forget(kept);
                end
            }
        }
    }
}

impl<S: Storm> Crew<S> {
    /// Waits until all threads have ended; false if some are left behind.
    fn watch(&self) -> bool {
        let moves = || self.places.iter().map(|place| place.moves.load(Relaxed)).sum::<u64>();
        let mut moved = (moves(), Instant::now());
        let mut left = self.left.lock();
        while *left > 0 {
            if !self.ended.wait_for(&mut left, LOOK).timed_out() {
                continue;
            }
            let now = moves();
            // A thread that waits for an end reports it itself after the time of a stall.
            let patience =
                if self.barrier.is_broken() { FAREWELL } else { self.limits.stall + self.limits.stall / 4 };
            if now != moved.0 {
                moved = (now, Instant::now());
            } else if moved.1.elapsed() >= patience {
                self.object(self.stalled(moved.1.elapsed()));
                return false;
            }
        }
        true
    }

    /// Who stands where.
    fn stalled(&self, time: Duration) -> Box<Violation> {
        let seen = format!("none for {:.1} s", time.as_secs_f64());
        let mut violation = stalled("progress", seen);
        for (thread, place) in self.places.iter().enumerate() {
            let (case, point) = (place.cases.load(Relaxed), place.point.load(Relaxed));
            let point = Point::from_repr(point as u8).map_or("nothing", <&str>::from);
            violation =
                violation.note(format!("thread storm-{thread}: in its case {case}, about to {point}"));
        }
        violation
    }

    /// The first violation counts. All threads end.
    fn object(&self, violation: Box<Violation>) {
        self.violation.lock().get_or_insert(violation);
        self.barrier.break_up();
    }

    /// A thread from its first round to its last.
    fn member(&self, thread: usize, stop: &Stop) {
        let mut counts = Counts::default();
        match panics::catch(|| self.rounds(thread, stop, &mut counts)) {
            Ok(Ok(())) => {}
            Ok(Err(violation)) => self.object(violation),
            Err(message) => self.object(Violation::panic(message)),
        }
        self.counts.lock().merge(&counts);
        *self.left.lock() -= 1;
        self.ended.notify_one();
    }

    fn rounds(&self, thread: usize, stop: &Stop, counts: &mut Counts) -> Result<(), Box<Violation>> {
        let (placed, niced) = self.plan.apply(thread, &self.processors);
        let looks = !self.plan.shares(self.processors.len());
        for round in 0..self.limits.rounds {
            if thread == 0 {
                counts.add_if(
                    placed && matches!(self.plan.place, Place::Pair | Place::Together),
                    Action::Pinned,
                );
                counts.add_if(placed && self.plan.place == Place::Apart, Action::Apart);
            }
            counts.add_if(niced, Action::Niced);
            let key = rng::derive(self.key, round);
            let cases = self.set_up(thread, key);
            if !self.barrier.wait(looks) {
                return Ok(());
            }
            self.act(thread, key, looks, counts)?;
            if thread == 0
                && (stop.is_told() || self.limits.until.is_some_and(|until| Instant::now() >= until))
            {
                self.over.store(true, Relaxed);
            }
            if !self.barrier.wait(looks) {
                return Ok(());
            }
            let over = self.over.load(Relaxed);
            self.judge(thread, cases, counts)?;
            if thread == 0 {
                self.rounds.fetch_add(1, Relaxed);
            }
            if over {
                break;
            }
        }
        Ok(())
    }

    fn set_up(&self, thread: usize, key: u64) -> Vec<S::Case> {
        let mut outgoing: Vec<Vec<S::Hand>> =
            (0..self.plan.threads).map(|_| Vec::with_capacity(S::CASES)).collect();
        let mut hands = Vec::with_capacity(self.plan.threads);
        let mut cases = Vec::with_capacity(S::CASES);
        for index in 0..S::CASES {
            self.places[thread].moves.fetch_add(1, Relaxed);
            cases.push(self.storm.set_up(case_key(key, thread, index), &mut hands));
            debug_assert_eq!(hands.len(), self.plan.threads, "a hand for each thread");
            outgoing.iter_mut().zip(hands.drain(..)).for_each(|(to, hand)| to.push(hand));
        }
        self.hands[thread].iter().zip(outgoing).for_each(|(place, hands)| *place.lock() = hands);
        cases
    }

    fn act(&self, thread: usize, key: u64, looks: bool, counts: &mut Counts) -> Result<(), Box<Violation>> {
        let threads = self.plan.threads;
        let take = |from: usize| std::mem::take(&mut *self.hands[from][thread].lock()).into_iter();
        let mut incoming: Vec<_> = (0..threads).map(take).collect();
        let mut given: Vec<Vec<S::Seen>> = (0..threads).map(|_| Vec::with_capacity(S::CASES)).collect();
        let delays = Delays { near: &self.near, begun: self.begun, is_on: self.plan.delays, yields: !looks };
        for number in 0..S::CASES * threads {
            let (from, index) = (number % threads, number / threads);
            let hand = incoming[from].next().expect("a hand in each case");
            let draws = Draws::new(rng::derive(case_key(key, from, index), thread as u64 + 1));
            let (last, doing, stall) = (&self.last[number], &self.places[thread].point, self.limits.stall);
            let mut meeting =
                Meeting { thread, stall, draws, counts: &mut *counts, delays: &delays, last, doing };
            self.arrive(thread, looks);
            meeting.point(Point::Arrive);
            match self.storm.act(hand, &mut meeting) {
                Ok(seen) => given[from].push(seen),
                Err(violation) => {
                    // Their drops would call callbacks of a runtime that is broken, and callbacks that panic.
                    std::mem::forget((incoming, given));
                    return Err(violation);
                }
            }
        }
        given.into_iter().zip(&self.seen).for_each(|(given, places)| *places[thread].lock() = given);
        Ok(())
    }

    /// Waits a little for the others to come to the same case.
    fn arrive(&self, thread: usize, looks: bool) {
        self.places[thread].moves.fetch_add(1, Relaxed);
        let own = self.places[thread].cases.fetch_add(1, Relaxed) + 1;
        for _ in 0..if looks { LOOKS } else { 0 } {
            if self.places.iter().all(|place| place.cases.load(Relaxed) >= own) {
                break;
            }
            std::hint::spin_loop();
        }
    }

    fn judge(&self, thread: usize, cases: Vec<S::Case>, counts: &mut Counts) -> Result<(), Box<Violation>> {
        let take = |from: &Mutex<Vec<S::Seen>>| std::mem::take(&mut *from.lock()).into_iter();
        let mut columns: Vec<_> = self.seen[thread].iter().map(take).collect();
        let mut seen = Vec::with_capacity(columns.len());
        for case in cases {
            seen.extend(columns.iter_mut().filter_map(Iterator::next));
            self.places[thread].moves.fetch_add(1, Relaxed);
            self.storm.judge(case, &mut seen, counts)?;
            seen.clear();
        }
        Ok(())
    }
}

fn case_key(round: u64, from: usize, index: usize) -> u64 {
    rng::derive(round, (from as u64) << 32 | index as u64)
}
