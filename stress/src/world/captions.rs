//! What people who read the events are told beside them.

use tenterhook_runtime::io::OperationKind;

use super::World;
use crate::disk::describe_end;
use crate::schedule::FiberId;
use crate::system::{Step, System};
use crate::trace::EventKind;

/// At the end of a caption: the fiber waits for a completion.
pub(crate) const WAITS: &str = ", waits";

impl<S: System> World<S> {
    /// For people who read the events: what the disk was asked for and has answered, from event `told` on.
    pub(super) fn locate(&mut self, told: usize) {
        let Some(captions) = &mut self.captions else { return };
        let events = self.trace.events().unwrap_or_default().iter().enumerate().skip(told);
        for ((index, event), place) in events.zip(self.disk.take_places()) {
            let what = self.system.locate(&place);
            let caption = match (event.kind, place.kind) {
                (EventKind::Delivered, _) => format!("{what}: {}", describe_end(&place, event.value)),
                (_, OperationKind::Read | OperationKind::Write) => {
                    format!("{what}: {} bytes at {}", place.len, place.offset)
                }
                (_, OperationKind::Truncate) => format!("{what}: to {} bytes", place.len),
                (_, OperationKind::Sync) => what,
            };
            captions.push((index, caption));
        }
    }

    /// For people who read the events: what the fiber is doing, and what it wants.
    pub(super) fn caption(&mut self, fiber: FiberId, step: &Step) {
        let Some(captions) = &mut self.captions else { return };
        let wants = match step {
            Step::Continue | Step::Yield => "",
            Step::Wait(_) | Step::Pending | Step::Stall { .. } => WAITS,
            Step::Parked(_) => "operation ended, waits for the next",
            Step::Ended => "operation ended",
            Step::Idle => "nothing more to do",
            Step::Restart => ", requests a restart",
            Step::Destroyed => ", reports that the files are beyond repair",
        };
        let doing = match step {
            Step::Ended | Step::Idle | Step::Parked(_) => String::new(),
            _ => self.system.describe(fiber),
        };
        let index = self.trace.len() as usize - 1;
        captions.extend(self.remarks.drain(..).map(|remark| (index, remark)));
        captions.push((index, format!("{doing}{wants}")));
    }
}
