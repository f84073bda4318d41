//! `make fuzz`: batches of cases until the time is up, on all cores.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use clap::Parser;
use tenterhook_fuzz::campaign::{self, BATCH, Tally};
use tenterhook_fuzz::corpus;

/// Open arbitrary bytes as a pager's database file and log.
///
/// Ends with 0 when nothing was found, with 1 when something was; the smallest case is printed then.
#[derive(Parser)]
#[command(name = "tenterhook-fuzz", version)]
struct Arguments {
    /// How long to go on, as in `90s` or `2h`. The batches that were begun are finished.
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// Number of the first batch. Its cases follow from this number.
    #[arg(long, default_value_t = 0)]
    batch: u64,
    /// Run so many batches instead of going on for a time.
    #[arg(long)]
    batches: Option<u64>,
    /// Write the corpus into this folder, with the present pager, and run nothing.
    #[arg(long, value_name = "FOLDER")]
    write_corpus: Option<std::path::PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(folder) = &arguments.write_corpus {
        return write_corpus(folder);
    }
    // A case that panics is shrunk, which panics a thousand times: what it says is in the report.
    std::panic::set_hook(Box::new(|_| {}));
    let started = Instant::now();
    let (tally, failure) = fuzz(&arguments, started);
    for (kind, cases) in &tally.kinds {
        println!("{cases:>10}  {kind}");
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("{} executions in {seconds:.0} s, {} kinds of end", tally.executions(), tally.kinds.len());
    let Some((batch, failure)) = failure else { return ExitCode::SUCCESS };
    println!("\nFAILED in batch {batch}: {failure}\n  repeat: tenterhook-fuzz --batch {batch} --batches 1");
    ExitCode::FAILURE
}

/// What was seen, and the first batch that failed.
fn fuzz(arguments: &Arguments, started: Instant) -> (Tally, Option<(u64, String)>) {
    let next = AtomicU64::new(arguments.batch);
    let all = Mutex::new((Tally::default(), None));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    // ORDERING: Relaxed: a number for each batch, nothing else is handed over by it.
                    let batch = next.fetch_add(1, Relaxed);
                    let continues = match arguments.batches {
                        Some(batches) => batch - arguments.batch < batches,
                        None => started.elapsed() < arguments.duration,
                    };
                    if !continues || all.lock().expect("no panic under the lock").1.is_some() {
                        return;
                    }
                    let ended = campaign::run(batch, BATCH);
                    let mut all = all.lock().expect("no panic under the lock");
                    match ended {
                        Ok(tally) => all.0.add(tally),
                        Err(failure) => {
                            all.1.get_or_insert((batch, failure));
                        }
                    }
                }
            });
        }
    });
    all.into_inner().expect("no panic under the lock")
}

fn write_corpus(folder: &Path) -> ExitCode {
    for (name, _) in corpus::seeds() {
        let made = match corpus::make(name) {
            Ok(made) => made,
            Err(error) => {
                eprintln!("tenterhook-fuzz: seed {name}: {error}");
                return ExitCode::FAILURE;
            }
        };
        for (end, bytes) in [("db", &made.database), ("db-wal", &made.log)] {
            let path = folder.join(format!("{name}.{end}"));
            if let Err(error) = std::fs::write(&path, bytes) {
                eprintln!("tenterhook-fuzz: can't write {}: {error}", path.display());
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
