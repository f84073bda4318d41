//! What the commands say.

use std::io::Write as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::exit::ExitCode;

/// Says in one line what is wrong with the command line.
pub fn usage(program: &str, problem: &str) -> ExitCode {
    eprintln!("{program}: {problem}");
    ExitCode::Usage
}

/// Prints to stdout. A reader that has gone is no reason to panic.
pub fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// What was wrong, where, and what would be right: the parser's own account takes a screen.
pub(super) fn in_one_line(error: &clap::Error, program: &str) -> String {
    let rendered = error.render().to_string();
    let first = rendered.lines().next().unwrap_or("the command line is invalid");
    let what = first.strip_prefix("error: ").unwrap_or(first);
    let what = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            "no command is given"
        }
        _ => what,
    };
    let suggested =
        [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue];
    if let (ErrorKind::MissingRequiredArgument, Some(ContextValue::Strings(missing))) =
        (error.kind(), error.get(ContextKind::InvalidArg))
    {
        return format!("{} is missing; see '{program} --help'", missing.join(" and "));
    }
    let names = suggested.iter().find_map(|&kind| match error.get(kind) {
        Some(ContextValue::String(name)) => Some(name.clone()),
        Some(ContextValue::Strings(names)) => names.first().cloned(),
        _ => None,
    });
    let valid = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(names)) => Some(format!("one of {}", names.join(", "))),
        _ => None,
    };
    match (names, valid) {
        (Some(name), _) => format!("{what}: did you mean '{name}'?"),
        (None, Some(valid)) => format!("{what}: it must be {valid}"),
        (None, None) => format!("{what}; see '{program} --help'"),
    }
}

pub(super) fn exit_codes() -> String {
    let lines = ExitCode::ALL.map(|code| format!("  {:<3} {}", code as u8, code.meaning()));
    format!("Exit codes:\n{}", lines.join("\n"))
}
