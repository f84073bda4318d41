//! A child, from its begin to its death.

use std::fmt;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tenterhook_runtime::io::Backend;

use super::CrashOptions;
use super::acks::Acks;
use super::draws::Draws;
use super::points::Point;
use super::quiet::{Quiet, Sentence};
use super::remains::{Ending, Reader, Remains, threads, under_way};
use super::seat::Seat;
use super::stops::{Stops, is_stopped};
use crate::real::noise::NoiseKind;
use crate::violation::Violation;

/// How long a child may take to reach its point.
const PATIENCE: Duration = Duration::from_millis(500);
/// Random moments lie within one of these times after a child was begun. A recovery of small files takes some four milliseconds.
const MOMENTS_MS: [u64; 3] = [10, 40, 200];

/// How a child is to die.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Death {
    /// From outside, after this time.
    Random(Duration),
    /// By its own hand.
    At(usize, Point, u32),
}

impl Death {
    pub(super) fn draw(points: &[Point], draws: &mut Draws) -> Death {
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

    /// The number of its point.
    pub(super) fn point(&self) -> Option<usize> {
        match self {
            Death::At(index, ..) => Some(*index),
            Death::Random(_) => None,
        }
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Death::Random(after) => write!(f, "killed {} ms after its begin", after.as_millis()),
            Death::At(_, point, occurrence) => write!(f, "at the {occurrence}. {point}"),
        }
    }
}

/// What one child is to be.
#[derive(Debug)]
pub(super) struct Life<'a> {
    pub(super) options: &'a CrashOptions,
    /// What does its I/O, if that is recorded.
    pub(super) backend: Option<Backend>,
    pub(super) death: Death,
    pub(super) variety: u64,
    pub(super) noise: Vec<NoiseKind>,
}

impl fmt::Display for Life<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.death.fmt(f)?;
        self.backend.map_or(Ok(()), |backend| write!(f, ", over {backend}"))
    }
}

impl Life<'_> {
    /// Begins a child, and reads its record and its words until it is dead.
    pub(super) fn live(&self, acks: &Acks) -> io::Result<Remains> {
        let mut child = self.begin()?;
        let mut stops = self.noise.contains(&NoiseKind::Stops).then(|| Stops::of(&child, self.variety));
        let (reader, words) = (Reader::of(child.stdout.take()), Reader::of(child.stderr.take()));
        let mut ending = self.wait_for_death(&mut child, stops.as_mut(), &reader)?;
        let status = child.wait()?;
        let (record, words) = (reader.all()?, words.all()?);
        if let Ending::Stalled(stall) = ending {
            ending = Ending::Stalled(describe(stall, acks, &record)?);
        }
        let words = String::from_utf8_lossy(&words).into_owned();
        Ok(Remains { status, ending, record, words, stops: stops.map_or(0, |stops| stops.delivered) })
    }

    fn begin(&self) -> io::Result<Child> {
        let options = self.options;
        let mut command = Command::new(&options.executable);
        command.arg("crash-child").arg("--directory").arg(&options.directory);
        command.args(["--connections", &options.connections.to_string()]);
        command.args(["--variety", &self.variety.to_string()]);
        if let Some(backend) = self.backend {
            command.args(["--backend", backend.name()]);
        }
        if let Death::At(_, point, occurrence) = self.death {
            command.args(["--point", &point.to_string(), "--occurrence", &occurrence.to_string()]);
        }
        if !self.noise.is_empty() {
            let names: Vec<&str> = self.noise.iter().map(|kind| kind.name()).collect();
            command.args(["--noise", &names.join(",")]);
        }
        if let Some(plant) = options.plant {
            command.args(["--plant", plant]);
        }
        // A terminal's Ctrl-C is for the campaign. A child that it killed would count as one that failed.
        command.process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }

    /// Waits until the child is dead, kills it when its time is up, and tells if it does not move any more.
    fn wait_for_death(
        &self,
        child: &mut Child,
        mut stops: Option<&mut Stops>,
        reader: &Reader,
    ) -> io::Result<Ending> {
        let patience = match self.death {
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
}

/// What a child that has stalled was waiting for, as far as its record and the table of acknowledgements tell.
fn describe(stall: Box<Violation>, acks: &Acks, record: &[u8]) -> io::Result<Box<Violation>> {
    let listed = |list: Vec<String>| if list.is_empty() { "none".into() } else { list.join(", ") };
    let waiting = (0..).zip(acks.read()?).filter(|(_, seat): &(u64, Seat)| seat.asked > seat.kept);
    let waiting = waiting.map(|(connection, seat)| format!("{} of connection {connection}", seat.asked));
    Ok(stall
        .note(format!("I/O under way: {}", listed(under_way(record))))
        .note(format!("commits asked for and not acknowledged: {}", listed(waiting.collect()))))
}
