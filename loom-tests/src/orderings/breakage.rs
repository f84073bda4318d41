//! A statement of the runtime that is broken on purpose.
//!
//! The lists are in `loom-tests/breakages/`, a file for each source file:
//!
//! ```text
//! file runtime/src/completion/group/core.rs
//!
//! # the-last-child-is-not-counted
//! Why it looks right.
//! - lines that stand in the source, once
//! + lines that stand there instead
//! argued: why no model has to notice, where that is so
//! ```
//!
//! Lines are compared without the white space around them. A second group of `-` and `+` lines changes a second place.

use std::fs;
use std::path::Path;

use crate::Stopped;
use crate::tree::files;

/// One breakage of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Breakage {
    pub(crate) file: String,
    pub(crate) name: String,
    pub(crate) why: String,
    changes: Vec<Change>,
    pub(crate) argued: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Change {
    from: Vec<String>,
    to: Vec<String>,
}

/// All breakages of the files in `folder`.
pub(crate) fn read_all(folder: &Path) -> Result<Vec<Breakage>, Stopped> {
    let mut all: Vec<Breakage> = Vec::new();
    for path in files(folder)? {
        let path = folder.join(path);
        let found = parse(&fs::read_to_string(&path)?)
            .map_err(|problem| Stopped::bad_input(format!("{}:{problem}", path.display())))?;
        all.extend(found);
    }
    // Those that take as long as all models do.
    all.sort_by_key(|breakage| breakage.argued.is_some());
    for (number, breakage) in all.iter().enumerate() {
        if all[..number].iter().any(|other| other.name == breakage.name) {
            return Err(Stopped::bad_input(format!("two breakages are called {}", breakage.name)));
        }
    }
    Ok(all)
}

/// The breakages of one list. An error begins with the number of its line.
fn parse(text: &str) -> Result<Vec<Breakage>, String> {
    let mut file = None;
    let mut all: Vec<Breakage> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let bad = |problem: &str| Err(format!("{}: {problem}: {line:?}", number + 1));
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        if first == "file" {
            file = Some(rest.to_owned());
            continue;
        }
        if first == "#" {
            let Some(file) = file.clone() else { return bad("no `file` line before it") };
            all.push(Breakage { file, name: rest.trim().to_owned(), ..Breakage::default() });
            continue;
        }
        let Some(breakage) = all.last_mut() else {
            if line.is_empty() {
                continue;
            }
            return bad("not in a breakage");
        };
        match first {
            "" => {}
            "-" => breakage.remove(rest),
            "+" => match breakage.changes.last_mut() {
                Some(change) => change.to.push(rest.trim().to_owned()),
                None => return bad("nothing to replace"),
            },
            "argued:" => breakage.argued = Some(rest.to_owned()),
            _ => breakage.why = format!("{} {line}", breakage.why).trim().to_owned(),
        }
    }
    match all.iter().find(|breakage| breakage.changes.is_empty() || breakage.why.is_empty()) {
        Some(bad) => Err(format!(" {} has no change, or no reason", bad.name)),
        None => Ok(all),
    }
}

impl Breakage {
    fn remove(&mut self, line: &str) {
        let line = line.trim().to_owned();
        match self.changes.last_mut() {
            Some(change) if change.to.is_empty() => change.from.push(line),
            _ => self.changes.push(Change { from: vec![line], to: Vec::new() }),
        }
    }

    /// What a verdict depends on; the words around it may be mended.
    pub(crate) fn change(&self) -> String {
        format!("{} {:?}", self.file, self.changes)
    }

    /// The text with every change made.
    pub(crate) fn apply(&self, text: &str) -> Result<String, String> {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for Change { from, to } in &self.changes {
            let found: Vec<_> = (0..lines.len().saturating_sub(from.len() - 1))
                .filter(|at| from.iter().enumerate().all(|(n, line)| lines[at + n].trim() == line))
                .collect();
            let [at] = found[..] else {
                return Err(format!("{}: {:?} stands there {} times", self.name, from[0], found.len()));
            };
            lines.splice(at..at + from.len(), to.iter().cloned());
        }
        Ok(lines.join("\n") + "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str =
        "file a.rs\n\n# one-two\nWhy.\n- one();\n+ two();\n- three();\n+ four();\n+ five();\nargued: no.\n";

    #[test]
    fn a_list_is_read_and_applied() {
        let all = parse(LIST).unwrap();
        assert_eq!((all.len(), &*all[0].name, &*all[0].why), (1, "one-two", "Why."));
        assert_eq!(all[0].argued.as_deref(), Some("no."));
        let broken = all[0].apply("    one();\nx\n  three();\n").unwrap();
        assert_eq!(broken, "two();\nx\nfour();\nfive();\n");
    }

    #[test]
    fn what_stands_there_twice_or_never_is_refused() {
        let breakage = &parse(LIST).unwrap()[0];
        assert!(breakage.apply("one();\none();\nthree();").unwrap_err().contains("2 times"));
        assert!(breakage.apply("three();").unwrap_err().contains("0 times"));
    }

    #[test]
    fn a_list_that_is_wrong_names_its_line() {
        assert!(parse("# x\n").unwrap_err().starts_with("1: no `file`"));
        assert!(parse("file a.rs\n# x\n+ a\n").unwrap_err().starts_with("3: nothing to replace"));
        assert!(parse("file a.rs\n# x\nWhy.\n").unwrap_err().contains("no change"));
    }
}
