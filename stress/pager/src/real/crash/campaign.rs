use std::fs;
use std::io::{self, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::process::Signal;
use tenterhook_runtime::io::Backend;

use super::acks::Acks;
use super::summary::{Failure, PointCount, Summary};
use super::verify::{self, Objection};
use super::{CrashOptions, Point, acks_path, database, journal, record_path};
use tenterhook_stress::disk::{Fate, SimDisk, Unsynced};
use tenterhook_stress::real::layer::Role;
use tenterhook_stress::rng;
use tenterhook_stress::violation::Violation;

/// How long a child may take to come by its point.
const PATIENCE: Duration = Duration::from_millis(500);
/// Random moments lie within this time after a child was begun: the first tenth is recovery.
const MOMENTS_MS: u64 = 40;

/// The numbers of one death, drawn by the campaign's seed and the death's number.
struct Draws {
    key: u64,
    next: u64,
}

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        self.next += 1;
        rng::below(rng::at(self.key, self.next), bound)
    }
}

/// How a child is to die.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Death {
    /// From outside, after this time.
    Random(Duration),
    /// By its own hand.
    At(usize, Point, u32),
}

impl std::fmt::Display for Death {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Death::Random(after) => write!(f, "killed {} ms after its begin", after.as_millis()),
            Death::At(_, point, occurrence) => write!(f, "at the {occurrence}. {point}"),
        }
    }
}

/// Runs a campaign. `interrupted` is set by Ctrl-C.
///
/// # Errors
///
/// When the directory cannot be used, or a child does not die as it should.
pub fn run(options: &CrashOptions, interrupted: &AtomicBool) -> io::Result<Summary> {
    fs::create_dir_all(&options.directory)?;
    let mut campaign = Campaign::resume(options)?;
    let begun = Instant::now();
    let earlier = campaign.summary.seconds;
    let bar = bar(options);
    loop {
        let is_over = options.kills.is_some_and(|kills| campaign.summary.kills >= kills)
            || options.duration.is_some_and(|duration| begun.elapsed() >= duration);
        campaign.summary.interrupted = interrupted.load(Ordering::Relaxed);
        if is_over || campaign.summary.interrupted || campaign.summary.failure.is_some() {
            break;
        }
        campaign.one_life()?;
        campaign.summary.seconds = earlier + begun.elapsed().as_secs_f64();
        campaign.save()?;
        let Summary { kills, commits, power_losses, .. } = campaign.summary;
        bar.set_position(if options.kills.is_some() { kills } else { begun.elapsed().as_secs() });
        bar.set_message(format!("{kills} deaths, {power_losses} losses of power, {commits} commits"));
    }
    bar.finish_and_clear();
    Ok(campaign.summary)
}

struct Campaign<'a> {
    options: &'a CrashOptions,
    acks: Acks,
    summary: Summary,
}

impl<'a> Campaign<'a> {
    fn resume(options: &'a CrashOptions) -> io::Result<Campaign<'a>> {
        let acks = Acks::open(&acks_path(&options.directory), options.connections)?;
        let points = options.points.iter();
        let points = points.map(|point| PointCount { point: point.to_string(), armed: 0, reached: 0 });
        let fresh = Summary { seed: options.seed, points: points.collect(), ..Summary::default() };
        let summary = match fs::read(options.directory.join("campaign.json")) {
            Ok(bytes) => {
                let summary: Summary = serde_json::from_slice(&bytes)?;
                let names = |summary: &Summary| -> Vec<String> {
                    summary.points.iter().map(|point| point.point.clone()).collect()
                };
                if summary.seed != options.seed || names(&summary) != names(&fresh) {
                    let right = "use the same seed and points, or a new directory";
                    let problem = format!("it holds a campaign with other flags; {right}");
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
                }
                summary
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => fresh,
            Err(error) => return Err(error),
        };
        Ok(Campaign { options, acks, summary })
    }

    fn save(&self) -> io::Result<()> {
        let path = self.options.directory.join("campaign.json");
        let beside = path.with_extension("new");
        fs::write(&beside, serde_json::to_vec_pretty(&self.summary)?)?;
        fs::rename(beside, path)
    }

    /// A child from its begin to its death, and what it left.
    fn one_life(&mut self) -> io::Result<()> {
        let number = self.summary.kills;
        let mut draws = Draws { key: rng::derive(rng::derive(3, self.options.seed), number), next: 0 };
        let backend = self.options.backends[(number % self.options.backends.len() as u64) as usize];
        let death = self.death(&mut draws);
        let before = if self.options.power_losses > 0 { self.files()? } else { Vec::new() };
        let variety = draws.below(1 << 32);
        let mut child = self.begin(backend, death, variety)?;
        let reached = self.wait_for_death(&mut child, death)?;
        self.summary.kills += 1;
        match death {
            Death::At(index, ..) => {
                self.summary.points[index].armed += 1;
                self.summary.points[index].reached += u64::from(reached);
                self.summary.random_kills += u64::from(!reached);
            }
            Death::Random(_) => self.summary.random_kills += 1,
        }
        let how = format!("{death}, over {backend}");
        if let Some(problem) = last_words(&mut child)? {
            return self.fail(
                &how,
                "the files, as the child found them",
                *Violation::safety("child", "nothing wrong", problem),
            );
        }
        let files = self.files()?;
        let Some(disk) = journal::replay(&[], &files, &self.path()) else { return Ok(()) };
        match self.recover(&disk) {
            Ok(commits) => {
                (self.summary.recoveries, self.summary.commits) = (self.summary.recoveries + 1, commits)
            }
            Err(Objection::Broken(violation)) => return self.fail(&how, "the files as they are", *violation),
            Err(Objection::Table(error)) => return Err(error),
        }
        self.lose_power(&mut draws, &how, &before)
    }

    fn death(&self, draws: &mut Draws) -> Death {
        let points = &self.options.points;
        if points.is_empty() || draws.below(4) == 0 {
            return Death::Random(Duration::from_millis(draws.below(MOMENTS_MS)));
        }
        let index = draws.below(points.len() as u64) as usize;
        // Recovery does little of anything; and what happens first after it is as good as what happens later.
        let most = if points[index].in_recovery {
            [1, 2][draws.below(2) as usize]
        } else {
            [2, 10, 60][draws.below(3) as usize]
        };
        Death::At(index, points[index], 1 + draws.below(most) as u32)
    }

    fn begin(&self, backend: Backend, death: Death, variety: u64) -> io::Result<Child> {
        let mut command = Command::new(&self.options.program);
        command.arg("crash-child").arg("--directory").arg(&self.options.directory);
        command.args(["--backend", backend.name(), "--connections", &self.options.connections.to_string()]);
        command.args(["--variety", &variety.to_string()]);
        if let Death::At(_, point, occurrence) = death {
            command.args(["--point", &point.to_string(), "--occurrence", &occurrence.to_string()]);
        }
        if self.options.power_losses > 0 {
            command.arg("--record");
        }
        if self.options.hasty {
            command.arg("--hasty");
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()
    }

    /// Returns whether it came by its point.
    fn wait_for_death(&self, child: &mut Child, death: Death) -> io::Result<bool> {
        let (patience, is_random) = match death {
            Death::Random(after) => (after, true),
            Death::At(..) => (PATIENCE, false),
        };
        let begun = Instant::now();
        while begun.elapsed() < patience {
            if child.try_wait()?.is_some() {
                return Ok(!is_random);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill()?;
        child.wait()?;
        Ok(false)
    }

    fn path(&self) -> PathBuf {
        database(&self.options.directory)
    }

    /// The database and its log, as far as they are there. The database first: what the log loses when it begins anew is
    /// in the database by then.
    fn files(&self) -> io::Result<Vec<(Role, Vec<u8>)>> {
        let mut log = self.path().into_os_string();
        log.push("-wal");
        let mut files = Vec::new();
        for (role, path) in [(Role::Database, self.path()), (Role::Log, log.into())] {
            match fs::read(path) {
                Ok(bytes) => files.push((role, bytes)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(files)
    }

    fn recover(&self, disk: &SimDisk) -> Result<u64, Objection> {
        verify::recover(&disk.io(), &self.path(), &self.acks)
    }

    /// Tries some of the states in which a loss of power at the moment of death might have left the files.
    fn lose_power(&mut self, draws: &mut Draws, how: &str, before: &[(Role, Vec<u8>)]) -> io::Result<()> {
        if self.options.power_losses == 0 {
            return Ok(());
        }
        let record = fs::read(record_path(&self.options.directory)).or_else(|error| match error.kind() {
            // It died before it had begun to write one.
            io::ErrorKind::NotFound => Ok(Vec::new()),
            _ => Err(error),
        })?;
        for _ in 0..self.options.power_losses {
            let Some(disk) = journal::replay(&record, before, &self.path()) else {
                let problem = "the record of the child's I/O makes no sense";
                return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
            };
            let at_stake = disk.unsynced();
            // One thing at a time, or whatever the simulator draws.
            let left = if draws.below(2) == 0 {
                let fates: Vec<Fate> = at_stake.iter().map(|unsynced| fate(draws, unsynced)).collect();
                disk.fall(&fates);
                format!("{fates:?}")
            } else {
                let seed = draws.below(1 << 32);
                disk.fall_by(seed);
                format!("what the simulator draws from {seed:#x}")
            };
            disk.oblige();
            self.summary.power_losses += 1;
            self.summary.at_stake += u64::from(!at_stake.is_empty());
            match self.recover(&disk) {
                Ok(_) => {}
                Err(Objection::Broken(violation)) => {
                    return self.fail(
                        how,
                        &format!("the files after a loss of power that left {left}"),
                        *violation,
                    );
                }
                Err(Objection::Table(error)) => return Err(error),
            }
        }
        // The next child must not be judged by it.
        fs::remove_file(record_path(&self.options.directory)).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })
    }

    fn fail(&mut self, death: &str, image: &str, violation: Violation) -> io::Result<()> {
        self.summary.failure = Some(Failure {
            kill: self.summary.kills,
            death: death.into(),
            image: image.into(),
            violation,
            kept: self.options.directory.display().to_string(),
        });
        Ok(())
    }
}

fn fate(draws: &mut Draws, unsynced: &Unsynced) -> Fate {
    match draws.below(5) {
        0 => Fate::Nothing,
        1 => Fate::UpTo(draws.below(u64::from(unsynced.changes) + 1) as u32),
        2 => Fate::AllBut(draws.below(u64::from(unsynced.sectors.max(1))) as u32),
        3 => Fate::Only(draws.below(u64::from(unsynced.sectors.max(1))) as u32),
        _ => Fate::Torn(draws.below(u64::from(unsynced.sectors.max(1))) as u32),
    }
}

/// What a dead child had to say; nothing, if it was killed.
fn last_words(child: &mut Child) -> io::Result<Option<String>> {
    let status = child.wait()?;
    if status.signal() == Some(Signal::KILL.as_raw()) {
        return Ok(None);
    }
    let mut words = String::new();
    if let Some(stderr) = &mut child.stderr {
        stderr.read_to_string(&mut words)?;
    }
    Ok(Some(format!("{status}: {}", words.trim())))
}

fn bar(options: &CrashOptions) -> ProgressBar {
    let length = options.kills.or(options.duration.map(|duration| duration.as_secs())).unwrap_or(0);
    let target = if options.progress { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(length), target);
    let unit = if options.kills.is_some() { "deaths" } else { "s" };
    if let Ok(style) = ProgressStyle::with_template(&format!("{{bar:40}} {{pos}}/{{len}} {unit}  {{msg}}")) {
        bar.set_style(style);
    }
    bar
}
