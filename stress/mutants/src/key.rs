//! What results depend on: one that was found out under another key is not one any more.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use xxhash_rust::xxh3::Xxh3;

use crate::detector::Detector;
use crate::tree;

/// The keys of one run, by detector and area.
pub(crate) struct Keys {
    by_place: BTreeMap<(Detector, Option<String>), u64>,
}

impl Keys {
    /// Of the clean code and of mutants in `areas`.
    pub(crate) fn of<'a>(
        source: &Path,
        detectors: &[Detector],
        areas: impl Iterator<Item = &'a str>,
    ) -> io::Result<Self> {
        let compiler = compiler(source)?;
        let areas: BTreeSet<Option<&str>> = areas.map(Some).chain([None]).collect();
        let mut by_place = BTreeMap::new();
        for &detector in detectors {
            for area in &areas {
                let place = (detector, area.map(str::to_owned));
                by_place.insert(place, key(source, &compiler, detector, *area)?);
            }
        }
        Ok(Self { by_place })
    }

    /// Of a detector's result on a mutant in `area`, or on the clean code.
    pub(crate) fn get(&self, detector: Detector, area: Option<&str>) -> u64 {
        self.by_place[&(detector, area.map(str::to_owned))]
    }
}

/// A number for everything that a detector's result on a mutant in `area` depends on beside the patch:
///
/// - the `.rs` and `.toml` files of the runtime and of the crates that the detector looks at;
/// - the workspace's `Cargo.toml`, with profiles and features, and all in its `.cargo`;
/// - of `Cargo.lock` the packages from elsewhere: what ours need is in their `Cargo.toml`;
/// - `rustc --version`;
/// - the environment and the arguments of the build;
/// - the arguments of each run;
/// - the budget: time, patience, repetitions, seeds.
///
/// Not in it are the machine, its number of processors, and what cargo and the system are told outside the workspace.
pub(crate) fn key(source: &Path, compiler: &str, detector: Detector, area: Option<&str>) -> io::Result<u64> {
    let mut hash = Xxh3::new();
    let mut add = |name: &str, value: &[u8]| {
        // The length keeps what ends one value from beginning the next.
        hash.update(format!("{name} {} ", value.len()).as_bytes());
        hash.update(value);
    };
    // The simulator's own tests need the runtime, too.
    let folders = || ["runtime"].iter().chain(detector.folders(area));
    // They are in those folders, and no detector runs them.
    let decides =
        |path: &Path| !["runtime/fuzz", "stress/mutants"].iter().any(|other| path.starts_with(other));
    for path in tree::files(source)? {
        let is_code = ["rs", "toml"].iter().any(|known| path.extension().is_some_and(|e| e == *known));
        let is_own = is_code && decides(&path) && folders().any(|folder| path.starts_with(folder));
        if is_own || path == Path::new("Cargo.toml") || path.starts_with(".cargo") {
            add(&path.to_string_lossy(), &fs::read(source.join(&path))?);
        }
    }
    add("packages", foreign(&fs::read_to_string(source.join("Cargo.lock"))?).as_bytes());
    add("rustc", compiler.as_bytes());
    let (build, budget) = (detector.build(), detector.budget(area));
    build.environment().for_each(|(name, value)| add(name, value.as_bytes()));
    add("build", detector.build_arguments(area).join(" ").as_bytes());
    for repetition in 0..budget.repetitions {
        add("run", detector.arguments(area, budget, repetition).join(" ").as_bytes());
    }
    add("budget", format!("{budget:?} {:?}", detector.patience(budget)).as_bytes());
    Ok(hash.digest())
}

/// Of a lock file the packages that are not in the workspace.
fn foreign(lock: &str) -> String {
    let packages = lock.split("[[package]]").filter(|package| package.contains("\nsource = "));
    packages.collect()
}

/// `rustc --version`, as a build in `source` would have it.
pub(crate) fn compiler(source: &Path) -> io::Result<String> {
    let output = Command::new("rustc").arg("--version").current_dir(source).output()?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "version = 4\n\n[[package]]\nname = \"ours\"\n\n[[package]]\nname = \"theirs\"\nversion = \"1.0\"\nsource = \"registry\"\n";

    fn workspace() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for inner in ["runtime/src", "stress/src", "stress/mutants/src", "loom-tests", ".cargo"] {
            fs::create_dir_all(folder.path().join(inner)).unwrap();
        }
        for name in ["runtime/src/lib.rs", "stress/src/lib.rs", "runtime/Cargo.toml", "Cargo.toml"] {
            fs::write(folder.path().join(name), "as it was").unwrap();
        }
        fs::write(folder.path().join("Cargo.lock"), LOCK).unwrap();
        folder
    }

    /// Whether what `detector` found out is still valid after `name` is edited.
    fn survives(detector: Detector, name: &str, text: &str) -> bool {
        let folder = workspace();
        let key = || key(folder.path(), "rustc 1", detector, Some("pager")).unwrap();
        let before = key();
        fs::write(folder.path().join(name), text).unwrap();
        before == key()
    }

    #[test]
    fn a_key_changes_with_what_a_result_depends_on() {
        for name in ["runtime/src/lib.rs", "runtime/src/new.rs", "runtime/Cargo.toml", "Cargo.toml"] {
            assert!(!survives(Detector::Loom, name, "another"), "{name}");
        }
        assert!(!survives(Detector::Loom, ".cargo/config.toml", "[build]"));
        assert!(!survives(Detector::Loom, "Cargo.lock", &LOCK.replace("1.0", "1.1")));
        assert!(!survives(Detector::Sim, "stress/src/lib.rs", "another"));
    }

    #[test]
    fn a_key_does_not_change_with_what_no_result_depends_on() {
        assert!(survives(Detector::Loom, "stress/src/lib.rs", "another"));
        assert!(survives(Detector::Sim, "stress/mutants/m.patch", "another"));
        assert!(survives(Detector::Sim, "stress/mutants/src/main.rs", "another"));
        assert!(survives(Detector::Sim, "Cargo.lock", &LOCK.replace("ours", "ours too")));
    }

    #[test]
    fn compilers_and_budgets_have_keys_of_their_own() {
        let folder = workspace();
        let key = |compiler, area| key(folder.path(), compiler, Detector::Sim, area).unwrap();
        assert_ne!(key("rustc 1", Some("pager")), key("rustc 2", Some("pager")));
        assert_ne!(key("rustc 1", Some("pager")), key("rustc 1", Some("group")), "six runs and two");
    }
}
