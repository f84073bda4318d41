//! Connections in random interleavings on a disk that reorders, fails and loses power, against a model.
//!
//! `TENTERHOOK_PAGER_SEEDS=1000..5000` runs other seeds than the committed ones.

#[path = "../pager_support/mod.rs"]
mod pager_support;
mod work;

use std::collections::BTreeMap;
use std::sync::Arc;

use pager_support::{Disk, FAULT, Numbers, assert_sound, options};
use tenterhook_runtime::io::OperationKind;
use tenterhook_runtime::pager::{
    BeginWrite, Checkpoint, CheckpointMode, Commit, IntegrityCheck, Open, Pager, PagerError, PagerOptions,
    ReadTransaction, WriteTransaction,
};
use tenterhook_runtime::{Completion, IOCompletions, IOResult};
use work::{Change, Fiber, Work, read, stamp_of, write};

/// What the caller has in each page.
type Model = BTreeMap<u32, u64>;

struct World {
    random: Numbers,
    disk: Disk,
    options: PagerOptions,
    pager: Option<Arc<Pager>>,
    fibers: Vec<Fiber>,
    /// The content of each commit that was seen or acknowledged.
    published: BTreeMap<u64, Model>,
    /// Every commit that was asked for since the opening.
    asked: Vec<Asked>,
    newest: u64,
    /// The newest commit at the opening.
    opened: u64,
    /// How many of a hundred steps are the disk's. A slow disk has more to do at a time.
    disk_share: usize,
    trace: bool,
    stats: Stats,
}

/// A commit that was requested.
struct Asked {
    sequence: u64,
    /// The one that it was built on, unless that was there at the opening.
    parent: Option<usize>,
    model: Model,
    /// It failed, or a later writer has not seen it: in this incarnation it is not to be seen.
    dead: bool,
    published: bool,
}

#[derive(Default, Debug)]
struct Stats {
    commits: u64,
    crashes: u64,
    reopens: u64,
    resurrected: u64,
    checkpoints: u64,
    faults: u64,
    /// The most commits that were in flight at a time.
    deepest: usize,
    /// Commits that failed because one before them did.
    doomed: u64,
    /// Commits that had pages in the log before they were asked for.
    spilled: u64,
}

macro_rules! trace {
    ($world:expr, $($arg:tt)*) => { if $world.trace { eprintln!($($arg)*); } };
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Numbers(seed);
        let options = PagerOptions {
            cache_pages: [1, 4, 16, 200][random.below(4)],
            page_size: [512, 512, 1024][random.below(3)],
            checkpoint_frames: 10,
            spill_pages: [1, 2, 4, 2048][random.below(4)],
            ..options()
        };
        let fibers = (0..1 + random.below(8)).map(|_| Fiber { work: Work::Idle, waits_for: None }).collect();
        let disk = Disk::new();
        disk.hold(true);
        let disk_share = [40, 40, 10][random.below(3)];
        let mut world = Self {
            disk_share,
            random,
            disk,
            options,
            pager: None,
            fibers,
            published: BTreeMap::from([(0, Model::new())]),
            asked: Vec::new(),
            newest: 0,
            opened: 0,
            trace: std::env::var_os("TENTERHOOK_TRACE").is_some(),
            stats: Stats::default(),
        };
        world.reopen();
        world
    }

    /// Opens the database, possibly losing power on the way, and compares what is found with what may be.
    fn reopen(&mut self) {
        let pager = loop {
            let mut open = Pager::open(Arc::new(self.disk.clone()), pager_support::db_path(), self.options);
            match self.try_open(&mut open) {
                Some(Ok(pager)) => break pager,
                Some(Err(PagerError::Io { .. })) => {
                    drop(open);
                    while !self.disk.waiting().is_empty() {
                        self.disk.release(0);
                    }
                }
                Some(Err(error)) => panic!("cannot open: {error}"),
                None => {
                    drop(open);
                    self.lose_power();
                }
            }
        };
        let (sequence, found) = self.contents(&pager);
        trace!(self, "opened at {sequence}: {found:?}");
        if sequence == self.newest {
            assert_eq!(
                found, self.published[&sequence],
                "recovered another state than commit {sequence} left"
            );
        } else {
            assert!(sequence > self.newest, "recovered {sequence}, acknowledged was {}", self.newest);
            let possible = self.asked.iter().filter(|asked| asked.sequence == sequence);
            assert!(
                possible.into_iter().any(|asked| asked.model == found && self.is_upon_the_newest(asked)),
                "recovered {found:?} as {sequence}, which was never requested upon {}",
                self.newest
            );
            self.newest = sequence;
            self.published.insert(sequence, found);
            self.stats.resurrected += 1;
        }
        self.opened = sequence;
        self.asked.clear();
        self.pager = Some(pager);
    }

    fn try_open(&mut self, open: &mut Open) -> Option<Result<Arc<Pager>, PagerError>> {
        loop {
            match open.step() {
                Ok(IOResult::Done(pager)) => return Some(Ok(pager)),
                Err(error) => return Some(Err(error)),
                Ok(IOResult::IO(_)) => {}
            }
            if self.random.one_in(60) {
                return None;
            }
            self.disk_step();
        }
    }

    /// Whether all that it was built on includes the newest commit that was seen.
    fn is_upon_the_newest(&self, asked: &Asked) -> bool {
        match asked.parent.map(|parent| &self.asked[parent]) {
            None => self.newest == self.opened,
            Some(parent) if parent.sequence == self.newest => parent.published,
            Some(parent) => parent.sequence > self.newest && self.is_upon_the_newest(parent),
        }
    }

    /// This commit was seen or acknowledged: all commits before it have happened too.
    fn see(&mut self, sequence: u64) {
        while self.newest < sequence {
            let next = self.newest + 1;
            let found = self.asked.iter_mut().find(|asked| asked.sequence == next && !asked.dead);
            let asked =
                found.unwrap_or_else(|| panic!("{sequence} is seen, but there was no request for {next}"));
            asked.published = true;
            self.published.insert(next, asked.model.clone());
            self.newest = next;
        }
    }

    /// A writer starts from this commit: what would come after it has failed.
    fn start_from(&mut self, base: u64) -> Model {
        assert!(base >= self.newest);
        self.asked.iter_mut().filter(|asked| asked.sequence > base).for_each(|asked| asked.dead = true);
        match self.live(base) {
            Some(place) => self.asked[place].model.clone(),
            None => self.published[&base].clone(),
        }
    }

    fn live(&self, sequence: u64) -> Option<usize> {
        self.asked.iter().position(|asked| asked.sequence == sequence && !asked.dead)
    }

    /// All pages of the newest commit.
    fn contents(&mut self, pager: &Arc<Pager>) -> (u64, Model) {
        self.disk.hold(false);
        let mut reader = pager.begin_read().expect("begin");
        let mut found = Model::new();
        for page in 2..=reader.page_count() {
            match pager_support::run(&self.disk, || reader.page(page)) {
                Ok(bytes) => drop(found.insert(page, stamp_of(&bytes))),
                Err(PagerError::PageNotAllocated { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_sound(&self.disk, pager);
        self.disk.hold(true);
        (reader.commit_sequence(), found)
    }

    fn lose_power(&mut self) {
        self.stats.crashes += 1;
        let often = 1 + self.random.next() % 4;
        let mut random = Numbers(self.random.next());
        let after = self.disk.after_power_loss(|| random.one_in(often));
        trace!(self, "power loss, keeps one in {often}");
        self.let_go();
        self.disk = after;
        self.disk.hold(true);
    }

    /// Drops everything that the connections hold. What was being committed has an unknown outcome.
    fn let_go(&mut self) {
        for at in 0..self.fibers.len() {
            self.drop_work(at);
        }
        self.pager = None;
    }

    fn drop_work(&mut self, at: usize) {
        let fiber = &mut self.fibers[at];
        fiber.waits_for = None;
        if let Work::Committing(commit, asked) = std::mem::replace(&mut fiber.work, Work::Idle) {
            trace!(self, "fiber {at} drops its commit");
            self.asked[asked].dead |= !commit.is_submitted();
        }
    }

    /// Ends some operation of the queue, seldom with an error.
    fn disk_step(&mut self) {
        let waiting = self.disk.waiting();
        if waiting.is_empty() {
            return;
        }
        let place = self.random.below(waiting.len());
        if self.random.one_in(if waiting[place].kind == OperationKind::Sync { 40 } else { 60 }) {
            self.stats.faults += 1;
            trace!(self, "fault: {:?}", waiting[place]);
            self.disk.fail(place, FAULT);
        } else {
            self.disk.release(place);
        }
    }

    fn step(&mut self) {
        match self.random.below(100) {
            share if share < self.disk_share => self.disk_step(),
            ..97 => {
                let at = self.random.below(self.fibers.len());
                let waits =
                    self.fibers[at].waits_for.as_ref().is_some_and(|completion| !completion.finished());
                if !waits || self.random.one_in(8) {
                    self.step_fiber(at);
                }
            }
            97..99 => {
                let at = self.random.below(self.fibers.len());
                match &self.fibers[at].waits_for {
                    Some(completion) if self.random.one_in(2) => completion.cancel(),
                    _ => self.drop_work(at),
                }
            }
            _ if self.random.one_in(4) => {
                self.lose_power();
                self.reopen();
            }
            _ => {}
        }
    }

    fn step_fiber(&mut self, at: usize) {
        let pager = Arc::clone(self.pager.as_ref().expect("open"));
        let mut fiber = std::mem::replace(&mut self.fibers[at], Fiber { work: Work::Idle, waits_for: None });
        let stepped = match &mut fiber.work {
            Work::Idle => Ok(IOResult::Done(Some(self.choose(&pager)))),
            Work::Reading(reader, left) => match left.last().copied() {
                None => Ok(IOResult::Done(Some(Work::Idle))),
                Some(page) => {
                    let expected = self.published[&reader.commit_sequence()].get(&page).copied();
                    read(reader.page(page), expected).map(|done| {
                        done.map(|()| {
                            left.pop();
                            None
                        })
                    })
                }
            },
            Work::AwaitingRight(begin) => begin.step().map(|done| {
                done.map(|writer| {
                    let model = self.start_from(writer.commit_sequence());
                    Some(Work::Writing(writer, model, self.random.below(8), Change::None))
                })
            }),
            Work::Writing(writer, model, left, change) => match change {
                Change::None if *left == 0 => {
                    let Work::Writing(writer, model, ..) = std::mem::replace(&mut fiber.work, Work::Idle)
                    else {
                        unreachable!()
                    };
                    if self.random.one_in(8) {
                        writer.rollback();
                        Ok(IOResult::Done(Some(Work::Idle)))
                    } else {
                        let parent = self.live(writer.commit_sequence());
                        let sequence = writer.commit_sequence() + 1;
                        // One that changes nothing is no commit.
                        let dead = !writer.has_changes();
                        self.stats.spilled += u64::from(writer.pages_spilled() > 0);
                        self.asked.push(Asked { sequence, parent, model, dead, published: false });
                        Ok(IOResult::Done(Some(Work::Committing(writer.commit(), self.asked.len() - 1))))
                    }
                }
                _ => write(writer, model, left, change, &mut self.random).map(|done| done.map(|()| None)),
            },
            Work::Committing(commit, asked) => match commit.step() {
                Ok(IOResult::Done(sequence)) => {
                    trace!(self, "fiber {at} committed {sequence}");
                    self.see(sequence);
                    let asked = &self.asked[*asked];
                    assert!(asked.published == (asked.sequence == sequence), "acknowledged as {sequence}");
                    self.stats.commits += u64::from(asked.published);
                    Ok(IOResult::Done(Some(Work::Idle)))
                }
                Ok(IOResult::IO(io)) => Ok(IOResult::IO(io)),
                Err(error @ PagerError::OutcomeUnknown { .. }) => Err(error),
                Err(error) => {
                    assert!(!self.asked[*asked].published, "it was seen, and now it ends with {error}");
                    self.asked[*asked].dead = true;
                    self.stats.doomed += u64::from(matches!(error, PagerError::EarlierCommitFailed { .. }));
                    Err(error)
                }
            },
            Work::Checkpointing(checkpoint) => checkpoint.step().map(|done| {
                done.map(|report| {
                    trace!(self, "{report:?}");
                    self.stats.checkpoints += 1;
                    Some(Work::Idle)
                })
            }),
            Work::Checking(check) => check.step().map(|done| {
                done.map(|report| {
                    assert!(report.is_sound(), "{report:?}");
                    Some(Work::Idle)
                })
            }),
        };
        self.stats.deepest = self.stats.deepest.max(pager.audit().commits_pending);
        match stepped {
            Ok(IOResult::Done(Some(work))) => fiber = Fiber { work, waits_for: None },
            Ok(IOResult::Done(None)) => fiber.waits_for = None,
            Ok(IOResult::IO(IOCompletions::Single(completion))) => fiber.waits_for = Some(completion),
            Ok(IOResult::IO(IOCompletions::Yield)) => panic!("the pager never just yields"),
            Err(PagerError::Poisoned { .. }) => {
                self.fibers[at] = Fiber { work: Work::Idle, waits_for: None };
                drop(fiber);
                drop(pager);
                return self.restart();
            }
            // A fault, or a cancel of ours.
            Err(PagerError::Io { .. }) => {
                trace!(self, "fiber {at} gets an error");
                fiber.waits_for = None;
                if !matches!(fiber.work, Work::Reading(..) | Work::Writing(..)) || self.random.one_in(2) {
                    fiber.work = Work::Idle;
                }
            }
            Err(PagerError::EarlierCommitFailed { .. } | PagerError::OutcomeUnknown { .. }) => {
                fiber = Fiber { work: Work::Idle, waits_for: None };
            }
            Err(error) => panic!("fiber {at}: {error}"),
        }
        self.fibers[at] = fiber;
    }

    fn choose(&mut self, pager: &Arc<Pager>) -> Work {
        match self.random.below(20) {
            0..7 => {
                let reader = pager.begin_read().expect("begin");
                assert!(reader.commit_sequence() >= self.newest);
                self.see(reader.commit_sequence());
                let bound = reader.page_count() as usize + 2;
                let pages = (0..self.random.below(20)).map(|_| 2 + self.random.below(bound) as u32).collect();
                Work::Reading(reader, pages)
            }
            7..17 => Work::AwaitingRight(pager.begin_write()),
            17..19 => Work::Checkpointing(pager.checkpoint(CheckpointMode::Passive)),
            _ => Work::Checking(pager.check_integrity()),
        }
    }

    /// The process goes down and comes up again; the system keeps what it has cached.
    fn restart(&mut self) {
        trace!(self, "restart");
        self.stats.reopens += 1;
        self.let_go();
        while !self.disk.waiting().is_empty() {
            self.disk.release(0);
        }
        self.reopen();
    }

    /// Without further faults everything ends, nothing is left, and the file is sound.
    fn settle(&mut self) {
        let poisoned = self.pager.as_ref().is_some_and(|pager| pager.audit().poisoned);
        if poisoned {
            self.restart();
        }
        let pager = Arc::clone(self.pager.as_ref().expect("open"));
        for at in 0..self.fibers.len() {
            if self.random.one_in(2) {
                self.drop_work(at);
            }
        }
        let mut turns = 0;
        while self.fibers.iter().any(|fiber| !matches!(fiber.work, Work::Idle)) {
            while !self.disk.waiting().is_empty() {
                let place = self.random.below(self.disk.waiting().len());
                self.disk.release(place);
            }
            for at in 0..self.fibers.len() {
                if !matches!(self.fibers[at].work, Work::Idle) {
                    self.step_fiber(at);
                }
            }
            turns += 1;
            assert!(turns < 10_000, "something never ends");
        }
        while !self.disk.waiting().is_empty() {
            self.disk.release(0);
        }
        assert!(pager.audit().is_idle(), "{:?}", pager.audit());
        let (sequence, found) = self.contents(&pager);
        self.see(sequence);
        assert_eq!((sequence, &found), (self.newest, &self.published[&sequence]));
    }
}

fn run_seed(seed: u64) -> Stats {
    let mut world = World::new(seed);
    for _ in 0..1500 {
        world.step();
    }
    world.settle();
    std::mem::take(&mut world.stats)
}

#[test]
fn random_connections_on_a_faulty_disk_agree_with_the_model() {
    let seeds = match std::env::var("TENTERHOOK_PAGER_SEEDS") {
        Ok(range) => {
            let (from, to) = range.split_once("..").expect("a range of seeds: 0..100");
            from.parse().expect("first seed")..to.parse().expect("seed after the last")
        }
        Err(_) => 0..1000,
    };
    let mut total = Stats::default();
    for seed in seeds {
        let stats = std::panic::catch_unwind(|| run_seed(seed)).unwrap_or_else(|panic| {
            eprintln!("seed {seed}: TENTERHOOK_PAGER_SEEDS={seed}..{} repeats it", seed + 1);
            std::panic::resume_unwind(panic);
        });
        total.commits += stats.commits;
        total.crashes += stats.crashes;
        total.reopens += stats.reopens;
        total.resurrected += stats.resurrected;
        total.checkpoints += stats.checkpoints;
        total.faults += stats.faults;
        total.deepest = total.deepest.max(stats.deepest);
        total.doomed += stats.doomed;
        total.spilled += stats.spilled;
    }
    println!("{total:?}");
    let Stats { commits, crashes, reopens, resurrected, checkpoints, faults, deepest, doomed, spilled } =
        total;
    assert!(
        [commits, crashes, reopens, resurrected, checkpoints, faults, doomed, spilled]
            .iter()
            .all(|count| *count > 0)
    );
    assert!(deepest > 2, "{deepest} commits at a time are no pipeline");
}
