//! What is known so far, on disk after every verdict: an interrupted run resumes from there.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::hunt::{Model, Verdict};
use crate::tree::parts;

/// Results, and what they are results of.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ledger {
    #[serde(skip)]
    path: PathBuf,
    #[serde(skip)]
    keys: Keys,
    models: Vec<Entry<Model>>,
    verdicts: BTreeMap<String, Entry<Verdict>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry<T> {
    key: u64,
    value: T,
}

/// Of the source. A model's kill stands while the runtime and the file that the model is in are the same; a survival while
/// all models are.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// Of everything.
    whole: u64,
    /// Of the runtime, and of what all models share.
    base: u64,
    /// The files with models, and what each is.
    files: Vec<(String, u64)>,
}

impl Keys {
    pub(crate) fn read(root: &Path) -> io::Result<Self> {
        let (mut whole, mut base) = (Xxh3::new(), Xxh3::new());
        let mut files = Vec::new();
        for path in parts(root)?.into_iter().filter(|path| is_hashed(path)) {
            let text = fs::read_to_string(root.join(&path))?;
            let hash = xxh3_64(format!("{}\n{text}", path.display()).as_bytes());
            whole.update(&hash.to_le_bytes());
            if path.starts_with("loom-tests/src/models") {
                files.push((text, hash));
            } else {
                base.update(&hash.to_le_bytes());
            }
        }
        Ok(Self { whole: whole.digest(), base: base.digest(), files })
    }

    /// What a kill by `model`, or its time, depends on.
    fn of_model(&self, model: &str) -> u64 {
        let function = format!("fn {model}(");
        let quoted = format!("\"{model}\"");
        let file = self.files.iter().find(|(text, _)| text.contains(&function) || text.contains(&quoted));
        file.map_or(0, |(_, hash)| *hash) ^ self.base.rotate_left(1)
    }

    fn of(&self, verdict: &Verdict) -> u64 {
        match verdict {
            Verdict::Killed { by, .. } => self.of_model(by),
            Verdict::Survived { .. } | Verdict::Refused { .. } => self.whole,
        }
    }
}

/// Whether the models are built from it. What shuttle has, and this program, is not.
fn is_hashed(path: &Path) -> bool {
    const OTHERS: [&str; 6] = [
        "loom-tests/src/orderings",
        "loom-tests/src/random",
        "loom-tests/breakages",
        "loom-tests/tests",
        "runtime/tests",
        "runtime/examples",
    ];
    let is_code = path.extension().is_some_and(|extension| extension == "rs" || extension == "lock");
    is_code && !OTHERS.iter().any(|folder| path.starts_with(folder))
}

impl Ledger {
    /// What `path` holds; nothing if there is no such file, or it is of another version.
    pub(crate) fn open(path: &Path, keys: Keys) -> Self {
        let found = fs::read(path).ok().and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        Self { path: path.to_owned(), keys, ..found.unwrap_or_default() }
    }

    /// What the model came to with nothing broken, if it has been measured on this source.
    pub(crate) fn model(&self, name: &str) -> Option<Model> {
        let key = self.keys.of_model(name);
        let found = self.models.iter().find(|entry| entry.key == key && entry.value.name == name);
        found.map(|entry| entry.value.clone())
    }

    pub(crate) fn set_models(&mut self, models: &[Model]) -> io::Result<()> {
        let entry = |model: &Model| Entry { key: self.keys.of_model(&model.name), value: model.clone() };
        self.models = models.iter().map(entry).collect();
        self.write()
    }

    /// The verdict on this source. What is broken is part of `name`.
    pub(crate) fn verdict(&self, name: &str) -> Option<Verdict> {
        let entry = self.verdicts.get(name)?;
        (entry.key == self.keys.of(&entry.value)).then(|| entry.value.clone())
    }

    /// Who noticed it on this or an earlier source.
    pub(crate) fn killer(&self, name: &str) -> Option<String> {
        match &self.verdicts.get(name)?.value {
            Verdict::Killed { by, .. } => Some(by.clone()),
            Verdict::Survived { .. } | Verdict::Refused { .. } => None,
        }
    }

    pub(crate) fn put(&mut self, name: &str, verdict: &Verdict) -> io::Result<()> {
        let entry = Entry { key: self.keys.of(verdict), value: verdict.clone() };
        self.verdicts.insert(name.to_owned(), entry);
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

    fn keys(base: u64, file: u64, other: u64) -> Keys {
        let files = vec![("fn a_model() {".into(), file), ("fn another() {".into(), other)];
        Keys { whole: base ^ file ^ other, base, files }
    }

    #[test]
    fn a_kill_stands_while_the_runtime_and_its_model_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/ledger.json");
        let killed = Verdict::Killed { by: "a_model".into(), failure: "race".into(), seconds: 0.5 };
        let mut ledger = Ledger::open(&path, keys(1, 2, 3));
        ledger.put("x", &killed).unwrap();
        assert_eq!(Ledger::open(&path, keys(1, 2, 4)).verdict("x"), Some(killed));
        for changed in [keys(9, 2, 3), keys(1, 9, 3)] {
            let ledger = Ledger::open(&path, changed);
            assert_eq!((ledger.verdict("x"), ledger.killer("x").as_deref()), (None, Some("a_model")));
        }
        fs::write(&path, "of another version").unwrap();
        assert_eq!(Ledger::open(&path, keys(1, 2, 3)).verdict("x"), None);
    }

    #[test]
    fn a_survival_stands_while_all_models_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.json");
        let survived = Verdict::Survived { stopped: Vec::new(), seconds: 1.0 };
        Ledger::open(&path, keys(1, 2, 3)).put("x", &survived).unwrap();
        assert_eq!(Ledger::open(&path, keys(1, 2, 3)).verdict("x"), Some(survived));
        assert_eq!(Ledger::open(&path, keys(1, 2, 4)).verdict("x"), None);
    }
}
