//! The threads of one run: who is in the middle of what.

use std::rc::Rc;
use std::sync::Arc;

use shuttle::scheduler::TaskId;

use super::execution::{self, Why};
use super::gaps::Gaps;
use super::thread::{self, Delivery, Seat, StepJob};
use crate::disk::Struck;
use crate::panics;
use crate::schedule::{FiberId, SchedulerKind};
use crate::system::Step;
use crate::tape::{Actor, Address, GAVE_WAY, LOCK, Place, SLICE, Stream, Tape};
use crate::violation::Violation;

/// Threads of the disk: so many deliveries can be under way at a time.
const DELIVERIES: u32 = 2;

/// What a thread is given to do.
pub(crate) enum Work {
    Step(Box<StepJob>),
    Delivery(Delivery),
}

/// What has become of it. An `Err` is a panic.
pub(crate) enum Done {
    Step(Box<StepJob>, Result<Result<Step, Box<Violation>>, String>),
    Delivery(Result<(), String>),
}

/// What came of letting a thread run.
pub(crate) struct Slice {
    pub(crate) why: Why,
    /// Synchronisation operations of the job so far.
    pub(crate) operations: u32,
    pub(crate) done: Option<Done>,
}

struct Member {
    id: FiberId,
    task: TaskId,
    /// `None` for a thread that the system has started.
    seat: Option<Rc<Seat>>,
    /// What its present job belongs to.
    base: Address,
    /// Synchronisation operations of the present job so far.
    operations: u32,
    /// Faults that had struck when it began.
    struck: Struck,
    /// Where it was stopped last, the innermost call first, if stacks are kept.
    calls: Vec<String>,
    stand: Stand,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Stand {
    /// It has no job.
    Idle,
    /// It is in the middle of a job and can go on.
    Stopped(Why),
    /// It is in the middle of a job and waits for another thread.
    Blocked,
}

/// All threads of a run beside the world's: one for each connection, those of the disk, and those that the system starts.
pub(crate) struct Crew {
    connections: u32,
    members: Vec<Member>,
    gaps: Gaps,
    /// The tape whose turns say where threads are stopped.
    tape: Option<Arc<Tape>>,
    /// Synchronisation operations of the whole run.
    points: u64,
    keeps_stacks: bool,
}

impl Crew {
    /// Threads for `connections`. With a `tape` its turns say where they are stopped.
    pub(crate) fn new(connections: u32, gaps: (SchedulerKind, u32, u32), tape: Option<Arc<Tape>>) -> Crew {
        let seated = (0..connections).chain(connections + 1..connections + 1 + DELIVERIES);
        let members = seated.map(|id| {
            let seat = Rc::new(Seat::default());
            let task = task(&thread::start(&seat));
            Member {
                id,
                task,
                seat: Some(seat),
                base: Address::default(),
                operations: 0,
                struck: Struck::default(),
                calls: Vec::new(),
                stand: Stand::Idle,
            }
        });
        let members = members.collect();
        let (kind, depth, weight) = gaps;
        let crew = Crew {
            connections,
            members,
            gaps: Gaps::new(kind, depth, weight),
            tape,
            points: 0,
            keeps_stacks: false,
        };
        // Each comes to the point where it waits for its first job.
        for index in 0..crew.members.len() {
            execution::resume(crew.members[index].task, u32::MAX);
        }
        crew
    }

    /// Stacks of threads that are stopped are kept from here on.
    pub(crate) fn keep_stacks(&mut self) {
        self.keeps_stacks = true;
        execution::keep_stacks();
    }

    /// From here on gaps are drawn.
    pub(crate) fn leave_tape(&mut self) {
        self.tape = None;
    }

    /// How many connections have a thread.
    pub(crate) fn connections(&self) -> u32 {
        self.connections
    }

    /// Synchronisation operations of the whole run.
    pub(crate) fn points(&self) -> u64 {
        self.points
    }

    fn index(&self, id: FiberId) -> Option<usize> {
        let index = if id < self.connections { id } else { id.checked_sub(1)? };
        let is_it = self.members.get(index as usize).is_some_and(|member| member.id == id);
        is_it.then_some(index as usize)
    }

    /// Whether `id` is in the middle of a job.
    pub(crate) fn is_in_job(&self, id: FiberId) -> bool {
        self.index(id).is_some_and(|index| self.members[index].stand != Stand::Idle)
    }

    /// A thread of the disk without a delivery.
    pub(crate) fn free_delivery(&self) -> Option<FiberId> {
        let first = self.connections as usize;
        let threads = &self.members[first..first + DELIVERIES as usize];
        threads.iter().find(|member| member.stand == Stand::Idle).map(|member| member.id)
    }

    /// Whether no connection and no delivery is in the middle of a job.
    pub(crate) fn rests(&self) -> bool {
        self.members.iter().all(|member| member.seat.is_none() || member.stand == Stand::Idle)
    }

    /// One in the middle of a job that can go on. If only threads of the system's own can, and others wait for them, the one of these
    /// that has run least recently, as far as `round` says.
    pub(crate) fn stopped(&self, round: u32) -> Option<FiberId> {
        let can_go_on = |member: &&Member| matches!(member.stand, Stand::Stopped(_));
        let own = self.members.iter().filter(can_go_on).find(|member| member.seat.is_some());
        let helpers: Vec<FiberId> = match own {
            None if self.blocked().next().is_some() => {
                self.members.iter().filter(can_go_on).map(|member| member.id).collect()
            }
            _ => Vec::new(),
        };
        let helper = || helpers.get(round as usize % helpers.len().max(1)).copied();
        own.map(|member| member.id).or_else(helper)
    }

    /// Those that wait for another thread.
    pub(crate) fn blocked(&self) -> impl Iterator<Item = FiberId> + '_ {
        let blocked = self.members.iter().filter(|member| member.seat.is_some());
        blocked.filter(|member| member.stand == Stand::Blocked).map(|member| member.id)
    }

    /// What a thread serves, by name.
    pub(crate) fn base(&self, id: FiberId) -> Address {
        self.index(id).map_or(Address::default(), |index| self.members[index].base)
    }

    /// Gives a thread something to do, which belongs to `base`. It begins with the next slice.
    pub(crate) fn give(&mut self, id: FiberId, work: Work, base: Address, struck: Struck) {
        let Some(index) = self.index(id) else { return };
        let member = &mut self.members[index];
        (member.base, member.operations, member.struck) = (base, 0, struck);
        if let Some(seat) = &member.seat {
            seat.work.replace(Some(work));
        }
        member.stand = Stand::Stopped(Why::Idle);
    }

    /// Faults that had struck when the oldest job under way began, or `now`: what struck since then may not be told of yet.
    pub(crate) fn struck_before(&self, now: Struck) -> Struck {
        let under_way =
            self.members.iter().filter(|member| member.seat.is_some() && member.stand != Stand::Idle);
        under_way.map(|member| member.struck).fold(now, Struck::min)
    }

    /// After how many operations `id` is stopped, drawn or as the tape has it.
    pub(crate) fn gap(&mut self, id: FiberId, stream: &mut Stream) -> u32 {
        let Some(index) = self.index(id) else { return u32::MAX };
        let Member { base, operations, .. } = self.members[index];
        match &self.tape {
            Some(tape) => {
                let next = tape.next_choice(base, SLICE, operations + 1);
                next.map_or(u32::MAX, |next| next - operations)
            }
            None => {
                let others = self.members.iter().filter(|member| member.stand != Stand::Idle).count();
                self.gaps.draw(operations, (others.max(1) - 1) as u32, stream)
            }
        }
    }

    /// Lets `id` run for at most `gap` operations.
    pub(crate) fn run(&mut self, id: FiberId, gap: u32) -> Slice {
        let Some(index) = self.index(id) else {
            return Slice { why: Why::Idle, operations: 0, done: None };
        };
        let (began, why) = execution::resume(self.members[index].task, gap);
        self.points += u64::from(began);
        if self.keeps_stacks
            && let Some(stack) = execution::take_stack()
        {
            self.members[index].calls = panics::calls_of_thread(&stack.to_string());
        }
        self.gaps.spend(began);
        let member = &mut self.members[index];
        // It may wait twice without an operation in between: each of its turns has a place of its own.
        member.operations += began + u32::from(matches!(why, Why::Blocked | Why::GaveWay));
        let operations = member.operations;
        let done = match why {
            Why::Idle => {
                member.stand = Stand::Idle;
                self.gaps.learn(operations);
                member.seat.as_ref().and_then(|seat| seat.done.take())
            }
            Why::Blocked => {
                member.stand = Stand::Blocked;
                None
            }
            Why::Stopped | Why::GaveWay => {
                member.stand = Stand::Stopped(why);
                None
            }
        };
        Slice { why, operations, done }
    }

    /// Where the turn of the rest of the job is on a tape.
    pub(crate) fn place(&self, id: FiberId) -> Place {
        let Some(index) = self.index(id) else {
            return Place { address: Address::default(), choice_point: SLICE, occurrence: 0 };
        };
        let Member { base, operations, stand, .. } = self.members[index];
        let choice_point = match stand {
            Stand::Stopped(Why::Stopped) => SLICE,
            Stand::Stopped(Why::GaveWay) => GAVE_WAY,
            _ => LOCK,
        };
        Place { address: base, choice_point, occurrence: operations }
    }

    /// What the tape that is replayed has at `place`.
    pub(crate) fn recorded(&self, place: Place) -> u32 {
        self.tape.as_ref().map_or(0, |tape| tape.get(place))
    }

    /// Threads that waited for another one and can go on, and threads that the system has started, in `life`. Each is told once.
    pub(crate) fn take_woken(&mut self, life: u32) -> Vec<FiberId> {
        let mut woken = Vec::new();
        execution::with_runnable(|runnable| {
            for &task in runnable {
                let known = self.members.iter_mut().find(|member| member.task == task);
                match known {
                    Some(member) if member.stand == Stand::Blocked => {
                        member.stand = Stand::Stopped(Why::Blocked);
                        woken.push(member.id);
                    }
                    Some(_) => {}
                    None if task == TaskId::from(0) => {}
                    None => {
                        let id = self.members.last().map_or(0, |last| last.id) + 1;
                        let helpers = self.members.iter().filter(|member| member.seat.is_none()).count();
                        let base = Address::operation(life, Actor::helper(helpers as u32), 0);
                        let stand = Stand::Stopped(Why::Blocked);
                        self.members.push(Member {
                            id,
                            task,
                            seat: None,
                            base,
                            operations: 0,
                            struck: Struck::default(),
                            calls: Vec::new(),
                            stand,
                        });
                        woken.push(id);
                    }
                }
            }
        });
        woken
    }

    /// Where `id` was stopped last, the innermost call first. Nothing if stacks are not kept.
    pub(crate) fn calls(&self, id: FiberId) -> &[String] {
        self.index(id).map_or(&[], |index| &self.members[index].calls)
    }

    /// Threads in the middle of a job: who, whether it waits for another one, and where it is.
    pub(crate) fn under_way(&self) -> impl Iterator<Item = (FiberId, bool, &[String])> {
        let under_way = self.members.iter().filter(|member| member.stand != Stand::Idle);
        under_way.map(|member| (member.id, member.stand == Stand::Blocked, &member.calls[..]))
    }

    /// The run is over. Threads end; those in the middle of something are given up with all that is on their stacks. Whether there
    /// were such.
    pub(crate) fn dismiss(&mut self) -> bool {
        let is_torn = self.members.iter().any(|member| member.seat.is_some() && member.stand != Stand::Idle);
        if is_torn {
            execution::give_up();
            return true;
        }
        for member in &self.members {
            if let Some(seat) = &member.seat {
                seat.leaves.set(true);
                execution::resume(member.task, u32::MAX);
            }
        }
        false
    }

    /// Threads that can run are counted again.
    pub(crate) fn look_around(&self) {
        execution::look_around();
    }
}

/// shuttle's number of a thread.
fn task(thread: &shuttle::thread::Thread) -> TaskId {
    // The identifier is made of the number, and shuttle offers no other way from one to the other.
    usize::from(thread.id()).into()
}
