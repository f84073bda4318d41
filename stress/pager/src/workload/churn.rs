use tenterhook_runtime::pager::PageNo;

use super::layout::{Kind, Layout, Shape, set_stamp};
use super::operation_context::OperationContext;
use super::{Failure, Progress};
use tenterhook_stress::sometimes;
use tenterhook_stress::tape::{ChoicePoint, Stream};

const DIRECTORY: ChoicePoint = ChoicePoint::new(12, "churn: directory");
const SLOT: ChoicePoint = ChoicePoint::new(13, "churn: slot");
const REPLACE: ChoicePoint = ChoicePoint::new(14, "churn: replace");

/// Allocates a leaf where the directory's slot is empty; frees the leaf that is there otherwise, and may put a new
/// one in its place.
pub(crate) struct Churn {
    stamp: u64,
    directory: PageNo,
    slot: usize,
    replace: bool,
    stage: Stage,
}

#[derive(Copy, Clone)]
enum Stage {
    /// Look into the directory.
    Look,
    /// Free the leaf that is there.
    Free {
        leaf: PageNo,
    },
    /// Allocate a page.
    Allocate,
    /// Write it.
    Fill {
        leaf: PageNo,
    },
    /// Put it, or nothing, into the directory.
    Link {
        leaf: PageNo,
    },
    Done,
}

impl Churn {
    /// Draws the slot.
    pub(crate) fn plan(stamp: u64, layout: &Layout, shape: &Shape, stream: &mut Stream) -> Churn {
        let directory =
            layout.directories[stream.choose(DIRECTORY, layout.directories.len() as u32) as usize];
        let slot = stream.choose(SLOT, shape.cells() as u32) as usize;
        Churn { stamp, directory, slot, replace: stream.choose(REPLACE, 2) == 1, stage: Stage::Look }
    }

    pub(super) fn step(&mut self, op: &mut OperationContext<'_, '_>) -> Result<Progress, Failure> {
        let (shape, stamp, slot) = (op.shape(), self.stamp, self.slot);
        let (progress, next) = match self.stage {
            Stage::Look => match op.read(self.directory, |bytes| shape.cell(bytes, slot).0 as PageNo)? {
                Ok(0) => (Progress::Done, Stage::Allocate),
                Ok(leaf) => (Progress::Done, Stage::Free { leaf }),
                Err(suspended) => return Ok(suspended),
            },
            Stage::Free { leaf } => {
                let next = if self.replace { Stage::Allocate } else { Stage::Link { leaf: 0 } };
                (op.free(leaf)?, next)
            }
            Stage::Allocate => {
                let pages = op.transaction.page_count();
                let leaf = match op.allocate()? {
                    Ok(leaf) => leaf,
                    Err(suspended) => return Ok(suspended),
                };
                sometimes!(leaf < pages, "a page that was freed is handed out again");
                (Progress::Done, Stage::Fill { leaf })
            }
            Stage::Fill { leaf } => {
                let filled = op.fill(leaf, |bytes| {
                    shape.format(bytes, Kind::Leaf, leaf, stamp);
                    shape.fill_cells(bytes, stamp);
                })?;
                (filled, Stage::Link { leaf })
            }
            Stage::Link { leaf } => {
                let linked = op.edit(self.directory, |bytes| {
                    shape.set_cell(bytes, slot, u64::from(leaf), if leaf == 0 { 0 } else { stamp });
                    set_stamp(bytes, stamp);
                })?;
                (linked, Stage::Done)
            }
            Stage::Done => return Ok(Progress::Done),
        };
        match progress {
            Progress::Done => {
                self.stage = next;
                Ok(Progress::More)
            }
            suspended => Ok(suspended),
        }
    }
}
