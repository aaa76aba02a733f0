//! `antiphon identity`: what a user does to an identity folder while no client uses it.

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde_json::json;

use super::Failure;
use crate::client::{self, IdentityFolder, Passphrase, ServerAddress};

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
        #[command(flatten)]
        folder: Folder,
        /// The home server's registration port, if it is not the one that the identity folder keeps.
        #[arg(long, value_name = "NAME=HOST:PORT")]
        registration: Option<ServerAddress>,
    },
    /// Put the key under a passphrase, or under another one than before.
    Protect {
        #[command(flatten)]
        folder: Folder,
        #[command(flatten)]
        new: New,
    },
    /// Take the key from under its passphrase.
    Unprotect {
        #[command(flatten)]
        folder: Folder,
    },
    /// Put everything of the identity into one new file, with the key under a passphrase.
    Backup {
        /// The identity folder.
        #[arg(long, value_name = "DIR")]
        identity: PathBuf,
        #[command(flatten)]
        new: New,
        /// The file, which must not be there yet.
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Make an identity folder from a file that `backup` has made.
    Restore {
        /// The identity folder, which must not be there yet, or be empty.
        #[arg(long, value_name = "DIR")]
        identity: PathBuf,
        /// The file.
        #[arg(long, value_name = "FILE")]
        input: PathBuf,
    },
}

/// An identity folder, and how it is opened.
#[derive(Debug, Args)]
struct Folder {
    /// The identity folder.
    #[arg(long, value_name = "DIR")]
    identity: PathBuf,
    /// A file whose first line is the passphrase that the key is under; without one, it is asked for at the terminal.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// A passphrase that is given to a key.
#[derive(Debug, Args)]
struct New {
    /// A file whose first line is the passphrase to put the key under; without one, it is asked for at the terminal.
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,
}

impl Folder {
    fn open(&self) -> Result<IdentityFolder, Failure> {
        has_to_be_there(&self.identity)?;
        unlocked(&self.identity, self.passphrase_file.as_deref())
    }
}

impl New {
    fn passphrase(&self) -> Result<Option<Passphrase>, Failure> {
        if let Some(path) = &self.new_passphrase_file {
            return Ok(Some(read(path)?));
        }
        if !is_at_terminal() {
            return Ok(None);
        }
        let (first, second) = (ask("New passphrase: ")?, ask("Once more: ")?);
        if !first.is(&second) {
            return Err(Failure::usage("the two passphrases differ").fix("run it again"));
        }
        Ok(Some(first))
    }
}

/// A folder that isn't there is not made by mistake.
fn has_to_be_there(identity: &Path) -> Result<(), Failure> {
    if identity.is_dir() {
        return Ok(());
    }
    let missing = format!("{}: there is no such identity folder", identity.display());
    Err(Failure::usage(missing).fix("name the folder that a client has used"))
}

/// The folder with its passphrase: from the file, or asked for at the terminal where the key is under one.
pub(crate) fn unlocked(identity: &Path, file: Option<&Path>) -> Result<IdentityFolder, Failure> {
    let folder = IdentityFolder::open(identity).map_err(Failure::new)?;
    let passphrase = match file {
        Some(path) => Some(read(path)?),
        None if folder.is_locked().map_err(Failure::new)? && is_at_terminal() => {
            Some(ask(&format!("Passphrase of {}: ", identity.display()))?)
        }
        None => None,
    };
    Ok(folder.with_passphrase(passphrase))
}

fn is_at_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

fn read(path: &Path) -> Result<Passphrase, Failure> {
    Passphrase::read(path).map_err(|error| {
        Failure::new(format!("{}: {error}", path.display()))
            .fix("name a file whose first line is the passphrase")
    })
}

fn ask(prompt: &str) -> Result<Passphrase, Failure> {
    Passphrase::new(rpassword::prompt_password(prompt)?).map_err(Failure::usage)
}

impl Arguments {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Rotate { folder, registration } => {
                let folder = folder.open()?;
                let handle = client::rotate(&folder, registration).await.map_err(|error| {
                    let fix = error.fix();
                    Failure::new(error).fix_if(fix)
                })?;
                tell(&json!({"event": "rotated", "handle": handle}))
            }
            Command::Protect { folder, new } => {
                let (folder, passphrase) = (folder.open()?, new.passphrase()?);
                let none = || {
                    Failure::usage("there is no passphrase to put the key under")
                        .fix("name a file that holds one, with --new-passphrase-file FILE")
                };
                folder.protect(Some(&passphrase.ok_or_else(none)?)).map_err(Failure::new)?;
                tell(&json!({"event": "protected", "identity": folder.path()}))
            }
            Command::Unprotect { folder } => {
                let folder = folder.open()?;
                folder.protect(None).map_err(Failure::new)?;
                tell(&json!({"event": "unprotected", "identity": folder.path()}))
            }
            Command::Backup { identity, new, output } => {
                has_to_be_there(&identity)?;
                let folder = IdentityFolder::open(&identity).map_err(Failure::new)?;
                let is_locked = folder.is_locked().map_err(Failure::new)?;
                let passphrase = if is_locked { None } else { new.passphrase()? };
                client::back_up(&folder, &output, passphrase.as_ref()).map_err(backup_failure)?;
                tell(&json!({"event": "backed-up", "file": output}))
            }
            Command::Restore { identity, input } => {
                client::restore(&input, &identity).map_err(backup_failure)?;
                tell(&json!({"event": "restored", "identity": identity}))
            }
        }
    }
}

fn backup_failure(error: client::BackupError) -> Failure {
    let fix = error.fix();
    Failure::new(error).fix_if(fix)
}

fn tell(what: &serde_json::Value) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    writeln!(output, "{what}")?;
    Ok(output.flush()?)
}
