//! How the program ends.

use std::process::ExitCode;

/// The exit codes, one meaning each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Everything was measured and every result was right. Goals may have been missed: figures are no failure.
    Ok = 0,
    /// Compared with an earlier run or revision, a row of ours is slower beyond the intervals.
    Slower = 1,
    /// The command line or a file that it names is wrong; nothing was measured.
    Usage = 2,
    /// The revision to compare with can't be built or run.
    NoRevision = 69,
    /// A contender came to a wrong result: its figures mean nothing, and there are none.
    WrongResult = 70,
    /// A file can't be written.
    Output = 74,
    /// Ended by Ctrl-C. What had been measured was reported.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
