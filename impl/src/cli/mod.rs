//! The command line: one subcommand for each role, errors that say what, where and what to do.
//!
//! Standard output carries data, one JSON object a line where a program is meant to read it; standard error carries the
//! log and everything for people.

mod admin;
mod authority;
mod failure;
mod identity;
mod mutants;
mod ready;
mod run;
mod shim;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

pub use failure::Failure;
pub(crate) use identity::unlocked;
pub use ready::Ready;

use crate::mutant;

/// Names what the log shows, in the syntax of `RUST_LOG`.
pub const LOG_VARIABLE: &str = "ANTIPHON_LOG";

/// What a server's log shows unless [`LOG_VARIABLE`] says otherwise; the database library tells too much at this level.
const LOG_DEFAULT: &str = "info,sqlx=warn";

/// Antiphon: secure instant messaging between people with accounts at different servers.
#[derive(Debug, Parser)]
#[command(name = "antiphon", version, about, propagate_version = true)]
struct Arguments {
    /// How the log is written to standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text, global = true)]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a root, and issue the certificates of servers and directory nodes.
    Authority(authority::Arguments),
    /// Run a directory node of the location service.
    DirectoryNode(run::DirectoryNodeArguments),
    /// Run a server.
    Server(run::ServerArguments),
    /// Ask a server something as its operator.
    Admin(admin::Arguments),
    /// Chat, or let another program chat.
    Client(crate::client::cli::Arguments),
    /// Look after an identity folder while no client uses it.
    Identity(identity::Arguments),
    /// Run a whole system on this machine, play a session of four, and check it.
    Demo(crate::demo::Arguments),
    /// Answer the conformance suite's vectors: JSON lines on standard input and output.
    Shim(shim::Arguments),
    /// Tell which wrong variants of the system there are.
    Mutants(mutants::Arguments),
}

impl Command {
    /// What the log shows unless [`LOG_VARIABLE`] says otherwise: less where a person reads along.
    const fn log_default(&self) -> &'static str {
        match self {
            Self::Authority(_) | Self::DirectoryNode(_) | Self::Server(_) => LOG_DEFAULT,
            Self::Admin(_)
            | Self::Client(_)
            | Self::Identity(_)
            | Self::Demo(_)
            | Self::Shim(_)
            | Self::Mutants(_) => "warn",
        }
    }
}

/// Runs the program with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let started = start_log(arguments.log_format, arguments.command.log_default());
    let result = started.and_then(|()| select_mutant()).and_then(|()| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let result = runtime.block_on(async {
            match arguments.command {
                Command::Authority(arguments) => arguments.run(),
                Command::DirectoryNode(arguments) => arguments.run().await,
                Command::Server(arguments) => arguments.run().await,
                Command::Admin(arguments) => arguments.run().await,
                Command::Client(arguments) => arguments.run().await,
                Command::Identity(arguments) => arguments.run().await,
                Command::Demo(arguments) => arguments.run().await,
                Command::Shim(arguments) => arguments.run(),
                Command::Mutants(arguments) => arguments.run(),
            }
        });
        // Whoever is asked to end at once does not wait for an output that nobody reads, or for a name server.
        runtime.shutdown_background();
        result
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// The value of [`LOG_VARIABLE`] cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{LOG_VARIABLE}={value} does not say what the log shows")]
struct WrongLog {
    value: String,
    source: tracing_subscriber::filter::ParseError,
}

fn start_log(format: LogFormat, default: &str) -> Result<(), Failure> {
    let value = std::env::var(LOG_VARIABLE).ok().filter(|value| !value.is_empty());
    let value = value.unwrap_or_else(|| default.to_owned());
    let filter = EnvFilter::try_new(&value).map_err(|source| {
        Failure::usage(WrongLog { value, source })
            .fix("unset the variable, or set it to something like info,antiphon=debug")
    })?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    // Where a log exists already, as in a test, that one is used.
    drop(started);
    Ok(())
}

fn select_mutant() -> Result<(), Failure> {
    match std::env::var(mutant::VARIABLE) {
        Ok(name) if !name.is_empty() => mutant::select(&name).map_err(|error| {
            Failure::usage(error)
                .fix("unset the variable, or set it to a name that `antiphon mutants --list` shows")
        }),
        Ok(_) | Err(_) => Ok(()),
    }
}
