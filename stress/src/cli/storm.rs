//! The command `threads --storm`.

use std::path::Path;

use super::scratch::Scratch;
use super::threads::ThreadsArguments;
use super::{interruption, parse, print, usage};
use crate::exit::ExitCode;
use crate::real::parts::{self, Part, PartsOptions, PartsSummary};
use crate::real::storm::{self, StormBackend, StormOptions, StormSummary};
use crate::stop::Stop;
use crate::subject::Subject;

/// Threads that act: more than the machine has cores, so that each is interrupted in the middle of things.
const THREADS: usize = 4;

/// What a storm is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The backends.
    Io,
    Part(Part),
}

impl Kind {
    const ALL: [Kind; 5] = [
        Kind::Part(Part::Completions),
        Kind::Part(Part::Waiters),
        Kind::Part(Part::Groups),
        Kind::Part(Part::Tasks),
        Kind::Io,
    ];

    fn name(self) -> &'static str {
        match self {
            Kind::Io => "io",
            Kind::Part(part) => part.name(),
        }
    }
}

pub(super) fn run<S: Subject>(arguments: &ThreadsArguments, names: &str, directory: Scratch) -> ExitCode {
    let kinds = parse::names(names, "storm", &Kind::ALL, |kind| kind.name().to_owned());
    let kinds = match kinds {
        Ok(kinds) if kinds.is_empty() => return usage(S::PROGRAM, "--storm none: there is nothing to do"),
        Ok(kinds) => kinds,
        Err(problem) => return usage(S::PROGRAM, &format!("--storm {names}: {problem}")),
    };
    let stop = interruption(S::PROGRAM);
    let parts = run_parts(arguments, &kinds, &stop);
    let found = parts.as_ref().map_or(ExitCode::Ok, PartsSummary::exit_code);
    let is_io = kinds.contains(&Kind::Io) && found == ExitCode::Ok && !stop.is_told();
    let io = match is_io.then(|| run_io(arguments, &kinds, directory.path(), &stop)).transpose() {
        Ok(io) => io,
        Err(problem) => return usage(S::PROGRAM, &problem),
    };
    let code = if found == ExitCode::Ok { io.as_ref().map_or(found, StormSummary::exit_code) } else { found };
    let document = serde_json::json!({ "parts": parts, "io": io, "exit_code": code as u8 });
    let saved = (code != ExitCode::Ok).then(|| directory.save(&document));
    if arguments.json {
        print(&format!("{document:#}\n"));
        return code;
    }
    print(&parts.map_or_else(String::new, |parts| parts.text()));
    print(&io.map_or_else(String::new, |io| format!("\nstorm of io\n{}", io.text())));
    if let Some(saved) = saved {
        print(&format!("\n{saved}\nrepeat with:\n{}\n", command::<S>(arguments, names)));
    }
    code
}

/// The storms of the runtime's parts, if any is asked for.
fn run_parts(arguments: &ThreadsArguments, kinds: &[Kind], stop: &Stop) -> Option<PartsSummary> {
    let part = |kind: &Kind| if let Kind::Part(part) = kind { Some(*part) } else { None };
    let parts: Vec<Part> = kinds.iter().filter_map(part).collect();
    if parts.is_empty() {
        return None;
    }
    let options = PartsOptions {
        seed: arguments.seed,
        duration: arguments.duration / kinds.len() as u32 * parts.len() as u32,
        cases: arguments.actions.unwrap_or(u64::MAX),
        parts,
        stall: arguments.stall,
        perturbed: !arguments.unperturbed,
    };
    Some(parts::run(&options, stop))
}

fn run_io(
    arguments: &ThreadsArguments,
    kinds: &[Kind],
    directory: &Path,
    stop: &Stop,
) -> Result<StormSummary, String> {
    let options = StormOptions {
        directory: directory.to_owned(),
        seed: arguments.seed,
        actions: arguments.actions.unwrap_or(u64::MAX),
        duration: arguments.duration / kinds.len() as u32,
        backends: backends(&arguments.backend),
        threads: THREADS,
        stall: arguments.stall,
    };
    storm::run(&options, stop)
        .map_err(|error| format!("--directory {}: {error}", options.directory.display()))
}

fn backends(name: &str) -> Vec<StormBackend> {
    use StormBackend::{Threads, ThreadsStepped, Uring, UringStepped};
    match name {
        "threads" => vec![Threads, ThreadsStepped],
        "uring" => vec![Uring, UringStepped],
        _ => StormBackend::ALL.to_vec(),
    }
}

/// The same once more. How the threads meet is not the seed's.
fn command<S: Subject>(arguments: &ThreadsArguments, names: &str) -> String {
    let ThreadsArguments { seed, duration, backend, stall, .. } = arguments;
    let actions = arguments.actions.map_or_else(String::new, |actions| format!(" --actions {actions}"));
    let unperturbed = if arguments.unperturbed { " --unperturbed" } else { "" };
    let (duration, stall) = (humantime::format_duration(*duration), humantime::format_duration(*stall));
    format!(
        "{} threads --storm {names} --seed {seed:#x} --duration '{duration}' --backend {backend} --stall '{stall}'{actions}{unperturbed}",
        S::PROGRAM,
    )
}
