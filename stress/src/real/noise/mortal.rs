//! Threads that end while what they have submitted is under way.

use tenterhook_runtime::io::IO;
use tenterhook_runtime::{IOCompletions, IOResult};

/// Runs one step of a machine in a thread of its own, which hands over to the kernel what it has submitted and ends. Returns what
/// the step did, and whether I/O was under way when the thread had ended.
pub fn in_mortal_thread<T: Send, E: Send>(
    io: &dyn IO,
    step: impl FnOnce() -> Result<IOResult<T>, E> + Send,
) -> (Result<IOResult<T>, E>, bool) {
    let stepped = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let stepped = step();
            // An error comes again where somebody waits for the completion.
            let _ = io.step();
            stepped
        });
        thread.join()
    });
    let stepped = stepped.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let is_under_way = match &stepped {
        Ok(IOResult::IO(IOCompletions::Single(completion))) => !completion.finished(),
        _ => false,
    };
    (stepped, is_under_way)
}

#[cfg(test)]
mod tests {
    use tenterhook_runtime::Completion;
    use tenterhook_runtime::io::MemoryIO;

    use super::*;

    #[test]
    fn io_of_a_thread_that_has_ended_is_counted_while_it_is_under_way_and_not_otherwise() {
        let io = MemoryIO::new();
        let (completion, completer) = Completion::new(|_| {});
        let waits = || Ok::<_, ()>(IOResult::<()>::IO(IOCompletions::Single(completion.clone())));
        assert!(in_mortal_thread(&io, waits).1);
        assert!(completer.complete(0));
        assert!(!in_mortal_thread(&io, waits).1, "it has ended");
        assert!(!in_mortal_thread(&io, || Ok::<_, ()>(IOResult::Done(()))).1, "it waits for nothing");
    }
}
