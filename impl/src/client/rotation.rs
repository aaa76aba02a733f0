//! Replacing the user's key by another one (chapter *Registration*), while the client does not run: a session knows its
//! members by their keys.

use std::sync::Arc;

use antiphon_protocol::tls::{Clock, SystemClock};
use antiphon_spec::identity::UserHandle;

use super::{
    identity::{IdentityError, IdentityFolder},
    registration::{self, RegistrationError},
    settings::ServerAddress,
};

/// Why a key was not replaced.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The identity folder cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Nobody says where the home server takes registrations.
    #[error("the identity folder names no server to register at")]
    NoServer,
    /// The home server did not replace it.
    #[error("{0}")]
    Refused(String),
    /// The home server gave the successor to another account.
    #[error("the server gave the key of {before} to {after}")]
    OtherHandle {
        /// Whose key it was.
        before: UserHandle,
        /// Who has it now.
        after: UserHandle,
    },
}

impl RotationError {
    /// What to do about it.
    pub(crate) fn fix(&self) -> Option<&'static str> {
        match self {
            Self::NoServer => {
                Some("register first, or name the home server with --registration NAME=HOST:PORT")
            }
            Self::Refused(_) => Some("run it again: the key is replaced once, however often it is asked for"),
            Self::Identity(_) | Self::OtherHandle { .. } => None,
        }
    }
}

impl From<RegistrationError> for RotationError {
    fn from(error: RegistrationError) -> Self {
        Self::Refused(error.to_string())
    }
}

/// Puts a fresh key in the place of the one in the identity folder, at the user's home server and then in the folder.
///
/// # Errors
/// See [`RotationError`]. Where the answer was lost, the same call goes on with the same successor.
pub async fn rotate(
    folder: &IdentityFolder,
    registration: Option<ServerAddress>,
) -> Result<UserHandle, RotationError> {
    let clock: Clock = Arc::new(SystemClock);
    let configuration = folder.configuration()?;
    let server = registration.or(configuration.registration).ok_or(RotationError::NoServer)?;
    let trust = folder.trust(None)?;
    let (key, successor) = (folder.key()?, folder.successor()?);
    let account = registration::rotate(server, &key, &successor, &trust, &clock).await?;
    if let Some(before) = configuration.handle.filter(|before| *before != account.handle) {
        return Err(RotationError::OtherHandle { before, after: account.handle });
    }
    folder.succeed(&account)?;
    Ok(account.handle)
}
