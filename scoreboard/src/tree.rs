//! The scratch copy that patches are applied to.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use xxhash_rust::xxh3::Xxh3;

/// A copy of the workspace's tracked files. Files that did not change keep their times, so that only what a patch
/// touches is compiled again.
pub(crate) struct Tree {
    source: PathBuf,
    root: PathBuf,
}

impl Tree {
    pub(crate) fn new(source: &Path, root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        let tree = Self { source: source.to_owned(), root: root.to_owned() };
        tree.reset()?;
        Ok(tree)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the copy equal to the source again.
    pub(crate) fn reset(&self) -> io::Result<()> {
        let mut strangers = BTreeSet::new();
        files_below(&self.root, Path::new(""), &mut strangers)?;
        for path in self.tracked()? {
            let (from, to) = (self.source.join(&path), self.root.join(&path));
            let bytes = match fs::read(&from) {
                Ok(bytes) => bytes,
                // Deleted, and not committed yet.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            strangers.remove(&path);
            if fs::read(&to).is_ok_and(|there| there == bytes) {
                continue;
            }
            fs::create_dir_all(to.parent().expect("below the root"))?;
            fs::write(&to, bytes)?;
        }
        // What the source has no more, or a patch has added: cargo would take it for a part of the workspace.
        strangers.iter().try_for_each(|path| fs::remove_file(self.root.join(path)))
    }

    /// Of the sources of `crates`: what results depend on, beside the patch.
    pub(crate) fn hash(&self, crates: &BTreeSet<&str>) -> io::Result<u64> {
        let mut hash = Xxh3::new();
        for path in self.tracked()? {
            let is_source = ["rs", "toml"].iter().any(|known| path.extension().is_some_and(|e| e == *known));
            if is_source && crates.iter().any(|folder| path.starts_with(folder)) {
                hash.update(path.as_os_str().as_encoded_bytes());
                hash.update(&fs::read(self.source.join(&path)).unwrap_or_default());
            }
        }
        Ok(hash.digest())
    }

    fn tracked(&self) -> io::Result<Vec<PathBuf>> {
        // With what is new and not ignored: a change is tried out before it is committed.
        let listing = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(&self.source)
            .output()?;
        if !listing.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&listing.stderr).trim().to_owned()));
        }
        let mut paths: Vec<PathBuf> = listing
            .stdout
            .split(|byte| *byte == 0)
            .filter(|path| !path.is_empty())
            .map(|path| PathBuf::from(String::from_utf8_lossy(path).into_owned()))
            .collect();
        paths.sort();
        Ok(paths)
    }

    /// Applies a patch to the copy.
    ///
    /// # Errors
    ///
    /// In git's words, when it doesn't apply.
    pub(crate) fn apply(&self, patch: &Path) -> io::Result<()> {
        self.reset()?;
        let Output { status, stderr, .. } = Command::new("git")
            .args(["apply", "--whitespace=nowarn"])
            .arg(fs::canonicalize(patch)?)
            .current_dir(&self.root)
            // Inside a repository git would take the paths for those of the repository, and skip them in silence.
            .env("GIT_CEILING_DIRECTORIES", self.root.parent().expect("the root is in a folder"))
            .output()?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(String::from_utf8_lossy(&stderr).trim().to_owned()))
        }
    }
}

/// The files below `root`, as paths from there.
fn files_below(root: &Path, folder: &Path, files: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            files_below(root, &path, files)?;
        } else {
            files.insert(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(folder: &Path, line: &str) {
        let status = Command::new("git").args(line.split(' ')).current_dir(folder).output().unwrap().status;
        assert!(status.success(), "git {line}");
    }

    #[test]
    fn a_patch_changes_the_copy_until_it_is_reset_and_never_the_source() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        fs::create_dir(&source).unwrap();
        fs::write(source.join("a.rs"), "one\n").unwrap();
        git(&source, "init -q");
        git(&source, "add .");
        let patch = folder.path().join("m.patch");
        fs::write(
            &patch,
            "Mutant: m\n\ndiff --git a/a.rs b/a.rs\n--- a/a.rs\n+++ b/a.rs\n@@ -1 +1 @@\n-one\n+two\n",
        )
        .unwrap();
        // Inside the repository, where git is tempted to look at the repository instead.
        let tree = Tree::new(&source, &source.join("target/tree")).unwrap();
        tree.apply(&patch).unwrap();
        assert_eq!(fs::read_to_string(tree.root().join("a.rs")).unwrap(), "two\n");
        assert_eq!(fs::read_to_string(source.join("a.rs")).unwrap(), "one\n");
        tree.reset().unwrap();
        assert_eq!(fs::read_to_string(tree.root().join("a.rs")).unwrap(), "one\n");
        fs::write(source.join("b.rs"), "new\n").unwrap();
        tree.reset().unwrap();
        fs::remove_file(source.join("b.rs")).unwrap();
        tree.reset().unwrap();
        assert!(!tree.root().join("b.rs").exists(), "the source has it no more");
        fs::write(source.join("a.rs"), "three\n").unwrap();
        assert!(tree.apply(&patch).is_err(), "a patch that no longer applies is an error");
    }
}
