//! The command line.
//!
//! Exit codes: 0 as expected; 1 the implementation failed, or a gap was found; 2 wrong usage; 3 an expectation is stale;
//! 4 a case that had to run did not; 5 the suite itself failed.

mod coverage;
mod list;
mod mutants;
mod run;
mod vectors;

use std::{io::Write as _, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};

use crate::{
    process::{PATIENCE, Variant},
    run::Options,
    target::{Target, TargetError},
};

/// Everything was as expected.
const AS_EXPECTED: u8 = 0;
/// The implementation failed, or a gap was found.
const FAILED: u8 = 1;
/// The command line or the target file is wrong.
const USAGE: u8 = 2;
/// An expectation is stale.
const STALE: u8 = 3;
/// A case that had to run did not.
const NOT_RUN: u8 = 4;
/// The suite failed.
const HARNESS: u8 = 5;

/// Checks any implementation of Antiphon from outside.
#[derive(Debug, Parser)]
#[command(name = "antiphon-conformance", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the cases.
    List(list::ListArguments),
    /// Run cases against an implementation.
    Run(run::RunArguments),
    /// Say everything about one case.
    Explain(list::ExplainArguments),
    /// Show which cases check which requirement; fail on a gap.
    Coverage(coverage::CoverageArguments),
    /// Write or check the files of vectors.
    Vectors(vectors::VectorsArguments),
    /// Run the suite against wrong variants of an implementation; fail if one survives.
    Mutants(mutants::MutantsArguments),
}

/// Which implementation.
#[derive(Debug, Args)]
struct TargetArguments {
    /// The target file.
    #[arg(long, value_name = "FILE")]
    target: PathBuf,
    /// Replaces a variable of the target file.
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
    /// Do not build the implementation first.
    #[arg(long)]
    no_build: bool,
    /// Live cases at a time.
    #[arg(long, value_name = "NUMBER", default_value_t = 24)]
    jobs: usize,
    /// How long the shim may take for an answer.
    #[arg(long, value_name = "SECONDS", default_value_t = PATIENCE.as_secs(), value_parser = clap::value_parser!(u64).range(1..=3600))]
    patience: u64,
}

impl TargetArguments {
    fn options(&self, variant: Option<Variant>, today: String) -> Options {
        let patience = Duration::from_secs(self.patience);
        Options { jobs: self.jobs.max(1), variant, today, patience }
    }

    fn load(&self) -> Result<Target, Stopped> {
        Ok(Target::load(&self.target, &self.set)?)
    }
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("{text} is not NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Why a command did not come to its end.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    /// The user asked for something that there is not.
    #[error("{0}")]
    Usage(String),
    /// The target file is wrong.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The suite failed.
    #[error("{0}")]
    Harness(String),
}

impl Stopped {
    fn harness(error: impl std::fmt::Display) -> Self {
        Self::Harness(error.to_string())
    }

    const fn code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Target(_) => USAGE,
            Self::Harness(_) => HARNESS,
        }
    }
}

/// Runs the program with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::List(arguments) => arguments.run(),
        Command::Run(arguments) => block_on(arguments.run()),
        Command::Explain(arguments) => arguments.run(),
        Command::Coverage(arguments) => arguments.run(),
        Command::Vectors(arguments) => arguments.run(),
        Command::Mutants(arguments) => block_on(arguments.run()),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(stopped) => {
            complain(&stopped.to_string());
            ExitCode::from(stopped.code())
        }
    }
}

fn block_on(future: impl Future<Output = Result<u8, Stopped>>) -> Result<u8, Stopped> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(Stopped::harness)?.block_on(future)
}

/// Writes to the standard output; whoever has closed it wants no more.
fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Writes a line to the standard error.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Runs what the target needs before.
async fn build(target: &Target, build: Option<&crate::target::Build>) -> Result<(), Stopped> {
    let Some(build) = build else { return Ok(()) };
    let (program, arguments) = target.command(&build.command, &crate::target::Values::new())?;
    let folder = target.fill(&build.folder, &crate::target::Values::new())?;
    let status = tokio::process::Command::new(&program).args(&arguments).current_dir(folder).status().await;
    let status = status.map_err(|error| Stopped::Harness(format!("{program}: {error}")))?;
    if status.success() {
        Ok(())
    } else {
        Err(Stopped::Harness(format!("{program} {} failed", arguments.join(" "))))
    }
}
