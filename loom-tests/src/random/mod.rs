//! What loom can't hold: more threads, bigger trees, under shuttle's random schedulers. `make shuttle`.
//!
//! A failure prints shuttle's replay string; `make shuttle REPLAY=... MODEL=...` runs that one schedule again.

mod executor;
mod storms;
mod twins;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler, UrwRandomScheduler};
use shuttle::{Config, FailurePersistence, Runner};

/// How many schedules each scheduler draws for each model, unless told otherwise.
const SCHEDULES: usize = 5_000;

/// How many changes of priority the PCT scheduler places; 3 reaches bugs of depth 4.
const PCT_DEPTH: usize = 3;

/// Run the shuttle models of the tenterhook runtime.
#[derive(Parser)]
#[command(name = "tenterhook-loom-tests")]
struct Arguments {
    /// Only models whose name contains this.
    filter: Option<String>,
    /// Schedules for each model and scheduler.
    #[arg(long, default_value_t = SCHEDULES)]
    schedules: usize,
    /// Run the one schedule that a failure printed, on the models that the filter leaves.
    #[arg(long)]
    replay: Option<String>,
}

/// A closure for shuttle, and its name.
#[derive(Clone)]
struct Model {
    name: &'static str,
    body: fn(),
}

fn schedulers(schedules: usize) -> [(&'static str, Box<dyn Scheduler + Send>); 3] {
    [
        ("random", Box::new(RandomScheduler::new(schedules))),
        ("pct", Box::new(PctScheduler::new(PCT_DEPTH, schedules))),
        ("urw", Box::new(UrwRandomScheduler::new(schedules))),
    ]
}

pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut models = [storms::models(), executor::models(), twins::models()].concat();
    if let Some(filter) = &arguments.filter {
        models.retain(|model| model.name.contains(&**filter));
    }
    if models.is_empty() || arguments.schedules == 0 {
        eprintln!("tenterhook-loom-tests: nothing to run: no model has this in its name, or zero schedules");
        return ExitCode::from(2);
    }
    if let Some(schedule) = &arguments.replay {
        models.iter().for_each(|model| shuttle::replay(model.body, schedule));
        return ExitCode::SUCCESS;
    }
    run(&models, arguments.schedules)
}

fn run(models: &[Model], schedules: usize) -> ExitCode {
    let started = Instant::now();
    let (mut total, mut passed, mut failed) = (0, 0, 0);
    println!("{:<48} {:<8} {:>10} {:>8}", "model", "picks", "schedules", "seconds");
    for model in models {
        for (name, scheduler) in schedulers(schedules) {
            let begun = Instant::now();
            let outcome = catch_unwind(AssertUnwindSafe(|| explore(model, scheduler)));
            let seconds = begun.elapsed().as_secs_f64();
            match outcome {
                Ok(ran) => {
                    total += ran;
                    passed += 1;
                    println!("{:<48} {name:<8} {ran:>10} {seconds:>8.2}", model.name);
                }
                Err(_) => {
                    failed += 1;
                    println!("{:<48} {name:<8} {:>10} {seconds:>8.2}  FAILED", model.name, "-");
                    println!(
                        "  repeat: make shuttle MODEL={} REPLAY=<the schedule printed above>",
                        model.name
                    );
                }
            }
        }
    }
    println!("\n{} models, {total} schedules, {:.1} s", models.len(), started.elapsed().as_secs_f64());
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn explore(model: &Model, scheduler: Box<dyn Scheduler + Send>) -> usize {
    let mut config = Config::new();
    // That it takes every ordering for SeqCst is known: weak orderings are loom's business.
    config.silence_warnings = true;
    config.failure_persistence = FailurePersistence::Print;
    Runner::new(scheduler, config).run(model.body)
}
