//! The process that is killed.

use std::error::Error;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tenterhook_runtime::executor::{Executor, Task};
use tenterhook_runtime::io::{Backend, IO, drive};
use tenterhook_runtime::pager::{Pager, PagerError, PagerOptions};

use super::acks::Acks;
use super::points::{Point, Trigger, die};
use super::record::Recorder;
use super::variety::Variety;
use super::worker::{Shop, Worker};
use super::{database, verify};
use crate::real::ledger::{Layout, Make};
use tenterhook_stress::real::layer::Layer;
use tenterhook_stress::real::noise::{Noise, NoiseKind, Place, Report};
use tenterhook_stress::violation::Violation;

/// What a child is told.
#[derive(Clone, Debug)]
pub struct ChildOptions {
    /// Where the files are.
    pub directory: PathBuf,
    /// What does its I/O.
    pub backend: Backend,
    /// Connections.
    pub connections: u64,
    /// Where and at which time there it kills itself.
    pub point: Option<(Point, u32)>,
    /// What makes it unlike other children; 0 for a plain one.
    pub variety: u64,
    /// Kinds of noise that it makes, of [`NoiseKind::OF_CHILDREN`].
    pub noise: Vec<NoiseKind>,
    /// Whether it acknowledges commits before they are asked for: a planted bug, so that the verifier can be seen to bite.
    pub hasty: bool,
}

/// Recovers, looks at what it has found, and commits until it is killed. Its record goes to standard output.
///
/// # Errors
///
/// Whatever keeps it from working. It never ends well.
pub fn run(options: &ChildOptions) -> Result<std::convert::Infallible, Box<dyn Error>> {
    let variety = Variety::of(options.variety);
    let acks = Acks::open(&super::acks_path(&options.directory), options.connections)?;
    let recorder = Recorder::new(File::from(std::io::stdout().as_fd().try_clone_to_owned()?));
    let below = options.backend.start()?.io;
    let layer = Arc::new(Layer::new(Arc::clone(&below), Trigger::new(options.point, recorder, variety)));
    let _noise = noise(options, below, &layer)?;
    let io: Arc<dyn IO> = Arc::clone(&layer) as Arc<dyn IO>;
    let pager = match open(&io, &database(&options.directory), variety.options()) {
        Ok(pager) => pager,
        // The next child recovers after this one's failure.
        Err(PagerError::Io { .. }) if layer.watcher().has_struck() => die(),
        Err(error) => return Err(error.into()),
    };
    layer.watcher().opened();
    let found = verify::audit(&io, &pager, &acks.read()?).map_err(|violation| violation.to_string())?;
    // An opening makes durable what it shows.
    (0..).zip(&found.cells).for_each(|(connection, own)| layer.watcher().recorder().keeps(connection, *own));
    let layout = Layout { connections: options.connections, usable: pager.usable_size() };
    let mut make = Make::new(&pager, layout);
    match drive(&*io, || make.step()) {
        Ok(()) => {}
        Err(PagerError::Io { .. } | PagerError::Poisoned { .. }) if layer.watcher().has_struck() => die(),
        Err(error) => return Err(error.into()),
    }
    let told = found.cells.into_iter().map(AtomicU64::new).collect();
    let mortal = options.noise.contains(&NoiseKind::EndedThreads);
    let shop = Arc::new(Shop { pager, layout, layer, acks, variety, hasty: options.hasty, mortal, told });
    work(&shop)?;
    Err("every connection has ended, which none should".into())
}

/// From here on, recovery included.
fn noise(options: &ChildOptions, io: Arc<dyn IO>, layer: &Arc<Layer<Trigger>>) -> std::io::Result<Noise> {
    let path = database(&options.directory);
    let mut log = path.clone().into_os_string();
    log.push("-wal");
    // The table may be longer than either, and what can't be written there convicts an innocent pager.
    let files = vec![path, log.into(), super::acks_path(&options.directory)];
    let place = Place { io, files, directory: options.directory.clone() };
    Noise::start(&options.noise, &place, Arc::new(Told(Arc::clone(layer))))
}

/// Puts noise into the record.
struct Told(Arc<Layer<Trigger>>);

impl Report for Told {
    fn delivered(&self, kind: NoiseKind, times: u64) {
        self.0.watcher().recorder().hears(kind, times);
    }

    fn object(&self, violation: Violation) {
        eprintln!("{violation}");
        std::process::exit(tenterhook_stress::exit::ExitCode::Internal as i32);
    }
}

fn work(shop: &Arc<Shop>) -> Result<(), Box<dyn Error>> {
    let executor = Executor::new(2);
    let tasks: Vec<Task<(), PagerError>> = (0..shop.layout.connections)
        .map(|connection| executor.spawn(Worker::new(shop, connection).machine()))
        .collect();
    for task in tasks {
        task.join()?;
    }
    Ok(())
}

pub(super) fn open(io: &Arc<dyn IO>, path: &Path, options: PagerOptions) -> Result<Arc<Pager>, PagerError> {
    let mut open = Pager::open(Arc::clone(io), path, options);
    drive(&**io, || open.step())
}
