//! The pager as the tester's commands know it.

use tenterhook_stress::real::killed::Killable;
use tenterhook_stress::real::threads::Workload;
use tenterhook_stress::subject::{Drawn, Fixed, Subject};
use tenterhook_stress::sweep::Operation;
use tenterhook_stress::tape::Stream;

use crate::options::{self, FixedPager};
use crate::real::crash::PagerProcesses;
use crate::real::threads::PagerWorkload;
use crate::sweep;
use crate::system::{PagerPlan, PagerSystem};

/// The runtime's pager, shared by many connections.
#[derive(Copy, Clone, Debug)]
pub struct PagerSubject;

impl Subject for PagerSubject {
    const NAME: &'static str = "pager";
    const VERSION: Option<&'static str> = Some(env!("CARGO_PKG_VERSION"));
    const PROGRAM: &'static str = "tenterhook";

    type Options = FixedPager;
    type Plan = PagerPlan;
    type System = PagerSystem;

    fn draw(stream: &mut Stream, seed: u64, fixed: &Fixed<FixedPager>) -> Drawn<PagerPlan> {
        options::draw(stream, seed, fixed)
    }

    fn system(drawn: &Drawn<PagerPlan>) -> PagerSystem {
        PagerSystem::new(drawn.plan)
    }

    fn describe(drawn: &Drawn<PagerPlan>) -> Vec<(&'static str, String)> {
        options::describe(drawn)
    }

    fn smaller(drawn: &Drawn<PagerPlan>, fixed: &FixedPager) -> Vec<FixedPager> {
        match drawn.plan.pager.page_size {
            512 => Vec::new(),
            _ => vec![FixedPager { page_size: Some(512), ..fixed.clone() }],
        }
    }

    fn threads(connections: u64) -> Option<Box<dyn Workload>> {
        Some(Box::new(PagerWorkload::new(connections)))
    }

    fn killed() -> Option<Killable> {
        Some(Killable::Recorded(Box::new(PagerProcesses)))
    }

    fn operations() -> Vec<Box<dyn Operation>> {
        sweep::catalogue()
    }
}
