//! The adapter, before it is trusted with an engine: `tenterhook_stress::conformance::blocking` calls it as redb does.

use std::path::PathBuf;

use redb::StorageBackend;
use tenterhook_stress::blocking::{BlockingDisk, Call};
use tenterhook_stress::conformance::Report;
use tenterhook_stress::conformance::blocking::{self, Adapter};

use crate::backend::{Backend, PATH};
use crate::plan::Broken;

struct Redb {
    disk: BlockingDisk,
    broken: Option<Broken>,
}

fn told<T>(result: std::io::Result<T>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

impl Adapter for Redb {
    type File = Backend;

    fn open(&self, call: &Call, _: &str) -> Result<Backend, String> {
        Backend::open(call, &self.disk, self.broken).map_err(|error| error.to_string())
    }

    fn read(&self, _: &Call, file: &Backend, offset: u64, target: &mut [u8]) -> Result<usize, String> {
        told(StorageBackend::read(file, offset, target))?;
        Ok(target.len())
    }

    fn write(&self, _: &Call, file: &Backend, offset: u64, bytes: &[u8]) -> Result<(), String> {
        told(StorageBackend::write(file, offset, bytes))
    }

    fn sync(&self, _: &Call, file: &Backend) -> Result<(), String> {
        told(file.sync_data())
    }

    fn truncate(&self, _: &Call, file: &Backend, len: u64) -> Result<(), String> {
        told(file.set_len(len))
    }

    fn len(&self, _: &Call, file: &Backend) -> Result<u64, String> {
        told(StorageBackend::len(file))
    }

    /// redb reads what it has written.
    fn reads_past_the_end(&self) -> bool {
        false
    }

    /// It has one file.
    fn path(&self, _: &str) -> PathBuf {
        PATH.into()
    }
}

fn report(broken: Option<Broken>) -> Report {
    blocking::check(|disk, io| Redb { disk: BlockingDisk::new(io, disk), broken })
}

#[test]
fn the_adapter_has_every_behaviour_but_those_of_names_and_locks_which_redb_does_not_ask_for() {
    let report = report(None);
    assert!(report.is_clean(), "{report}");
    let absent: Vec<_> = report.absent().collect();
    assert_eq!(
        absent,
        ["a lock that is held alone keeps others out", "a removed file is gone", "a new name lasts"]
    );
}

#[test]
fn an_adapter_whose_syncs_do_nothing_is_told_so() {
    let report = report(Some(Broken::Sync));
    let wrong: Vec<_> = report.wrong().map(|(name, _)| name).collect();
    for behaviour in ["a sync error is handed on", "a sync covers what was written before it"] {
        assert!(wrong.contains(&behaviour), "{report}");
    }
}
