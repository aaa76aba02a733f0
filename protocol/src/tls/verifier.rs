//! How TLS asks who the peer is: both ends' verifiers go through [`identify`] and leave the answer in the [`Outcome`].

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    server::{
        ClientHello, ResolvesServerCert,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{Credentials, Port, provider};
use crate::{
    certificate::{CertificateRefused, CertificateRule as Rule, Demand, End, Trust, VerifiedPeer, identify},
    channel::Channel,
    mutant::{Mutant, active},
};

/// What one handshake found out. All copies share one finding.
#[derive(Clone, Debug, Default)]
pub struct Outcome(Arc<Finding>);

#[derive(Debug, Default)]
struct Finding {
    /// What the dialler asked for; nothing where it named no channel of the port.
    channel: OnceLock<Option<Channel>>,
    judgement: OnceLock<Result<VerifiedPeer, CertificateRefused>>,
}

impl Outcome {
    /// The channel that the dialler asked for, at the accepting end.
    #[must_use]
    pub fn channel(&self) -> Option<Channel> {
        self.0.channel.get().copied().flatten()
    }

    /// Whether the dialler named no channel of the port.
    #[must_use]
    pub fn named_no_channel(&self) -> bool {
        self.0.channel.get() == Some(&None)
    }

    /// The peer, if its certificate was accepted.
    #[must_use]
    pub fn peer(&self) -> Option<&VerifiedPeer> {
        self.0.judgement.get()?.as_ref().ok()
    }

    /// Why the peer's certificate was refused, if it was. TLS tells the peer less than this.
    #[must_use]
    pub fn refused(&self) -> Option<&CertificateRefused> {
        self.0.judgement.get()?.as_ref().err()
    }

    fn judge(&self, judgement: Result<VerifiedPeer, CertificateRefused>) -> Result<(), rustls::Error> {
        let told = judgement.as_ref().map(|_| ()).map_err(|refused| told(&refused.rule).into());
        // A handshake judges once; whatever came second would not replace the first.
        let _ = self.0.judgement.set(judgement);
        told
    }
}

/// The alert that the peer gets for a broken rule.
//= spec/text/certificates.md#refusing
//# CERT-033: An end that refuses a peer's certificate with a TLS alert MUST send an alert that the table names for a reason that applies to the certificate.
fn told(rule: &Rule) -> CertificateError {
    if active(Mutant::AlertUndistinguished) {
        return CertificateError::ApplicationVerificationFailure;
    }
    match rule {
        Rule::Expired(_) => CertificateError::Expired,
        Rule::NotYetValid(_) => CertificateError::NotValidYet,
        Rule::UnknownRoot => CertificateError::UnknownIssuer,
        Rule::BadSignature => CertificateError::BadSignature,
        Rule::Malformed | Rule::ChainTooLong => CertificateError::BadEncoding,
        Rule::WrongPurpose | Rule::WrongKeyUsage => CertificateError::InvalidPurpose,
        Rule::UnknownCriticalExtension => CertificateError::UnhandledCriticalExtension,
        Rule::Missing
        | Rule::IsAuthority
        | Rule::IssuerNotAuthority
        | Rule::PathTooLong
        | Rule::OutsideConstraint
        | Rule::KeyNotAccepted
        | Rule::NoIdentity
        | Rule::TwoIdentities
        | Rule::InvalidIdentity
        | Rule::HomeDidNotIssue
        | Rule::RootDidNotIssue
        | Rule::LifetimeTooLong
        | Rule::WrongRole { .. }
        | Rule::WrongPeer(_)
        | Rule::WrongKey(_) => CertificateError::ApplicationVerificationFailure,
    }
}

/// Judges the peer's certificate, at either end.
pub(super) struct Verifier {
    trust: Arc<Trust>,
    outcome: Outcome,
    /// Whom a dialler wants; an acceptor takes whoever may use the channel.
    demand: Option<Demand>,
}

impl Verifier {
    /// At the accepting end: the channel that was asked for says who may dial.
    pub(super) fn of_dialler(trust: &Arc<Trust>, outcome: &Outcome) -> Self {
        Self { trust: Arc::clone(trust), outcome: outcome.clone(), demand: None }
    }

    /// At the dialling end.
    pub(super) fn of_acceptor(trust: &Arc<Trust>, outcome: &Outcome, demand: Demand) -> Self {
        Self { trust: Arc::clone(trust), outcome: outcome.clone(), demand: Some(demand) }
    }

    fn judge(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let demand = match (&self.demand, self.outcome.channel()) {
            (Some(demand), _) => demand.clone(),
            (None, Some(channel)) => Demand::new(channel, End::Dialling),
            (None, None) => return Err(rustls::Error::NoApplicationProtocol),
        };
        let chain: Vec<CertificateDer<'_>> = std::iter::once(own).chain(others).cloned().collect();
        self.outcome.judge(identify(&self.trust, &chain, &demand, now))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("demand", &self.demand).finish_non_exhaustive()
    }
}

/// The signatures of handshakes: what the two kinds of keys make.
const SCHEMES: [SignatureScheme; 2] = [SignatureScheme::ED25519, SignatureScheme::ECDSA_NISTP256_SHA256];

fn verify_handshake(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    //= spec/text/certificates.md#verifying
    //# CERT-032: An end MUST refuse a peer that doesn't prove in the handshake that it holds the secret key of its certificate.
    if active(Mutant::KeyPossessionUnchecked) {
        return Ok(HandshakeSignatureValid::assertion());
    }
    let algorithms = &provider().signature_verification_algorithms;
    rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
}

/// TLS 1.2 is not offered, so no such signature can come.
fn no_tls12() -> Result<HandshakeSignatureValid, rustls::Error> {
    Err(rustls::Error::General("only TLS 1.3 is spoken".to_owned()))
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.judge(own, others, now).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_handshake(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SCHEMES.to_vec()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.judge(own, others, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_handshake(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SCHEMES.to_vec()
    }
}

/// Shows the own certificate to whoever names a channel of the port, and to nobody else. TLS resolves the certificate
/// before it asks for the dialler's, so the verifier knows the channel.
pub(super) struct ChannelResolver {
    port: Port,
    credentials: Credentials,
    outcome: Outcome,
}

impl ChannelResolver {
    pub(super) fn new(port: Port, credentials: &Credentials, outcome: &Outcome) -> Self {
        Self { port, credentials: credentials.clone(), outcome: outcome.clone() }
    }
}

impl ResolvesServerCert for ChannelResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let offered: Vec<&[u8]> = hello.alpn().map(Iterator::collect).unwrap_or_default();
        // TLS chooses by the same order; a second hello of the same handshake asks for the same channel.
        let mut channels = self.port.channels().iter().copied();
        let channel = channels.find(|channel| offered.contains(&channel.alpn()));
        let chosen = *self.outcome.0.channel.get_or_init(|| channel);
        (chosen == channel && channel.is_some()).then(|| Arc::clone(self.credentials.certified_key()))
    }
}

impl fmt::Debug for ChannelResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelResolver").field("port", &self.port).finish_non_exhaustive()
    }
}
