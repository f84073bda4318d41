//! The process that is killed.

use std::convert::Infallible;
use std::error::Error;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::Arc;

use tenterhook_runtime::io::{Backend, IO, MemoryIO};

use super::acks::Acks;
use super::commits::Opening;
use super::death::object;
use super::points::{Point, Trigger};
use super::process::Process;
use super::record::Recorder;
use super::system::{Killable, Recorded};
use super::variety::Variety;
use crate::exit::ExitCode;
use crate::real::layer::Layer;
use crate::real::noise::{Noise, NoiseKind, Place, Report};
use crate::violation::Violation;

/// What a child is told.
#[derive(Clone, Debug)]
pub struct ChildOptions {
    /// Where the files of the campaign are.
    pub directory: PathBuf,
    /// What does its I/O, if that is recorded.
    pub backend: Backend,
    /// Connections.
    pub connections: u64,
    /// Where and at which time there it kills itself.
    pub point: Option<(Point, u32)>,
    /// What makes it unlike other children; 0 for a plain one.
    pub variety: u64,
    /// Kinds of noise that it makes, of [`NoiseKind::OF_CHILDREN`].
    pub noise: Vec<NoiseKind>,
    /// A bug that it has.
    pub plant: Option<&'static str>,
}

/// Lets the system work until it is killed. Its record goes to standard output.
///
/// # Errors
///
/// Whatever keeps it from working. It never ends well.
pub fn run_child(system: &Killable, options: &ChildOptions) -> Result<Infallible, Box<dyn Error>> {
    end_at_the_first_panic();
    let recorder = Arc::new(Recorder::new(File::from(io::stdout().as_fd().try_clone_to_owned()?)));
    match system {
        Killable::Recorded(system) => recorded(&**system, options, recorder),
        Killable::Unrecorded(system) => {
            let directory = super::own_folder(&options.directory);
            let _noise = noise(options, Arc::new(MemoryIO::new()), system.files(&directory), &recorder)?;
            system.work(opening(options, directory, recorder, None, 0)?)
        }
    }
}

fn recorded(
    system: &dyn Recorded,
    options: &ChildOptions,
    recorder: Arc<Recorder>,
) -> Result<Infallible, Box<dyn Error>> {
    let directory = options.directory.clone();
    let files = system.files(&directory);
    let variety = Variety::of(options.variety, &system.harms(), files.headers() > 0);
    let paths = files.all().map(|(_, path)| path.to_owned()).collect();
    let below = options.backend.start()?.io;
    let trigger = Trigger::new(options.point, Arc::clone(&recorder), files, variety);
    let layer = Arc::new(Layer::new(Arc::clone(&below), trigger));
    let _noise = noise(options, below, paths, &recorder)?;
    let io: Arc<dyn IO> = Arc::clone(&layer) as Arc<dyn IO>;
    system.work(opening(options, directory, recorder, Some(layer), variety.gives_up)?, &io)
}

fn opening(
    options: &ChildOptions,
    directory: PathBuf,
    recorder: Arc<Recorder>,
    layer: Option<Arc<Layer<Trigger>>>,
    gives_up: u64,
) -> io::Result<Opening> {
    let ChildOptions { connections, variety: number, plant, .. } = *options;
    let mortal = options.noise.contains(&NoiseKind::EndedThreads);
    let process = Process { directory, connections, number, plant, recorder, layer, gives_up, mortal };
    Opening::new(process, Acks::open(&super::acks_path(&options.directory), connections)?)
}

/// A panic ends the process, in whatever thread it is: a thread that is to join that one may come to it too late.
fn end_at_the_first_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        std::process::exit(ExitCode::Internal as i32);
    }));
}

/// From here on, recovery included.
fn noise(
    options: &ChildOptions,
    io: Arc<dyn IO>,
    mut files: Vec<PathBuf>,
    recorder: &Arc<Recorder>,
) -> io::Result<Noise> {
    // The table may be longer than each of them, and what can't be written there convicts an innocent system.
    files.push(super::acks_path(&options.directory));
    let place = Place { io, files, directory: options.directory.clone() };
    Noise::start(&options.noise, &place, Arc::new(Told(Arc::clone(recorder))))
}

/// Puts noise into the record.
struct Told(Arc<Recorder>);

impl Report for Told {
    fn delivered(&self, kind: NoiseKind, times: u64) {
        self.0.hears(kind, times);
    }

    fn object(&self, violation: Violation) {
        object(&violation);
    }
}
