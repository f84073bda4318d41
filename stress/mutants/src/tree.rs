//! The scratch copy that patches are applied to.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A copy of the frozen source. Files that did not change keep their times, so that only what a patch touches is compiled
/// again.
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
        mirror(&self.source, &files(&self.source)?, &self.root)
    }

    /// Applies the text of a patch to the copy.
    ///
    /// # Errors
    ///
    /// In git's words, when it doesn't apply.
    pub(crate) fn apply(&self, patch: &str) -> io::Result<()> {
        self.reset()?;
        let mut git = Command::new("git")
            .args(["apply", "--whitespace=nowarn"])
            .current_dir(&self.root)
            // Inside a repository git would take the paths for those of the repository, and skip them in silence.
            .env("GIT_CEILING_DIRECTORIES", self.root.parent().expect("the root is in a folder"))
            // Ctrl-C is for us: a patch that is half applied would be the patch's fault.
            .process_group(0)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // Closed at once, so that git sees the end. One that refuses without reading says why.
        let written = git.stdin.take().expect("it is piped").write_all(patch.as_bytes());
        let output = git.wait_with_output()?;
        if output.status.success() {
            written
        } else {
            Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
        }
    }
}

/// Makes the folder `to` equal to those files of `from`, with paths from there. Only what differs is written.
pub(crate) fn mirror<'a>(
    from: &Path,
    paths: impl IntoIterator<Item = &'a PathBuf>,
    to: &Path,
) -> io::Result<()> {
    let mut strangers = files(to)?;
    for path in paths {
        let (source, copy) = (from.join(path), to.join(path));
        let bytes = match fs::read(&source) {
            Ok(bytes) => bytes,
            // Deleted, and not committed yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        strangers.remove(path);
        if fs::read(&copy).is_ok_and(|there| there == bytes) {
            continue;
        }
        fs::create_dir_all(copy.parent().expect("below the root"))?;
        fs::write(&copy, bytes)?;
    }
    // What the source has no more, or a patch has added: cargo would take it for a part of the workspace.
    strangers.iter().try_for_each(|path| fs::remove_file(to.join(path)))
}

/// The files below `root`, as paths from there.
pub(crate) fn files(root: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    files_below(root, Path::new(""), &mut files)?;
    Ok(files)
}

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

    const PATCH: &str =
        "Mutant: m\n\ndiff --git a/a.rs b/a.rs\n--- a/a.rs\n+++ b/a.rs\n@@ -1 +1 @@\n-one\n+two\n";

    #[test]
    fn a_patch_changes_the_copy_until_it_is_reset_and_never_the_source() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        fs::create_dir(&source).unwrap();
        fs::write(source.join("a.rs"), "one\n").unwrap();
        // Inside a repository, where git is tempted to look at the repository instead.
        let git = Command::new("git").args(["init", "-q"]).current_dir(folder.path()).status();
        assert!(git.unwrap().success());
        let tree = Tree::new(&source, &folder.path().join("lane/tree")).unwrap();
        tree.apply(PATCH).unwrap();
        assert_eq!(fs::read_to_string(tree.root().join("a.rs")).unwrap(), "two\n");
        assert_eq!(fs::read_to_string(source.join("a.rs")).unwrap(), "one\n");
        tree.reset().unwrap();
        assert_eq!(fs::read_to_string(tree.root().join("a.rs")).unwrap(), "one\n");
        fs::write(tree.root().join("b.rs"), "added by a patch\n").unwrap();
        tree.reset().unwrap();
        assert!(!tree.root().join("b.rs").exists(), "the source does not have it");
        fs::write(source.join("a.rs"), "three\n").unwrap();
        assert!(tree.apply(PATCH).is_err(), "a patch that no longer applies is an error");
    }
}
