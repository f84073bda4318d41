//! Copies of folders.

use std::fs;
use std::io;
use std::path::Path;

/// Copies the folder `from` with all that is in it to `to`, which is made new.
///
/// # Errors
///
/// The file system's, and something in it that is neither a file nor a folder.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    remove(to)?;
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, beside) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &beside)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), beside)?;
        } else {
            let problem = format!("{} is neither a file nor a folder", entry.path().display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
    }
    Ok(())
}

/// Removes a folder, if it is there.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    fs::remove_dir_all(folder).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_what_is_there_and_nothing_of_an_earlier_one() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("deep/er")).unwrap();
        fs::write(from.join("deep/er/file"), "1").unwrap();
        fs::create_dir_all(&to).unwrap();
        fs::write(to.join("old"), "0").unwrap();
        copy(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("deep/er/file")).unwrap(), "1");
        assert!(!to.join("old").exists());
    }
}
