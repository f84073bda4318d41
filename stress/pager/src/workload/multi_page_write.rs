use super::layout::{Layout, set_stamp};
use super::operation_context::OperationContext;
use super::{Failure, Progress};
use tenterhook_stress::tape::{ChoicePoint, Stream};

const GROUP: ChoicePoint = ChoicePoint::new(11, "stamp: group");

/// Puts one stamp on every page of a group. A reader that sees two different ones has seen half a transaction.
pub(crate) struct MultiPageWrite {
    stamp: u64,
    group: usize,
    /// Pages stamped so far.
    stamped: usize,
}

impl MultiPageWrite {
    /// Draws the group.
    pub(crate) fn plan(stamp: u64, layout: &Layout, stream: &mut Stream) -> MultiPageWrite {
        MultiPageWrite { stamp, group: stream.choose(GROUP, layout.groups.len() as u32) as usize, stamped: 0 }
    }

    pub(super) fn step(&mut self, op: &mut OperationContext<'_, '_>) -> Result<Progress, Failure> {
        let Some(&page) = op.fixture.layout.groups[self.group].get(self.stamped) else {
            return Ok(Progress::Done);
        };
        let (shape, stamp) = (op.shape(), self.stamp);
        let stamped = op.edit(page, |bytes| {
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
