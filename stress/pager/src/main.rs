//! The program `tenterhook`; see `tenterhook --help`.

use tenterhook::PagerSubject;
use tenterhook::cli::Commands;
use tenterhook_stress::allocator::{self, Allocator};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> std::process::ExitCode {
    allocator::keep_freed_pages();
    tenterhook_stress::cli::main_with::<PagerSubject, Commands>().into()
}
