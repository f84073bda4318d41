//! What the first program needs: `use tenterhook_runtime::prelude::*;`

pub use crate::completion::group::CompletionGroup;
pub use crate::completion::{Completer, Completion};
pub use crate::error::{CompletionError, Outcome};
pub use crate::io::{Buffer, File, IO, IoError, MemoryIO, OpenOptions, Submission, drive};
pub use crate::io_result::{IOCompletions, IOResult};
pub use crate::{io_yield_one, return_if_io};
