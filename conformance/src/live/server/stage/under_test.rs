//! The server under test as a process: its files, its start, and the ways in which it ends.

use std::path::PathBuf;

use antiphon_protocol::certificate::UserIssuer;
use antiphon_spec::{
    identity::{ContactAddress, KeyHash, ServerName, UserHandle},
    limits::LOGIN_LEASE,
};
use rustls::pki_types::CertificateDer;

use super::{Alone, Done, Registration, node::Node};
use crate::{
    case::Failure,
    live::{
        World,
        pki::Pki,
        started::{CONFIG, Started, write_certificate, write_key},
    },
    process::Process,
    target::Values,
};

/// Where the files of one server are, and what it is told.
pub(super) struct Files {
    folder: PathBuf,
    values: Values,
    /// The authority for its users, which the suite holds as well.
    pub(super) ca: UserIssuer,
    pub(super) ca_certificate: CertificateDer<'static>,
}

const SERVER_CERTIFICATE: &str = "server.pem";
const SERVER_KEY: &str = "server.key";

/// A bound that no case reaches.
const UNREACHED: u32 = 1_000_000;

/// A server that runs; it ends with this value.
pub(super) struct Running {
    process: Process,
    pub(super) address: ContactAddress,
    pub(super) registration: ContactAddress,
}

/// More handshakes than a case has under way that is not about them.
const HANDSHAKES: u32 = 256;

/// What stands in the configuration where accounts are not made by code.
const UNUSED_CODE: &str = "0000000000000000-unused";

impl Files {
    /// Writes what a server of this name needs into a folder of its own.
    pub(super) fn write(folder: PathBuf, pki: &Pki, node: &Node, name: &ServerName) -> Result<Self, Failure> {
        let work = folder.join("work");
        std::fs::create_dir_all(&work).map_err(Failure::harness)?;
        let (certificate, key) = pki.server(name)?;
        let (ca_certificate, ca_key) = pki.user_ca(name)?;
        let values = Values::from([
            ("name", name.to_string()),
            ("root", write_certificate(&folder, "root.pem", pki.root())?),
            ("certificate", write_certificate(&folder, SERVER_CERTIFICATE, &certificate)?),
            ("key", write_key(&folder, SERVER_KEY, &key)?),
            ("user-ca-certificate", write_certificate(&folder, "users.pem", &ca_certificate)?),
            ("user-ca-key", write_key(&folder, "users.key", &ca_key)?),
            ("directory-name", node.name().to_string()),
            ("directory-address", node.address().to_string()),
            ("work", work.display().to_string()),
        ]);
        let ca = UserIssuer::load(ca_certificate.clone(), ca_key).map_err(Failure::harness)?;
        Ok(Self { folder, values, ca, ca_certificate })
    }

    /// Replaces the server's certificate and key, as an operator does while it runs, and says which key it is.
    pub(super) fn replace_certificate(&self, pki: &Pki, name: &ServerName) -> Result<KeyHash, Failure> {
        let (certificate, key) = pki.server(name)?;
        write_certificate(&self.folder, SERVER_CERTIFICATE, &certificate)?;
        write_key(&self.folder, SERVER_KEY, &key)?;
        Ok(key.key_hash())
    }

    /// Asks for the end of a user's account, as an operator does.
    pub(super) async fn end_account(&self, world: &World, user: &UserHandle) -> Done {
        let no_command = || Failure::Unsupported("the target has no command that ends an account".to_owned());
        let program = world.target().end_account.as_ref().ok_or_else(no_command)?;
        let mut values = self.values.clone();
        values.insert("config", self.folder.join(CONFIG).display().to_string());
        values.insert("user", user.to_string());
        let command = world.target().command(&program.command, &values).map_err(Failure::harness)?;
        Process::start(&command, &self.folder.join("end-account.log"), world.variant())?.exited().await
    }

    /// Starts the server over what it has stored so far, and waits until it is ready.
    pub(super) async fn start(&self, world: &World, alone: Alone) -> Result<Running, Failure> {
        let mut values = self.values.clone();
        let (policy, code, accounts) = match alone.registration {
            Registration::Open => ("open", UNUSED_CODE, 1),
            Registration::ByCode(code, accounts) => ("by-code", code, accounts),
            Registration::Closed => ("closed", UNUSED_CODE, 1),
        };
        values.insert("registration", policy.to_owned());
        values.insert("code", code.to_owned());
        values.insert("code-accounts", accounts.to_string());
        values.insert("login-lease", alone.login_lease.unwrap_or(LOGIN_LEASE.as_secs()).to_string());
        values.insert("rate", alone.rate.unwrap_or(UNREACHED).to_string());
        values.insert("message-rate", alone.message_rate.unwrap_or(UNREACHED).to_string());
        values.insert("connection-rate", alone.connection_rate.unwrap_or(UNREACHED).to_string());
        values.insert("handshakes", alone.handshakes.unwrap_or(HANDSHAKES).to_string());
        values.insert("connections", alone.connections.unwrap_or(UNREACHED).to_string());
        let started = Started::start(world, world.target().server.as_ref(), &self.folder, values).await?;
        let (address, registration) = (started.address("listen")?, started.address("registration")?);
        Ok(Running { process: started.process, address, registration })
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
