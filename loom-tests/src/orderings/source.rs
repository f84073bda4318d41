//! The orderings that the source of the runtime names, and what is said beside them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use tenterhook_loom_tests::explored::Place;

use crate::tree;

/// How many lines after the name of the method the arguments of a call may end.
const REACH: u32 = 6;

/// What can be weakened.
const STRONG: [&str; 3] = ["Acquire", "Release", "AcqRel"];

/// The lines of the runtime's files outside the facade, by their paths from the workspace's root.
pub(crate) struct Source(BTreeMap<String, Vec<String>>);

/// A strong ordering in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) ordering: &'static str,
}

impl Source {
    pub(crate) fn read(root: &Path) -> io::Result<Self> {
        let mut files = BTreeMap::new();
        for path in tree::files(&root.join("runtime/src"))? {
            let name = format!("runtime/src/{}", path.display());
            if !name.ends_with(".rs") || name.starts_with("runtime/src/sync/") {
                continue;
            }
            let text = fs::read_to_string(root.join(&name))?;
            files.insert(name, text.lines().map(str::to_owned).collect());
        }
        Ok(Self(files))
    }

    /// Every strong ordering outside comments, imports and tests.
    pub(crate) fn tokens(&self) -> Vec<Token> {
        let mut tokens = Vec::new();
        for (file, lines) in &self.0 {
            let code = lines
                .iter()
                .take_while(|line| !line.starts_with("#[cfg(test)]") && !line.starts_with("#[cfg(all(test"));
            for (number, line) in code.enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                if code.trim_start().starts_with("use ") || code.trim_start().starts_with("pub(crate) use ") {
                    continue;
                }
                let words = code.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
                for word in words {
                    if let Some(ordering) = STRONG.into_iter().find(|strong| *strong == word) {
                        tokens.push(Token { file: file.clone(), line: number as u32 + 1, ordering });
                    }
                }
            }
        }
        tokens
    }

    /// The strong orderings that no model has reached.
    pub(crate) fn unreached<'a>(&self, places: impl Iterator<Item = &'a Place> + Clone) -> Vec<Token> {
        let reached = |token: &Token| {
            places.clone().any(|place| {
                place.file == token.file
                    && place.ordering == token.ordering
                    && (place.line..=place.line + REACH).contains(&token.line)
            })
        };
        self.tokens().into_iter().filter(|token| !reached(token)).collect()
    }

    /// Why no model can see a weakening there: the rest of the comment from `INVISIBLE:` on, in the comment above the
    /// statement.
    pub(crate) fn invisible(&self, file: &str, line: u32) -> Option<String> {
        let lines = self.0.get(file)?;
        let above = lines.get(..line as usize)?;
        let is_comment = |line: &&String| line.trim_start().starts_with("//");
        let statement = above.iter().rev().take_while(|line| !is_comment(line)).count();
        if statement > REACH as usize {
            return None;
        }
        let comment: Vec<_> = above.iter().rev().skip(statement).take_while(is_comment).collect();
        let text: Vec<_> =
            comment.iter().rev().map(|line| line.trim_start().trim_start_matches('/').trim()).collect();
        let text = text.join(" ");
        text.split_once("INVISIBLE:").map(|(_, reason)| reason.trim().to_owned())
    }

    /// How often the source says that a weakening is invisible.
    pub(crate) fn invisibles(&self) -> usize {
        let lines = self.0.values().flatten();
        lines.filter(|line| line.trim_start().starts_with("//") && line.contains("INVISIBLE:")).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source(BTreeMap::from([("a.rs".into(), text.lines().map(str::to_owned).collect())]))
    }

    fn place(line: u32, ordering: &str) -> Place {
        Place { file: "a.rs".into(), line, column: 1, role: "load".into(), ordering: ordering.into() }
    }

    #[test]
    fn orderings_in_code_are_found_and_no_others() {
        let text = "use x::Acquire;\n// Acquire\nx.load(Acquire); // Release\nx.swap(\n  1, AcqRel)\n#[cfg(test)]\nAcquire";
        let tokens = source(text).tokens();
        let found: Vec<_> = tokens.iter().map(|token| (token.line, token.ordering)).collect();
        assert_eq!(found, [(3, "Acquire"), (5, "AcqRel")]);
    }

    #[test]
    fn an_ordering_that_no_model_comes_by_is_named() {
        let source = source("x.load(Acquire);\nx.swap(\n  1, AcqRel)\n");
        assert!(source.unreached([place(1, "Acquire"), place(2, "AcqRel")].iter()).is_empty());
        let unreached = source.unreached([place(1, "Acquire")].iter());
        assert_eq!(unreached, [Token { file: "a.rs".into(), line: 3, ordering: "AcqRel" }]);
    }

    #[test]
    fn a_reason_belongs_to_the_statement_below_it() {
        let source = source(
            "// ORDERING: x\n// INVISIBLE: loom\n// can't.\nx\n    .load(Acquire);\n// y\ny.load(Acquire);\n",
        );
        assert_eq!(source.invisible("a.rs", 5).as_deref(), Some("loom can't."));
        assert_eq!(source.invisible("a.rs", 7), None);
        assert_eq!(source.invisibles(), 1);
    }
}
