//! `antiphon admin`: what an operator asks of a server that runs, or is to run again.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use antiphon_spec::identity::{ServerName, UserHandle};
use clap::{Args, Subcommand};
use serde_json::json;

use super::Failure;
use crate::{
    config::ServerConfig,
    control::{self, ControlError, Question, Told},
    server,
};

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
    /// Tell who is logged in at a server that runs.
    Online(Asking),
    /// Tell to which servers and directory nodes a server that runs has connections.
    Links(Asking),
    /// Tell what waits in a server that runs.
    Queues(Asking),
    /// End the login of a user of this server, wherever it is. The user may log in again.
    EndLogin {
        #[command(flatten)]
        asking: Asking,
        /// The user.
        #[arg(value_name = "HANDLE")]
        user: UserHandle,
    },
    /// Have a server take no more clients, wait until its users are gone, and end.
    Drain {
        #[command(flatten)]
        asking: Asking,
        /// How long to wait for the users, in seconds; who is still there then is cut off. A day at most.
        #[arg(long, value_name = "SECONDS", default_value_t = 300)]
        patience: u64,
    },
}

/// Whom to ask, and how to tell the answer.
#[derive(Debug, Args)]
struct Asking {
    /// The server's configuration file, which names its `control-socket`.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Tell the answer as one JSON object a line.
    #[arg(long)]
    json: bool,
}

/// The user of another server.
#[derive(Debug, thiserror::Error)]
#[error("{user} is no user of {name}")]
struct OtherHome {
    user: UserHandle,
    name: ServerName,
}

/// There is no socket to ask at.
#[derive(Debug, thiserror::Error)]
#[error("the configuration {} has no `control-socket`", .0.display())]
struct NoSocket(PathBuf);

impl Arguments {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::EndAccount { config, user } => end_account(&config, user).await,
            Command::Online(asking) => asking.ask(&Question::Online).await,
            Command::Links(asking) => asking.ask(&Question::Links).await,
            Command::Queues(asking) => asking.ask(&Question::Queues).await,
            Command::EndLogin { asking, user } => asking.ask(&Question::EndLogin { user }).await,
            Command::Drain { asking, patience } => asking.ask(&Question::Drain { patience }).await,
        }
    }
}

fn load(config: &Path) -> Result<ServerConfig, Failure> {
    ServerConfig::load(config).map_err(|error| {
        let fix = error.fix().to_owned();
        Failure::usage(error).fix(fix)
    })
}

async fn end_account(config: &Path, user: UserHandle) -> Result<(), Failure> {
    let config = load(config)?;
    if user.home != config.name {
        let name = config.name;
        return Err(
            Failure::usage(OtherHome { user, name }).fix("use the configuration of the user's home server")
        );
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

impl Asking {
    async fn ask(self, question: &Question) -> Result<(), Failure> {
        let socket = load(&self.config)?.control_socket.ok_or_else(|| {
            let fix = "add `control-socket = \"control.sock\"` to it, and start the server again";
            Failure::usage(NoSocket(self.config.clone())).fix(fix)
        })?;
        let tell = |told: Told| {
            let line = if self.json { serde_json::to_string(&told)? } else { words(&told) };
            let mut output = io::stdout().lock();
            writeln!(output, "{line}")?;
            output.flush()
        };
        control::ask(&socket, question, tell).await.map_err(|error| {
            let fix = match &error {
                ControlError::Unreachable { .. } => {
                    Some("see that the server runs, with this configuration and as a user whose sockets you may use")
                }
                ControlError::Broken(_) | ControlError::Refused(_) => None,
            };
            Failure::new(error).fix_if(fix)
        })
    }
}

/// An answer for people.
fn words(told: &Told) -> String {
    match told {
        Told::User { user, epoch } => format!("{user}  login {epoch}"),
        Told::Link { peer, accepted, dialled } => format!("{peer}  accepted {accepted}, dialled {dialled}"),
        Told::Queue { name, waiting, most } => format!("{name}: {waiting} of {most}"),
        Told::LoginEnded => "the user is logged out".to_owned(),
        Told::Draining { users } => format!("no more clients are taken; users still there: {users}"),
        Told::Drained { users } => format!("the server ends; users cut off: {users}"),
        Told::Done => "done".to_owned(),
        Told::Failed { why } => why.clone(),
    }
}
