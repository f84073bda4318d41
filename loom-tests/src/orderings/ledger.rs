//! What is known so far, on disk after every verdict: a run that is interrupted goes on where it was.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::hunt::{Model, Verdict};
use crate::tree::parts;

/// Results, and what they are results of.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ledger {
    #[serde(skip)]
    path: PathBuf,
    /// Of the models and what they model.
    key: u64,
    models: Vec<Model>,
    verdicts: BTreeMap<String, Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    key: u64,
    verdict: Verdict,
}

/// Of the source that the models are built from, without the program that is running.
pub(crate) fn key(root: &Path) -> io::Result<u64> {
    let mut hash = Xxh3::new();
    for path in parts(root)? {
        let ours = [
            "loom-tests/src/orderings",
            "loom-tests/breakages",
            "loom-tests/tests",
            "runtime/tests",
            "runtime/examples",
        ];
        let is_code = path.extension().is_some_and(|extension| extension == "rs" || extension == "lock");
        if is_code && !ours.iter().any(|folder| path.starts_with(folder)) {
            hash.update(path.as_os_str().as_encoded_bytes());
            hash.update(&fs::read(root.join(path))?);
        }
    }
    Ok(hash.digest())
}

impl Ledger {
    /// What `path` holds; nothing if there is no such file, or it is of another version.
    pub(crate) fn open(path: &Path, key: u64) -> Self {
        let found = fs::read(path).ok().and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        let mut ledger = Self { path: path.to_owned(), ..found.unwrap_or_default() };
        if ledger.key != key {
            ledger.key = key;
            ledger.models.clear();
        }
        ledger
    }

    /// The models with nothing broken, if they have been measured on this source.
    pub(crate) fn models(&self) -> Option<Vec<Model>> {
        (!self.models.is_empty()).then(|| self.models.clone())
    }

    pub(crate) fn set_models(&mut self, models: &[Model]) -> io::Result<()> {
        self.models = models.to_vec();
        self.write()
    }

    /// The verdict on this source. What is broken is part of `name`.
    pub(crate) fn verdict(&self, name: &str) -> Option<Verdict> {
        self.verdicts.get(name).filter(|entry| entry.key == self.key).map(|entry| entry.verdict.clone())
    }

    /// Who noticed it on this or an earlier source.
    pub(crate) fn killer(&self, name: &str) -> Option<String> {
        match &self.verdicts.get(name)?.verdict {
            Verdict::Killed { by, .. } => Some(by.clone()),
            Verdict::Survived { .. } | Verdict::Refused { .. } => None,
        }
    }

    pub(crate) fn put(&mut self, name: &str, verdict: &Verdict) -> io::Result<()> {
        self.verdicts.insert(name.to_owned(), Entry { key: self.key, verdict: verdict.clone() });
        self.write()
    }

    /// Beside and renamed, so that the file is always whole.
    fn write(&self) -> io::Result<()> {
        let beside = self.path.with_extension("new");
        fs::create_dir_all(self.path.parent().expect("in a folder"))?;
        fs::write(&beside, serde_json::to_vec(self)?)?;
        fs::rename(&beside, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_holds_for_its_source_and_its_killer_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/ledger.json");
        let killed = Verdict::Killed { by: "a_model".into(), failure: "race".into(), seconds: 0.5 };
        let mut ledger = Ledger::open(&path, 1);
        ledger.put("x", &killed).unwrap();
        assert_eq!(Ledger::open(&path, 1).verdict("x"), Some(killed));
        let other = Ledger::open(&path, 2);
        assert_eq!((other.verdict("x"), other.killer("x").as_deref()), (None, Some("a_model")));
        fs::write(&path, "of another version").unwrap();
        assert_eq!(Ledger::open(&path, 1).verdict("x"), None);
    }
}
