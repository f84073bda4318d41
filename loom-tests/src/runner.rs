//! Runs the models on all cores and prints the table.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use clap::Parser;

use crate::model::{Bound, Explored, Model};

/// Explore the loom models of the tenterhook runtime.
#[derive(Parser)]
#[command(name = "tenterhook-loom-tests")]
struct Arguments {
    /// Only models whose name contains one of these.
    filters: Vec<String>,
    /// Lift the preemption bounds: minutes become hours.
    #[arg(long)]
    full: bool,
    /// Start no further model once one has failed.
    #[arg(long)]
    fail_fast: bool,
    /// Print the models' names and bounds, and run none.
    #[arg(long)]
    list: bool,
}

pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut models = crate::matrix::models();
    models.extend(crate::models::all());
    let names: BTreeSet<_> = models.iter().map(|model| &*model.name).collect();
    assert_eq!(names.len(), models.len(), "two models have one name");
    if !arguments.filters.is_empty() {
        models.retain(|model| arguments.filters.iter().any(|filter| model.name.contains(&**filter)));
    }
    if models.is_empty() {
        eprintln!("tenterhook-loom-tests: no model's name contains any of these; `--list` prints the names");
        return ExitCode::from(2);
    }
    if arguments.list {
        for model in &models {
            println!("{:<60} {}", model.name, describe(model.bound, arguments.full));
        }
        return ExitCode::SUCCESS;
    }
    run(&models, &arguments)
}

fn run(models: &[Model], arguments: &Arguments) -> ExitCode {
    let full = arguments.full;
    silence_expected_panics();
    let started = Instant::now();
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let executions = std::sync::atomic::AtomicU64::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{:<60} {:>11} {:>8}  bound", "model", "executions", "seconds");
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(model) = models.get(next.fetch_add(1, Relaxed)) {
                    let explored = model.explore(full);
                    executions.fetch_add(explored.executions, Relaxed);
                    report(model, &explored, full);
                    if let Some(failure) = explored.failure {
                        failures.lock().expect("no panic under the lock").push((model.name.clone(), failure));
                        if arguments.fail_fast {
                            next.store(models.len(), Relaxed);
                        }
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no panic under the lock");
    for (name, failure) in &failures {
        println!("\nFAILED {name}: {failure}\n  repeat: make loom MODEL={name}");
    }
    println!(
        "\n{} models, {} executions, {:.1} s",
        models.len(),
        executions.into_inner(),
        started.elapsed().as_secs_f64()
    );
    println!("{} passed, {} failed", models.len() - failures.len(), failures.len());
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn report(model: &Model, explored: &Explored, full: bool) {
    let verdict = if explored.failure.is_some() { "  FAILED" } else { "" };
    println!(
        "{:<60} {:>11} {:>8.2}  {}{verdict}",
        model.name,
        explored.executions,
        explored.elapsed.as_secs_f64(),
        describe(model.bound, full),
    );
}

fn describe(bound: Bound, full: bool) -> String {
    match bound {
        Bound::Preemptions(most) if !full => format!("{most} preemptions"),
        _ => "exhaustive".into(),
    }
}

/// Models panic on purpose inside callbacks; loom runs them thousands of times. Only other panics are worth a line.
fn silence_expected_panics() {
    std::panic::set_hook(Box::new(|info| {
        if !info.payload().is::<crate::support::OnPurpose>() {
            eprintln!("{info}");
        }
    }));
}
