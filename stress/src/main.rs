//! The program `tenterhook`; see `tenterhook --help`.

fn main() -> std::process::ExitCode {
    tenterhook_stress::cli::main().into()
}
