//! A mutex for the engine.

use parking_lot::Mutex;
use tenterhook_runtime::{Completer, Completion};

use super::Call;
use crate::schedule::FiberId;

/// A mutex that one connection's thread may hold across scheduling points. A thread that finds it taken gives the token away
/// and is woken when the mutex is free. The holder may take it again; it is free when each lock has had its unlock.
#[derive(Debug, Default)]
pub struct Latch {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// Who has it, and how many times over.
    by: Option<(FiberId, u32)>,
    waiting: Vec<Completer>,
}

impl Latch {
    /// Takes it, when it is free.
    pub fn lock(&self, call: &Call) {
        loop {
            let freed = {
                let mut held = self.held.lock();
                if held.take(call.fiber()) {
                    return;
                }
                let (freed, completer) = Completion::new(|_| {});
                held.waiting.push(completer);
                freed
            };
            call.wait_for_peer(&freed);
        }
    }

    /// Takes it if it is free; returns whether it has.
    pub fn try_lock(&self, call: &Call) -> bool {
        self.held.lock().take(call.fiber())
    }

    /// Gives it up. Each thread that waits is woken, and the first to be stepped takes it. No destructor does this: a job that
    /// unwinds must unlock before.
    ///
    /// # Panics
    ///
    /// When another connection holds it, or none does.
    pub fn unlock(&self, call: &Call) {
        let waiting = {
            let mut held = self.held.lock();
            let Some((holder, depth)) = held.by else { panic!("a latch is unlocked that is free") };
            assert_eq!(holder, call.fiber(), "a latch is unlocked by a connection that does not hold it");
            held.by = (depth > 1).then_some((holder, depth - 1));
            if held.by.is_some() { Vec::new() } else { std::mem::take(&mut held.waiting) }
        };
        for completer in waiting {
            // It is never cancelled.
            let _ = completer.complete(0);
        }
    }

    /// Who holds it.
    pub fn holder(&self) -> Option<FiberId> {
        self.held.lock().by.map(|(fiber, _)| fiber)
    }
}

impl Held {
    fn take(&mut self, fiber: FiberId) -> bool {
        match &mut self.by {
            None => self.by = Some((fiber, 1)),
            Some((holder, depth)) if *holder == fiber => *depth += 1,
            Some(_) => return false,
        }
        true
    }
}
