//! An identity folder as one file, to be kept elsewhere; and the folder again, from that file.
//!
//! The file is JSON, so that a person sees what it is. The keys in it are under a passphrase, always: whoever finds the file has
//! no identity by it.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    identity::{CERTIFICATE, CONFIGURATION, IdentityError, IdentityFolder, KEY, ROOT, SUCCESSOR},
    sealed::{self, Passphrase, SealError},
};
use crate::credentials::{self, CredentialError};

/// The version of the file.
const VERSION: u64 = 1;

/// Most bytes of the file: many times more than an identity has.
const BYTES_MAX: u64 = 1 << 20;

/// Why an identity is not put into a file, or not taken out of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The identity folder cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// There is no identity.
    #[error("{}: there is no key in this folder", .0.display())]
    NoKey(PathBuf),
    /// The key is not under a passphrase, and none was told for the file.
    #[error("the keys of a backup are under a passphrase, and this one is not")]
    NoPassphrase,
    /// A key cannot be put under the passphrase.
    #[error("the key cannot be put under the passphrase: {0}")]
    Seal(#[from] SealError),
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] CredentialError),
    /// The file cannot be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is no backup, or one of a later version.
    #[error("{}: this is no backup of an identity, of version {VERSION}: {why}", .path.display())]
    NoBackup {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// There is something already where the identity is to go.
    #[error("{}: there is something in this folder already, which is not overwritten", .0.display())]
    Occupied(PathBuf),
}

impl BackupError {
    /// What to do about it.
    pub(crate) fn fix(&self) -> Option<&'static str> {
        match self {
            Self::NoPassphrase => {
                Some("name a file with a passphrase for it, with --new-passphrase-file FILE")
            }
            Self::Occupied(_) => Some("name a folder that is not there yet, with --identity DIR"),
            Self::NoKey(_) => Some("name the folder that a client has used"),
            Self::Write(_) => Some("name a file that is not there yet, in a folder that is"),
            Self::Identity(_) | Self::Seal(_) | Self::Read { .. } | Self::NoBackup { .. } => None,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Backup {
    antiphon_identity_backup: u64,
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_next: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    configuration: Option<String>,
}

/// Puts everything of an identity folder into a new file. Keys that are under a passphrase stay so; others are put under the one
/// that is told.
///
/// # Errors
/// See [`BackupError`]; the file is not there then.
pub fn back_up(
    folder: &IdentityFolder,
    file: &Path,
    passphrase: Option<&Passphrase>,
) -> Result<(), BackupError> {
    let under = |text: String| {
        if sealed::is_sealed(&text) {
            return Ok(text);
        }
        let passphrase = passphrase.ok_or(BackupError::NoPassphrase)?;
        passphrase.check()?;
        Ok::<_, BackupError>(sealed::seal(&text, passphrase)?.to_string())
    };
    let key = folder.read(KEY)?.ok_or_else(|| BackupError::NoKey(folder.path().to_owned()))?;
    let backup = Backup {
        antiphon_identity_backup: VERSION,
        key: under(key)?,
        key_next: folder.read(SUCCESSOR)?.map(under).transpose()?,
        certificate: folder.read(CERTIFICATE)?,
        root: folder.read(ROOT)?,
        configuration: folder.read(CONFIGURATION)?,
    };
    let no_backup =
        |error: serde_json::Error| BackupError::NoBackup { path: file.to_owned(), why: error.to_string() };
    let text = serde_json::to_string_pretty(&backup).map_err(no_backup)?;
    Ok(credentials::write_secret(file, &(text + "\n"))?)
}

/// Makes the identity folder again from the file: in a folder that is not there, or empty.
///
/// # Errors
/// See [`BackupError`]; the folder is as before then.
pub fn restore(file: &Path, folder: &Path) -> Result<(), BackupError> {
    let no_backup = |why: String| BackupError::NoBackup { path: file.to_owned(), why };
    let mut text = String::new();
    let read = fs::File::open(file).and_then(|file| file.take(BYTES_MAX + 1).read_to_string(&mut text));
    let length = read.map_err(|source| BackupError::Read { path: file.to_owned(), source })?;
    if u64::try_from(length).unwrap_or(u64::MAX) > BYTES_MAX {
        return Err(no_backup(format!("it has more than {BYTES_MAX} bytes")));
    }
    let backup: Backup = serde_json::from_str(&text).map_err(|error| no_backup(error.to_string()))?;
    if backup.antiphon_identity_backup != VERSION {
        return Err(no_backup(format!("it has version {}", backup.antiphon_identity_backup)));
    }
    if !sealed::is_sealed(&backup.key) {
        return Err(no_backup("its key is not under a passphrase".to_owned()));
    }
    match fs::read_dir(folder).map(|mut entries| entries.next().is_some()) {
        Ok(true) => return Err(BackupError::Occupied(folder.to_owned())),
        Ok(false) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(IdentityError::File { path: folder.to_owned(), source }.into()),
    }
    // Whole or not at all: it is made beside its place, and moved.
    let failed = |source| BackupError::from(IdentityError::File { path: folder.to_owned(), source });
    let parent =
        folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(parent).map_err(failed)?;
    let mut beside = tempfile::Builder::new();
    beside.prefix(".antiphon-restore-");
    #[cfg(unix)]
    beside.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    let beside = beside.tempdir_in(parent).map_err(failed)?;
    let made = IdentityFolder::open(beside.path())?;
    made.write(KEY, backup.key.as_bytes())?;
    for (name, text) in [
        (SUCCESSOR, backup.key_next),
        (CERTIFICATE, backup.certificate),
        (ROOT, backup.root),
        (CONFIGURATION, backup.configuration),
    ] {
        if let Some(text) = text {
            made.write(name, text.as_bytes())?;
        }
    }
    fs::rename(beside.path(), folder).map_err(failed)?;
    // It is not there any more to be removed.
    let _ = beside.keep();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn passphrase() -> Passphrase {
        Passphrase::new("correct horse battery").unwrap()
    }

    /// A folder with a key and a configuration.
    fn identity(at: &Path) -> IdentityFolder {
        let folder = IdentityFolder::open(at).unwrap();
        folder.key().unwrap();
        folder.keep_configuration(&folder.configuration().unwrap()).unwrap();
        folder
    }

    #[test]
    fn an_identity_comes_back_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let folder = identity(&at("alice"));
        assert!(matches!(back_up(&folder, &at("backup"), None), Err(BackupError::NoPassphrase)));
        back_up(&folder, &at("backup"), Some(&passphrase())).unwrap();
        assert_eq!(fs::metadata(at("backup")).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!fs::read_to_string(at("backup")).unwrap().contains("BEGIN PRIVATE KEY"));
        assert!(matches!(back_up(&folder, &at("backup"), Some(&passphrase())), Err(BackupError::Write(_))));
        restore(&at("backup"), &at("deep/copy")).unwrap();
        let copy = IdentityFolder::open(at("deep/copy")).unwrap().with_passphrase(Some(passphrase()));
        assert_eq!(copy.key().unwrap().key_hash(), folder.key().unwrap().key_hash());
        assert_eq!(copy.configuration().unwrap(), folder.configuration().unwrap());
        assert_eq!(fs::metadata(at("deep/copy")).unwrap().permissions().mode() & 0o777, 0o700);
        // A sealed key stays as it is, and needs no passphrase to be put away.
        back_up(&copy, &at("again"), None).unwrap();
        assert_eq!(fs::read_dir(at("deep")).unwrap().count(), 1, "nothing is left over");
    }

    #[test]
    fn nothing_is_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let folder = identity(&at("alice"));
        back_up(&folder, &at("backup"), Some(&passphrase())).unwrap();
        let before = folder.key().unwrap().key_hash();
        assert!(matches!(restore(&at("backup"), &at("alice")), Err(BackupError::Occupied(_))));
        assert_eq!(folder.key().unwrap().key_hash(), before);
        fs::create_dir(at("empty")).unwrap();
        restore(&at("backup"), &at("empty")).unwrap();
    }

    #[test]
    fn what_is_no_backup_makes_no_folder() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let folder = identity(&at("alice"));
        back_up(&folder, &at("backup"), Some(&passphrase())).unwrap();
        let good = fs::read_to_string(at("backup")).unwrap();
        let plain = fs::read_to_string(at("alice/key.pem")).unwrap();
        let with = |key: &str, value: serde_json::Value| {
            let mut changed: serde_json::Value = serde_json::from_str(&good).unwrap();
            changed[key] = value;
            changed.to_string()
        };
        for (text, why) in [
            (good[..good.len() / 2].to_owned(), "EOF"),
            (with("antiphon-identity-backup", 2.into()), "version 2"),
            (with("key", plain.into()), "not under a passphrase"),
            (with("more", 1.into()), "unknown field"),
            (with("certificate", "x".repeat(2 << 20).into()), "more than"),
            ("{}".to_owned(), "missing field"),
        ] {
            fs::write(at("changed"), text).unwrap();
            let error = restore(&at("changed"), &at("copy")).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("changed"), "{error}");
            assert!(!at("copy").exists());
        }
    }
}
