//! The program `tenterhook`; see `tenterhook --help`.

use tenterhook_stress::allocator::{self, Allocator};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> std::process::ExitCode {
    allocator::keep_freed_pages();
    tenterhook::cli::main().into()
}
