//! A known way to break the code: a patch, and above it what it is.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use crate::detector::Detector;

/// One patch of the catalogue.
#[derive(Clone, Debug)]
pub(crate) struct Mutant {
    pub(crate) id: String,
    /// What the patch changes, in a line.
    pub(crate) breaks: String,
    /// The defect, promise or real bug that it stands for.
    pub(crate) source: String,
    /// Why that is wrong.
    pub(crate) bug: String,
    /// Who is expected to find it. The others are tried anyway.
    pub(crate) found_by: BTreeSet<Detector>,
    /// The whole file. What is applied is this, whatever becomes of the file during the run.
    pub(crate) text: String,
    /// Of the text: a result belongs to it.
    pub(crate) hash: u64,
}

/// A patch that can't be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadPatch {
    path: PathBuf,
    problem: String,
}

impl fmt::Display for BadPatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.problem)
    }
}

impl Mutant {
    fn parse(path: &Path, text: &str) -> Result<Self, BadPatch> {
        let bad = |problem: String| BadPatch { path: path.to_owned(), problem };
        let Some((header, _)) = text.split_once("\ndiff --git ") else {
            return Err(bad("no diff below a header and an empty line; `git diff` makes one".into()));
        };
        let field = |name: &str| {
            let value = header.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            value.map(str::to_owned).ok_or_else(|| bad(format!("no line \"{name}: ...\" above the diff")))
        };
        let found_by = field("Found-by")?;
        let detectors = found_by.split(", ").map(|name| name.parse::<Detector>());
        let id = field("Mutant")?;
        if path.file_stem().and_then(|stem| stem.to_str()) != Some(&id) {
            return Err(bad(format!("its id is {id:?}; id and file name have to be the same")));
        }
        Ok(Self {
            id,
            breaks: field("Breaks")?,
            source: field("Source")?,
            bug: field("Bug")?,
            found_by: detectors.collect::<Result<_, _>>().map_err(bad)?,
            text: text.to_owned(),
            hash: xxh3_64(text.as_bytes()),
        })
    }

    /// What it is about: the first word of its id.
    pub(crate) fn area(&self) -> &str {
        self.id.split('-').next().unwrap_or_default()
    }
}

/// All patches in `folder`, by id.
///
/// # Errors
///
/// Everything that is wrong with any of them, so that the second error does not show an hour later.
pub(crate) fn catalogue(folder: &Path) -> Result<Vec<Mutant>, Vec<BadPatch>> {
    let unreadable =
        |path: &Path, error: std::io::Error| BadPatch { path: path.to_owned(), problem: error.to_string() };
    let entries = fs::read_dir(folder).map_err(|error| vec![unreadable(folder, error)])?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "patch"));
    paths.sort();
    let (mut mutants, mut bad) = (Vec::new(), Vec::new());
    for path in &paths {
        match fs::read_to_string(path)
            .map_err(|error| unreadable(path, error))
            .and_then(|text| Mutant::parse(path, &text))
        {
            Ok(mutant) => mutants.push(mutant),
            Err(problem) => bad.push(problem),
        }
    }
    if paths.is_empty() {
        bad.push(BadPatch { path: folder.to_owned(), problem: "there is no file *.patch in it".into() });
    }
    if bad.is_empty() { Ok(mutants) } else { Err(bad) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "Mutant: group-loses-a-child\nBreaks: it\nSource: D1\nBug: it hangs\nFound-by: loom, unit\n\ndiff --git a/x b/x\n";

    fn parse(name: &str, text: &str) -> Result<Mutant, String> {
        Mutant::parse(Path::new(name), text).map_err(|bad| bad.problem)
    }

    #[test]
    fn a_whole_header_is_read() {
        let mutant = parse("group-loses-a-child.patch", GOOD).unwrap();
        assert_eq!((mutant.area(), &*mutant.source), ("group", "D1"));
        assert_eq!(mutant.found_by, BTreeSet::from([Detector::Unit, Detector::Loom]));
    }

    #[test]
    fn what_is_missing_is_named() {
        for line in GOOD.lines().take(5) {
            let name = line.split(':').next().unwrap();
            let problem =
                parse("group-loses-a-child.patch", &GOOD.replace(&format!("{line}\n"), "")).unwrap_err();
            assert!(problem.contains(&format!("\"{name}: ...\"")), "{problem}");
        }
        assert!(parse("x.patch", GOOD).unwrap_err().contains("have to be the same"));
        let problem = parse("group-loses-a-child.patch", &GOOD.replace("loom", "lom")).unwrap_err();
        assert!(problem.contains("\"lom\"") && problem.contains("loom"), "{problem}");
        assert!(parse("group-loses-a-child.patch", "").unwrap_err().contains("no diff"));
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(catalogue(folder.path()).unwrap_err().len(), 1);
        for name in ["a.patch", "b.patch"] {
            fs::write(folder.path().join(name), GOOD).unwrap();
        }
        assert_eq!(catalogue(folder.path()).unwrap_err().len(), 2);
    }
}
