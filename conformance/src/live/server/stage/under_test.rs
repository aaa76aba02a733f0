//! The server under test as a process: its files, its start, and the ways in which it ends.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use antiphon_protocol::{
    certificate::{UserIssuer, to_pem},
    key::KeyPair,
};
use antiphon_spec::identity::{ContactAddress, ServerName};
use rustls::pki_types::CertificateDer;

use super::{Done, node::Node, pki::Pki};
use crate::{
    case::Failure,
    process::{Process, Variant},
    target::{Target, Values},
};

/// Where the files of one server are, and what it is told.
pub(super) struct Files {
    folder: PathBuf,
    values: Values,
    /// The authority for its users, which the suite holds as well.
    pub(super) ca: UserIssuer,
    pub(super) ca_certificate: CertificateDer<'static>,
}

/// A server that runs; it ends with this value.
pub(super) struct Running {
    process: Process,
    pub(super) address: ContactAddress,
    pub(super) registration: ContactAddress,
}

impl Files {
    /// Writes what a server of this name needs into a folder of its own.
    pub(super) fn write(folder: PathBuf, pki: &Pki, node: &Node, name: &ServerName) -> Result<Self, Failure> {
        let work = folder.join("work");
        std::fs::create_dir_all(&work).map_err(Failure::harness)?;
        let write = |file: &str, text: &str| {
            let path = folder.join(file);
            std::fs::write(&path, text).map_err(Failure::harness)?;
            Ok::<String, Failure>(path.display().to_string())
        };
        let pem = |certificate: &CertificateDer<'static>| to_pem(std::slice::from_ref(certificate));
        let key_pem = |key: &KeyPair| key.to_pem().map_err(Failure::harness);
        let (certificate, key) = pki.server(name)?;
        let (ca_certificate, ca_key) = pki.user_ca(name)?;
        let values = Values::from([
            ("name", name.to_string()),
            ("root", write("root.pem", &pem(pki.root()))?),
            ("certificate", write("server.pem", &pem(&certificate))?),
            ("key", write("server.key", &key_pem(&key)?)?),
            ("user-ca-certificate", write("users.pem", &pem(&ca_certificate))?),
            ("user-ca-key", write("users.key", &key_pem(&ca_key)?)?),
            ("directory-name", node.name().to_string()),
            ("directory-address", node.address().to_string()),
            ("work", work.display().to_string()),
        ]);
        let ca = UserIssuer::load(ca_certificate.clone(), ca_key).map_err(Failure::harness)?;
        Ok(Self { folder, values, ca, ca_certificate })
    }

    /// Starts the server over what it has stored so far, and waits until it is ready.
    pub(super) async fn start(
        &self,
        target: &Target,
        variant: Option<&Variant>,
        is_closed: bool,
    ) -> Result<Running, Failure> {
        let program = target.server.as_ref().ok_or_else(|| Failure::harness("the target has no server"))?;
        let mut values = self.values.clone();
        values.insert("registration", if is_closed { "closed" } else { "open" }.to_owned());
        if let Some(template) = &program.config {
            let text = target.read(template).map_err(Failure::harness)?;
            let text = target.fill(&text, &values).map_err(Failure::harness)?;
            let path = self.folder.join("server.conf");
            std::fs::write(&path, text).map_err(Failure::harness)?;
            values.insert("config", path.display().to_string());
        }
        let command = target.command(&program.command, &values).map_err(Failure::harness)?;
        let mut process = Process::start(&command, &self.log(), variant)?;
        let ready = process.receive().await?;
        let at = |field: &str| {
            let address = ready
                .get(field)
                .and_then(serde_json::Value::as_str)
                .and_then(|it| it.parse::<SocketAddr>().ok());
            address
                .map(ContactAddress)
                .ok_or_else(|| Failure::unexpected(format!("an address as {field}"), &ready))
        };
        let (address, registration) = (at("listen")?, at("registration")?);
        Ok(Running { process, address, registration })
    }

    fn log(&self) -> PathBuf {
        let of = |number: usize| self.folder.join(format!("server-{number}.log"));
        (0..).map(of).find(|path: &PathBuf| !Path::exists(path)).unwrap_or_else(|| of(0))
    }
}

impl Running {
    pub(super) async fn kill(&mut self) {
        self.process.kill().await;
    }

    pub(super) async fn terminate(&self) -> Done {
        self.process.terminate().await
    }

    pub(super) async fn exited(&mut self) -> Done {
        self.process.exited().await
    }
}
