//! Threads that end while what they have submitted is under way.

use tenterhook_runtime::Completion;
use tenterhook_runtime::io::IO;

/// Runs one step of a machine in a thread of its own, which hands over to the kernel what it has submitted and ends. Returns what
/// the step did, and whether what it `waits_for` was under way when the thread had ended.
pub fn in_mortal_thread<R: Send>(
    io: &dyn IO,
    step: impl FnOnce() -> R + Send,
    waits_for: impl FnOnce(&R) -> Option<&Completion>,
) -> (R, bool) {
    let stepped = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let stepped = step();
            // The waiter of the completion gets the error too.
            let _ = io.step();
            stepped
        });
        thread.join()
    });
    let stepped = stepped.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let is_under_way = waits_for(&stepped).is_some_and(|completion| !completion.finished());
    (stepped, is_under_way)
}

#[cfg(test)]
mod tests {
    use tenterhook_runtime::io::MemoryIO;

    use super::*;

    #[test]
    fn io_of_a_thread_that_has_ended_is_counted_while_it_is_under_way_and_not_otherwise() {
        let io = MemoryIO::new();
        let (completion, completer) = Completion::new(|_| {});
        let waits = || in_mortal_thread(&io, || Some(completion.clone()), Option::as_ref).1;
        assert!(waits());
        assert!(completer.complete(0));
        assert!(!waits(), "it has ended");
        assert!(!in_mortal_thread(&io, || (), |()| None).1, "it waits for nothing");
    }
}
