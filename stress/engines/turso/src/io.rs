//! The simulated disk as turso_core's `IO`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tenterhook_runtime::io::{IO, OpenOptions};
use tenterhook_stress::disk::SimDisk;
use turso_core::io::FileId;
use turso_core::{Clock, CompletionError, File, LimboError, MonotonicInstant, OpenFlags, WallClockInstant};

use crate::file::SimFile;
use crate::plan::Broken;

/// The name of the database on the disk.
pub(crate) const NAME: &str = "bank.db";

/// Turso keeps one `Database` a path in the whole process, and this process has many runs and lives. So each life has a path of its own.
/// It never reaches the disk.
static LIVES: AtomicU64 = AtomicU64::new(0);

/// A wait inside a call that finds nothing in flight so often never ends.
const VAIN_STEPS: u32 = 10_000;

/// The machine in one life of the engine.
pub(crate) struct SimIo {
    io: Arc<dyn IO>,
    disk: SimDisk,
    life: u64,
    broken: Option<Broken>,
    vain_steps: AtomicU32,
    is_dead: AtomicBool,
}

impl SimIo {
    pub(crate) fn new(io: &Arc<dyn IO>, disk: &SimDisk, broken: Option<Broken>) -> SimIo {
        let life = LIVES.fetch_add(1, Ordering::Relaxed);
        let (vain_steps, is_dead) = (AtomicU32::new(0), AtomicBool::new(false));
        SimIo { io: Arc::clone(io), disk: disk.clone(), life, broken, vain_steps, is_dead }
    }

    /// The database's path, for turso_core.
    pub(crate) fn path(&self) -> String {
        format!("life-{}/{NAME}", self.life)
    }

    /// The life has ended. Destructors that wait for I/O are told so.
    pub(crate) fn die(&self) {
        self.is_dead.store(true, Ordering::Relaxed);
    }

    /// The same file's name on the simulated disk.
    fn name(path: &str) -> &str {
        path.rsplit('/').next().unwrap_or(path)
    }
}

impl Clock for SimIo {
    fn current_time_monotonic(&self) -> MonotonicInstant {
        MonotonicInstant::from_nanos(self.disk.now().as_nanos())
    }

    fn current_time_wall_clock(&self) -> WallClockInstant {
        let now = self.disk.now();
        WallClockInstant { secs: now.as_secs() as i64, micros: now.subsec_micros() }
    }
}

impl turso_core::IO for SimIo {
    fn open_file(&self, path: &str, flags: OpenFlags, _direct: bool) -> turso_core::Result<Arc<dyn File>> {
        let options = OpenOptions { create: flags.contains(OpenFlags::Create), ..OpenOptions::default() };
        let file = self.io.open(Self::name(path).as_ref(), options);
        let refused = |error: tenterhook_runtime::io::IoError| {
            LimboError::from(CompletionError::IOError(error.kind, "open"))
        };
        Ok(Arc::new(SimFile::new(file.map_err(refused)?, self.broken == Some(Broken::Sync))))
    }

    fn remove_file(&self, path: &str) -> turso_core::Result<()> {
        let removed = self.io.remove(Self::name(path).as_ref());
        removed.map_err(|error| CompletionError::IOError(error.kind, "remove").into())
    }

    /// Called by the engine where it waits inside a call. The world steps the disk everywhere else.
    fn step(&self) -> turso_core::Result<()> {
        if self.is_dead.load(Ordering::Relaxed) {
            return Err(CompletionError::Aborted.into());
        }
        let ended = self.io.step();
        if ended.is_ok_and(|ended| ended > 0) {
            self.vain_steps.store(0, Ordering::Relaxed);
        } else {
            self.waits_in_vain();
        }
        Ok(())
    }

    fn generate_random_number(&self) -> i64 {
        let mut bytes = [0; 8];
        self.disk.entropy(&mut bytes);
        i64::from_le_bytes(bytes)
    }

    fn fill_bytes(&self, dest: &mut [u8]) {
        self.disk.entropy(dest);
    }

    fn yield_now(&self) {
        self.waits_in_vain();
    }

    fn sleep(&self, _: Duration) {
        self.waits_in_vain();
    }

    fn file_id(&self, path: &str) -> turso_core::Result<FileId> {
        Ok(FileId::from_path_hash(path))
    }
}

impl SimIo {
    fn waits_in_vain(&self) {
        let steps = self.vain_steps.fetch_add(1, Ordering::Relaxed);
        assert!(steps < VAIN_STEPS, "a call waits for I/O, and nothing is in flight");
    }
}
