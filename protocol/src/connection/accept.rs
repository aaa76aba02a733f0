//! Taking a connection: TLS, who the dialler is and which channel it wants, then the greeting or a refusal.

use std::{io, sync::Arc};

use antiphon_spec::{error_code::ErrorCode, limits::GREETING_DEADLINE};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::{AcceptingEnd, Connection, SendError, dial};
use crate::{
    certificate::{CertificateRefused, CertificateRule, Demand, End, Trust, VerifiedPeer, identify},
    channel::Channel,
    message::{AcceptorMessage as _, DiallerMessage},
    mutant::{Mutant, active},
    tls::{Clock, Credentials, Current, Outcome, Port, TlsError, server_config},
};

/// Why a connection was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The dialler's certificate was refused, or there was none.
    #[error(transparent)]
    CertificateRefused(#[from] CertificateRefused),
    /// The dialler refused this end, with a TLS alert.
    #[error("the dialler refused the connection with the TLS alert {0:?}")]
    Alert(rustls::AlertDescription),
    /// The dialler named no channel of this port.
    #[error("the dialler named no channel of this port")]
    NoChannel,
    /// The handshake failed for another reason.
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    /// The handshake took too long.
    #[error("no handshake within {} s", GREETING_DEADLINE.as_secs())]
    Deadline,
    /// The greeting could not be sent.
    #[error("the greeting was not sent")]
    Greeting(#[from] SendError),
    /// The messages of another channel were to be spoken; the fault is at this end.
    #[error("the dialler chose the {chosen} channel, not the {spoken} channel")]
    OtherChannel {
        /// What the dialler chose.
        chosen: Channel,
        /// What this end was about to speak.
        spoken: Channel,
    },
    /// The fault is at this end.
    #[error("TLS cannot be set up")]
    Setup(#[from] TlsError),
}

/// Takes the connections of one port.
#[derive(Clone, Debug)]
pub struct Acceptor {
    port: Port,
    credentials: Current<Credentials>,
    trust: Arc<Trust>,
    clock: Clock,
}

/// A connection whose handshake is over and which was not greeted yet.
#[derive(Debug)]
pub struct Accepted<S> {
    channel: Channel,
    peer: Option<VerifiedPeer>,
    stream: TlsStream<S>,
}

impl Acceptor {
    /// An acceptor for a port.
    #[must_use]
    pub fn new(
        port: Port,
        credentials: impl Into<Current<Credentials>>,
        trust: Arc<Trust>,
        clock: Clock,
    ) -> Self {
        Self { port, credentials: credentials.into(), trust, clock }
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> Port {
        self.port
    }

    /// Runs the handshake over a fresh stream. May be cancelled.
    ///
    /// # Errors
    /// There is no connection within [`GREETING_DEADLINE`]; TLS has told the dialler why, as far as it is told.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> Result<Accepted<S>, AcceptError> {
        let (config, outcome) = server_config(self.port, &self.credentials.now(), &self.trust, &self.clock)?;
        let handshake = TlsAcceptor::from(Arc::new(config)).accept(stream);
        let stream = match tokio::time::timeout(GREETING_DEADLINE, handshake).await {
            Err(_) => return Err(AcceptError::Deadline),
            Ok(Err(error)) => return Err(failed(error, &outcome)),
            Ok(Ok(stream)) => stream,
        };
        let tls = stream.get_ref().1;
        let channel = tls.alpn_protocol().and_then(Channel::from_alpn).ok_or(AcceptError::NoChannel)?;
        let peer = if channel == Channel::Registration {
            None
        } else if let Some(peer) = outcome.peer() {
            Some(peer.clone())
        } else if active(Mutant::ResumptionOn) {
            let demand = Demand::new(channel, End::Dialling);
            let chain = tls.peer_certificates().unwrap_or_default();
            let now = self.clock.current_time().ok_or(AcceptError::NoChannel)?;
            Some(identify(&self.trust, chain, &demand, now)?)
        } else {
            return Err(missing().into());
        };
        Ok(Accepted { channel, peer, stream: stream.into() })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Accepted<S> {
    /// The channel that the dialler asked for.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel
    }

    /// The dialler; nobody on the registration channel.
    #[must_use]
    pub fn peer(&self) -> Option<&VerifiedPeer> {
        self.peer.as_ref()
    }

    /// Greets, and so takes the connection.
    ///
    /// # Errors
    /// `M` is not of the channel that the dialler asked for, or the stream has failed.
    pub async fn greet<M: DiallerMessage>(self) -> Result<AcceptingEnd<S, M>, AcceptError> {
        let mut connection = self.ungreeted::<M>()?;
        let greeting = M::Answer::greeting();
        let sent = tokio::time::timeout(GREETING_DEADLINE, connection.send(&greeting)).await;
        sent.map_err(|_| AcceptError::Deadline)??;
        Ok(connection)
    }

    /// Refuses with a code instead of a greeting, and closes.
    ///
    /// # Errors
    /// As for [`Accepted::greet`].
    pub async fn refuse<M: DiallerMessage>(self, code: ErrorCode) -> Result<(), AcceptError> {
        let closing = self.ungreeted::<M>()?;
        let closed = tokio::time::timeout(GREETING_DEADLINE, closing.close_with_error(code)).await;
        Ok(closed.map_err(|_| AcceptError::Deadline)??)
    }

    /// The connection before anything was said: for tests and the conformance suite.
    ///
    /// # Errors
    /// `M` is not of the channel that the dialler asked for.
    pub fn ungreeted<M: DiallerMessage>(self) -> Result<AcceptingEnd<S, M>, AcceptError> {
        if M::CHANNEL != self.channel {
            return Err(AcceptError::OtherChannel { chosen: self.channel, spoken: M::CHANNEL });
        }
        Ok(Connection::over(self.stream))
    }
}

fn failed(error: io::Error, outcome: &Outcome) -> AcceptError {
    if let Some(refused) = outcome.refused() {
        return refused.clone().into();
    }
    match dial::tls_error(&error) {
        Some(rustls::Error::NoCertificatesPresented) => missing().into(),
        Some(rustls::Error::AlertReceived(alert)) => AcceptError::Alert(*alert),
        Some(rustls::Error::NoApplicationProtocol) => AcceptError::NoChannel,
        _ if outcome.named_no_channel() => AcceptError::NoChannel,
        _ => AcceptError::Handshake(error),
    }
}

fn missing() -> CertificateRefused {
    CertificateRefused { rule: CertificateRule::Missing, certificate: "no certificate".to_owned() }
}
