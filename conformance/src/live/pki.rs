//! The root of a run, and the certificates of everybody whom the suite plays or starts.

use std::{sync::Arc, time::Duration};

use antiphon_protocol::{
    certificate::{Authority, Serial, Template, Trust, UserIssuer, Validity},
    connection::{Acceptor, Dialler},
    key::{KeyAlgorithm, KeyPair},
    tls::{Clock, Credentials, Port, SystemClock, now},
};
use antiphon_spec::{
    identity::{Identity, ServerName, UserHandle},
    limits::USER_CERTIFICATE_LIFETIME,
};
use rustls::pki_types::CertificateDer;

use crate::case::Failure;

/// How long the certificates of a run are good.
const LIFETIME: Duration = Duration::from_secs(10 * 24 * 60 * 60);

/// Issues, and makes ends that trust what was issued.
pub(in crate::live) struct Pki {
    authority: Authority,
    trust: Arc<Trust>,
    clock: Clock,
}

impl Pki {
    pub(in crate::live) fn new() -> Result<Self, Failure> {
        let clock: Clock = Arc::new(SystemClock);
        let authority = Authority::create(key()?, validity(&clock), serial()?).map_err(Failure::harness)?;
        let trust = Arc::new(authority.trust().map_err(Failure::harness)?);
        Ok(Self { authority, trust, clock })
    }

    pub(in crate::live) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(in crate::live) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The same trust, to share.
    pub(in crate::live) fn shared_trust(&self) -> &Arc<Trust> {
        &self.trust
    }

    /// The root itself, for cases that show what it would never sign.
    pub(in crate::live) fn authority(&self) -> &Authority {
        &self.authority
    }

    pub(in crate::live) fn root(&self) -> &CertificateDer<'static> {
        self.authority.certificate()
    }

    /// A server's TLS leaf, and its key.
    pub(in crate::live) fn server(
        &self,
        name: &ServerName,
    ) -> Result<(CertificateDer<'static>, KeyPair), Failure> {
        let key = key()?;
        let issued = self.authority.issue_server(name, key.public_key(), validity(&self.clock), serial()?);
        Ok((issued.map_err(Failure::harness)?, key))
    }

    /// A server that the root certified without saying what its key is for.
    pub(in crate::live) fn server_without_key_usage(
        &self,
        name: &ServerName,
    ) -> Result<Credentials, Failure> {
        let key = key()?;
        let mut template = Template::server(name, validity(&self.clock), serial()?);
        template.key_usages.clear();
        let certificate = template.signed_by(&key, self.authority.certificate(), self.authority.key());
        Credentials::new(vec![certificate.map_err(Failure::harness)?], &key).map_err(Failure::harness)
    }

    /// A directory node's certificate, and its key.
    pub(in crate::live) fn directory_node(
        &self,
        name: &ServerName,
    ) -> Result<(CertificateDer<'static>, KeyPair), Failure> {
        let key = key()?;
        let validity = validity(&self.clock);
        let issued = self.authority.issue_directory_node(name, key.public_key(), validity, serial()?);
        Ok((issued.map_err(Failure::harness)?, key))
    }

    /// A server's authority for its users, and its key.
    pub(in crate::live) fn user_ca(
        &self,
        home: &ServerName,
    ) -> Result<(CertificateDer<'static>, KeyPair), Failure> {
        let key = key()?;
        let issued =
            self.authority.issue_user_authority(home, key.public_key(), validity(&self.clock), serial()?);
        Ok((issued.map_err(Failure::harness)?, key))
    }

    /// What a user of an authority proves who it is with.
    pub(in crate::live) fn user(
        &self,
        ca: &UserIssuer,
        handle: &UserHandle,
        key: &KeyPair,
    ) -> Result<Credentials, Failure> {
        let validity = Validity::starting(now(&self.clock), USER_CERTIFICATE_LIFETIME);
        let chain = ca.issue(handle, key.public_key(), validity, serial()?).map_err(Failure::harness)?;
        Credentials::new(chain, key).map_err(Failure::harness)
    }

    /// What a server or a directory node proves who it is with.
    pub(in crate::live) fn credentials(&self, whom: &Identity) -> Result<Credentials, Failure> {
        let (certificate, key) = match whom {
            Identity::Server(name) => self.server(name)?,
            Identity::DirectoryNode(name) => self.directory_node(name)?,
            Identity::User(user) => return Err(Failure::harness(format!("{user} is no server"))),
        };
        Credentials::new(vec![certificate], &key).map_err(Failure::harness)
    }

    pub(in crate::live) fn acceptor(&self, port: Port, credentials: Credentials) -> Acceptor {
        Acceptor::new(port, credentials, Arc::clone(&self.trust), Arc::clone(&self.clock))
    }

    pub(in crate::live) fn dialler(&self, credentials: Option<Credentials>) -> Dialler {
        Dialler::new(credentials, Arc::clone(&self.trust), Arc::clone(&self.clock))
    }
}

pub(in crate::live) fn key() -> Result<KeyPair, Failure> {
    KeyPair::generate(KeyAlgorithm::Ed25519).map_err(Failure::harness)
}

fn serial() -> Result<Serial, Failure> {
    Serial::random().map_err(Failure::harness)
}

fn validity(clock: &Clock) -> Validity {
    Validity::starting(now(clock), LIFETIME)
}
