//! A stretch of the campaign, as a job runs it among other kinds of runs.

use std::io;
use std::time::Duration;

use tenterhook_runtime::io::Backend;
use tenterhook_stress::real::killed::{Killed, KilledProcesses, Meant, Stretch};
use tenterhook_stress::real::noise::NoiseKind;
use tenterhook_stress::stop::Stop;
use tenterhook_stress::subject::Subject as _;

use super::{CrashOptions, Point, Summary, run};
use crate::PagerSubject;

const CONNECTIONS: u64 = 8;
const POWER_LOSSES: u32 = 24;
const STALL: Duration = Duration::from_secs(30);

/// Children of the pager: every point, every kind of noise, and each backend that this machine has in turn.
#[derive(Copy, Clone, Debug)]
pub struct Children;

impl KilledProcesses for Children {
    fn run(&self, stretch: &Stretch<'_>, stop: &Stop) -> io::Result<Killed> {
        let backends = match Backend::Uring.start() {
            Ok(_) => vec![Backend::Threads, Backend::Uring],
            Err(_) => vec![Backend::Threads],
        };
        let options = CrashOptions {
            directory: stretch.directory.to_owned(),
            seed: stretch.seed,
            kills: None,
            duration: Some(stretch.duration),
            backends,
            connections: CONNECTIONS,
            points: Point::all(),
            power_losses: POWER_LOSSES,
            noise: NoiseKind::OF_CHILDREN.to_vec(),
            stall: STALL,
            plant: None,
            program: std::env::current_exe()?,
            progress: false,
        };
        Ok(killed(run(&options, stop)?))
    }
}

fn killed(summary: Summary) -> Killed {
    let counts = [
        ("deaths", summary.kills),
        ("recoveries", summary.recoveries),
        ("power losses", summary.power_losses),
        ("power losses with something at stake", summary.at_stake),
    ];
    let points = summary.points.into_iter().map(|point| (point.point, point.armed, point.reached));
    let harms = summary.harms.into_iter().chain(summary.noise).map(|harm| (harm.harm, harm.meant, harm.done));
    // Another run of the seed dies elsewhere: a moment is the kernel's. The files of this one say more.
    let command = format!("{} crash --seed {:#x} --duration 5m", PagerSubject::PROGRAM, summary.seed);
    Killed {
        deaths: summary.kills,
        counts: counts.map(|(name, count)| (name.to_owned(), count)).to_vec(),
        meant: points.chain(harms).map(|(name, meant, done)| Meant { name, meant, done }).collect(),
        found: summary.failure.map(|failure| (Box::new(failure.violation), command)),
        interrupted: summary.interrupted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::real::crash::PointCount;

    #[test]
    fn what_was_meant_and_done_is_handed_on() {
        let points = vec![PointCount { point: "before-dawn".into(), armed: 3, reached: 2 }];
        let killed = killed(Summary { kills: 7, points, ..Summary::default() });
        assert_eq!(killed.deaths, 7);
        assert_eq!(killed.meant, [Meant { name: "before-dawn".into(), meant: 3, done: 2 }]);
        assert_eq!(killed.counts[0], ("deaths".into(), 7));
        assert!(killed.found.is_none());
    }
}
