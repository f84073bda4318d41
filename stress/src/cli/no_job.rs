//! The commands of long-running jobs, in a program that is built without them.

use clap::{Args, Subcommand};

use super::usage;
use crate::exit::ExitCode;
use crate::subject::Subject;

/// They are hidden: a person who knows their names is told how to get them.
#[derive(Debug, Subcommand)]
pub(super) enum Commands {
    #[command(hide = true)]
    Job(Rest),
    #[command(hide = true)]
    Failures(Rest),
    #[command(hide = true)]
    Retest(Rest),
    #[command(hide = true)]
    Report(Rest),
    #[command(hide = true)]
    Merge(Rest),
    #[command(hide = true)]
    Issue(Rest),
}

#[derive(Debug, Args)]
pub(super) struct Rest {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(super) fn run<S: Subject>(command: &Commands) -> ExitCode {
    let (name, rest) = match command {
        Commands::Job(Rest { rest }) => ("job", rest),
        Commands::Failures(Rest { rest }) => ("failures", rest),
        Commands::Retest(Rest { rest }) => ("retest", rest),
        Commands::Report(Rest { rest }) => ("report", rest),
        Commands::Merge(Rest { rest }) => ("merge", rest),
        Commands::Issue(Rest { rest }) => ("issue", rest),
    };
    let folder = rest.first().map_or_else(String::new, |folder| format!(" {folder}"));
    usage(
        S::PROGRAM,
        &format!(
            "{name}{folder}: this program is built without the feature 'job'; build it with --features job"
        ),
    )
}
