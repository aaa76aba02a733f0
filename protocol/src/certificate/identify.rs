//! The one way from a certificate to an identity.
//!
//! [`identify`] validates the path to the root, reads the profile from that verified path, and only then says who the
//! peer is. Its result, [`VerifiedPeer`], cannot be made in any other way, so whoever holds one has passed here.

use std::{fmt, time::Duration};

use antiphon_spec::{
    identity::{Identity, KeyHash, Peer},
    limits::USER_CERTIFICATE_LIFETIME,
    time::Timestamp,
};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, VerifiedPath};
use x509_parser::certificate::X509Certificate;

use super::{CertificateRefused, CertificateRule as Rule, profile};
use crate::{
    channel::Channel,
    key::PublicKey,
    mutant::{Mutant, active},
};

/// The signature algorithms of certificates.
pub(crate) static SIGNATURE_ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] =
    &[webpki::aws_lc_rs::ED25519, webpki::aws_lc_rs::ECDSA_P256_SHA256];

/// Most certificates that a peer may send: its own, its issuer's, and the root.
const CHAIN_LENGTH_MAX: usize = 3;

/// `id-kp-serverAuth` (RFC 5280, section 4.2.1.12), as the contents of its DER.
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];

/// `id-kp-clientAuth` (RFC 5280, section 4.2.1.12), as the contents of its DER.
const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];

/// What a certificate can make its holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A user.
    User,
    /// A server.
    Server,
    /// A directory node.
    DirectoryNode,
}

impl Role {
    /// The role of an identity.
    #[must_use]
    pub fn of(identity: &Identity) -> Self {
        match identity {
            Identity::User(_) => Self::User,
            Identity::Server(_) => Self::Server,
            Identity::DirectoryNode(_) => Self::DirectoryNode,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Server => "server",
            Self::DirectoryNode => "directory node",
        })
    }
}

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// The end that opened the connection.
    Dialling,
    /// The end that listened.
    Accepting,
}

/// Who the peer has to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Demand {
    channel: Channel,
    end: End,
    identity: Option<Identity>,
    key: Option<KeyHash>,
}

impl Demand {
    /// Whoever may be at that end of that channel.
    #[must_use]
    pub fn new(channel: Channel, end: End) -> Self {
        Self { channel, end, identity: None, key: None }
    }

    /// This one and nobody else.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// With this key and no other.
    #[must_use]
    pub fn key(mut self, key: KeyHash) -> Self {
        self.key = Some(key);
        self
    }

    /// Who may be at that end of that channel; nobody where a channel has no certificate at that end.
    #[must_use]
    pub fn roles(&self) -> &'static [Role] {
        match (self.channel, self.end) {
            (Channel::Registration, End::Dialling) => &[],
            (Channel::ClientServer, End::Dialling) | (Channel::ClientClient, _) => &[Role::User],
            (Channel::Registration | Channel::ClientServer, End::Accepting) | (Channel::ServerServer, _) => {
                &[Role::Server]
            }
            (Channel::Location, End::Dialling) => &[Role::Server, Role::DirectoryNode],
            (Channel::Location, End::Accepting) => &[Role::DirectoryNode],
        }
    }

    /// The extended key usage that the whole path must have. A user is one at both ends.
    fn purpose(&self) -> &'static [u8] {
        match self.end {
            End::Accepting if self.channel != Channel::ClientClient => SERVER_AUTH,
            End::Accepting | End::Dialling => CLIENT_AUTH,
        }
    }
}

/// Why a certificate cannot be the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Not a certificate.
    #[error("not an X.509 certificate in DER")]
    Malformed,
    /// Not a certificate authority that signs certificates.
    #[error("not the certificate of a certificate authority")]
    NotAuthority,
}

/// Trust in one root, which vouches for servers and directory nodes and, through servers, for users.
#[derive(Clone, Debug)]
pub struct Trust {
    root: TrustAnchor<'static>,
}

impl Trust {
    /// Trust in the holder of this certificate.
    ///
    /// # Errors
    /// The certificate is not a certificate authority's.
    pub fn from_der(certificate: &CertificateDer<'_>) -> Result<Self, TrustError> {
        let parsed = profile::parse(certificate).map_err(|_| TrustError::Malformed)?;
        let signs = matches!(parsed.key_usage(), Ok(Some(usage)) if usage.value.key_cert_sign());
        if !parsed.is_ca() || !signs {
            return Err(TrustError::NotAuthority);
        }
        let root = webpki::anchor_from_trusted_cert(certificate).map_err(|_| TrustError::Malformed)?;
        Ok(Self { root: root.to_owned() })
    }
}

/// A peer whose certificate passed [`identify`]. Nothing else makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedPeer {
    identity: Identity,
    key: PublicKey,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl VerifiedPeer {
    /// Who the peer is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What the peer is.
    #[must_use]
    pub fn role(&self) -> Role {
        Role::of(&self.identity)
    }

    /// The public key in the peer's certificate.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The first second at which the peer's certificate is good.
    #[must_use]
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// The last second at which the peer's certificate is good.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// The peer as the session machine knows it, if it is a user.
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        match &self.identity {
            Identity::User(handle) => Some(Peer { handle: handle.clone(), key: self.key.key_hash() }),
            Identity::Server(_) | Identity::DirectoryNode(_) => None,
        }
    }
}

/// Says who the holder of a certificate is, if its path leads to the root, it has the profile of its role, and it is
/// one that `demand` takes.
///
/// `chain` is what the peer sent: its own certificate first. `now` is the time of the judgement.
///
/// # Errors
/// A rule is broken; the error names it and the certificate that breaks it.
pub fn identify(
    trust: &Trust,
    chain: &[CertificateDer<'_>],
    demand: &Demand,
    now: UnixTime,
) -> Result<VerifiedPeer, CertificateRefused> {
    let Some((end, others)) = chain.split_first() else {
        return Err(CertificateRefused { rule: Rule::Missing, certificate: "no certificate".to_owned() });
    };
    let refused =
        |certificate: &[u8], rule| CertificateRefused { rule, certificate: profile::describe(certificate) };
    if chain.len() > CHAIN_LENGTH_MAX && !active(Mutant::ChainLengthUnchecked) {
        return Err(refused(end, Rule::ChainTooLong));
    }
    let now = if active(Mutant::ExpiryUnchecked) { within_validity(end).unwrap_or(now) } else { now };
    let entity = EndEntityCert::try_from(end).map_err(|error| refused(end, rule_of(&error)))?;
    let roots = std::slice::from_ref(&trust.root);
    let usage = webpki::KeyUsage::required(demand.purpose());
    let path = entity.verify_for_usage(SIGNATURE_ALGORITHMS, roots, others, now, usage, None, None).map_err(
        |error| {
            // A root has no purpose. One that is sent along, and isn't the one that counts, would hide the reason.
            let others: Vec<CertificateDer<'_>> =
                others.iter().filter(|certificate| !profile::is_self_issued(certificate)).cloned().collect();
            let without_roots = || {
                entity.verify_for_usage(SIGNATURE_ALGORITHMS, roots, &others, now, usage, None, None).err()
            };
            let is_purpose = rule_of(&error) == Rule::WrongPurpose;
            let error = is_purpose.then(without_roots).flatten().unwrap_or(error);
            refused(culprit(&error, chain, now), rule_of(&error))
        },
    )?;

    let certificate = profile::parse(end).map_err(|rule| refused(end, rule))?;
    let peer = read_end(&certificate).map_err(|rule| refused(end, rule))?;
    read_path(&peer.identity, &path).map_err(|(culprit, rule)| match culprit {
        Some(issuer) => refused(&issuer, rule),
        None => refused(end, rule),
    })?;
    meet(&peer, demand).map_err(|rule| refused(end, rule))?;
    Ok(peer)
}

/// What the end's own certificate says, against the profile of the role that it claims.
fn read_end(certificate: &X509Certificate<'_>) -> Result<VerifiedPeer, Rule> {
    let identity = profile::identity(certificate)?;
    let role = Role::of(&identity);
    profile::check_end_usage(certificate, role)?;
    let key = PublicKey::from_der(certificate.public_key().raw).map_err(|_| Rule::KeyNotAccepted)?;
    let validity = certificate.validity();
    let (not_before, not_after) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    let lifetime = Duration::from_secs(not_before.abs_diff(not_after));
    let is_too_long = role == Role::User && lifetime > USER_CERTIFICATE_LIFETIME;
    if is_too_long && !active(Mutant::LifetimeUnchecked) {
        return Err(Rule::LifetimeTooLong);
    }
    let timestamp = |seconds| Timestamp(u64::try_from(seconds).unwrap_or(0));
    let (not_before, not_after) = (timestamp(not_before), timestamp(not_after));
    Ok(VerifiedPeer { identity, key, not_before, not_after })
}

/// Who issued the end's certificate: the root itself, or for users the home server and nobody else.
///
/// The error names the issuer's certificate where that is the one that breaks the rule.
fn read_path(
    identity: &Identity,
    path: &VerifiedPath<'_>,
) -> Result<(), (Option<CertificateDer<'static>>, Rule)> {
    let mut issuers = path.intermediate_certificates();
    let (issuer, more) = (issuers.next(), issuers.next().is_some());
    let handle = match identity {
        Identity::User(handle) => handle,
        Identity::Server(_) | Identity::DirectoryNode(_)
            if issuer.is_none() || active(Mutant::PathShapeUnchecked) =>
        {
            return Ok(());
        }
        Identity::Server(_) | Identity::DirectoryNode(_) => return Err((None, Rule::RootDidNotIssue)),
    };
    if issuer.is_none() && active(Mutant::PathShapeUnchecked) {
        return Ok(());
    }
    let issuer = issuer.ok_or((None, Rule::HomeDidNotIssue))?.der();
    if more {
        return Err((None, Rule::PathTooLong));
    }
    let of_issuer = |rule| (Some(issuer.clone().into_owned()), rule);
    let authority = profile::parse(&issuer).map_err(of_issuer)?;
    profile::check_authority_usage(&authority).map_err(of_issuer)?;
    let home = profile::home(&authority).map_err(of_issuer)?;
    if home != handle.home && !active(Mutant::HomeUnchecked) {
        return Err((None, Rule::HomeDidNotIssue));
    }
    Ok(())
}

/// Whether the peer is one that may be there.
fn meet(peer: &VerifiedPeer, demand: &Demand) -> Result<(), Rule> {
    if !demand.roles().contains(&peer.role()) && !active(Mutant::RoleUnchecked) {
        return Err(Rule::WrongRole { expected: demand.roles(), found: peer.role() });
    }
    match &demand.identity {
        Some(identity) if *identity != peer.identity => return Err(Rule::WrongPeer(identity.clone())),
        _ => {}
    }
    match demand.key {
        Some(key) if key != peer.key.key_hash() => Err(Rule::WrongKey(key)),
        _ => Ok(()),
    }
}

/// The rule behind an error of path validation.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enum is not exhaustive; what is unknown is malformed"
)]
fn rule_of(error: &webpki::Error) -> Rule {
    use webpki::Error;
    match error {
        Error::CertExpired { not_after, .. } => Rule::Expired(Timestamp(not_after.as_secs())),
        Error::CertNotValidYet { not_before, .. } => Rule::NotYetValid(Timestamp(not_before.as_secs())),
        Error::UnknownIssuer => Rule::UnknownRoot,
        Error::InvalidSignatureForPublicKey => Rule::BadSignature,
        Error::CaUsedAsEndEntity => Rule::IsAuthority,
        Error::EndEntityUsedAsCa => Rule::IssuerNotAuthority,
        Error::PathLenConstraintViolated | Error::MaximumPathDepthExceeded => Rule::PathTooLong,
        Error::NameConstraintViolation => Rule::OutsideConstraint,
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => Rule::WrongPurpose,
        Error::UnsupportedCriticalExtension => Rule::UnknownCriticalExtension,
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Rule::KeyNotAccepted,
        _ => Rule::Malformed,
    }
}

/// Which certificate of the chain an error of path validation is about.
#[expect(clippy::wildcard_enum_match_arm, reason = "all others are about the end's own certificate")]
fn culprit<'a>(error: &webpki::Error, chain: &'a [CertificateDer<'_>], now: UnixTime) -> &'a [u8] {
    use webpki::Error;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let found = chain.iter().find(|certificate| {
        let Ok(parsed) = profile::parse(certificate) else { return false };
        match error {
            Error::CertExpired { .. } => now > parsed.validity().not_after.timestamp(),
            Error::CertNotValidYet { .. } => now < parsed.validity().not_before.timestamp(),
            _ => true,
        }
    });
    let found = match error {
        Error::EndEntityUsedAsCa => chain.get(1).or(found),
        _ => found.or_else(|| chain.first()),
    };
    found.map_or(&[], |certificate| certificate.as_ref())
}

/// A moment at which the certificate is good, for the mutant that does not care.
fn within_validity(certificate: &CertificateDer<'_>) -> Option<UnixTime> {
    let parsed = profile::parse(certificate).ok()?;
    let not_after = u64::try_from(parsed.validity().not_after.timestamp()).ok()?;
    Some(UnixTime::since_unix_epoch(Duration::from_secs(not_after)))
}
