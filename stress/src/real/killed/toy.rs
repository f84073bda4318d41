//! Systems for tests: a word of eight bytes for each connection, with the number of its commits.

use std::convert::Infallible;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tenterhook_runtime::io::{Buffer, IO, OpenOptions, OperationKind, Submission};

use super::commits::Opening;
use super::files::{SystemFiles, pair};
use super::points::Point;
use super::seat::Seat;
use super::system::{Recorded, Unrecorded};
use crate::real::layer::Role;
use crate::violation::Violation;

/// Only checked: nothing of it works.
#[derive(Copy, Clone, Debug)]
pub(super) struct Toy;

fn counts(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect()
}

impl Recorded for Toy {
    fn files(&self, directory: &Path) -> SystemFiles {
        pair(directory)
    }

    fn points(&self) -> Vec<Point> {
        Point::at_work(&[(Role::Database, OperationKind::Sync)])
    }

    fn plants(&self) -> &'static [&'static str] {
        &["weed"]
    }

    fn work(&self, _: Opening, _: &Arc<dyn IO>) -> Result<Infallible, Box<dyn Error>> {
        Err("it does not work".into())
    }

    fn check(&self, io: &Arc<dyn IO>, directory: &Path, _: &[Seat]) -> Result<Vec<u64>, Box<Violation>> {
        let broken = |error: &dyn Error| Violation::safety("recovery", "a file", error.to_string());
        let file = io.open(&directory.join("x"), OpenOptions::creating()).map_err(|error| broken(&error))?;
        let read = Arc::new(Mutex::new(Vec::new()));
        let landing = Arc::clone(&read);
        let land = move |_, buffer: Buffer| *landing.lock().unwrap() = buffer.to_vec();
        let length = file.len().map_err(|error| broken(&error))?;
        let ended = file.start(Submission::read(0, Buffer::zeroed(length as usize), land));
        io.block_on(&ended).map_err(|error| broken(&error))?.map_err(|error| broken(&error))?;
        let found = counts(&read.lock().unwrap());
        Ok(found)
    }
}

impl Unrecorded for Toy {
    fn files(&self, directory: &Path) -> Vec<PathBuf> {
        vec![directory.join("x")]
    }

    fn work(&self, _: Opening) -> Result<Infallible, Box<dyn Error>> {
        Err("it does not work".into())
    }

    fn check(&self, directory: &Path, _: &[Seat]) -> Result<Vec<u64>, Box<Violation>> {
        Ok(counts(&std::fs::read(directory.join("x")).unwrap_or_default()))
    }
}
