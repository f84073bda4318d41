//! A failure as the text of an issue.

use std::fmt::Write as _;
use std::path::Path;

use super::folder;
use super::{JobError, build, cause};

/// Lines of a timeline that an issue has: its end is what matters.
const LINES: usize = 60;

/// The Markdown body of an issue about `signature` of the job in `folder`.
///
/// # Errors
///
/// When there is no job that can be read, or not exactly one such signature.
pub fn issue(folder: &Path, signature: &str) -> Result<String, JobError> {
    let cause = cause(folder, signature)?;
    let state: &'static str = cause.state.into();
    let mut text = format!("# {}: expected {}, seen {}\n\n", cause.oracle, cause.expected, cause.seen);
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {name} | {} |", value.replace('|', "\\|"));
    };
    line("signature", &format!("`{}`, {state}", cause.signature));
    line("---", "---");
    line("in all runs", &cause.text);
    line("seeds that failed so", &cause.count.to_string());
    line("first seen", &format!("{}, build `{}`", build::date(cause.first_seen), cause.first_build));
    line("last seen", &format!("{}, build `{}`", build::date(cause.last_seen), cause.last_build));
    line("machine", &build::machine());
    let _ = write!(text, "\n## Repeat\n\n```sh\n{}\n", cause.command);
    let program = cause.command.split(' ').next().unwrap_or_default();
    if let Some(tape) = folder::file(folder, &cause.signature, "tape") {
        let _ = writeln!(text, "{program} replay {}", tape.display());
    }
    text.push_str("```\n");
    let timeline =
        folder::file(folder, &cause.signature, "txt").and_then(|path| std::fs::read_to_string(path).ok());
    if let Some(timeline) = timeline {
        let lines: Vec<&str> = timeline.lines().collect();
        let skipped = lines.len().saturating_sub(LINES);
        let _ = write!(text, "\n## The smallest run\n\n{}.", cause.size());
        if skipped > 0 {
            let _ = write!(text, " The first {skipped} lines are left out.");
        }
        let _ = write!(text, "\n\n```text\n{}\n```\n", lines[skipped..].join("\n"));
    }
    if !cause.options.is_empty() {
        text.push_str("\n## What the seed drew\n\n");
        for (name, value) in &cause.options {
            let _ = writeln!(text, "- {name}: {value}");
        }
    }
    Ok(text)
}
