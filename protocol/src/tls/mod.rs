//! TLS 1.3 as the protocol uses it (chapter *Wire*): one configuration for each connection, from four things: what the
//! end offers, its own certificate, the root, and the clock.
//!
//! A configuration serves one connection, because the verifier inside leaves what it found in an [`Outcome`]. So a
//! certificate is judged once, the identity that is used is the very one that was verified, and a handshake that
//! skipped the verifier, as resumption does, proves nobody.

mod verifier;

use std::{
    fmt,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use antiphon_spec::time::Timestamp;
use rustls::{
    ClientConfig, ServerConfig,
    client::Resumption,
    crypto::CryptoProvider,
    server::NoServerSessionStorage,
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_pki_types::{CertificateDer, UnixTime};

pub use rustls::time_provider::{DefaultTimeProvider as SystemClock, TimeProvider};
pub use verifier::Outcome;

use crate::{
    certificate::{Demand, Trust},
    channel::Channel,
    key::{KeyError, KeyPair},
    mutant::{Mutant, active},
};
use verifier::{ChannelResolver, Verifier};

/// Where the time of a judgement comes from.
pub type Clock = Arc<dyn TimeProvider>;

/// A clock that stands where it was set: for tests and simulations.
#[derive(Debug)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that shows this time.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(AtomicU64::new(now.0))
    }

    /// Sets the clock.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.0, Ordering::SeqCst);
    }
}

impl TimeProvider for ManualClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Ordering::SeqCst))))
    }
}

/// The time that a clock shows; the end of time, at which no certificate is good, if it fails.
#[must_use]
pub fn now(clock: &Clock) -> Timestamp {
    Timestamp(clock.current_time().map_or(u64::MAX, |time| time.as_secs()))
}

/// Why TLS cannot be set up: the fault is at this end.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// There is no certificate.
    #[error("no certificate")]
    NoCertificate,
    /// The certificate and the key do not belong together.
    #[error("the certificate is not for this key")]
    OtherKey,
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// TLS refused the configuration.
    #[error(transparent)]
    Configuration(#[from] rustls::Error),
}

/// What an end proves itself with: its key, its certificate, and for users their home server's authority.
#[derive(Clone)]
pub struct Credentials(Arc<CertifiedKey>);

impl Credentials {
    /// The certificate comes first in `chain`, then its issuer's if that is not the root.
    ///
    /// # Errors
    /// The certificate is missing or is not for this key.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Result<Self, TlsError> {
        if chain.is_empty() {
            return Err(TlsError::NoCertificate);
        }
        let certified = CertifiedKey::new(chain, key.to_tls()?);
        certified.keys_match().map_err(|_| TlsError::OtherKey)?;
        Ok(Self(Arc::new(certified)))
    }

    /// As [`Credentials::new`], for certificates that need not be right: for tests and the conformance suite.
    ///
    /// # Errors
    /// The key cannot be used.
    pub fn unchecked(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(CertifiedKey::new(chain, key.to_tls()?))))
    }

    /// The certificates, the end's own first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0.cert
    }

    /// The key and the certificates in the form that TLS takes.
    #[must_use]
    pub fn certified_key(&self) -> &Arc<CertifiedKey> {
        &self.0
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("certificates", &self.0.cert.len()).finish_non_exhaustive()
    }
}

/// What may be replaced while it is in use, such as a certificate that grows old: each handshake takes what there is when
/// it begins, and connections keep what they began with.
#[derive(Debug)]
pub struct Current<T>(Arc<RwLock<T>>);

impl<T: Clone> Current<T> {
    /// What there is now.
    #[must_use]
    pub fn now(&self) -> T {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts something else in its place, for all who share it.
    pub fn replace(&self, other: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = other;
    }
}

// Whatever is inside, what is cloned is the place that is shared.
impl<T> Clone for Current<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> From<T> for Current<T> {
    fn from(first: T) -> Self {
        Self(Arc::new(RwLock::new(first)))
    }
}

/// What is offered at a listening port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Port {
    /// A server's registration port: no client certificate.
    Registration,
    /// A server's authenticated port: users and servers, each on their own channel.
    Authenticated,
    /// A client's port.
    ClientClient,
    /// A directory node's port.
    Location,
}

impl Port {
    /// The channels of the port; of several that a dialler offers, the first here is taken.
    #[must_use]
    pub const fn channels(self) -> &'static [Channel] {
        match self {
            Self::Registration => &[Channel::Registration],
            Self::Authenticated => &[Channel::ClientServer, Channel::ServerServer],
            Self::ClientClient => &[Channel::ClientClient],
            Self::Location => &[Channel::Location],
        }
    }
}

/// The configuration of one accepted connection, and where it will leave what it finds.
///
/// # Errors
/// TLS refused the configuration.
pub fn server_config(
    port: Port,
    credentials: &Credentials,
    trust: &Arc<Trust>,
    clock: &Clock,
) -> Result<(ServerConfig, Outcome), TlsError> {
    let outcome = Outcome::default();
    let builder = ServerConfig::builder_with_details(provider(), Arc::clone(clock))
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    let builder = match port {
        Port::Registration => builder.with_no_client_auth(),
        Port::Authenticated | Port::ClientClient | Port::Location => {
            builder.with_client_cert_verifier(Arc::new(Verifier::of_dialler(trust, &outcome)))
        }
    };
    let resolver = ChannelResolver::new(port, credentials, &outcome);
    let mut config = builder.with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = port.channels().iter().map(|channel| channel.alpn().to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    if active(Mutant::ResumptionOn) {
        resume(&mut config)?;
    }
    Ok((config, outcome))
}

/// The configuration of one dialled connection, and where it will leave what it finds.
///
/// # Errors
/// TLS refused the configuration.
pub fn client_config(
    channel: Channel,
    credentials: Option<&Credentials>,
    trust: &Arc<Trust>,
    clock: &Clock,
    demand: Demand,
) -> Result<(ClientConfig, Outcome), TlsError> {
    let outcome = Outcome::default();
    let builder = ClientConfig::builder_with_details(provider(), Arc::clone(clock))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier::of_acceptor(trust, &outcome, demand)));
    let mut config = match credentials {
        None => builder.with_no_client_auth(),
        Some(credentials) => builder
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(credentials.certified_key().clone()))),
    };
    config.alpn_protocols = vec![channel.alpn().to_vec()];
    // The identity in the certificate is compared with the one that was dialled; nobody on the way has to know it.
    config.enable_sni = false;
    config.enable_early_data = false;
    config.resumption = Resumption::disabled();
    Ok((config, outcome))
}

/// The cryptography of all connections: named, never the process's default.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider())))
}

/// The mutant that resumes: all connections of the process share one key for tickets.
fn resume(config: &mut ServerConfig) -> Result<(), TlsError> {
    static TICKETER: OnceLock<Arc<dyn rustls::server::ProducesTickets>> = OnceLock::new();
    if TICKETER.get().is_none() {
        let _ = TICKETER.set(rustls::crypto::aws_lc_rs::Ticketer::new()?);
    }
    if let Some(ticketer) = TICKETER.get() {
        config.ticketer = Arc::clone(ticketer);
        config.send_tls13_tickets = 2;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
