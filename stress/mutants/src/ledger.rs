//! What is known so far, on disk after every cell: a run that was interrupted resumes where it was.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cell::Cell;
use crate::detector::Detector;

/// Results by what they depend on.
pub(crate) struct Ledger {
    path: PathBuf,
    entries: BTreeMap<String, Entry>,
}

/// A cell, and what it was the result of.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    /// Of what it depends on beside the patch, see `key`.
    tree: u64,
    patch: u64,
    cell: Cell,
}

impl Ledger {
    /// What `path` holds; nothing if there is no such file.
    ///
    /// # Errors
    ///
    /// When it can't be read, or was not written by this program.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let entries = match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                let what = "is no ledger of this version; move it away, or name another folder with --state";
                io::Error::other(format!("{} {what} ({error})", path.display()))
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { path: path.to_owned(), entries })
    }

    /// The result for this patch on this code, if there is one.
    pub(crate) fn get(&self, id: &str, detector: Detector, key: u64, patch: u64) -> Option<&Cell> {
        let entry = self.entries.get(&format!("{id}/{detector}"))?;
        (entry.tree == key && entry.patch == patch).then_some(&entry.cell)
    }

    /// Keeps a result. Written beside and renamed, so that the file is always whole.
    pub(crate) fn put(&mut self, id: &str, key: u64, patch: u64, cell: Cell) -> io::Result<()> {
        self.entries.insert(format!("{id}/{}", cell.detector), Entry { tree: key, patch, cell });
        let beside = self.path.with_extension("new");
        fs::write(&beside, serde_json::to_vec(&self.entries)?)?;
        fs::rename(&beside, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_found_again_for_the_same_code_and_patch_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.json");
        let mut ledger = Ledger::open(&path).unwrap();
        ledger.put("m", 1, 2, Cell { detector: Detector::Loom, attempts: Vec::new() }).unwrap();
        let ledger = Ledger::open(&path).unwrap();
        assert!(ledger.get("m", Detector::Loom, 1, 2).is_some());
        assert!(ledger.get("m", Detector::Loom, 1, 3).is_none());
        assert!(ledger.get("m", Detector::Loom, 3, 2).is_none());
        assert!(ledger.get("m", Detector::Unit, 1, 2).is_none());
    }

    #[test]
    fn another_versions_ledger_is_named_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.json");
        let attempt = r#"{"found":true,"executions":1,"seconds":1.0,"evidence":""}"#;
        let cell = format!(r#"{{"detector":"loom","attempts":[{attempt}]}}"#);
        let text = format!(r#"{{"m/loom":{{"tree":1,"patch":2,"cell":{cell}}}}}"#);
        fs::write(&path, &text).unwrap();
        let said = Ledger::open(&path).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(said.contains("ledger.json") && said.contains("move it away"), "{said}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}
