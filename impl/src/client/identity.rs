//! The identity folder: everything that makes a user on one machine.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `key.pem` | the secret key; readable by its owner alone, and refused otherwise; if the user wants, under a passphrase |
//! | `key-next.pem` | while the key is being replaced: the key that takes its place |
//! | `certificate.pem` | the user's certificate and the home server's authority for its users |
//! | `root.pem` | the root that is trusted |
//! | `client.toml` | the user handle, and the servers to register and to log in at |
//!
//! The key is on the disk before anybody hears of it, so a lost answer to a registration leaves no account without an
//! owner: the same key asks again.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use antiphon_protocol::{
    certificate::{self, CertificateRefused, CertificateRule, Demand, End, Trust, TrustError, identify},
    channel::Channel,
    key::{KeyAlgorithm, KeyError, KeyPair},
    tls::{Clock, Credentials, TlsError},
};
use antiphon_spec::{
    identity::{Identity, ServerName, UserHandle},
    media_type::MediaTypes,
    time::Timestamp,
};
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    sealed::{self, Passphrase, SealError},
    settings::ServerAddress,
};
use crate::credentials::exposed;

pub(super) const KEY: &str = "key.pem";
pub(super) const SUCCESSOR: &str = "key-next.pem";
pub(super) const CERTIFICATE: &str = "certificate.pem";
pub(super) const ROOT: &str = "root.pem";
pub(super) const CONFIGURATION: &str = "client.toml";

/// Why the identity folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A file or the folder cannot be read or written.
    #[error("{}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The key can be read by others than its owner.
    #[error("{}: others can read this secret key (mode {mode:03o}); run: chmod 600 {}", .path.display(), .path.display())]
    KeyExposed {
        /// The key's file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The key cannot be used.
    #[error("{}: {source}", .path.display())]
    Key {
        /// The key's file.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
    /// The key is under a passphrase, which was not told.
    #[error("{}: this key is under a passphrase; name a file that holds it, with --passphrase-file FILE", .0.display())]
    Locked(PathBuf),
    /// The key cannot be put under the passphrase, or taken from under it.
    #[error("{}: {source}", .path.display())]
    Sealed {
        /// The key's file.
        path: PathBuf,
        /// Why.
        source: SealError,
    },
    /// The key is being replaced.
    #[error("{}: the key is being replaced; run: antiphon identity rotate", .0.display())]
    Rotating(PathBuf),
    /// A file of certificates holds none.
    #[error("{}: {source}", .path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        source: certificate::NotPem,
    },
    /// The configuration cannot be read.
    #[error("{}: {source}", .path.display())]
    Configuration {
        /// The file.
        path: PathBuf,
        /// Which key, and what is wrong with it.
        source: Box<toml::de::Error>,
    },
    /// The configuration cannot be written.
    #[error("the configuration cannot be written")]
    Unwritable(#[from] toml::ser::Error),
    /// Nobody says which root to trust.
    #[error("{}: there is no root certificate; start the client with --root FILE", .0.display())]
    NoRoot(PathBuf),
    /// The root that was named is none.
    #[error("the root certificate cannot be used: {0}")]
    Root(#[from] TrustError),
    /// The root that was kept is none.
    #[error("{}: {source}; start the client with --root FILE", .path.display())]
    KeptRoot {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: TrustError,
    },
    /// The certificate is not the user's, or not one of this root.
    #[error("{}: {source}; move the file away and register again", .path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// The rule that it breaks.
        source: CertificateRefused,
    },
    /// The certificate and the key do not belong together.
    #[error("{}: {source}; move the file away and register again", .path.display())]
    OtherKey {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        source: TlsError,
    },
}

/// What `client.toml` holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handle: Option<UserHandle>,
    /// The media types that whoever runs the client can show, besides plain text.
    #[serde(default, rename = "media-types", skip_serializing_if = "MediaTypes::is_empty")]
    pub media_types: MediaTypes,
    /// Where to log in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerAddress>,
    /// Where to register.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration: Option<ServerAddress>,
}

/// An identity folder.
#[derive(Clone, Debug)]
pub struct IdentityFolder {
    path: PathBuf,
    passphrase: Option<Passphrase>,
}

/// Who the user is, proved by the certificate that a home server issued.
#[derive(Clone, Debug)]
pub struct Account {
    /// The user.
    pub handle: UserHandle,
    /// The certificate and its key, as TLS takes them.
    pub credentials: Credentials,
    /// The first second at which the certificate is good.
    pub not_before: Timestamp,
    /// The last second at which the certificate is good.
    pub not_after: Timestamp,
}

impl IdentityFolder {
    /// Opens the folder, or makes it, for its owner alone.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, IdentityError> {
        let path = path.into();
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).map_err(|source| IdentityError::File { path: path.clone(), source })?;
        Ok(Self { path, passphrase: None })
    }

    /// The same folder, with the passphrase that its keys are under, and that a key which is made is put under.
    #[must_use]
    pub fn with_passphrase(self, passphrase: Option<Passphrase>) -> Self {
        Self { passphrase, ..self }
    }

    /// The passphrase that was told.
    pub(crate) fn passphrase(&self) -> Option<&Passphrase> {
        self.passphrase.as_ref()
    }

    /// Whether the key is under a passphrase.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn is_locked(&self) -> Result<bool, IdentityError> {
        Ok(self.read(KEY)?.is_some_and(|text| sealed::is_sealed(&text)))
    }

    /// Puts the key under another passphrase than before, or under none.
    ///
    /// # Errors
    /// The key cannot be opened, sealed or written, or is being replaced. The file holds what it held, or what it is to hold.
    pub fn protect(&self, passphrase: Option<&Passphrase>) -> Result<(), IdentityError> {
        let next = self.path.join(SUCCESSOR);
        if next.exists() {
            return Err(IdentityError::Rotating(next));
        }
        let path = self.path.join(KEY);
        let text =
            self.key()?.to_pem().map_err(|source| IdentityError::Key { path: path.clone(), source })?;
        self.write(KEY, under(passphrase, text, &path)?.as_bytes())
    }

    /// The folder's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The secret key; made, and put on the disk, if there is none.
    ///
    /// # Errors
    /// The file cannot be read or written, is readable by others, or holds no key of the protocol.
    pub fn key(&self) -> Result<KeyPair, IdentityError> {
        self.key_in(KEY)
    }

    /// The key that is to take its place; made, and put on the disk, if there is none. So a lost answer to the
    /// replacement leaves no account without an owner either.
    ///
    /// # Errors
    /// As for [`IdentityFolder::key`].
    pub fn successor(&self) -> Result<KeyPair, IdentityError> {
        self.key_in(SUCCESSOR)
    }

    /// Gives up the key for its successor, which has this account now.
    ///
    /// # Errors
    /// A file cannot be replaced. Whatever was done, the same can be tried again.
    pub fn succeed(&self, account: &Account) -> Result<(), IdentityError> {
        // A certificate without its key would stop the client; without one, it registers the key that it has.
        let certificate = self.path.join(CERTIFICATE);
        match fs::remove_file(&certificate) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(IdentityError::File { path: certificate, source });
            }
            Ok(()) | Err(_) => {}
        }
        let path = self.path.join(KEY);
        fs::rename(self.path.join(SUCCESSOR), &path)
            .map_err(|source| IdentityError::File { path: path.clone(), source })?;
        self.keep_account(account)
    }

    fn key_in(&self, file: &str) -> Result<KeyPair, IdentityError> {
        let path = self.path.join(file);
        let key_error = |source| IdentityError::Key { path: path.clone(), source };
        if let Some(text) = self.read(file)? {
            check_mode(&path)?;
            if !sealed::is_sealed(&text) {
                return KeyPair::from_pem(&text).map_err(key_error);
            }
            let passphrase = self.passphrase.as_ref().ok_or_else(|| IdentityError::Locked(path.clone()))?;
            let opened = sealed::open(&text, passphrase);
            let opened = opened.map_err(|source| IdentityError::Sealed { path: path.clone(), source })?;
            return KeyPair::from_pem(&opened).map_err(key_error);
        }
        let key = KeyPair::generate(KeyAlgorithm::default()).map_err(key_error)?;
        let text = key.to_pem().map_err(key_error)?;
        self.write(file, under(self.passphrase.as_ref(), text, &path)?.as_bytes())?;
        Ok(key)
    }

    /// Trust in the root that was named, which is kept, or in the one that was kept before.
    ///
    /// # Errors
    /// There is no root, or it is no certificate authority.
    pub fn trust(&self, named: Option<&CertificateDer<'static>>) -> Result<Arc<Trust>, IdentityError> {
        let root = match named {
            Some(root) => root.clone(),
            None => {
                let kept = self.certificates(ROOT)?.and_then(|kept| kept.into_iter().next());
                kept.ok_or_else(|| IdentityError::NoRoot(self.path.join(ROOT)))?
            }
        };
        let trust = Trust::from_der(&root).map_err(|source| match named {
            Some(_) => IdentityError::Root(source),
            None => IdentityError::KeptRoot { path: self.path.join(ROOT), source },
        })?;
        if named.is_some() {
            self.write(ROOT, certificate::to_pem(&[root]).as_bytes())?;
        }
        Ok(Arc::new(trust))
    }

    /// What was kept about the user and the servers.
    ///
    /// # Errors
    /// The file cannot be read; the error names the key and the line.
    pub fn configuration(&self) -> Result<Configuration, IdentityError> {
        let path = self.path.join(CONFIGURATION);
        let Some(text) = self.read(CONFIGURATION)? else { return Ok(Configuration::default()) };
        toml::from_str(&text)
            .map_err(|source| IdentityError::Configuration { path, source: Box::new(source) })
    }

    /// Keeps what is known about the user and the servers.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep_configuration(&self, configuration: &Configuration) -> Result<(), IdentityError> {
        self.write(CONFIGURATION, toml::to_string(configuration)?.as_bytes())
    }

    /// The user, if a good certificate was kept; one that has expired counts for none.
    ///
    /// # Errors
    /// The certificate breaks another rule, or is not for the key.
    pub fn account(
        &self,
        key: &KeyPair,
        trust: &Trust,
        clock: &Clock,
    ) -> Result<Option<Account>, IdentityError> {
        let path = self.path.join(CERTIFICATE);
        let Some(chain) = self.certificates(CERTIFICATE)? else { return Ok(None) };
        match prove(chain, key, trust, clock) {
            Ok(account) => Ok(Some(account)),
            Err(NotProved::Refused(refused)) if matches!(refused.rule, CertificateRule::Expired(_)) => {
                Ok(None)
            }
            Err(NotProved::Refused(source)) => Err(IdentityError::Certificate { path, source }),
            Err(NotProved::Key(source)) => Err(IdentityError::OtherKey { path, source }),
        }
    }

    /// Keeps the certificates of an account.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep_account(&self, account: &Account) -> Result<(), IdentityError> {
        self.write(CERTIFICATE, certificate::to_pem(account.credentials.chain()).as_bytes())
    }

    fn certificates(&self, name: &str) -> Result<Option<Vec<CertificateDer<'static>>>, IdentityError> {
        let Some(text) = self.read(name)? else { return Ok(None) };
        let path = self.path.join(name);
        certificate::from_pem(&text).map(Some).map_err(|source| IdentityError::Pem { path, source })
    }

    pub(super) fn read(&self, name: &str) -> Result<Option<String>, IdentityError> {
        let path = self.path.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(IdentityError::File { path, source }),
        }
    }

    /// Replaces a file as a whole: after a crash it holds the old text or the new one. Only the owner can read it.
    pub(super) fn write(&self, name: &str, text: &[u8]) -> Result<(), IdentityError> {
        let path = self.path.join(name);
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
            file.write_all(text)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(|source| IdentityError::File { path: path.clone(), source })
    }
}

/// Why a chain of certificates does not prove a user.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotProved {
    /// A certificate breaks a rule.
    #[error(transparent)]
    Refused(#[from] CertificateRefused),
    /// The certificate is not for the key.
    #[error(transparent)]
    Key(#[from] TlsError),
}

/// The user that a chain of certificates proves, for a key, under a root.
pub(super) fn prove(
    chain: Vec<CertificateDer<'static>>,
    key: &KeyPair,
    trust: &Trust,
    clock: &Clock,
) -> Result<Account, NotProved> {
    let now = clock.current_time().unwrap_or_else(|| {
        // Without a time no certificate is good.
        rustls::pki_types::UnixTime::since_unix_epoch(std::time::Duration::MAX)
    });
    let demand = Demand::new(Channel::ClientServer, End::Dialling);
    let peer = identify(trust, &chain, &demand, now)?;
    let handle = match peer.identity() {
        Identity::User(handle) => handle.clone(),
        Identity::Server(name) | Identity::DirectoryNode(name) => return Err(not_a_user(name).into()),
    };
    let credentials = Credentials::new(chain, key)?;
    Ok(Account { handle, credentials, not_before: peer.not_before(), not_after: peer.not_after() })
}

/// The text of a key, under the passphrase if there is one.
fn under(
    passphrase: Option<&Passphrase>,
    text: Zeroizing<String>,
    path: &Path,
) -> Result<Zeroizing<String>, IdentityError> {
    let Some(passphrase) = passphrase else { return Ok(text) };
    let sealed = passphrase.check().and_then(|()| sealed::seal(&text, passphrase));
    sealed.map_err(|source| IdentityError::Sealed { path: path.to_owned(), source })
}

fn not_a_user(name: &ServerName) -> CertificateRefused {
    CertificateRefused { rule: CertificateRule::NoIdentity, certificate: name.to_string() }
}

fn check_mode(path: &Path) -> Result<(), IdentityError> {
    match exposed(path).map_err(|source| IdentityError::File { path: path.to_owned(), source })? {
        None => Ok(()),
        Some(mode) => Err(IdentityError::KeyExposed { path: path.to_owned(), mode }),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::{Configuration, IdentityError, IdentityFolder, Passphrase};

    fn folder() -> (tempfile::TempDir, IdentityFolder) {
        let directory = tempfile::tempdir().unwrap();
        let folder = IdentityFolder::open(directory.path().join("deep/identity")).unwrap();
        (directory, folder)
    }

    #[test]
    fn the_key_is_made_once_and_readable_by_its_owner_alone() {
        let (_directory, folder) = folder();
        let first = folder.key().unwrap();
        assert_eq!(first.key_hash(), folder.key().unwrap().key_hash());
        let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("key.pem"), 0o600);
        assert_eq!(mode(""), 0o700);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_the_way_out() {
        let (_directory, folder) = folder();
        folder.key().unwrap();
        let path = folder.path().join("key.pem");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = folder.key().unwrap_err();
        assert!(matches!(error, IdentityError::KeyExposed { mode: 0o644, .. }), "{error:?}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_key_under_a_passphrase_opens_with_it_alone_until_it_is_taken_away() {
        let (_directory, folder) = folder();
        let key = folder.key().unwrap().key_hash();
        let passphrase = Passphrase::new("correct horse battery").unwrap();
        folder.protect(Some(&passphrase)).unwrap();
        assert!(folder.is_locked().unwrap());
        let error = folder.key().unwrap_err().to_string();
        assert!(error.contains("--passphrase-file"), "{error}");
        let opened = folder.clone().with_passphrase(Some(passphrase));
        assert_eq!(opened.key().unwrap().key_hash(), key);
        // A key that is made now is under it, too; and while it is there, nothing else changes.
        let next = opened.successor().unwrap().key_hash();
        assert!(folder.successor().is_err());
        assert_eq!(opened.successor().unwrap().key_hash(), next);
        assert!(matches!(opened.protect(None), Err(IdentityError::Rotating(_))));
        fs::remove_file(folder.path().join("key-next.pem")).unwrap();
        opened.protect(None).unwrap();
        assert_eq!(folder.key().unwrap().key_hash(), key);
        let short = Passphrase::new("short").unwrap();
        assert!(folder.protect(Some(&short)).is_err());
        assert_eq!(folder.key().unwrap().key_hash(), key);
    }

    #[test]
    fn a_key_that_is_none_is_named() {
        let (_directory, folder) = folder();
        let path = folder.path().join("key.pem");
        fs::write(&path, "not a key").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let error = folder.key().unwrap_err().to_string();
        assert!(error.contains("key.pem") && error.contains("PEM"), "{error}");
    }

    #[test]
    fn the_configuration_comes_back_as_it_was_kept() {
        let (_directory, folder) = folder();
        assert_eq!(folder.configuration().unwrap(), Configuration::default());
        let kept = Configuration {
            handle: Some("000102030405060708090a0b0c0d0e0f@home1.example".parse().unwrap()),
            media_types: vec!["image/png".parse().unwrap()].try_into().unwrap(),
            server: Some("home2.example=127.0.0.1:7002".parse().unwrap()),
            registration: Some("home1.example=127.0.0.1:7001".parse().unwrap()),
        };
        folder.keep_configuration(&kept).unwrap();
        assert_eq!(folder.configuration().unwrap(), kept);
    }

    #[test]
    fn a_wrong_configuration_names_the_file_and_the_key() {
        let (_directory, folder) = folder();
        fs::write(folder.path().join("client.toml"), "sever = 1\n").unwrap();
        let error = folder.configuration().unwrap_err().to_string();
        assert!(error.contains("client.toml") && error.contains("sever"), "{error}");
    }

    #[test]
    fn without_a_root_the_client_says_how_to_name_one() {
        let (_directory, folder) = folder();
        let error = folder.trust(None).unwrap_err().to_string();
        assert!(error.contains("--root"), "{error}");
    }
}
