//! `antiphon admin`: what an operator asks of a server that runs, or is to run again.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use antiphon_spec::identity::{ServerName, UserHandle};
use clap::{Args, Subcommand};
use serde_json::json;

use super::Failure;
use crate::{config::ServerConfig, server};

/// Arguments of `antiphon admin`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// End a user's account: the login that stands ends, and the key gets no certificate any more.
    ///
    /// The server carries it out within a second, or at its next start. It cannot be undone.
    EndAccount {
        /// The server's configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The user.
        #[arg(value_name = "HANDLE")]
        user: UserHandle,
    },
}

/// The user of another server.
#[derive(Debug, thiserror::Error)]
#[error("{user} is no user of {name}")]
struct OtherHome {
    user: UserHandle,
    name: ServerName,
}

impl Arguments {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let Command::EndAccount { config, user } = self.command;
        let config = ServerConfig::load(&config).map_err(|error| {
            let fix = error.fix().to_owned();
            Failure::usage(error).fix(fix)
        })?;
        if user.home != config.name {
            let name = config.name;
            return Err(Failure::usage(OtherHome { user, name })
                .fix("use the configuration of the user's home server"));
        }
        let had_ended = server::end_account(&config, user.id).await.map_err(|error| {
            let fix = error.fix();
            Failure::new(error).fix_if(fix)
        })?;
        let told = json!({"event": if had_ended { "ended-before" } else { "ends" }, "user": user});
        let mut output = io::stdout().lock();
        writeln!(output, "{told}")?;
        Ok(output.flush()?)
    }
}
