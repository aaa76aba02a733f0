//! The authority: makes the root, and vouches for servers and directory nodes (chapter *Certificates*).
//!
//! It is a folder with `root.pem` and `root.key`. Whoever holds the key can make servers; it belongs on a machine
//! that does nothing else.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use antiphon_protocol::{
    certificate::{self, Authority, IssueError, Serial, Validity},
    key::{KeyAlgorithm, KeyError, KeyPair},
};
use antiphon_spec::{identity::ServerName, time::Timestamp};

use crate::credentials::{self, CredentialError};

/// How long a root is good: ten years, because replacing it means telling everybody.
pub const ROOT_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// How long the certificates of servers and nodes are good.
pub const SERVER_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);

/// Why nothing was issued.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file is not as it should be.
    #[error(transparent)]
    File(#[from] CredentialError),
    /// A key cannot be made.
    #[error("a key cannot be made")]
    Key(#[from] KeyError),
    /// A certificate cannot be made.
    #[error("a certificate cannot be made")]
    Issue(#[from] IssueError),
    /// The folder cannot be made.
    #[error("the folder {} cannot be made", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

impl AuthorityError {
    /// What to do about it, where there is something to say.
    #[must_use]
    pub fn fix(&self) -> Option<&'static str> {
        match self {
            Self::File(error) => Some(error.fix()),
            Self::Folder { .. } => Some("name a folder that can be made"),
            Self::Key(_) | Self::Issue(_) => None,
        }
    }
}

/// The files of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFiles {
    /// The TLS certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The certificate of the authority for users.
    pub user_ca_certificate: PathBuf,
    /// Its key.
    pub user_ca_key: PathBuf,
}

/// The files of a directory node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFiles {
    /// The TLS certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// The root certificate in an authority's folder.
#[must_use]
pub fn root_certificate(folder: &Path) -> PathBuf {
    folder.join("root.pem")
}

/// Makes a root in `folder`, which is made too if it does not exist.
///
/// # Errors
/// There is a root already, or a file cannot be written.
pub fn create(folder: &Path, now: Timestamp, lifetime: Duration) -> Result<PathBuf, AuthorityError> {
    make_folder(folder)?;
    let key = KeyPair::generate(KeyAlgorithm::default())?;
    let authority = Authority::create(key, Validity::starting(now, lifetime), Serial::random()?)?;
    // The key goes first: it fails before anything is written when there is a root already.
    credentials::write_secret(&folder.join("root.key"), &authority.key().to_pem()?)?;
    let path = root_certificate(folder);
    let text = certificate::to_pem(std::slice::from_ref(authority.certificate()));
    credentials::write_public(&path, &text)?;
    Ok(path)
}

/// Issues the two certificates of a server, with new keys, into `output`.
///
/// # Errors
/// There is no root in `folder`, or a file exists or cannot be written.
pub fn issue_server(
    folder: &Path,
    output: &Path,
    name: &ServerName,
    now: Timestamp,
    lifetime: Duration,
) -> Result<ServerFiles, AuthorityError> {
    let authority = load(folder)?;
    let validity = Validity::starting(now, lifetime);
    let key = KeyPair::generate(KeyAlgorithm::default())?;
    let leaf = authority.issue_server(name, key.public_key(), validity, Serial::random()?)?;
    let (certificate, key) = write_pair(output, name.as_str(), &leaf, &key)?;
    let users_key = KeyPair::generate(KeyAlgorithm::default())?;
    let users = authority.issue_user_authority(name, users_key.public_key(), validity, Serial::random()?)?;
    let (user_ca_certificate, user_ca_key) =
        write_pair(output, &format!("{name}-users"), &users, &users_key)?;
    Ok(ServerFiles { certificate, key, user_ca_certificate, user_ca_key })
}

/// Issues the certificate of a directory node, with a new key, into `output`.
///
/// # Errors
/// As for [`issue_server`].
pub fn issue_node(
    folder: &Path,
    output: &Path,
    name: &ServerName,
    now: Timestamp,
    lifetime: Duration,
) -> Result<NodeFiles, AuthorityError> {
    let authority = load(folder)?;
    let key = KeyPair::generate(KeyAlgorithm::default())?;
    let validity = Validity::starting(now, lifetime);
    let leaf = authority.issue_directory_node(name, key.public_key(), validity, Serial::random()?)?;
    let (certificate, key) = write_pair(output, name.as_str(), &leaf, &key)?;
    Ok(NodeFiles { certificate, key })
}

fn load(folder: &Path) -> Result<Authority, AuthorityError> {
    let path = root_certificate(folder);
    let mut certificates = credentials::load_certificates(&path)?;
    let key = credentials::load_key(&folder.join("root.key"))?;
    let root = certificates.pop().filter(|_| certificates.is_empty());
    let root = root.ok_or_else(|| CredentialError::contents(&path, "more than one certificate"))?;
    Ok(Authority::load(root, key).map_err(|error| CredentialError::contents(&path, error))?)
}

fn write_pair(
    folder: &Path,
    name: &str,
    leaf: &credentials::Certificate,
    key: &KeyPair,
) -> Result<(PathBuf, PathBuf), AuthorityError> {
    make_folder(folder)?;
    // Not `with_extension`, which would cut the last label off a name.
    let (certificate, secret) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    credentials::write_secret(&secret, &key.to_pem()?)?;
    credentials::write_public(&certificate, &certificate::to_pem(std::slice::from_ref(leaf)))?;
    Ok((certificate, secret))
}

fn make_folder(folder: &Path) -> Result<(), AuthorityError> {
    std::fs::create_dir_all(folder)
        .map_err(|source| AuthorityError::Folder { path: folder.to_owned(), source })
}

#[cfg(test)]
mod tests;
