//! Where the files of a run are.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A directory that a person has named, or one that is removed in the end.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    temporary: Option<TempDir>,
}

impl Scratch {
    /// The directory that is `named`, which is made if it is not there, or a temporary one.
    ///
    /// # Errors
    ///
    /// In one line, what is wrong with it.
    pub fn new(named: Option<PathBuf>) -> Result<Scratch, String> {
        match named {
            Some(path) => {
                std::fs::create_dir_all(&path)
                    .map_err(|error| format!("--directory {}: {error}", path.display()))?;
                Ok(Scratch { path, temporary: None })
            }
            None => {
                let temporary = tempfile::tempdir()
                    .map_err(|error| format!("no scratch directory ({error}): name one with --directory"))?;
                Ok(Scratch { path: temporary.path().to_owned(), temporary: Some(temporary) })
            }
        }
    }

    /// The same if nothing is in it. What was acknowledged is known in memory only, so that files of an earlier run would be held
    /// against nothing.
    ///
    /// # Errors
    ///
    /// In one line, that there are files.
    pub fn fresh(self) -> Result<Scratch, String> {
        let path = self.path.display();
        let mut entries =
            std::fs::read_dir(&self.path).map_err(|error| format!("--directory {path}: {error}"))?;
        match entries.next() {
            Some(_) => Err(format!("--directory {path}: it has files of an earlier run; name an empty one")),
            None => Ok(self),
        }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves `document` in it, and leaves it there. Where, in a line for a person.
    pub fn save(self, document: &serde_json::Value) -> String {
        let path = self.keep().join("found.json");
        match std::fs::write(&path, format!("{document:#}\n")) {
            Ok(()) => format!("saved: {}", path.display()),
            Err(error) => format!("not saved: {}: {error}", path.display()),
        }
    }

    /// Leaves it there: what it shows is worth more than a tidy machine.
    pub fn keep(self) -> PathBuf {
        if let Some(temporary) = self.temporary {
            return temporary.keep();
        }
        self.path
    }
}
