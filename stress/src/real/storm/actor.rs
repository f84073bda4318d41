//! What threads, callbacks, wakers and machines of the storm do.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Wake, Waker};

use tenterhook_runtime::io::{Buffer, File, Submission};
use tenterhook_runtime::{Completion, CompletionError, CompletionGroup, IOCompletions, IOResult, Outcome};

use super::buffers::{content, mark, wrong_byte};
use super::operation::{Record, wrong};
use super::planned;
use super::round::{FILE, Shared, Tracked};
use crate::rng;
use crate::violation::Violation;

/// How deep user code of the storm nests in user code.
const DEEPEST: u32 = 3;

/// How many completions are at hand for others to use.
const RECENT: usize = 64;

/// What direct I/O wants multiples of.
const BLOCK: u64 = 4096;

/// More parts than one system call takes (1,024 on Linux), and the bytes of each.
const PARTS: usize = 1_100;
const PART: usize = 8;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Something with choices of its own: a thread, or one callback.
pub(super) struct Actor {
    shared: Arc<Shared>,
    key: u64,
    drawn: u64,
}

impl Actor {
    pub(super) fn new(shared: &Arc<Shared>, key: u64) -> Self {
        Self { shared: Arc::clone(shared), key, drawn: 0 }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.drawn += 1;
        rng::below(rng::at(self.key, self.drawn), bound)
    }

    fn child(&mut self) -> Self {
        self.drawn += 1;
        Self::new(&self.shared, rng::derive(self.key, self.drawn))
    }

    /// One action of a thread; panics that were planned end here.
    pub(super) fn act(&mut self) {
        let shared = Arc::clone(&self.shared);
        planned::contain(|| self.action()).unwrap_or_else(|message| shared.report(Violation::panic(message)));
    }

    fn action(&mut self) {
        self.shared.actions.fetch_add(1, Relaxed);
        match self.below(1000) {
            0..492 => self.submit(),
            492..500 if DEPTH.get() == 0 => self.submit_and_end(),
            492..500 => self.submit(),
            500..580 => self.cancel(),
            580..640 => self.poll(),
            640..720 => self.group(),
            720..790 => self.bare(),
            790..860 => self.end_bare(),
            860..900 => self.spawn(),
            900..999 => self.shared.step(),
            _ => self.shared.drop_backend(),
        }
    }

    /// What a callback, a waker or a machine does: nothing, an action, or a panic.
    fn inside(&mut self) {
        if self.shared.ending.load(Relaxed) && self.below(4) > 0 {
            return;
        }
        let depth = DEPTH.get();
        if depth < DEEPEST && self.below(4) == 0 {
            DEPTH.set(depth + 1);
            planned::notice(|| self.action(), || DEPTH.set(depth));
            DEPTH.set(depth);
        }
        if self.below(25) == 0 {
            self.shared.panics.fetch_add(1, Relaxed);
            planned::panic(self.below(3) as u32);
        }
    }

    /// Runs in a callback: counts it, then acts.
    fn callback(&mut self, record: &Record, outcome: Outcome) {
        record.called(outcome);
        planned::notice(|| self.inside(), || record.panics());
    }

    fn track(&self, record: Arc<Record>, completion: Completion, below: Vec<Arc<Record>>) {
        self.shared.records.lock().push((record, completion.clone()));
        let mut recent = self.shared.recent.lock();
        let tracked = Tracked { completion, below };
        let displaced = if recent.len() < RECENT {
            recent.push(tracked);
            None
        } else {
            let place = (self.key.wrapping_add(self.drawn) % RECENT as u64) as usize;
            Some(std::mem::replace(&mut recent[place], tracked))
        };
        drop(recent);
        // Runs no user code, but that is what the storm is to find out.
        drop(displaced);
    }

    fn any(&mut self) -> Option<Tracked> {
        let drawn = self.below(RECENT as u64) as usize;
        let recent = self.shared.recent.lock();
        recent.get(drawn % recent.len().max(1)).cloned()
    }

    /// A thread of its own submits, hands over to the kernel, and ends while that is under way.
    fn submit_and_end(&mut self) {
        let shared = Arc::clone(&self.shared);
        let mut actor = self.child();
        let ends = || {
            (0..4).for_each(|_| actor.submit());
            shared.step();
        };
        let ended = std::thread::scope(|scope| scope.spawn(ends).join());
        self.shared.ended_threads.fetch_add(1, Relaxed);
        if let Err(panic) = ended {
            std::panic::resume_unwind(panic);
        }
    }

    /// A transfer that no single system call makes.
    fn submit_in_pieces(&mut self, file: &dyn File) {
        let mut actor = self.child();
        let too_long = self.shared.real && self.below(2) == 0;
        let record = Arc::new(match too_long {
            true => Record::failing("a write beyond the limit", CompletionError::NoSpace),
            false => Record::new("a write of many parts", Some((PARTS * PART) as u64), false),
        });
        let own = Arc::clone(&record);
        let (completion, submission) = if too_long {
            let inside = 1 + self.below(BLOCK);
            let mut bytes = content(FILE - inside, inside as usize).to_vec();
            bytes.resize((inside + 1 + self.below(BLOCK)) as usize, 0);
            let callback = move |outcome, buffer| actor.returned(&own, outcome, [buffer]);
            Submission::write(FILE - inside, Buffer::copy_of(&bytes), callback)
        } else {
            let offset = self.below(FILE - (PARTS * PART) as u64);
            let parts = (0..PARTS).map(|part| content(offset + (part * PART) as u64, PART));
            let callback = move |outcome, buffers: Vec<Buffer>| actor.returned(&own, outcome, buffers);
            Submission::write_vectored(offset, parts.collect(), callback)
        };
        self.track(Arc::clone(&record), completion, vec![record]);
        file.submit(submission);
    }

    /// A write at a place that no file has, which the system may take for another.
    fn submit_nowhere(&mut self, file: &dyn File) {
        let mut actor = self.child();
        let invalid = CompletionError::Io { kind: std::io::ErrorKind::InvalidInput, os_code: 0 };
        let record = Arc::new(Record::failing("a write at the highest offset", invalid));
        let own = Arc::clone(&record);
        let callback = move |outcome, buffer| actor.returned(&own, outcome, [buffer]);
        let (completion, submission) = Submission::write(u64::MAX, Buffer::zeroed(64), callback);
        self.track(Arc::clone(&record), completion, vec![record]);
        file.submit(submission);
    }

    fn submit(&mut self) {
        let Some(file) = self.shared.file() else { return };
        self.shared.operations.fetch_add(1, Relaxed);
        if !self.shared.direct && self.below(48) == 0 {
            return if self.below(8) == 0 {
                self.submit_nowhere(&*file)
            } else {
                self.submit_in_pieces(&*file)
            };
        }
        let blocks = 1 + self.below(self.shared.longest);
        let first = self.below(FILE / BLOCK - blocks);
        let (mut offset, mut len) = (first * BLOCK, (blocks * BLOCK) as usize);
        if !self.shared.direct {
            offset += self.below(BLOCK / 2);
            len -= self.below(BLOCK / 2) as usize;
        }
        let mut actor = self.child();
        let (record, (completion, submission)) = match self.below(8) {
            0..4 => {
                let record = Arc::new(Record::new("a read", Some(len as u64), false));
                let own = Arc::clone(&record);
                let callback =
                    move |outcome: Outcome, buffer: Buffer| actor.read(&own, offset, outcome, buffer);
                (record, Submission::read(offset, Buffer::zeroed(len), callback))
            }
            4..6 => {
                let record = Arc::new(Record::new("a write", Some(len as u64), false));
                let own = Arc::clone(&record);
                let callback = move |outcome, buffer| actor.returned(&own, outcome, [buffer]);
                (record, Submission::write(offset, content(offset, len), callback))
            }
            6 => {
                let record = Arc::new(Record::new("a vectored write", Some(len as u64), false));
                let own = Arc::clone(&record);
                let callback = move |outcome, buffers: Vec<Buffer>| actor.returned(&own, outcome, buffers);
                let parts = (0..blocks).map(|block| {
                    let from = offset + block * BLOCK;
                    content(from, (offset + len as u64 - from).min(BLOCK) as usize)
                });
                (record, Submission::write_vectored(offset, parts.collect(), callback))
            }
            _ => {
                let record = Arc::new(Record::new("a sync", Some(0), false));
                let own = Arc::clone(&record);
                (record, Submission::sync(move |outcome| actor.callback(&own, outcome)))
            }
        };
        self.track(Arc::clone(&record), completion, vec![record]);
        file.submit(submission);
    }

    fn read(&mut self, record: &Record, offset: u64, outcome: Outcome, buffer: Buffer) {
        if let Ok(len) = outcome
            && let Some(place) = wrong_byte(offset, &buffer[..len as usize])
        {
            let seen = format!("another at {place}");
            self.shared.report(wrong(&format!("the bytes of the file in a read from {offset}"), seen));
        }
        self.returned(record, outcome, [buffer]);
    }

    fn returned(&mut self, record: &Record, outcome: Outcome, buffers: impl IntoIterator<Item = Buffer>) {
        self.shared.returned.lock().extend(buffers.into_iter().map(mark));
        self.callback(record, outcome);
    }

    fn cancel(&mut self) {
        if let Some(tracked) = self.any() {
            tracked.below.iter().for_each(|record| record.cancel());
            tracked.completion.cancel();
        }
    }

    /// Polls a clone and drops it, or leaves its waker behind.
    fn poll(&mut self) {
        let Some(tracked) = self.any() else { return };
        let waker =
            Waker::from(Arc::new(ActingWaker { shared: Arc::clone(&self.shared), key: self.child().key }));
        let mut waiting = tracked.completion;
        let _ = Pin::new(&mut waiting).poll(&mut Context::from_waker(&waker));
        if self.below(2) == 0 {
            let other =
                Waker::from(Arc::new(ActingWaker { shared: Arc::clone(&self.shared), key: self.key }));
            let _ = Pin::new(&mut waiting).poll(&mut Context::from_waker(&other));
        }
    }

    fn group(&mut self) {
        let mut actor = self.child();
        let record = Arc::new(Record::new("a group", None, true));
        let own = Arc::clone(&record);
        let callback = move |outcome| actor.callback(&own, outcome);
        let mut group = match self.below(2) {
            0 => CompletionGroup::new(callback),
            _ => CompletionGroup::drain(callback),
        };
        let mut below = vec![Arc::clone(&record)];
        for _ in 0..self.below(6) {
            // Bounded, since groups of groups of groups reach everything in the end.
            let Some(member) = self.any().filter(|member| below.len() + member.below.len() < 64) else {
                continue;
            };
            below.extend(member.below.iter().cloned());
            group.add(&member.completion);
        }
        match self.below(8) {
            0 => return drop(group),
            1 => {
                below.iter().for_each(|record| record.cancel());
                group.cancel();
            }
            _ => {}
        }
        // A callback that panics in `build` takes the completion along, so the group is only tracked where it comes back.
        let completion = group.build();
        self.track(record, completion, below);
    }

    fn bare(&mut self) {
        let mut actor = self.child();
        let record = Arc::new(Record::new("a bare completion", None, true));
        let own = Arc::clone(&record);
        let (completion, completer) = Completion::new(move |outcome| actor.callback(&own, outcome));
        self.track(Arc::clone(&record), completion, vec![record]);
        self.shared.completers.lock().push(completer);
        if self.shared.ending.load(Relaxed) {
            // Too late for the round to end it.
            self.end_bare();
        }
    }

    fn end_bare(&mut self) {
        let completer = self.shared.completers.lock().pop();
        let Some(completer) = completer else { return };
        let _ = match self.below(3) {
            0 => completer.complete(7),
            1 => completer.fail(CompletionError::NoSpace),
            _ => {
                drop(completer);
                true
            }
        };
    }

    /// A machine that waits for something, yields, acts, and ends, fails or is cancelled.
    fn spawn(&mut self) {
        let (mut actor, mut waits) = (self.child(), self.any());
        let mut steps = self.below(4);
        let task = self.shared.spawner.spawn(move || -> Result<IOResult<u64>, Infallible> {
            if let Some(tracked) = waits.take() {
                return Ok(IOResult::IO(IOCompletions::Single(tracked.completion)));
            }
            actor.inside();
            steps = steps.saturating_sub(1);
            Ok(if steps == 0 { IOResult::Done(7) } else { IOResult::IO(IOCompletions::Yield) })
        });
        if self.below(3) == 0 {
            task.cancel();
        }
        task.detach();
    }
}

/// A waker that acts, and may panic.
struct ActingWaker {
    shared: Arc<Shared>,
    key: u64,
}

impl Wake for ActingWaker {
    fn wake(self: Arc<Self>) {
        Actor::new(&self.shared, self.key).inside();
    }
}
