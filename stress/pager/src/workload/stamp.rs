use super::desk::Desk;
use super::layout::{Layout, set_stamp};
use super::{Failure, Progress};
use tenterhook_stress::tape::{Lane, Site};

const GROUP: Site = Site::new(11, "stamp: group");

/// Puts one stamp on every page of a group. A reader that sees two different ones has seen half a transaction.
pub(crate) struct Stamp {
    stamp: u64,
    group: usize,
    /// Pages stamped so far.
    stamped: usize,
}

impl Stamp {
    /// Draws the group.
    pub(crate) fn plan(stamp: u64, layout: &Layout, lane: &mut Lane) -> Stamp {
        Stamp { stamp, group: lane.choose(GROUP, layout.groups.len() as u32) as usize, stamped: 0 }
    }

    pub(super) fn step(&mut self, desk: &mut Desk<'_, '_>) -> Result<Progress, Failure> {
        let Some(&page) = desk.bench.layout.groups[self.group].get(self.stamped) else {
            return Ok(Progress::Done);
        };
        let (shape, stamp) = (desk.shape(), self.stamp);
        let stamped = desk.edit(page, |bytes| {
            set_stamp(bytes, stamp);
            shape.fill_cells(bytes, stamp);
        })?;
        match stamped {
            Progress::Done => {
                self.stamped += 1;
                Ok(Progress::More)
            }
            suspended => Ok(suspended),
        }
    }
}
