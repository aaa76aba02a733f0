//! Certificates: how they are made, and the one way from a certificate to an identity (chapter *Certificates*).
//!
//! One root vouches for servers and directory nodes; a server vouches for its users. A server therefore holds two
//! certificates: a TLS leaf, and a certificate authority for its users that is good for nothing else.

mod authority;
mod identify;
mod profile;
mod refused;
mod template;

use std::time::Duration;

use antiphon_spec::{limits::CLOCK_SKEW, time::Timestamp};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

pub use authority::{Authority, IssueError, UserIssuer};
pub use identify::{Demand, End, Role, Trust, TrustError, VerifiedPeer, identify};
pub use profile::identity_name;
pub use refused::{CertificateRefused, CertificateRule};
pub use template::{AuthorityFlag, ExtendedKeyUsage, KeyUsage, Name, Template};

/// From when to when a certificate is good, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Validity {
    /// The first second.
    pub not_before: Timestamp,
    /// The last second.
    pub not_after: Timestamp,
}

impl Validity {
    /// From now for `lifetime`, moved back by the clock skew, so that an honest clock that is late takes it at once.
    #[must_use]
    pub fn starting(now: Timestamp, lifetime: Duration) -> Self {
        let not_before = Timestamp(now.0.saturating_sub(CLOCK_SKEW.as_secs()));
        Self { not_before, not_after: not_before.after(lifetime) }
    }

    /// The time between both ends.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        Duration::from_secs(self.not_after.0.saturating_sub(self.not_before.0))
    }
}

/// A serial number: 128 random bits, so that no two certificates of an issuer share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Serial(pub [u8; 16]);

impl Serial {
    /// A fresh one, from the operating system's entropy.
    ///
    /// # Errors
    /// The system has no entropy to give.
    pub fn random() -> Result<Self, crate::key::KeyError> {
        let mut bytes = [0; 16];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| crate::key::KeyError::Library)?;
        Ok(Self(bytes))
    }
}

/// Why a text holds no certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("not a PEM file with at least one -----BEGIN CERTIFICATE----- block")]
pub struct NotPem;

/// Reads all certificates from PEM (RFC 7468).
///
/// # Errors
/// A block is broken, or there is no certificate.
pub fn from_pem(text: &str) -> Result<Vec<CertificateDer<'static>>, NotPem> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    certificates.ok().filter(|certificates| !certificates.is_empty()).ok_or(NotPem)
}

/// The certificates as PEM, one after the other.
#[must_use]
pub fn to_pem(certificates: &[CertificateDer<'_>]) -> String {
    certificates
        .iter()
        .map(|certificate| encode_pem(&pem::Pem::new("CERTIFICATE", certificate.as_ref())))
        .collect()
}

/// PEM with the line ends of Unix.
pub(crate) fn encode_pem(block: &pem::Pem) -> String {
    pem::encode_config(block, pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
}

#[cfg(test)]
mod tests;
