//! A run of SQLite as the tester sees it.

use std::sync::Arc;

use parking_lot::Mutex;
use tenterhook_runtime::io::IO;
use tenterhook_stress::blocking::{BlockingSystem, Job};
use tenterhook_stress::disk::{Place, SimDisk};
use tenterhook_stress::system::Crash;
use tenterhook_stress::violation::Violation;

use crate::kernel::Kernel;
use crate::model::{Model, State};
use crate::plan::Plan;
use crate::vfs;
use crate::workload::{Bank, Counts, Life, boot};

/// What SQLite's own VFS says of a file system: a write leaves the bytes beside it alone.
const POWERSAFE_OVERWRITE: i32 = 0x1000;

pub(crate) struct SqliteSystem {
    bank: Arc<Bank>,
    connections: u32,
    /// What the last life must have left.
    floor: u64,
}

impl SqliteSystem {
    pub(crate) fn new(plan: &Plan, connections: u32) -> SqliteSystem {
        vfs::install();
        let bank = Bank {
            model: Mutex::new(Model::new(State::initial(plan, connections))),
            plan: plan.clone(),
            counts: Mutex::default(),
            connections: (0..=connections).map(|_| Mutex::default()).collect(),
            life: Mutex::default(),
        };
        SqliteSystem { bank: Arc::new(bank), connections, floor: 0 }
    }

    /// What was only in memory goes: connections, the log's index, the locks.
    fn forget(&self) {
        for connection in &self.bank.connections {
            drop(connection.lock().take());
        }
        *self.bank.life.lock() = None;
    }
}

impl BlockingSystem for SqliteSystem {
    fn connections(&self) -> u32 {
        self.connections
    }

    fn boot(&mut self, io: &Arc<dyn IO>, disk: &SimDisk) -> Job {
        let mut life = self.bank.life.lock();
        // A second attempt of one life finds the operating system as the first has left it.
        if life.is_none() {
            *life = Some(Life {
                kernel: Arc::new(Kernel::new(io, disk, POWERSAFE_OVERWRITE, self.bank.plan.broken)),
                disk: disk.clone(),
                began: disk.fault_counts().struck(),
                floor: self.floor,
            });
        }
        let bank = Arc::clone(&self.bank);
        Box::new(move |call| boot(&bank, call))
    }

    fn operation(&mut self, _: u32) -> Job {
        let bank = Arc::clone(&self.bank);
        Box::new(move |call| bank.operate(call))
    }

    fn quiesce(&mut self) -> Job {
        let bank = Arc::clone(&self.bank);
        Box::new(move |call| bank.look_over(call))
    }

    fn crash(&mut self, crash: Crash) -> Result<(), Box<Violation>> {
        self.forget();
        // A loss of power right after a kill finds what the kill had to leave, or less if that was not durable.
        self.floor = self.bank.model.lock().ended(crash);
        Ok(())
    }

    fn locate(&self, place: &Place) -> String {
        let name = place.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with("-wal") && place.offset >= 32 {
            let frame = u64::from(self.bank.plan.page_size) + 24;
            return format!("{name} frame {}", (place.offset - 32) / frame + 1);
        }
        name
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let counts = self.bank.counts.lock().clone();
        let Counts {
            commits,
            snapshots,
            checkpoints,
            whole_checkpoints,
            busy,
            io_errors,
            integrity_checks,
            boots,
        } = counts;
        vec![
            ("commits", commits),
            ("snapshots", snapshots),
            ("checkpoints", checkpoints),
            ("whole checkpoints", whole_checkpoints),
            ("integrity checks", integrity_checks),
            ("boots", boots),
            ("busy", busy),
            ("I/O errors", io_errors),
        ]
    }
}

impl Drop for SqliteSystem {
    fn drop(&mut self) {
        self.forget();
    }
}
