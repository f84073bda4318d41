//! The adapter, before it is trusted with an engine: `tenterhook_stress::conformance::blocking` calls it as raft-engine does.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use raft_engine::env::{FileSystem, Handle};
use tenterhook_stress::blocking::Call;
use tenterhook_stress::conformance::Report;
use tenterhook_stress::conformance::blocking::{self, Adapter};

use crate::disk::{Disk, SimFile, SimFileSystem};
use crate::plan::{Ask, Broken, Plan};

struct RaftEngine(SimFileSystem);

fn told<T>(result: std::io::Result<T>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

impl RaftEngine {
    /// The file, as raft-engine knows it.
    fn known(&self, name: &str) -> PathBuf {
        self.0.0.directory().join(name)
    }
}

impl Adapter for RaftEngine {
    type File = Arc<SimFile>;

    fn open(&self, _: &Call, name: &str) -> Result<Arc<SimFile>, String> {
        told(self.0.create(self.known(name))).map(Arc::new)
    }

    fn read(&self, _: &Call, file: &Arc<SimFile>, offset: u64, target: &mut [u8]) -> Result<usize, String> {
        let mut reader = told(self.0.new_reader(Arc::clone(file)))?;
        told(reader.seek(SeekFrom::Start(offset)))?;
        told(reader.read(target))
    }

    fn write(&self, _: &Call, file: &Arc<SimFile>, offset: u64, bytes: &[u8]) -> Result<(), String> {
        let mut writer = told(self.0.new_writer(Arc::clone(file)))?;
        told(writer.seek(SeekFrom::Start(offset)))?;
        told(writer.write_all(bytes))
    }

    fn sync(&self, _: &Call, file: &Arc<SimFile>) -> Result<(), String> {
        told(Handle::sync(&**file))
    }

    fn truncate(&self, _: &Call, file: &Arc<SimFile>, len: u64) -> Result<(), String> {
        told(Handle::truncate(&**file, len as usize))
    }

    fn len(&self, _: &Call, file: &Arc<SimFile>) -> Result<u64, String> {
        told(file.file_size()).map(|len| len as u64)
    }

    fn remove(&self, _: &Call, name: &str) -> Option<Result<(), String>> {
        Some(told(self.0.delete(self.known(name))))
    }

    fn rename(&self, _: &Call, from: &str, to: &str) -> Option<Result<(), String>> {
        Some(told(self.0.rename(self.known(from), self.known(to))))
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new("d").join(name)
    }
}

fn report(plan: &Plan) -> Report {
    blocking::check(|disk, io| {
        let disk = Disk::new(io, disk, plan).expect("a temporary folder");
        RaftEngine(SimFileSystem(Arc::new(disk)))
    })
}

#[test]
fn the_adapter_has_every_behaviour_but_locks_which_raft_engine_does_not_ask_for() {
    for ask in [None, Some(Ask::StrictNames)] {
        let report = report(&Plan { ask, ..Plan::default() });
        assert!(report.is_clean(), "{report}");
        assert_eq!(report.absent().collect::<Vec<_>>(), ["a lock that is held alone keeps others out"]);
    }
}

#[test]
fn an_adapter_whose_syncs_do_nothing_is_told_so() {
    let report = report(&Plan { broken: Some(Broken::Sync), ..Plan::default() });
    let wrong: Vec<_> = report.wrong().map(|(name, _)| name).collect();
    for behaviour in [
        "a sync error is handed on",
        "a sync covers what was written before it",
        "a name lasts",
        "a new name lasts",
    ] {
        assert!(wrong.contains(&behaviour), "{report}");
    }
}
