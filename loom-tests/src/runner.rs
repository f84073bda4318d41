//! Which models run, on which cores, in which order.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use clap::Parser;
use tenterhook_loom_tests::explored::{Explored, Place, explore};

use crate::model::Model;
use crate::panics;
use crate::summary::{self, Summary, describe};

/// The models that take seconds, longest first: they begin before the others, so that no core is left with one of them at
/// the end. The summary names the slowest five of each run.
const LONGEST: &[&str] = &[
    "executor_two_completions_vs_one_worker",
    "executor_late_wake_vs_next_wait",
    "two_threads_wait_vs_complete",
    "executor_wake_vs_two_workers",
    "overflow_slot_is_reused_vs_complete",
    "executor_complete_vs_cancel",
    "executor_join_vs_end",
    "waiter_leaves_and_another_joins_vs_complete",
    "executor_steal_vs_owner",
    "two_waiters_in_one_task_vs_complete",
];

/// Explore the loom models of the tenterhook runtime.
///
/// Exit codes: 0 when all passed, 1 when one failed, 2 when there was nothing to run or an argument is wrong.
#[derive(Parser)]
#[command(name = "tenterhook-loom-tests")]
struct Arguments {
    /// Only models whose name contains one of these.
    filters: Vec<String>,
    /// The filters are whole names, and the models run in their order.
    #[arg(long)]
    exact: bool,
    /// Lift the preemption bounds: minutes become hours.
    #[arg(long)]
    full: bool,
    /// Start no further model once one has failed.
    #[arg(long)]
    fail_fast: bool,
    /// Print the models' names and bounds, and run none.
    #[arg(long)]
    list: bool,
    /// How many models run at a time; one for each core unless told.
    #[arg(long)]
    jobs: Option<NonZero<usize>>,
    /// Explore the one model that is named in this process, and print what that came to, for a program.
    #[arg(long, hide = true)]
    child: bool,
}

pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let bad = |problem: String| {
        eprintln!("tenterhook-loom-tests: {problem}");
        ExitCode::from(2)
    };
    #[cfg(tenterhook_orderings)]
    if let Err(problem) = tenterhook_runtime::orderings::selected() {
        return bad(problem.clone());
    }
    let models = match select(&arguments) {
        Ok(models) => models,
        Err(problem) => return bad(problem),
    };
    if arguments.list {
        for model in &models {
            println!("{:<60} {}", model.name, describe(model.bound, arguments.full));
        }
        return ExitCode::SUCCESS;
    }
    if arguments.child {
        return child(&models[0], arguments.full);
    }
    if run(&models, &arguments) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The models that the arguments leave, in the order in which they begin.
fn select(arguments: &Arguments) -> Result<Vec<Model>, String> {
    let mut models = crate::matrix::models();
    models.extend(crate::models::all());
    let names: BTreeSet<_> = models.iter().map(|model| &*model.name).collect();
    assert_eq!(names.len(), models.len(), "two models have one name");
    assert!(LONGEST.iter().all(|name| names.contains(name)), "LONGEST has a model that is gone");
    let filters = &arguments.filters;
    if arguments.exact {
        let position = |model: &Model| filters.iter().position(|filter| *filter == model.name);
        if let Some(stranger) = filters.iter().find(|filter| !names.contains(&***filter)) {
            return Err(format!("no model is called {stranger:?}; `--list` prints the names"));
        }
        models.retain(|model| position(model).is_some());
        models.sort_by_key(|model| position(model));
    } else {
        models.retain(|model| {
            filters.is_empty() || filters.iter().any(|filter| model.name.contains(&**filter))
        });
        models.sort_by_key(|model| {
            LONGEST.iter().position(|name| *name == model.name).unwrap_or(LONGEST.len())
        });
    }
    if models.is_empty() {
        return Err("no model's name contains any of these; `--list` prints the names".into());
    }
    Ok(models)
}

fn run(models: &[Model], arguments: &Arguments) -> bool {
    let started = Instant::now();
    let next = AtomicUsize::new(0);
    let summary = Mutex::new(Summary::default());
    let jobs = arguments.jobs.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZero::get);
    summary::header();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(model) = models.get(next.fetch_add(1, Relaxed)) {
                    summary::begins(model);
                    let explored = in_a_child(model, arguments.full);
                    if explored.failure.is_some() && arguments.fail_fast {
                        next.store(models.len(), Relaxed);
                    }
                    let mut summary = summary.lock().expect("no panic under the lock");
                    summary.ended(model, explored, arguments.full);
                }
            });
        }
    });
    summary.into_inner().expect("no panic under the lock").end(started.elapsed())
}

fn in_a_child(model: &Model, full: bool) -> Explored {
    let program = std::env::current_exe().expect("the path of this program");
    let mut command = Command::new(program);
    if full {
        command.arg("--full");
    }
    match explore(command, &model.name, Duration::MAX) {
        Ok(explored) => explored.expect("it may take as long as it likes"),
        Err(error) => {
            Explored { failure: Some(format!("it can't be started: {error}")), ..Explored::default() }
        }
    }
}

/// Explores one model here.
fn child(model: &Model, full: bool) -> ExitCode {
    panics::install();
    begin_to_note();
    let mut explored = model.explore(full);
    explored.places = noted();
    println!("{}", serde_json::to_string(&explored).expect("plain data"));
    ExitCode::SUCCESS
}

#[cfg(tenterhook_orderings)]
use tenterhook_runtime::orderings::begin_to_note;

/// The places that the model has reached.
#[cfg(tenterhook_orderings)]
fn noted() -> Vec<Place> {
    let places = tenterhook_runtime::orderings::noted().into_iter().map(|place| Place {
        file: place.file.into(),
        line: place.line,
        column: place.column,
        role: place.role.to_string(),
        ordering: place.ordering.into(),
    });
    places.collect()
}

#[cfg(not(tenterhook_orderings))]
fn begin_to_note() {}

/// loom's own atomics don't know where they are.
#[cfg(not(tenterhook_orderings))]
fn noted() -> Vec<Place> {
    Vec::new()
}
