//! `antiphon client`: what its flags mean, and how it runs.

use std::{net::SocketAddr, path::PathBuf};

use antiphon_protocol::certificate;
use antiphon_spec::{
    identity::ContactAddress,
    limits::LINK_PATIENCE_MAX,
    media_type::{InvalidMediaTypes, MediaType, MediaTypes},
};
use rustls::pki_types::CertificateDer;
use tokio::signal::unix::{SignalKind, signal};

use super::{Client, Command, ServerAddress, Settings, StartError, input, json, line};
use crate::cli::{Failure, unlocked};

/// Chats, or lets another program chat.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The identity folder; it is made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub identity: PathBuf,
    /// A file whose first line is the passphrase that the key is under, or that a key which is made is put under; without one,
    /// it is asked for at the terminal.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// The root certificate to trust; the identity folder keeps it.
    #[arg(long, value_name = "FILE")]
    pub root: Option<PathBuf>,
    /// Where to log in: the server's name and its authenticated port; the identity folder keeps it.
    #[arg(long, value_name = "NAME=HOST:PORT")]
    pub server: Option<ServerAddress>,
    /// Where to register: the home server's registration port; the identity folder keeps it.
    ///
    /// Without a name before the address, the server of --server is meant.
    #[arg(long, value_name = "[NAME=]HOST:PORT")]
    pub registration: Option<String>,
    /// Where to accept links from other clients; port 0 lets the system choose.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// The address to give to other clients, if it is not the one that is listened on.
    #[arg(long, value_name = "IP:PORT")]
    pub advertise: Option<ContactAddress>,
    /// The media types that can be shown, besides text/plain; the identity folder keeps them.
    #[arg(long, value_name = "TYPE/SUBTYPE,..", value_delimiter = ',')]
    pub media_types: Option<Vec<MediaType>>,
    /// For how many seconds, 0 to 15, another client may be without a connection before it counts as lost.
    #[arg(long, value_name = "SECONDS", default_value_t = LINK_PATIENCE_MAX.as_secs(), value_parser = clap::value_parser!(u64).range(..=LINK_PATIENCE_MAX.as_secs()))]
    pub link_patience: u64,
    /// Read commands and write events as JSON lines.
    #[arg(long)]
    pub json: bool,
}

/// Why the program cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The root's file cannot be read.
    #[error("--root {}: {source}", .path.display())]
    RootFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The root's file holds no certificate.
    #[error("--root {}: {source}", .path.display())]
    RootPem {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: certificate::NotPem,
    },
    /// The certificate in the root's file is no root.
    #[error("--root {}: {source}", .path.display())]
    RootCertificate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: certificate::TrustError,
    },
    /// The registration port has no server.
    #[error("--registration {0}: name the server too: NAME=HOST:PORT")]
    RegistrationName(String),
    /// The registration port is none.
    #[error("--registration: {0}")]
    Registration(#[from] super::InvalidServerAddress),
    /// The media types are no list of them.
    #[error("--media-types: {0}")]
    MediaTypes(#[from] InvalidMediaTypes),
    /// The client cannot start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The output was closed.
    #[error("the output cannot be written: {0}")]
    Output(std::io::Error),
}

impl Arguments {
    /// The settings that the flags stand for.
    ///
    /// # Errors
    /// A flag is wrong; the error names it.
    pub fn settings(&self) -> Result<Settings, RunError> {
        let root = self.root.as_ref().map(read_root).transpose()?;
        let registration = match (&self.registration, &self.server) {
            (None, _) => None,
            (Some(text), _) if text.contains('=') => Some(text.parse()?),
            (Some(text), Some(server)) => Some(format!("{}={text}", server.name).parse()?),
            (Some(text), None) => return Err(RunError::RegistrationName(text.clone())),
        };
        Ok(Settings {
            root,
            server: self.server.clone(),
            registration,
            listen: self.listen,
            advertise: self.advertise,
            media_types: self.media_types.clone().map(media_types).transpose()?,
            // No seconds is no patience.
            patience: self.link_patience.try_into().ok(),
            ..Settings::new(&self.identity)
        })
    }
}

/// The list in its one order.
fn media_types(mut types: Vec<MediaType>) -> Result<MediaTypes, InvalidMediaTypes> {
    types.sort();
    types.dedup();
    types.try_into()
}

fn read_root(path: &PathBuf) -> Result<CertificateDer<'static>, RunError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| RunError::RootFile { path: path.clone(), source })?;
    let pem = |source| RunError::RootPem { path: path.clone(), source };
    let certificates = certificate::from_pem(&text).map_err(pem)?;
    let root = certificates.into_iter().next().ok_or(certificate::NotPem).map_err(pem)?;
    certificate::Trust::from_der(&root)
        .map_err(|source| RunError::RootCertificate { path: path.clone(), source })?;
    Ok(root)
}

/// What to do about it.
fn failure(error: RunError) -> Failure {
    match error {
        RunError::RootFile { .. } | RunError::RootPem { .. } | RunError::RootCertificate { .. } => {
            Failure::usage(error).fix("name the PEM file of the root that your servers are vouched for by")
        }
        RunError::RegistrationName(_) | RunError::Registration(_) => {
            Failure::usage(error).fix("write --registration NAME=HOST:PORT")
        }
        RunError::MediaTypes(_) => {
            Failure::usage(error).fix("name at most 16 media types, such as image/png, and not text/plain")
        }
        RunError::Start(_) | RunError::Output(_) => Failure::new(error),
    }
}

impl Arguments {
    /// Runs the client on the terminal until it ends.
    ///
    /// # Errors
    /// A flag is wrong, the client cannot start, or its output was closed.
    pub async fn run(self) -> Result<(), Failure> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut settings = self.settings().map_err(failure)?;
        let folder = unlocked(&self.identity, self.passphrase_file.as_deref())?;
        settings.passphrase = folder.passphrase().cloned();
        let client = Client::start(settings).await;
        let client = client.map_err(|error| failure(error.into()))?;
        let commands = client.commands();
        // The first signal ends the client politely, a second one at once.
        let asked_twice = async move {
            for _ in 0..2 {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                // A client that has ended needs no asking.
                drop(commands.try_send(Command::Quit {}.into()));
            }
        };
        let lines = input::standard_input();
        let talk = async {
            if self.json {
                json::run(client, lines, tokio::io::stdout()).await
            } else {
                line::run(client, lines, tokio::io::stdout()).await
            }
        };
        tokio::select! {
            talked = talk => talked.map_err(|error| failure(RunError::Output(error))),
            () = asked_twice => Err(Failure::new("interrupted")),
        }
    }
}
