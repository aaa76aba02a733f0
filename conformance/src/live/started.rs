//! A server or directory node under test as a process: its files, its start, and the line that says that it is ready.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use antiphon_protocol::{certificate::to_pem, key::KeyPair};
use antiphon_spec::identity::ContactAddress;
use rustls::pki_types::CertificateDer;
use serde_json::Value;

use super::World;
use crate::{
    case::Failure,
    process::Process,
    target::{Program, Values},
};

/// The file that is made of a program's template, in its folder.
pub(super) const CONFIG: &str = "program.conf";

/// A process that has said that it is ready; it ends with this value.
pub(super) struct Started {
    pub(super) process: Process,
    ready: Value,
}

impl Started {
    /// Starts a program with the files and values of its folder, and waits until it is ready.
    ///
    /// # Errors
    /// The target file is wrong, or the process does not get ready.
    pub(super) async fn start(
        world: &World,
        program: Option<&Program>,
        folder: &Path,
        mut values: Values,
    ) -> Result<Self, Failure> {
        let program = program.ok_or_else(|| Failure::harness("the target has no such program"))?;
        if let Some(template) = &program.config {
            let text = world.target().read(template).map_err(Failure::harness)?;
            let text = world.target().fill(&text, &values).map_err(Failure::harness)?;
            let path = folder.join(CONFIG);
            std::fs::write(&path, text).map_err(Failure::harness)?;
            values.insert("config", path.display().to_string());
        }
        let command = world.target().command(&program.command, &values).map_err(Failure::harness)?;
        let mut process = Process::start(&command, &log(folder), world.variant())?;
        let ready = process.ready().await?;
        Ok(Self { process, ready })
    }

    /// One of the addresses that the process said it listens at.
    ///
    /// # Errors
    /// It did not say so.
    pub(super) fn address(&self, field: &str) -> Result<ContactAddress, Failure> {
        let address = self.ready.get(field).and_then(Value::as_str);
        address
            .and_then(|address| address.parse::<SocketAddr>().ok())
            .map(ContactAddress)
            .ok_or_else(|| Failure::unexpected(format!("an address as {field}"), &self.ready))
    }
}

/// A file for the log of the next start.
fn log(folder: &Path) -> PathBuf {
    let of = |number: usize| folder.join(format!("program-{number}.log"));
    (0..).map(of).find(|path: &PathBuf| !Path::exists(path)).unwrap_or_else(|| of(0))
}

/// Writes a file of a program's folder; the path is a value for its template.
pub(super) fn write(folder: &Path, file: &str, text: &str) -> Result<String, Failure> {
    let path = folder.join(file);
    std::fs::write(&path, text).map_err(Failure::harness)?;
    Ok(path.display().to_string())
}

/// Writes a certificate as PEM.
pub(super) fn write_certificate(
    folder: &Path,
    file: &str,
    certificate: &CertificateDer<'static>,
) -> Result<String, Failure> {
    write(folder, file, &to_pem(std::slice::from_ref(certificate)))
}

/// Writes a key as PEM, for its owner alone: a program may refuse a key that others can read.
pub(super) fn write_key(folder: &Path, file: &str, key: &KeyPair) -> Result<String, Failure> {
    let path = write(folder, file, &key.to_pem().map_err(Failure::harness)?)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let owner_alone = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, owner_alone).map_err(Failure::harness)?;
    }
    Ok(path)
}
