//! The command `threads --storm`.

use std::path::PathBuf;

use super::threads::ThreadsArguments;
use super::{interruption, print, usage};
use crate::exit::ExitCode;
use crate::real::storm::{self, StormBackend, StormOptions};
use crate::subject::Subject;

/// Threads that act: more than the machine has cores, so that each is interrupted in the middle of things.
const THREADS: usize = 4;

pub(super) fn run<S: Subject>(arguments: &ThreadsArguments, directory: PathBuf) -> ExitCode {
    let options = StormOptions {
        directory,
        seed: arguments.seed,
        actions: arguments.actions.unwrap_or(u64::MAX),
        duration: arguments.duration,
        backends: backends(&arguments.backend),
        threads: THREADS,
        stall: arguments.stall,
    };
    let summary = match storm::run(&options, &interruption(S::PROGRAM)) {
        Ok(summary) => summary,
        Err(error) => {
            return usage(S::PROGRAM, &format!("--directory {}: {error}", options.directory.display()));
        }
    };
    let code = summary.exit_code();
    if arguments.json {
        let mut document = serde_json::json!(summary);
        document["exit_code"] = (code as u8).into();
        print(&format!("{document:#}\n"));
    } else {
        print(&summary.text());
        if code != ExitCode::Ok {
            print(&format!("\nrepeat with:\n{}\n", command::<S>(arguments)));
        }
    }
    code
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
fn command<S: Subject>(arguments: &ThreadsArguments) -> String {
    let actions = arguments.actions.map_or_else(String::new, |actions| format!(" --actions {actions}"));
    format!(
        "{} threads --storm --seed {:#x} --duration {}s --backend {}{actions}",
        S::PROGRAM,
        arguments.seed,
        arguments.duration.as_secs().max(1),
        arguments.backend
    )
}
