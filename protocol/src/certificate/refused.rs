//! Why a certificate proves nothing: the rule that it breaks, and which certificate it is.

use std::fmt;

use antiphon_spec::{
    error_code::ErrorCode,
    identity::{Identity, KeyHash},
    time::Timestamp,
};

use super::{identify::Role, profile::identity_name};

/// The rules that a certificate, or a chain of certificates, can break.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateRule {
    /// The peer sent no certificate.
    #[error("a peer of this channel proves who it is with a certificate")]
    Missing,
    /// More certificates than any good chain has.
    #[error("a chain holds a certificate, the one of its issuer, and the root at most")]
    ChainTooLong,
    /// Not a certificate in DER, or one with an extension that cannot be read.
    #[error("a certificate is X.509 version 3 in DER")]
    Malformed,
    /// Its time is over.
    #[error("its last second was {}", utc(*.0))]
    Expired(Timestamp),
    /// Its time has not come.
    #[error("its first second is {}", utc(*.0))]
    NotYetValid(Timestamp),
    /// No path leads to the root.
    #[error("it does not lead to the root that this end trusts")]
    UnknownRoot,
    /// The issuer of that name did not sign it.
    #[error("it is not signed by the key of its issuer")]
    BadSignature,
    /// A certificate authority cannot be an end of a connection.
    #[error("a certificate authority is no end of a connection")]
    IsAuthority,
    /// Issued by a certificate that is no authority's, such as a user's.
    #[error("its issuer is no certificate authority")]
    IssuerNotAuthority,
    /// More authorities between it and the root than allowed.
    #[error("there are more authorities between it and the root than allowed")]
    PathTooLong,
    /// A name that its issuer may not give.
    #[error("it has a name that its issuer may not give")]
    OutsideConstraint,
    /// The extended key usage is not the one of its role.
    #[error("its extended key usage is not the one of its role")]
    WrongPurpose,
    /// The key usage is missing or is not the one of its role.
    #[error("its key usage is missing or not the one of its role")]
    WrongKeyUsage,
    /// A critical extension that nobody knows.
    #[error("it has a critical extension that is not known")]
    UnknownCriticalExtension,
    /// A key or a signature that is neither Ed25519 nor P-256.
    #[error("its key or its signature is neither Ed25519 nor P-256")]
    KeyNotAccepted,
    /// No subject alternative name.
    #[error("it carries no identity")]
    NoIdentity,
    /// More than one subject alternative name.
    #[error("it carries more than one identity")]
    TwoIdentities,
    /// The subject alternative name is not a handle or server name in its one form.
    #[error("its name is not an identity of this protocol")]
    InvalidIdentity,
    /// A user certificate that another server than the user's home issued.
    #[error("the user's home server did not issue it")]
    HomeDidNotIssue,
    /// A server's or node's certificate that the root did not issue itself.
    #[error("the root did not issue it itself")]
    RootDidNotIssue,
    /// A user certificate that lives longer than any may.
    #[error("a user's certificate lives 30 days at most")]
    LifetimeTooLong,
    /// The identity is good, but not for this end of this channel.
    #[error("it is a {found}'s, where this end of the channel has to be a {}'s", roles(.expected))]
    WrongRole {
        /// Who may be there.
        expected: &'static [Role],
        /// Who is.
        found: Role,
    },
    /// The identity is good, but not the one that was dialled.
    #[error("{} was dialled", identity_name(.0))]
    WrongPeer(Identity),
    /// The identity is the one that was dialled, the key is not.
    #[error("another key than {0:?} was proved")]
    WrongKey(KeyHash),
}

impl CertificateRule {
    /// The reason's name in the table of the text (chapter *Certificates*, section *Refusing*).
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::ChainTooLong => "too-many",
            Self::Malformed => "malformed",
            Self::Expired(_) => "expired",
            Self::NotYetValid(_) => "not-yet-valid",
            Self::UnknownRoot => "unknown-root",
            Self::BadSignature => "bad-signature",
            Self::IsAuthority => "is-authority",
            Self::IssuerNotAuthority => "issuer-not-authority",
            Self::PathTooLong => "path-too-long",
            Self::OutsideConstraint => "outside-constraint",
            Self::WrongPurpose => "wrong-purpose",
            Self::WrongKeyUsage => "wrong-key-usage",
            Self::UnknownCriticalExtension => "unknown-critical-extension",
            Self::KeyNotAccepted => "key-not-accepted",
            Self::NoIdentity => "no-identity",
            Self::TwoIdentities => "two-identities",
            Self::InvalidIdentity => "invalid-identity",
            Self::HomeDidNotIssue => "home-did-not-issue",
            Self::RootDidNotIssue => "root-did-not-issue",
            Self::LifetimeTooLong => "lifetime-too-long",
            Self::WrongRole { .. } => "wrong-role",
            Self::WrongPeer(_) => "wrong-peer",
            Self::WrongKey(_) => "wrong-key",
        }
    }
}

/// A certificate was refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateRefused {
    /// The rule that it breaks.
    pub rule: CertificateRule,
    /// Its names and serial number, as far as they can be read, fit to be printed.
    pub certificate: String,
}

impl CertificateRefused {
    /// What to tell the peer, where the connection still carries messages.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        ErrorCode::CertificateRefused
    }
}

impl fmt::Display for CertificateRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificate refused: {}: {}", self.certificate, self.rule)
    }
}

impl std::error::Error for CertificateRefused {}

/// The time as RFC 3339 writes it.
fn utc(time: Timestamp) -> String {
    let moment = i64::try_from(time.0).ok().and_then(|s| time::OffsetDateTime::from_unix_timestamp(s).ok());
    moment.map_or_else(
        || format!("{} seconds after 1970", time.0),
        |moment| {
            let (date, clock) = (moment.date(), moment.time());
            let (hour, minute, second) = clock.as_hms();
            let month = u8::from(date.month());
            format!("{}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", date.year(), date.day())
        },
    )
}

fn roles(roles: &[Role]) -> String {
    let names: Vec<String> = roles.iter().map(ToString::to_string).collect();
    names.join(" or ")
}
