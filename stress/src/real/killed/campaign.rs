//! Deaths, one after the other, and what is found after each.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Instant;

use super::acks::Acks;
use super::base::{Base, real_files};
use super::draws::Draws;
use super::evidence::Evidence;
use super::life::{Death, Life};
use super::remains::Remains;
use super::replay::Replay;
use super::summary::{Failure, HarmCount, PointCount, Summary};
use super::system::{Killable, Recorded, Unrecorded};
use super::variety::Variety;
use super::{CrashOptions, acks_path, own_folder, power, tree, verdict};
use crate::progress::Progress;
use crate::real::noise::{NoiseKind, available};
use crate::real::room;
use crate::stop::Stop;
use crate::violation::Violation;

/// One power loss in so many deaths is made real.
const FALLS: u64 = 4;
/// A longer record is ended by one.
const RECORD: usize = 8 << 20;

const AS_LEFT: &str = "the files, as the child left them";
const AS_THEY_ARE: &str = "the files as they are";

/// Runs a campaign. A `stop` that is told ends it early.
///
/// # Errors
///
/// When the directory cannot be used, or a child does not die as it should.
pub fn run(system: &Killable, options: &CrashOptions, stop: &Stop) -> io::Result<Summary> {
    fs::create_dir_all(&options.directory)?;
    let (noise, unavailable) = available(&options.noise, &options.directory);
    let options = &CrashOptions { noise, ..options.clone() };
    let mut campaign = Campaign::resume(system, options)?;
    campaign.summary.unavailable = unavailable;
    let begun = Instant::now();
    let earlier = campaign.summary.seconds;
    let length = options.kills.or(options.duration.map(|duration| duration.as_secs())).unwrap_or(0);
    let bar = Progress::new(options.progress, length, if options.kills.is_some() { "deaths" } else { "s" });
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
        bar.show(if options.kills.is_some() { kills } else { begun.elapsed().as_secs() }, || {
            format!("{kills} deaths, {power_losses} power losses, {commits} commits")
        });
    }
    bar.clear();
    Ok(campaign.summary)
}

struct Campaign<'a> {
    system: &'a Killable,
    options: &'a CrashOptions,
    acks: Acks,
    ground: Ground<'a>,
    summary: Summary,
}

/// What deaths leave their files on.
enum Ground<'a> {
    Recorded(&'a dyn Recorded, Box<Base>),
    Unrecorded(&'a dyn Unrecorded),
}

impl<'a> Ground<'a> {
    fn resume(system: &'a Killable, directory: &Path, acks: &Acks) -> io::Result<Ground<'a>> {
        Ok(match system {
            Killable::Recorded(system) => {
                let base = Base::resume(directory, system.files(directory), acks)?;
                Ground::Recorded(&**system, Box::new(base))
            }
            Killable::Unrecorded(system) => {
                fs::create_dir_all(own_folder(directory))?;
                Ground::Unrecorded(&**system)
            }
        })
    }
}

/// Counts of a campaign that has not begun.
fn fresh(system: &Killable, options: &CrashOptions) -> Summary {
    let count = |harm: &str| HarmCount { harm: harm.into(), meant: 0, done: 0 };
    let points = options.points.iter();
    let points = points.map(|point| PointCount { point: point.to_string(), armed: 0, reached: 0 });
    let noise = system.noise();
    // In one order, whatever the system's is.
    let noise = NoiseKind::OF_CHILDREN.into_iter().filter(|kind| noise.contains(kind));
    Summary {
        seed: options.seed,
        points: points.collect(),
        harms: system.harms().into_iter().map(|harm| count(harm.name())).collect(),
        noise: noise.map(|kind| count(kind.name())).collect(),
        ..Summary::default()
    }
}

impl<'a> Campaign<'a> {
    fn resume(system: &'a Killable, options: &'a CrashOptions) -> io::Result<Campaign<'a>> {
        let acks = Acks::open(&acks_path(&options.directory), options.connections)?;
        let fresh = fresh(system, options);
        let summary = match fs::read(options.directory.join("campaign.json")) {
            Ok(bytes) => {
                let summary: Summary = serde_json::from_slice(&bytes)?;
                let names = |summary: &Summary| -> Vec<String> {
                    summary.meant().map(|(name, ..)| name.to_owned()).collect()
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
        let ground = Ground::resume(system, &options.directory, &acks)?;
        Ok(Campaign { system, options, acks, ground, summary })
    }

    fn save(&self) -> io::Result<()> {
        let path = self.options.directory.join("campaign.json");
        let beside = path.with_extension("new");
        fs::write(&beside, serde_json::to_vec_pretty(&self.summary)?)?;
        fs::rename(beside, path)
    }

    /// A child from its begin to its death, and what it left.
    fn one_life(&mut self) -> io::Result<()> {
        let (options, number) = (self.options, self.summary.kills);
        let mut draws = Draws::of(options.seed, number);
        let backends = self.options.backends.as_slice();
        let backend = matches!(self.ground, Ground::Recorded(..))
            .then(|| backends[(number % backends.len() as u64) as usize]);
        let death = Death::draw(&options.points, &mut draws);
        let variety = draws.below(1 << 32);
        let mut noise = options.noise.clone();
        noise.retain(|_| draws.below(3) == 0);
        let life = Life { options, backend, death, variety, noise };
        let remains = life.live(&self.acks)?;
        let has_headers = matches!(&self.ground, Ground::Recorded(_, base) if base.paths().headers() > 0);
        let harms = Variety::of(variety, &self.system.harms(), has_headers).harms();
        self.summary.count(death.point(), &harms, &life.noise, &remains);
        let wrong = match &mut self.ground {
            Ground::Recorded(system, base) => {
                let judge = Judge { options, acks: &self.acks, summary: &mut self.summary };
                judge.files(*system, base, &remains, &mut draws)?
            }
            Ground::Unrecorded(system) => {
                let judge = Judge { options, acks: &self.acks, summary: &mut self.summary };
                judge.folder(*system, &remains)?
            }
        };
        if let Some(wrong) = wrong {
            self.fail(life.to_string(), wrong);
        }
        Ok(())
    }

    /// Nothing is run after it, so the files stay as they are. Whether its evidence can be written decides nothing.
    fn fail(&mut self, death: String, wrong: Wrong<'_>) {
        let directory = &self.options.directory;
        let Wrong { image, mut violation, evidence } = wrong;
        let written = evidence.write(directory, (&image, &violation), self.options.program);
        let evidence = written.unwrap_or_else(|error| {
            violation.notes.push(format!("its evidence could not be written: {error}"));
            Vec::new()
        });
        self.summary.failure = Some(Failure {
            kill: self.summary.kills,
            death,
            image,
            violation: *violation,
            kept: directory.display().to_string(),
            evidence,
        });
    }
}

/// What is wrong after a death.
struct Wrong<'a> {
    /// Of which state of the files.
    image: String,
    violation: Box<Violation>,
    evidence: Evidence<'a>,
}

/// Looks at what a death has left.
struct Judge<'a> {
    options: &'a CrashOptions,
    acks: &'a Acks,
    summary: &'a mut Summary,
}

impl Judge<'_> {
    /// The files as they are, and as power losses might have left them.
    fn files<'s>(
        mut self,
        system: &'s dyn Recorded,
        base: &mut Base,
        remains: &Remains,
        draws: &mut Draws,
    ) -> io::Result<Option<Wrong<'s>>> {
        let (files, seats) = (real_files(base.paths())?, self.acks.read()?);
        let judged = match remains.finding() {
            Some(violation) => Err((AS_LEFT, violation)),
            None => {
                let (disk, _) = Replay::from(&files, &seats, base.paths()).cut_power();
                let found = verdict::of_disk(system, &disk, base.directory(), &seats);
                found.map_err(|violation| (AS_THEY_ARE, violation))
            }
        };
        match judged {
            Ok(found) => {
                self.is_sound(&found);
                if self.options.power_losses == 0 {
                    return Ok(None);
                }
                base.add_life(&remains.record, &files)?;
                self.lose_power(system, base, draws)
            }
            Err((image, violation)) => {
                let evidence = Evidence::of_a_life(system, base, &remains.record, files, seats);
                Ok(Some(Wrong { image: image.into(), violation, evidence }))
            }
        }
    }

    /// A copy of the folder: the next child recovers it as it was left.
    fn folder<'s>(mut self, system: &'s dyn Unrecorded, remains: &Remains) -> io::Result<Option<Wrong<'s>>> {
        let (folder, seats) = (own_folder(&self.options.directory), self.acks.read()?);
        let judged = match remains.finding() {
            Some(violation) => Err((AS_LEFT, violation)),
            None => {
                let copy = self.options.directory.join("checked");
                tree::copy(&folder, &copy)?;
                let found = verdict::of_directory(system, &copy, &seats);
                tree::remove(&copy)?;
                found.map_err(|violation| (AS_THEY_ARE, violation))
            }
        };
        match judged {
            Ok(found) => {
                self.is_sound(&found);
                Ok(None)
            }
            Err((image, violation)) => {
                let evidence = Evidence::of_a_folder(folder, &remains.record, seats);
                Ok(Some(Wrong { image: image.into(), violation, evidence }))
            }
        }
    }

    fn is_sound(&mut self, found: &[u64]) {
        self.summary.recoveries += 1;
        self.summary.commits = self.summary.commits.max(found.iter().sum());
    }

    /// Tries some of the states in which a power loss might have left the files, and makes one real now and then.
    fn lose_power<'s>(
        self,
        system: &'s dyn Recorded,
        base: &mut Base,
        draws: &mut Draws,
    ) -> io::Result<Option<Wrong<'s>>> {
        let falls = draws.below(FALLS) == 0 || base.record.len() > RECORD;
        for number in 1..=self.options.power_losses {
            let before = *draws;
            let loss = power::lose(system, base, draws)?;
            self.summary.power_losses += 1;
            self.summary.at_stake += u64::from(loss.had_stake);
            self.summary.twice += u64::from(loss.again);
            if let Some((image, violation)) = loss.broken {
                let evidence = Evidence::of_a_loss(system, base, before, loss.files, loss.seats);
                return Ok(Some(Wrong { image, violation, evidence }));
            }
            if falls && number == self.options.power_losses {
                base.fall(loss.files, loss.seats, self.acks)?;
                self.summary.falls += 1;
            }
        }
        Ok(None)
    }
}
