//! Histories of seeds as files, for checkers of other people.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use rayon::prelude::*;

use crate::campaign::CampaignOptions;
use crate::history::{Event, write_edn, write_json};
use crate::sim;
use crate::subject::{self, Subject};
use crate::system::System as _;
use crate::tape::Source;

/// Where histories go.
#[derive(Debug, Default, Args)]
pub(super) struct HistoryArguments {
    /// Write what the connections of each seed did to DIRECTORY, for another checker: 0x2a.edn for Elle, 0x2a.jsonl.
    #[arg(long, value_name = "DIRECTORY")]
    history: Option<PathBuf>,
}

impl HistoryArguments {
    /// The directory, if there is one, the seeds are counted, and the system records what is asked for.
    pub(super) fn directory<S: Subject>(
        self,
        options: &CampaignOptions<S>,
    ) -> Result<Option<PathBuf>, String> {
        let Some(directory) = self.history else { return Ok(None) };
        if options.seeds.is_none() {
            return Err("--history is for a number of seeds: give --seeds, or --seed alone".to_owned());
        }
        let seed = options.first_seed;
        let drawn = subject::draw::<S>(&Source::Seed(seed), seed, &options.fixed);
        if S::system(&drawn).record().is_none() {
            return Err(format!("--history: {} records none; leave it out", S::NAME));
        }
        fs::create_dir_all(&directory).map_err(|error| wrong(&directory, &error))?;
        Ok(Some(directory))
    }
}

fn wrong(directory: &Path, error: &io::Error) -> String {
    format!("--history {}: cannot be written ({error}); name another directory", directory.display())
}

/// Runs each seed once more for its history. Says how many there are.
///
/// # Errors
///
/// In one line, what went wrong.
pub(super) fn write_all<S: Subject>(
    directory: &Path,
    options: &CampaignOptions<S>,
) -> Result<String, String> {
    let workers = rayon::ThreadPoolBuilder::new().num_threads(options.jobs).build();
    let workers = workers.map_err(|error| format!("cannot start threads to run seeds on: {error}"))?;
    let seeds = (0..options.seeds.unwrap_or(1)).map(|index| options.first_seed.wrapping_add(index));
    let seeds: Vec<u64> = seeds.collect();
    let events = workers.install(|| {
        let each = seeds.par_iter().map(|&seed| {
            let drawn = subject::draw::<S>(&Source::Seed(seed), seed, &options.fixed);
            let events = sim::history::<S>(&Source::Seed(seed), &drawn).unwrap_or_default();
            write_one(directory, seed, &events).map_err(|error| wrong(directory, &error))?;
            Ok(events.len())
        });
        each.sum::<Result<usize, String>>()
    })?;
    Ok(format!("histories of {} seeds, {events} events, in {}\n", seeds.len(), directory.display()))
}

fn write_one(directory: &Path, seed: u64, events: &[Event]) -> io::Result<()> {
    let mut edn = BufWriter::new(File::create(directory.join(format!("{seed:#x}.edn")))?);
    write_edn(events, &mut edn)?;
    edn.flush()?;
    let mut json = BufWriter::new(File::create(directory.join(format!("{seed:#x}.jsonl")))?);
    write_json(events, &mut json)?;
    json.flush()
}
