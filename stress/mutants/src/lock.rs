//! One scoreboard at a time in a state folder.

use std::fs::{self, File, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::Path;

use crate::bench::Fault;

/// Held as long as it lives; the system takes it back from a program that dies.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the folder `state` for this program, and writes into it who that is.
    ///
    /// # Errors
    ///
    /// When another has it.
    pub(crate) fn take(state: &Path) -> Result<Self, Fault> {
        fs::create_dir_all(state)?;
        let path = state.join("lock");
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder)?;
                return Err(Fault::Held { state: state.to_owned(), holder: holder.trim().to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_told_who_has_the_folder_until_it_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::take(folder.path()).unwrap();
        let said = Lock::take(folder.path()).unwrap_err().to_string();
        assert!(said.contains(&format!("process {}", std::process::id())) && !said.contains('\n'), "{said}");
        drop(first);
        Lock::take(folder.path()).unwrap();
    }
}
