//! Why a server or directory node does not start, and what to do about it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use antiphon_protocol::certificate::IssueError;
use antiphon_spec::identity::ServerName;

use crate::{credentials::CredentialError, net::NoEntropy, store::StoreError};

/// Why a process did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A file that a setting names, a key or a certificate, cannot be used.
    #[error("the file of `{settings}` cannot be used")]
    Credentials {
        /// The setting in the configuration file, or all that name the file.
        settings: String,
        /// What is wrong with which file.
        source: Box<CredentialError>,
    },
    /// The database cannot be used.
    #[error("the store cannot be used")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>, Option<&'static str>),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// Others cannot dial an address that stands for all of a machine's.
    #[error("{0} is no address to give to others")]
    NoAddress(SocketAddr),
    /// The authority for users is not this server's.
    #[error("`user-ca-certificate` {} is the user CA of {found}, not of {name}", path.display())]
    OtherUserAuthority {
        /// The file.
        path: PathBuf,
        /// The server that is to start.
        name: ServerName,
        /// Whose authority it is.
        found: ServerName,
    },
    /// The authority for users cannot be used.
    #[error("`user-ca-certificate` {} cannot be used with `user-ca-key` {}", path.display(), key.display())]
    UserAuthority {
        /// The certificate's file.
        path: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        source: Box<IssueError>,
    },
    /// The system has no entropy to give.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// The socket for the operator can't be made.
    #[error("`control-socket` {} cannot be used", path.display())]
    Control {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// What the process does can't be counted.
    #[error("the metrics of this process cannot be set up")]
    Monitoring(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StartError {
    /// A credential cannot be used; those of these settings that name the file are told.
    pub(crate) fn credentials(settings: &[(&'static str, &Path)], source: CredentialError) -> Self {
        let named = settings.iter().filter(|(_, path)| *path == source.path());
        let named: Vec<&str> = named.map(|(setting, _)| *setting).collect();
        Self::Credentials { settings: named.join("` and `"), source: Box::new(source) }
    }

    /// What to do about it, where there is something to say.
    #[must_use]
    pub fn fix(&self) -> Option<&'static str> {
        match self {
            Self::Credentials { source, .. } => Some(source.fix()),
            Self::Store(_, fix) => *fix,
            Self::Listen { .. } => {
                Some("choose an address of this machine and a port that is free; 0 takes any")
            }
            Self::NoAddress(_) => Some("set `advertised-address` to the address at which others reach it"),
            Self::OtherUserAuthority { .. } | Self::UserAuthority { .. } => Some(
                "set `user-ca-certificate` and `user-ca-key` to the files that `antiphon authority issue-server` \
                 wrote for this server",
            ),
            Self::Control { .. } => Some(
                "name a file that is not there yet, in a folder that exists and that this user may write to; a path may \
                 have about a hundred bytes",
            ),
            Self::Entropy(_) | Self::Monitoring(_) => None,
        }
    }
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        let fix = error.fix();
        Self::Store(Box::new(error), fix)
    }
}
