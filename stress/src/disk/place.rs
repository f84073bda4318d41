//! What an event of the disk is about, for people who read a timeline.

use std::path::PathBuf;

use tenterhook_runtime::io::{Operation, OperationKind};

use super::State;
use super::queue::Pending;

/// How many bytes of a write a [`Place`] keeps: enough for the header of a record.
const HEAD: usize = 64;

/// What an operation is about. Kept for runs whose timeline is drawn, one for each event of the disk.
#[derive(Clone, Debug)]
pub struct Place {
    /// The file; an empty path when its name is gone.
    pub path: PathBuf,
    /// What is done.
    pub kind: OperationKind,
    /// The first byte.
    pub offset: u64,
    /// How many bytes.
    pub len: u64,
    /// The first bytes of a write, 64 at most; of other operations none.
    pub head: Vec<u8>,
}

impl State {
    /// Keeps what `pending` is about, if a timeline is wanted.
    pub(super) fn keep_place(&mut self, pending: &mut Pending) {
        if self.places.is_none() {
            return;
        }
        let named = self.name_of(pending.file).cloned();
        let Some(places) = &mut self.places else { return };
        let descriptor = pending.operation.descriptor();
        let head = match pending.operation.operation() {
            Operation::Write { buffers, .. } => {
                buffers.iter().flat_map(|buffer| buffer.iter().copied()).take(HEAD).collect()
            }
            Operation::Read { .. } | Operation::Sync | Operation::Truncate { .. } => Vec::new(),
        };
        places.push(Place {
            path: named.unwrap_or_default(),
            kind: descriptor.kind,
            offset: descriptor.offset,
            len: descriptor.len,
            head,
        });
    }
}
