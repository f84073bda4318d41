//! The pager in processes that are killed: what they do, and what must be there afterwards. The tester kills them: see
//! [`tenterhook_stress::real::killed`].

mod plant;
mod system;
mod variety;
mod verify;
mod worker;

pub use self::system::PagerProcesses;

use tenterhook_runtime::pager::{Durability, PagerOptions};

/// Small pages, a small cache and frequent checkpoints: everything happens often.
const OPTIONS: PagerOptions = PagerOptions {
    page_size: 512,
    cache_pages: 48,
    spill_pages: 2048,
    checkpoint_frames: 60,
    restart_frames: 240,
    max_pages: u32::MAX,
    durability: Durability::Full,
    id_seed: 11,
};
