//! The simplest driver: one machine, one thread.

use super::{IO, IoError};
use crate::{IOCompletions, IOResult};

/// Calls `step` until it is done, driving `io` in between.
///
/// ```
/// use tenterhook_runtime::io::{Buffer, IO, IoError, MemoryIO, OpenOptions, Submission, drive};
/// use tenterhook_runtime::{IOCompletions, IOResult};
/// let io = MemoryIO::new();
/// let file = io.open("log".as_ref(), OpenOptions::creating())?;
/// let mut write = None;
/// let written = drive(&io, || {
///     let write = write.get_or_insert_with(|| file.start(Submission::write(0, Buffer::copy_of(b"warp"), |_, _| {})));
///     Ok::<_, IoError>(match write.result() {
///         Some(outcome) => IOResult::Done(outcome),
///         None => IOResult::IO(IOCompletions::Single(write.clone())),
///     })
/// })?;
/// assert_eq!(written, Ok(4));
/// # Ok::<(), IoError>(())
/// ```
pub fn drive<T, E: From<IoError>>(
    io: &dyn IO,
    mut step: impl FnMut() -> Result<IOResult<T>, E>,
) -> Result<T, E> {
    loop {
        match step()? {
            IOResult::Done(value) => return Ok(value),
            IOResult::IO(IOCompletions::Yield) => {
                if io.step()? == 0 {
                    std::thread::yield_now();
                }
            }
            IOResult::IO(IOCompletions::Single(completion)) => {
                let _ = io.block_on(&completion)?;
            }
        }
    }
}
