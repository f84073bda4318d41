//! Getting the log ready for frames.

use std::sync::Arc;

use super::frames::Place;
use super::writer::LogReadiness;
use crate::IOResult;
use crate::pager::PagerError;
use crate::pager::latch::Wait;
use crate::pager::pager::Pager;
use crate::pager::readers::Snapshot;

/// Does whatever has to be done to the log before the holder of the write lock may lay out frames. What it waits for
/// belongs to the pager, and continues if this is dropped.
#[derive(Default)]
pub(in crate::pager) enum PrepareLog {
    #[default]
    Look,
    AwaitQuiet(Wait<()>),
    WriteHeader(Wait<Result<(), PagerError>>),
}

impl PrepareLog {
    /// Where the frames of the transaction that started from `snapshot` go. They have to be laid out before anything else
    /// can come in between. After an error it begins again.
    pub(in crate::pager) fn step(
        &mut self,
        pager: &Arc<Pager>,
        snapshot: &Snapshot,
    ) -> Result<IOResult<Place>, PagerError> {
        loop {
            match std::mem::take(self) {
                Self::Look => match pager.ready_log(snapshot)? {
                    LogReadiness::Ready(place) => return Ok(IOResult::Done(place)),
                    LogReadiness::Busy(wait) => *self = Self::AwaitQuiet(wait),
                    LogReadiness::NoHeader(header) => {
                        *self = Self::WriteHeader(pager.write_log_header(&header));
                    }
                },
                Self::AwaitQuiet(mut wait) => {
                    let quiet = wait.poll().map_err(|error| pager.log.error("wait for a write to", error));
                    if let IOResult::IO(io) = quiet? {
                        *self = Self::AwaitQuiet(wait);
                        return Ok(IOResult::IO(io));
                    }
                }
                Self::WriteHeader(mut wait) => {
                    let written =
                        wait.poll().map_err(|error| pager.log.error("wait for the header of", error));
                    match written? {
                        IOResult::Done(written) => written?,
                        IOResult::IO(io) => {
                            *self = Self::WriteHeader(wait);
                            return Ok(IOResult::IO(io));
                        }
                    }
                }
            }
        }
    }
}
