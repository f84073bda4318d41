use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tenterhook_runtime::io::Backend;

use super::acks::Acks;
use super::base::{Base, real_files};
use super::draws::Draws;
use super::evidence::Evidence;
use super::harm::Harm;
use super::quiet::{Quiet, Sentence};
use super::remains::{Ending, Reader, Remains, threads, under_way};
use super::replay::{Files, Replay};
use super::seat::Seat;
use super::stops::{Stops, is_stopped};
use super::summary::{Failure, HarmCount, PointCount, Summary};
use super::variety::Variety;
use super::{CrashOptions, Point, acks_path, power, verify};
use tenterhook_stress::real::noise::{NoiseKind, available};
use tenterhook_stress::real::room;
use tenterhook_stress::stop::Stop;
use tenterhook_stress::violation::Violation;

/// How long a child may take to reach its point.
const PATIENCE: Duration = Duration::from_millis(500);
/// Random moments lie within one of these times after a child was begun. Recovery takes some four milliseconds.
const MOMENTS_MS: [u64; 3] = [10, 40, 200];

/// One power loss in so many deaths is made real.
const FALLS: u64 = 4;
/// A longer record is ended by one.
const RECORD: usize = 8 << 20;

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

/// Runs a campaign. A `stop` that is told ends it early.
///
/// # Errors
///
/// When the directory cannot be used, or a child does not die as it should.
pub fn run(options: &CrashOptions, stop: &Stop) -> io::Result<Summary> {
    fs::create_dir_all(&options.directory)?;
    let (noise, unavailable) = available(&options.noise, &options.directory);
    let options = &CrashOptions { noise, ..options.clone() };
    let mut campaign = Campaign::resume(options)?;
    campaign.summary.unavailable = unavailable;
    let begun = Instant::now();
    let earlier = campaign.summary.seconds;
    let bar = bar(options);
    loop {
        let is_over = options.kills.is_some_and(|kills| campaign.summary.kills >= kills)
            || options.duration.is_some_and(|duration| begun.elapsed() >= duration);
        campaign.summary.interrupted = stop.is_told();
        if is_over || campaign.summary.interrupted || campaign.summary.failure.is_some() {
            break;
        }
        campaign.one_life()?;
        if campaign.summary.failure.is_some() {
            // A full disk may have caused it.
            room::allows_a_verdict(&options.directory)?;
        }
        campaign.summary.seconds = earlier + begun.elapsed().as_secs_f64();
        campaign.save()?;
        let Summary { kills, commits, power_losses, .. } = campaign.summary;
        bar.set_position(if options.kills.is_some() { kills } else { begun.elapsed().as_secs() });
        bar.set_message(format!("{kills} deaths, {power_losses} power losses, {commits} commits"));
    }
    bar.finish_and_clear();
    Ok(campaign.summary)
}

struct Campaign<'a> {
    options: &'a CrashOptions,
    acks: Acks,
    base: Base,
    summary: Summary,
}

impl<'a> Campaign<'a> {
    fn resume(options: &'a CrashOptions) -> io::Result<Campaign<'a>> {
        let acks = Acks::open(&acks_path(&options.directory), options.connections)?;
        let points = options.points.iter();
        let points = points.map(|point| PointCount { point: point.to_string(), armed: 0, reached: 0 });
        let harms = Harm::ALL.map(|harm| HarmCount { harm: harm.name().into(), meant: 0, done: 0 });
        let noise =
            NoiseKind::OF_CHILDREN.map(|kind| HarmCount { harm: kind.name().into(), meant: 0, done: 0 });
        let fresh = Summary {
            seed: options.seed,
            points: points.collect(),
            harms: harms.to_vec(),
            noise: noise.to_vec(),
            ..Summary::default()
        };
        let summary = match fs::read(options.directory.join("campaign.json")) {
            Ok(bytes) => {
                let summary: Summary = serde_json::from_slice(&bytes)?;
                let names = |summary: &Summary| -> Vec<String> {
                    let points = summary.points.iter().map(|point| point.point.clone());
                    let harms = summary.harms.iter().chain(&summary.noise).map(|harm| harm.harm.clone());
                    points.chain(harms).collect()
                };
                if summary.seed != options.seed || names(&summary) != names(&fresh) {
                    let right = "use the same seed and points, or a new directory";
                    let problem =
                        format!("it holds a campaign with other flags or of another version; {right}");
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
                }
                summary
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => fresh,
            Err(error) => return Err(error),
        };
        let base = Base::resume(&options.directory, &acks)?;
        Ok(Campaign { options, acks, base, summary })
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
        let mut draws = Draws::of(self.options.seed, number);
        let backend = self.options.backends[(number % self.options.backends.len() as u64) as usize];
        let death = self.death(&mut draws);
        let variety = draws.below(1 << 32);
        let mut noise = self.options.noise.clone();
        noise.retain(|_| draws.below(3) == 0);
        let remains = self.live(backend, death, variety, &noise)?;
        self.count(death, variety, &noise, &remains);
        let how = format!("{death}, over {backend}");
        let (files, seats) = (real_files(&self.options.directory)?, self.acks.read()?);
        let judged = match remains.finding() {
            Some(violation) => Err(("the files, as the child left them", violation)),
            None => {
                let (disk, _) = Replay::from(&files, &seats, self.base.path()).cut_power();
                let found = verify::recover(&disk.io(), self.base.path(), &seats);
                found.map_err(|violation| ("the files as they are", violation))
            }
        };
        match judged {
            Ok(found) => {
                self.summary.recoveries += 1;
                self.summary.commits = self.summary.commits.max(found.commits);
                self.lose_power(&mut draws, &how, &remains.record, &files)
            }
            Err((image, violation)) => {
                let evidence = Evidence::of_a_life(&self.base, &remains.record, files, seats);
                self.fail(&how, image, *violation, evidence);
                Ok(())
            }
        }
    }

    /// Begins a child, and reads its record and its words until it is dead.
    fn live(&self, backend: Backend, death: Death, variety: u64, noise: &[NoiseKind]) -> io::Result<Remains> {
        let mut child = self.begin(backend, death, variety, noise)?;
        let mut stops = noise.contains(&NoiseKind::Stops).then(|| Stops::of(&child, variety));
        let (reader, words) = (Reader::of(child.stdout.take()), Reader::of(child.stderr.take()));
        let mut ending = self.wait_for_death(&mut child, death, stops.as_mut(), &reader)?;
        let status = child.wait()?;
        let (record, words) = (reader.all()?, words.all()?);
        if let Ending::Stalled(stall) = ending {
            ending = Ending::Stalled(self.describe(stall, &record)?);
        }
        let words = String::from_utf8_lossy(&words).into_owned();
        Ok(Remains { status, ending, record, words, stops: stops.map_or(0, |stops| stops.delivered) })
    }

    fn count(&mut self, death: Death, variety: u64, noise: &[NoiseKind], remains: &Remains) {
        let point = match death {
            Death::At(index, ..) => Some(index),
            Death::Random(_) => None,
        };
        let harms = Variety::of(variety).harms();
        self.summary.count(point, &harms, noise, remains);
    }

    fn death(&self, draws: &mut Draws) -> Death {
        let points = &self.options.points;
        if points.is_empty() || draws.below(4) == 0 {
            let within = MOMENTS_MS[draws.below(3) as usize];
            return Death::Random(Duration::from_millis(draws.below(within)));
        }
        let mut index = draws.below(points.len() as u64) as usize;
        if points[index].in_recovery && draws.below(2) == 0 {
            // Half of the points are in recovery, and who dies there has not worked.
            index = draws.below(points.len() as u64) as usize;
        }
        // Recovery does little of anything; and what happens first after it is as good as what happens later.
        let most = if points[index].in_recovery {
            [1, 2][draws.below(2) as usize]
        } else {
            [2, 10, 60][draws.below(3) as usize]
        };
        Death::At(index, points[index], 1 + draws.below(most) as u32)
    }

    fn begin(&self, backend: Backend, death: Death, variety: u64, noise: &[NoiseKind]) -> io::Result<Child> {
        let mut command = Command::new(&self.options.program);
        command.arg("crash-child").arg("--directory").arg(&self.options.directory);
        command.args(["--backend", backend.name(), "--connections", &self.options.connections.to_string()]);
        command.args(["--variety", &variety.to_string()]);
        if let Death::At(_, point, occurrence) = death {
            command.args(["--point", &point.to_string(), "--occurrence", &occurrence.to_string()]);
        }
        if !noise.is_empty() {
            let names: Vec<&str> = noise.iter().map(|kind| kind.name()).collect();
            command.args(["--noise", &names.join(",")]);
        }
        if let Some(plant) = self.options.plant {
            command.args(["--plant", plant.name()]);
        }
        // A terminal's Ctrl-C is for the campaign. A child that it killed would count as one that failed.
        command.process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }

    /// Waits until the child is dead, kills it when its time is up, and tells if it does not move any more.
    fn wait_for_death(
        &self,
        child: &mut Child,
        death: Death,
        mut stops: Option<&mut Stops>,
        reader: &Reader,
    ) -> io::Result<Ending> {
        let patience = match death {
            Death::Random(after) => after,
            Death::At(..) => PATIENCE,
        };
        let begun = Instant::now();
        let (mut quiet, mut last) = (Quiet::default(), begun);
        while child.try_wait()?.is_none() {
            let now = Instant::now();
            quiet.look(reader.progress(), now - last, !is_stopped(child.id()));
            last = now;
            match quiet.sentence(now - begun >= patience, self.options.stall) {
                Sentence::Wait => {}
                Sentence::Kill => {
                    child.kill()?;
                    return Ok(Ending::Killed);
                }
                Sentence::Stalled => {
                    let threads = threads(child.id());
                    child.kill()?;
                    let seen = format!("none for {:.1} s", self.options.stall.as_secs_f64());
                    let stall = Violation::liveness("liveness", "progress of the child", seen);
                    return Ok(Ending::Stalled(stall.note(format!("its threads: {}", threads.join(", ")))));
                }
            }
            if let Some(stops) = &mut stops {
                stops.tick()?;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(Ending::Itself)
    }

    /// What a child that has stalled was waiting for, as far as its record and the table of acknowledgements tell.
    fn describe(&self, stall: Box<Violation>, record: &[u8]) -> io::Result<Box<Violation>> {
        let listed = |list: Vec<String>| if list.is_empty() { "none".into() } else { list.join(", ") };
        let waiting = (0..).zip(self.acks.read()?).filter(|(_, seat): &(u64, Seat)| seat.asked > seat.kept);
        let waiting = waiting.map(|(connection, seat)| format!("{} of connection {connection}", seat.asked));
        Ok(stall
            .note(format!("I/O under way: {}", listed(under_way(record))))
            .note(format!("commits asked for and not acknowledged: {}", listed(waiting.collect()))))
    }

    /// Tries some of the states in which a power loss might have left the files, and makes one real now and then.
    fn lose_power(&mut self, draws: &mut Draws, how: &str, life: &[u8], files: &Files) -> io::Result<()> {
        if self.options.power_losses == 0 {
            return Ok(());
        }
        self.base.add_life(life, files)?;
        let falls = draws.below(FALLS) == 0 || self.base.record.len() > RECORD;
        for number in 1..=self.options.power_losses {
            let before = *draws;
            let loss = power::lose(&self.base, draws)?;
            self.summary.power_losses += 1;
            self.summary.at_stake += u64::from(loss.had_stake);
            self.summary.twice += u64::from(loss.again);
            if let Some((image, violation)) = loss.broken {
                let evidence = Evidence::of_a_loss(&self.base, before, loss.files, loss.seats);
                self.fail(how, &image, *violation, evidence);
                return Ok(());
            }
            if falls && number == self.options.power_losses {
                self.base.fall(loss.files, loss.seats, &self.acks)?;
                self.summary.falls += 1;
            }
        }
        Ok(())
    }

    /// Nothing is run after it, so the files stay as they are. Whether its evidence can be written decides nothing.
    fn fail(&mut self, death: &str, image: &str, mut violation: Violation, evidence: Evidence) {
        let directory = &self.options.directory;
        let evidence = evidence.write(directory, image, &violation).unwrap_or_else(|error| {
            violation.notes.push(format!("its evidence could not be written: {error}"));
            Vec::new()
        });
        self.summary.failure = Some(Failure {
            kill: self.summary.kills,
            death: death.into(),
            image: image.into(),
            violation,
            kept: directory.display().to_string(),
            evidence,
        });
    }
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
