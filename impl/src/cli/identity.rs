//! `antiphon identity`: what a user does to an identity folder while no client uses it.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use clap::{Args, Subcommand};
use serde_json::json;

use super::Failure;
use crate::client::{self, ServerAddress};

/// Arguments of `antiphon identity`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Replace the key by a fresh one; the user handle stays.
    ///
    /// Whoever is logged in with the old key is logged out. End the client first.
    Rotate {
        /// The identity folder.
        #[arg(long, value_name = "DIR")]
        identity: PathBuf,
        /// The home server's registration port, if it is not the one that the identity folder keeps.
        #[arg(long, value_name = "NAME=HOST:PORT")]
        registration: Option<ServerAddress>,
    },
}

impl Arguments {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Rotate { identity, registration } => {
                let handle = client::rotate(&identity, registration).await.map_err(|error| {
                    let fix = error.fix();
                    Failure::new(error).fix_if(fix)
                })?;
                tell(&json!({"event": "rotated", "handle": handle}))
            }
        }
    }
}

fn tell(what: &serde_json::Value) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    writeln!(output, "{what}")?;
    Ok(output.flush()?)
}
