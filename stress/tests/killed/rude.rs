//! Processes of the tally that do what they must not, each with a planted bug.

use std::convert::Infallible;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use tenterhook_runtime::IOResult;
use tenterhook_runtime::io::{IO, OpenOptions};
use tenterhook_stress::real::killed::{Harm, Killable, Opening, Point, Recorded, Seat, SystemFiles};
use tenterhook_stress::real::noise::NoiseKind;
use tenterhook_stress::subject::{Drawn, Fixed, NoOptions, Subject};
use tenterhook_stress::tape::Stream;
use tenterhook_stress::violation::Violation;

use super::tally::{Tally, TallySubject};

#[derive(Copy, Clone, Debug)]
pub(crate) struct RudeSubject;

impl Subject for RudeSubject {
    const NAME: &'static str = "rude";
    type Options = NoOptions;
    type Plan = bool;
    type System = Tally;

    fn draw(stream: &mut Stream, seed: u64, fixed: &Fixed<NoOptions>) -> Drawn<bool> {
        Drawn::common(stream, seed, fixed, &[], false)
    }

    fn system(drawn: &Drawn<bool>) -> Tally {
        TallySubject::system(drawn)
    }

    fn killed() -> Option<Killable> {
        match TallySubject::killed()? {
            Killable::Recorded(system) => Some(Killable::Recorded(Box::new(Rude(system)))),
            unrecorded @ Killable::Unrecorded(_) => Some(unrecorded),
        }
    }
}

struct Rude(Box<dyn Recorded>);

impl Recorded for Rude {
    fn files(&self, directory: &Path) -> SystemFiles {
        self.0.files(directory)
    }

    fn points(&self) -> Vec<Point> {
        self.0.points()
    }

    fn harms(&self) -> Vec<Harm> {
        Vec::new()
    }

    fn noise(&self) -> Vec<NoiseKind> {
        Vec::new()
    }

    fn plants(&self) -> &'static [&'static str] {
        &["opens", "removes", "ends", "fails"]
    }

    fn work(&self, opening: Opening, io: &Arc<dyn IO>) -> Result<Infallible, Box<dyn Error>> {
        let process = Arc::clone(opening.process());
        let none = vec![0; process.connections() as usize];
        match process.plant() {
            Some("opens") => drop(io.open(&process.directory().join("other"), OpenOptions::creating())?),
            Some("removes") => io.remove(&process.directory().join("tally"))?,
            Some("ends") => return opening.found(&none)?.drive(|_| || Ok::<_, String>(IOResult::Done(()))),
            Some("fails") => {
                return opening
                    .found(&none)?
                    .drive(|number| move || if number == 7 { Err("it fell") } else { Ok(yields()) });
            }
            _ => {}
        }
        self.0.work(opening, io)
    }

    fn check(&self, io: &Arc<dyn IO>, directory: &Path, seats: &[Seat]) -> Result<Vec<u64>, Box<Violation>> {
        self.0.check(io, directory, seats)
    }
}

fn yields() -> IOResult<()> {
    IOResult::IO(tenterhook_runtime::IOCompletions::Yield)
}
