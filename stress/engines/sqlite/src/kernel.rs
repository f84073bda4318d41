//! The operating system that connections share in one life: files, locks, and shared memory. It goes with the life.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tenterhook_runtime::io::IO;
use tenterhook_stress::blocking::{BlockingDisk, FileLocks};
use tenterhook_stress::disk::SimDisk;

use crate::plan::Broken;

/// One life's operating system.
pub(crate) struct Kernel {
    pub(crate) disk: BlockingDisk,
    pub(crate) locks: FileLocks,
    numbers: Mutex<BTreeMap<PathBuf, u64>>,
    shared_memory: Mutex<BTreeMap<PathBuf, Arc<SharedMemory>>>,
    /// What the device promises, as SQLite asks for it.
    pub(crate) characteristics: i32,
    broken: Option<Broken>,
}

thread_local! {
    static KERNEL: RefCell<Option<Arc<Kernel>>> = const { RefCell::new(None) };
}

impl Kernel {
    pub(crate) fn new(
        io: &Arc<dyn IO>,
        disk: &SimDisk,
        characteristics: i32,
        broken: Option<Broken>,
    ) -> Kernel {
        Kernel {
            disk: BlockingDisk::new(io, disk),
            locks: FileLocks::default(),
            numbers: Mutex::default(),
            shared_memory: Mutex::default(),
            characteristics,
            broken,
        }
    }

    /// Whether it is broken in this way, on purpose.
    pub(crate) fn is_broken(&self, how: Broken) -> bool {
        self.broken == Some(how)
    }

    /// From here on files that this thread opens are those of this life.
    pub(crate) fn enter(self: &Arc<Self>) {
        KERNEL.set(Some(Arc::clone(self)));
    }

    /// This thread opens files no longer.
    pub(crate) fn leave() {
        KERNEL.set(None);
    }

    /// The kernel of this thread's life.
    pub(crate) fn here() -> Option<Arc<Kernel>> {
        KERNEL.with_borrow(Clone::clone)
    }

    /// The number by which the locks know a file.
    pub(crate) fn number_of(&self, path: &Path) -> u64 {
        let mut numbers = self.numbers.lock();
        let next = numbers.len() as u64;
        *numbers.entry(path.to_owned()).or_insert(next)
    }

    /// The shared memory of a database. Empty for the first that asks: who comes first finds no lock and starts afresh.
    pub(crate) fn attach(&self, path: &Path) -> Arc<SharedMemory> {
        Arc::clone(self.shared_memory.lock().entry(path.to_owned()).or_default())
    }

    /// Gives back a share. The memory goes with the last one.
    pub(crate) fn detach(&self, path: &Path, share: Arc<SharedMemory>) {
        let mut all = self.shared_memory.lock();
        // The table's own, and the one that is given back.
        if Arc::strong_count(&share) <= 2 {
            all.remove(path);
        }
    }
}

/// SQLite's regions are of this size.
pub(crate) const REGION: usize = 32 << 10;

type Region = [u64; REGION / 8];

/// Memory that connections share. A region stays where it is once it is there: SQLite keeps pointers into it.
#[derive(Default)]
pub(crate) struct SharedMemory {
    regions: Mutex<Vec<RegionBox>>,
}

/// A region, owned through a pointer, so that moving the owner leaves pointers into it alone.
struct RegionBox(*mut Region);

// SAFETY: the pointer is the only owner's. What lies behind it is read and written by SQLite, in whichever thread holds the run's
// token; handing the token over orders those accesses. A
// thread that was given up may still run: then no other one is given the token, and nothing is dropped.
unsafe impl Send for RegionBox {}

impl Drop for RegionBox {
    fn drop(&mut self) {
        // SAFETY: made by `Box::into_raw`, and owned by this value alone. SQLite has given up its pointers: each file that has
        // them holds a share of the memory until it is unmapped.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

impl SharedMemory {
    /// Where region `index` begins; with `extend` it is made, zeroed, with those before it.
    pub(crate) fn region(&self, index: usize, extend: bool) -> Option<*mut std::ffi::c_void> {
        let mut regions = self.regions.lock();
        while extend && regions.len() <= index {
            regions.push(RegionBox(Box::into_raw(Box::new([0; REGION / 8]))));
        }
        regions.get(index).map(|region| region.0.cast())
    }
}
