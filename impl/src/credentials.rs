//! Keys and certificates in files: PEM, keys readable by their owner alone, nothing ever overwritten.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use antiphon_protocol::{
    certificate::{self, CertificateRule, Demand, End, Trust, identify, identity_name},
    channel::Channel,
    key::KeyPair,
    tls::{Clock, Credentials, now},
};
use antiphon_spec::identity::Identity;
use rustls::pki_types::UnixTime;

/// Why a key or certificate cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The file cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file exists already or cannot be made.
    #[error("{} cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others can read the key.
    #[error("{} is a secret key that others can read (mode {mode:03o})", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file holds something else.
    #[error("{} does not hold what it should", path.display())]
    Contents {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl CredentialError {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Read { path, .. }
            | Self::Write { path, .. }
            | Self::Exposed { path, .. }
            | Self::Contents { path, .. } => path,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Read { .. } => "name an existing PEM file that this user may read",
            Self::Write { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                "nothing is overwritten: name another folder, or move the file away"
            }
            Self::Write { .. } => "name a folder in which this user may make files",
            Self::Exposed { .. } => "take the permissions of everybody else away: chmod 600",
            Self::Contents { .. } => {
                "name the PEM file that `antiphon authority` wrote for this role and this name: a certificate with the \
                 key of the same name, and the root that issued it; one that is too old has to be issued anew"
            }
        }
    }

    pub(crate) fn contents(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Contents { path: path.to_owned(), source: source.into() }
    }
}

/// Reads a key.
///
/// # Errors
/// The file cannot be read, can be read by others than its owner, or holds no key of an accepted kind.
pub fn load_key(path: &Path) -> Result<KeyPair, CredentialError> {
    let key = KeyPair::from_pem(&read(path)?).map_err(|error| CredentialError::contents(path, error))?;
    match exposed(path).map_err(|source| CredentialError::Read { path: path.to_owned(), source })? {
        None => Ok(key),
        Some(mode) => Err(CredentialError::Exposed { path: path.to_owned(), mode }),
    }
}

/// Reads the root certificate.
///
/// # Errors
/// The file cannot be read or holds no certificate of an authority.
pub fn load_trust(path: &Path) -> Result<Arc<Trust>, CredentialError> {
    let certificates = load_certificates(path)?;
    let [root] = certificates.as_slice() else {
        return Err(CredentialError::contents(path, "more than one certificate"));
    };
    Ok(Arc::new(Trust::from_der(root).map_err(|error| CredentialError::contents(path, error))?))
}

/// Reads a certificate, with what stands behind it, and its key.
///
/// # Errors
/// A file cannot be read or holds something else, or the two do not belong together.
pub fn load_credentials(certificate: &Path, key: &Path) -> Result<Credentials, CredentialError> {
    let chain = load_certificates(certificate)?;
    Credentials::new(chain, &load_key(key)?).map_err(|error| {
        CredentialError::contents(
            key,
            format!("no key for the certificate {}: {error}", certificate.display()),
        )
    })
}

/// Reads a certificate and its key, and judges the certificate as a peer will: it has to lead to the root, to be good
/// now, and to be `whom`'s.
///
/// # Errors
/// As for [`load_credentials`], or peers would refuse the certificate.
pub fn load_own(
    certificate: &Path,
    key: &Path,
    trust: &Trust,
    whom: &Identity,
    clock: &Clock,
) -> Result<Credentials, CredentialError> {
    let credentials = load_credentials(certificate, key)?;
    let channel = match whom {
        Identity::User(_) => Channel::ClientClient,
        Identity::Server(_) => Channel::ServerServer,
        Identity::DirectoryNode(_) => Channel::Location,
    };
    let demand = Demand::new(channel, End::Accepting).identity(whom.clone());
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now(clock).0));
    identify(trust, credentials.chain(), &demand, now).map_err(|refused| {
        if let CertificateRule::WrongPeer(_) = refused.rule {
            let told = format!("{} is not {}'s", refused.certificate, identity_name(whom));
            return CredentialError::contents(certificate, told);
        }
        CredentialError::contents(certificate, refused)
    })?;
    Ok(credentials)
}

/// Reads all certificates of a file.
///
/// # Errors
/// The file cannot be read or holds none.
pub fn load_certificates(path: &Path) -> Result<Vec<Certificate>, CredentialError> {
    certificate::from_pem(&read(path)?).map_err(|error| CredentialError::contents(path, error))
}

/// A certificate in DER.
pub type Certificate = rustls::pki_types::CertificateDer<'static>;

/// Writes a new file that everybody may read.
///
/// # Errors
/// The file exists or cannot be made.
pub fn write_public(path: &Path, text: &str) -> Result<(), CredentialError> {
    write(path, text, 0o644)
}

/// Writes a new file that only its owner may read.
///
/// # Errors
/// The file exists or cannot be made.
pub fn write_secret(path: &Path, text: &str) -> Result<(), CredentialError> {
    write(path, text, 0o600)
}

/// The permissions of a file, if they let others than its owner do anything with it.
pub(crate) fn exposed(path: &Path) -> io::Result<Option<u32>> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(path)?.permissions().mode() & 0o777;
        Ok((mode & 0o077 != 0).then_some(mode))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        Ok(None)
    }
}

fn read(path: &Path) -> Result<String, CredentialError> {
    std::fs::read_to_string(path).map_err(|source| CredentialError::Read { path: path.to_owned(), source })
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), CredentialError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|source| CredentialError::Write { path: path.to_owned(), source })
}
