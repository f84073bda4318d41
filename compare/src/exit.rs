//! How the program ends.

use std::process::ExitCode;

/// The exit codes, one meaning each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Everything was measured and every result was right. Goals may have been missed: figures are no failure.
    Ok = 0,
    /// The command line is wrong; nothing was measured.
    Usage = 2,
    /// A contender came to a wrong result: its figures mean nothing, and there are none.
    WrongResult = 70,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
