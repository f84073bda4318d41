use tenterhook_runtime::pager::PageNo;

use super::layout::{Extent, Kind, Layout};
use super::operation_context::OperationContext;
use super::transfer::INITIAL_BALANCE;
use super::{Failure, Progress};
use tenterhook_stress::violation::Violation;

/// Makes the fixed pages of an empty file, all in one transaction: its first.
pub(crate) struct Prepare {
    stamp: u64,
    extent: Extent,
    /// Allocated so far, the root first.
    pages: Vec<PageNo>,
    layout: Layout,
    /// Pages written so far, the root last.
    written: usize,
}

impl Prepare {
    pub(crate) fn new(stamp: u64, extent: Extent) -> Prepare {
        Prepare { stamp, extent, pages: Vec::new(), layout: Layout::default(), written: 0 }
    }

    /// The pages that it has made.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(super) fn step(&mut self, op: &mut OperationContext<'_, '_>) -> Result<Progress, Failure> {
        let wanted = self.extent.pages() as usize + 1;
        if self.pages.len() < wanted {
            let page = match op.allocate()? {
                Ok(page) => page,
                Err(suspended) => return Ok(suspended),
            };
            self.pages.push(page);
            if self.pages.len() == wanted {
                let [root, fixed @ ..] = self.pages.as_slice() else { return Ok(Progress::More) };
                if *root != Layout::ROOT {
                    let seen = format!("page {root}");
                    return Err(Violation::safety("allocation", "page 2 first in an empty file", seen).into());
                }
                self.layout = Layout::deal(&self.extent, fixed);
            }
            return Ok(Progress::More);
        }
        let (shape, stamp, layout) = (op.shape(), self.stamp, &self.layout);
        let filled = match layout.pages().nth(self.written) {
            Some((page, kind)) => op.fill(page, |bytes| {
                shape.format(bytes, kind, page, stamp);
                match kind {
                    Kind::Accounts => {
                        (0..shape.cells())
                            .for_each(|cell| shape.set_cell(bytes, cell, INITIAL_BALANCE as u64, stamp));
                    }
                    Kind::Group => shape.fill_cells(bytes, stamp),
                    Kind::Root | Kind::Directory | Kind::Leaf => {}
                }
            })?,
            None if self.written + 1 == wanted => op.fill(Layout::ROOT, |bytes| {
                shape.format(bytes, Kind::Root, Layout::ROOT, stamp);
                layout.store(bytes);
            })?,
            None => return Ok(Progress::Done),
        };
        match filled {
            Progress::Done => {
                self.written += 1;
                Ok(Progress::More)
            }
            suspended => Ok(suspended),
        }
    }
}
