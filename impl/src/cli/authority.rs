//! `antiphon authority`: the root, and who it vouches for.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use antiphon_protocol::tls::{Clock, SystemClock, now};
use antiphon_spec::identity::ServerName;
use clap::{Args, Subcommand};

use super::Failure;
use crate::authority::{self, AuthorityError, ROOT_LIFETIME, SERVER_LIFETIME};

/// One day.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What is to be made.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a root: root.pem, which everybody is given, and root.key, which nobody is.
    Create {
        /// The folder for the root; made if it does not exist.
        #[arg(long, default_value = "authority")]
        directory: PathBuf,
        /// How many days the root is good.
        #[arg(long, default_value_t = ROOT_LIFETIME.as_secs() / DAY.as_secs(), value_parser = clap::value_parser!(u64).range(1..=36_500))]
        days: u64,
    },
    /// Issue a server's certificates: NAME.pem and NAME.key for TLS, NAME-users.pem and NAME-users.key for its users.
    IssueServer(Issue),
    /// Issue a directory node's certificate: NAME.pem and NAME.key.
    IssueNode(Issue),
}

#[derive(Debug, Args)]
struct Issue {
    /// The name: a lower-case DNS name.
    name: ServerName,
    /// The folder with the root.
    #[arg(long, default_value = "authority")]
    directory: PathBuf,
    /// The folder for what is issued; made if it does not exist.
    #[arg(long, default_value = ".")]
    output: PathBuf,
    /// How many days the certificates are good.
    #[arg(long, default_value_t = SERVER_LIFETIME.as_secs() / DAY.as_secs(), value_parser = clap::value_parser!(u64).range(1..=3_650))]
    days: u64,
}

impl Arguments {
    pub(super) fn run(self) -> Result<(), Failure> {
        let clock: Clock = std::sync::Arc::new(SystemClock);
        let now = now(&clock);
        let lifetime = |days: u64| Duration::from_secs(days * DAY.as_secs());
        match self.command {
            Command::Create { directory, days } => {
                let root = authority::create(&directory, now, lifetime(days)).map_err(failure)?;
                tell(&[&root])
            }
            Command::IssueServer(Issue { name, directory, output, days }) => {
                let issued = authority::issue_server(&directory, &output, &name, now, lifetime(days));
                let files = issued.map_err(failure)?;
                tell(&[&files.certificate, &files.key, &files.user_ca_certificate, &files.user_ca_key])
            }
            Command::IssueNode(Issue { name, directory, output, days }) => {
                let issued = authority::issue_node(&directory, &output, &name, now, lifetime(days));
                let files = issued.map_err(failure)?;
                tell(&[&files.certificate, &files.key])
            }
        }
    }
}

fn failure(error: AuthorityError) -> Failure {
    let fix = error.fix();
    Failure::new(error).fix_if(fix)
}

/// Prints the files that were written.
fn tell(files: &[&Path]) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    for file in files {
        writeln!(output, "{}", file.display())?;
    }
    Ok(output.flush()?)
}
