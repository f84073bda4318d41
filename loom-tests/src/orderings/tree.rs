//! The scratch copies that breakages are applied to.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a build of the models needs.
const PARTS: [&str; 5] = ["Cargo.toml", "Cargo.lock", "README.md", "runtime", "loom-tests"];

/// Makes the folder `to` a copy of the parts of the workspace `from`. Only what differs is written, so that only what a
/// breakage touches is compiled again.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    let mut strangers = files(to)?;
    for path in parts(from)? {
        strangers.remove(&path);
        let bytes = fs::read(from.join(&path))?;
        let bytes = if path == Path::new("Cargo.toml") { only_ours(&bytes) } else { bytes };
        write(&to.join(path), &bytes)?;
    }
    strangers.iter().try_for_each(|path| fs::remove_file(to.join(path)))
}

/// Writes a file that differs.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    fs::create_dir_all(path.parent().expect("below a root"))?;
    fs::write(path, bytes)
}

/// The workspace's manifest without the members that are not copied.
fn only_ours(manifest: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(manifest);
    let lines = text.lines().map(|line| match line.split_once(" = ") {
        Some((key @ ("members" | "default-members"), _)) => format!("{key} = [\"runtime\", \"loom-tests\"]"),
        _ => line.to_owned(),
    });
    (lines.collect::<Vec<_>>().join("\n") + "\n").into_bytes()
}

/// The files of the parts, from the workspace's root.
pub(crate) fn parts(root: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut all = BTreeSet::new();
    for part in PARTS {
        if root.join(part).is_dir() {
            all.extend(files(&root.join(part))?.into_iter().map(|path| Path::new(part).join(path)));
        } else {
            all.insert(part.into());
        }
    }
    Ok(all)
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

    #[test]
    fn a_copy_follows_its_source_and_forgets_strangers() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        for part in ["runtime", "loom-tests"] {
            fs::create_dir_all(from.join(part)).unwrap();
        }
        fs::write(from.join("Cargo.toml"), "members = [\"stress\"]\nresolver = \"3\"\n").unwrap();
        for file in ["Cargo.lock", "README.md", "runtime/a.rs"] {
            fs::write(from.join(file), "one\n").unwrap();
        }
        copy(&from, &to).unwrap();
        let manifest = fs::read_to_string(to.join("Cargo.toml")).unwrap();
        assert_eq!(manifest, "members = [\"runtime\", \"loom-tests\"]\nresolver = \"3\"\n");
        write(&to.join("runtime/a.rs"), b"broken\n").unwrap();
        write(&to.join("runtime/b.rs"), b"added\n").unwrap();
        copy(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("runtime/a.rs")).unwrap(), "one\n");
        assert!(!to.join("runtime/b.rs").exists());
    }
}
