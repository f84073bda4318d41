//! Who notices a weaker ordering, and who a broken statement? `make orderings`.
//!
//! Every Acquire, Release and AcqRel of the runtime is weakened one step, one at a time, in one build that selects it by an
//! environment variable; and every breakage of `loom-tests/breakages/` is applied to a copy of the source and built. Each
//! has to turn a model red. The table is `loom-tests/ORDERINGS.md`.

mod breakage;
mod campaign;
mod hunt;
mod ledger;
mod source;
mod table;
mod tree;
mod weakening;

use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

/// How the program ends.
#[derive(Clone, Copy, Debug)]
enum Exit {
    /// Everything was noticed, or is argued.
    Noticed = 0,
    /// A weakening survived that no line calls invisible, an ordering is reached by no model, too much is called invisible,
    /// or too many breakages survived.
    Survived = 1,
    /// An argument is wrong, or a breakage can't be read or applied.
    BadInput = 2,
    /// A build failed, a model failed with nothing weakened, or a file could not be written.
    Broken = 3,
}

/// Weaken every ordering of the runtime, break its statements, and see which model turns red.
///
/// Exit codes: 0 when everything was noticed or is argued; 1 when something survived, or an ordering is reached by no model; 2
/// when an argument or a breakage is wrong; 3 when a build failed, or a model failed with nothing weakened.
///
/// An interrupted run resumes: results are kept in `target/orderings/ledger.json` for as long as the source is
/// the same.
#[derive(Parser, Debug)]
#[command(name = "orderings", verbatim_doc_comment)]
struct Arguments {
    /// What to try.
    #[arg(value_enum, default_value = "all")]
    what: What,
    /// Only weakenings and breakages whose name contains this; the table is left alone.
    #[arg(long)]
    only: Option<String>,
    /// A dozen breakages for CI, spread over the list; the table is left alone.
    #[arg(long)]
    quick: bool,
    /// How many run at a time.
    #[arg(long, default_value = "2")]
    jobs: NonZero<usize>,
    /// Forget the results of earlier runs.
    #[arg(long)]
    fresh: bool,
    /// Print the names of the weakenings and breakages, and try none.
    #[arg(long)]
    list: bool,
    /// The root of the workspace.
    #[arg(long, default_value = ".")]
    root: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    All,
    Weakenings,
    Breakages,
}

/// Why a run came to nothing.
#[derive(Debug)]
struct Stopped {
    exit: Exit,
    why: String,
}

impl Stopped {
    fn bad_input(why: impl Into<String>) -> Self {
        Self { exit: Exit::BadInput, why: why.into() }
    }

    fn broken(why: impl Into<String>) -> Self {
        Self { exit: Exit::Broken, why: why.into() }
    }
}

impl From<std::io::Error> for Stopped {
    fn from(error: std::io::Error) -> Self {
        Self::broken(error.to_string())
    }
}

fn main() -> ExitCode {
    let exit = campaign::run(&Arguments::parse()).unwrap_or_else(|stopped| {
        eprintln!("orderings: {}", stopped.why);
        stopped.exit
    });
    ExitCode::from(exit as u8)
}
