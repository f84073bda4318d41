use tenterhook_runtime::pager::PageNo;

use super::desk::Desk;
use super::layout::{Kind, Layout, Shape, set_stamp};
use super::{Failure, Progress};
use tenterhook_stress::sometimes;
use tenterhook_stress::tape::{Lane, Site};

const DIRECTORY: Site = Site::new(12, "churn: directory");
const SLOT: Site = Site::new(13, "churn: slot");
const REPLACE: Site = Site::new(14, "churn: replace");

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
    pub(crate) fn plan(stamp: u64, layout: &Layout, shape: &Shape, lane: &mut Lane) -> Churn {
        let directory = layout.directories[lane.choose(DIRECTORY, layout.directories.len() as u32) as usize];
        let slot = lane.choose(SLOT, shape.cells() as u32) as usize;
        Churn { stamp, directory, slot, replace: lane.choose(REPLACE, 2) == 1, stage: Stage::Look }
    }

    pub(super) fn step(&mut self, desk: &mut Desk<'_, '_>) -> Result<Progress, Failure> {
        let (shape, stamp, slot) = (desk.shape(), self.stamp, self.slot);
        let (progress, next) = match self.stage {
            Stage::Look => match desk.read(self.directory, |bytes| shape.cell(bytes, slot).0 as PageNo)? {
                Ok(0) => (Progress::Done, Stage::Allocate),
                Ok(leaf) => (Progress::Done, Stage::Free { leaf }),
                Err(suspended) => return Ok(suspended),
            },
            Stage::Free { leaf } => {
                let next = if self.replace { Stage::Allocate } else { Stage::Link { leaf: 0 } };
                (desk.free(leaf)?, next)
            }
            Stage::Allocate => {
                let pages = desk.transaction.page_count();
                let leaf = match desk.allocate()? {
                    Ok(leaf) => leaf,
                    Err(suspended) => return Ok(suspended),
                };
                sometimes!(leaf < pages, "a page that was freed is handed out again");
                (Progress::Done, Stage::Fill { leaf })
            }
            Stage::Fill { leaf } => {
                let filled = desk.fill(leaf, |bytes| {
                    shape.format(bytes, Kind::Leaf, leaf, stamp);
                    shape.fill_cells(bytes, stamp);
                })?;
                (filled, Stage::Link { leaf })
            }
            Stage::Link { leaf } => {
                let linked = desk.edit(self.directory, |bytes| {
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
