//! Opening a connection: TCP, TLS with the peer that was meant and nobody else, the greeting.

use std::{io, sync::Arc};

use antiphon_spec::{
    error_code::ErrorCode,
    identity::{ContactAddress, Identity, KeyHash},
    limits::GREETING_DEADLINE,
};
use rustls_pki_types::{IpAddr, ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::{Connection, DiallingEnd, Ended};
use crate::{
    certificate::{CertificateRefused, Demand, End, Trust, VerifiedPeer},
    message::DiallerMessage,
    tls::{Clock, Credentials, Current, TlsError, client_config},
};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// Nobody listens there.
    #[error("no connection to {address}")]
    Unreachable {
        /// Where.
        address: ContactAddress,
        /// What the system says.
        source: io::Error,
    },
    /// The peer's certificate is not the one of whom was dialled.
    #[error(transparent)]
    CertificateRefused(#[from] CertificateRefused),
    /// The peer ended the handshake, or the connection right after it, with a TLS alert: it refused this end's
    /// certificate, or the channel.
    #[error("the peer refused the connection with the TLS alert {0:?}")]
    Alert(rustls::AlertDescription),
    /// The peer speaks TLS but did not agree to the channel.
    #[error("the peer does not speak the {0} channel")]
    NoChannel(crate::channel::Channel),
    /// The handshake failed for another reason.
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    /// The connection ended before the greeting.
    #[error("the connection ended before the greeting")]
    Ended(#[from] Ended),
    /// It took too long.
    #[error("no greeting within {} s", GREETING_DEADLINE.as_secs())]
    Deadline,
    /// The fault is at this end.
    #[error("TLS cannot be set up")]
    Setup(#[from] TlsError),
}

impl DialError {
    /// The code with which the peer refused, if it gave one.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        if let Self::Ended(Ended::Error(code)) = self { Some(*code) } else { None }
    }
}

/// Opens connections, proving itself with one certificate or none.
#[derive(Clone, Debug)]
pub struct Dialler {
    credentials: Option<Current<Credentials>>,
    trust: Arc<Trust>,
    clock: Clock,
}

impl Dialler {
    /// A dialler; only registration goes without a certificate.
    #[must_use]
    pub fn new(credentials: Option<Credentials>, trust: Arc<Trust>, clock: Clock) -> Self {
        Self { credentials: credentials.map(Current::from), trust, clock }
    }

    /// A dialler whose certificate may be replaced.
    #[must_use]
    pub fn renewing(credentials: Current<Credentials>, trust: Arc<Trust>, clock: Clock) -> Self {
        Self { credentials: Some(credentials), trust, clock }
    }

    /// Opens a connection to `whom`, at that address, with that key if one is given, and reads the greeting. May be
    /// cancelled.
    ///
    /// # Errors
    /// There is no connection within [`GREETING_DEADLINE`]; see [`DialError`].
    pub async fn dial<M: DiallerMessage>(
        &self,
        address: ContactAddress,
        whom: &Identity,
        key: Option<KeyHash>,
    ) -> Result<(VerifiedPeer, DiallingEnd<TcpStream, M>), DialError> {
        let attempt = async {
            let unreachable = |source| DialError::Unreachable { address, source };
            let stream = TcpStream::connect(address.0).await.map_err(unreachable)?;
            stream.set_nodelay(true).map_err(unreachable)?;
            self.greet(stream, whom, key).await
        };
        tokio::time::timeout(GREETING_DEADLINE, attempt).await.map_err(|_| DialError::Deadline)?
    }

    /// As [`Dialler::dial`], over a stream that is open already.
    ///
    /// # Errors
    /// As for [`Dialler::dial`].
    pub async fn dial_over<M: DiallerMessage, S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        whom: &Identity,
        key: Option<KeyHash>,
    ) -> Result<(VerifiedPeer, DiallingEnd<S, M>), DialError> {
        let attempt = self.greet(stream, whom, key);
        tokio::time::timeout(GREETING_DEADLINE, attempt).await.map_err(|_| DialError::Deadline)?
    }

    async fn greet<M: DiallerMessage, S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        whom: &Identity,
        key: Option<KeyHash>,
    ) -> Result<(VerifiedPeer, DiallingEnd<S, M>), DialError> {
        let mut demand = Demand::new(M::CHANNEL, End::Accepting).identity(whom.clone());
        if let Some(key) = key {
            demand = demand.key(key);
        }
        let credentials = self.credentials.as_ref().map(Current::now);
        let (config, outcome) =
            client_config(M::CHANNEL, credentials.as_ref(), &self.trust, &self.clock, demand)?;
        // No name is sent, and the verifier compares the identity itself: any address will do here.
        let name = ServerName::IpAddress(IpAddr::from(std::net::Ipv4Addr::UNSPECIFIED));
        let stream = match TlsConnector::from(Arc::new(config)).connect(name, stream).await {
            Ok(stream) => stream,
            Err(error) => {
                return Err(match outcome.refused() {
                    Some(refused) => refused.clone().into(),
                    None => alert(&error).map_or_else(|| DialError::Handshake(error), DialError::Alert),
                });
            }
        };
        if stream.get_ref().1.alpn_protocol() != Some(M::CHANNEL.alpn()) {
            return Err(DialError::NoChannel(M::CHANNEL));
        }
        let peer = outcome.peer().cloned().ok_or(DialError::NoChannel(M::CHANNEL))?;
        let mut connection: DiallingEnd<S, M> = Connection::over(stream.into());
        match connection.reader().receive_greeting().await {
            Ok(()) => Ok((peer, connection)),
            Err(Ended::Lost(error)) if alert(&error).is_some() => {
                Err(alert(&error).map_or_else(|| Ended::Lost(error).into(), DialError::Alert))
            }
            Err(Ended::Violation(violation)) => {
                // The peer learns what was wrong, if it still listens.
                let _ = connection.close_with_error(violation.code()).await;
                Err(Ended::Violation(violation).into())
            }
            Err(ended) => Err(ended.into()),
        }
    }
}

/// The alert inside an error of the TLS stream.
pub(super) fn alert(error: &io::Error) -> Option<rustls::AlertDescription> {
    if let rustls::Error::AlertReceived(alert) = tls_error(error)? { Some(*alert) } else { None }
}

/// The TLS error inside an error of the TLS stream.
pub(super) fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref::<rustls::Error>()
}
