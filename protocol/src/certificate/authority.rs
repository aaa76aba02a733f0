//! Issuing: the root for servers and directory nodes, a server for its users.

use antiphon_spec::{
    identity::{Identity, ServerName, UserHandle},
    limits::USER_CERTIFICATE_LIFETIME,
    time::Timestamp,
};
use rustls_pki_types::CertificateDer;

use super::{Serial, Template, Trust, TrustError, Validity, profile};
use crate::key::{KeyPair, PublicKey};

/// Why a certificate cannot be issued.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// A user of another server.
    #[error("{user} is no user of {home}")]
    OtherHome {
        /// Whose certificate was asked for.
        user: UserHandle,
        /// Whose users the issuer vouches for.
        home: ServerName,
    },
    /// The certificate would live longer than any user's may.
    #[error("a user's certificate lives 30 days at most")]
    LifetimeTooLong,
    /// The certificate and the key do not belong together.
    #[error("the certificate is not for this key")]
    OtherKey,
    /// The certificate is not the one of such an authority.
    #[error("the certificate is not a server's authority for its users")]
    NotUserAuthority,
    /// The certificate is not the one of a root.
    #[error("the root certificate cannot be used")]
    NotRoot(#[from] TrustError),
    /// A time that a certificate cannot express.
    #[error("{0:?} has no form in a certificate")]
    Time(Timestamp),
    /// Encoding or signing failed.
    #[error("the certificate cannot be made: {0}")]
    Library(String),
}

impl IssueError {
    #[expect(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
    pub(super) fn library(error: rcgen::Error) -> Self {
        Self::Library(error.to_string())
    }
}

/// The root: its key and its certificate.
#[derive(Clone, Debug)]
pub struct Authority {
    key: KeyPair,
    certificate: CertificateDer<'static>,
}

impl Authority {
    /// Makes a root certificate for a key.
    ///
    /// # Errors
    /// A time has no form in a certificate, or signing failed.
    pub fn create(key: KeyPair, validity: Validity, serial: Serial) -> Result<Self, IssueError> {
        let certificate = Template::root(validity, serial).self_signed(&key)?;
        Ok(Self { key, certificate })
    }

    /// A root that was made before.
    ///
    /// # Errors
    /// The certificate is no root's, or is not for this key.
    pub fn load(certificate: CertificateDer<'static>, key: KeyPair) -> Result<Self, IssueError> {
        Trust::from_der(&certificate)?;
        check_key(&certificate, &key)?;
        Ok(Self { key, certificate })
    }

    /// The root certificate, which every participant trusts.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The root's key.
    #[must_use]
    pub fn key(&self) -> &KeyPair {
        &self.key
    }

    /// Trust in this root.
    ///
    /// # Errors
    /// None for a root that this type made or loaded.
    pub fn trust(&self) -> Result<Trust, TrustError> {
        Trust::from_der(&self.certificate)
    }

    /// Issues a server's TLS leaf.
    ///
    /// # Errors
    /// A time has no form in a certificate, or signing failed.
    pub fn issue_server(
        &self,
        name: &ServerName,
        key: &PublicKey,
        validity: Validity,
        serial: Serial,
    ) -> Result<CertificateDer<'static>, IssueError> {
        Template::server(name, validity, serial).signed_by(key, &self.certificate, &self.key)
    }

    /// Issues a server's authority for its users.
    ///
    /// # Errors
    /// As for [`Authority::issue_server`].
    pub fn issue_user_authority(
        &self,
        home: &ServerName,
        key: &PublicKey,
        validity: Validity,
        serial: Serial,
    ) -> Result<CertificateDer<'static>, IssueError> {
        Template::user_authority(home, validity, serial).signed_by(key, &self.certificate, &self.key)
    }

    /// Issues a directory node's TLS leaf.
    ///
    /// # Errors
    /// As for [`Authority::issue_server`].
    pub fn issue_directory_node(
        &self,
        name: &ServerName,
        key: &PublicKey,
        validity: Validity,
        serial: Serial,
    ) -> Result<CertificateDer<'static>, IssueError> {
        Template::directory_node(name, validity, serial).signed_by(key, &self.certificate, &self.key)
    }
}

/// A server as the authority for its users.
#[derive(Clone, Debug)]
pub struct UserIssuer {
    home: ServerName,
    key: KeyPair,
    certificate: CertificateDer<'static>,
}

impl UserIssuer {
    /// The authority that the root made of this server.
    ///
    /// # Errors
    /// The certificate is not a user authority's, or is not for this key.
    pub fn load(certificate: CertificateDer<'static>, key: KeyPair) -> Result<Self, IssueError> {
        check_key(&certificate, &key)?;
        let parsed = profile::parse(&certificate).map_err(|_| IssueError::NotUserAuthority)?;
        profile::check_authority_usage(&parsed).map_err(|_| IssueError::NotUserAuthority)?;
        let home = profile::home(&parsed).map_err(|_| IssueError::NotUserAuthority)?;
        if !parsed.is_ca() {
            return Err(IssueError::NotUserAuthority);
        }
        drop(parsed);
        Ok(Self { home, key, certificate })
    }

    /// Whose users this authority vouches for.
    #[must_use]
    pub fn home(&self) -> &ServerName {
        &self.home
    }

    /// The authority's certificate, which stands behind each user's.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Issues a user's certificate and adds this authority's own: the chain that the user shows.
    ///
    /// # Errors
    /// The user lives elsewhere, the validity is too long, or signing failed.
    pub fn issue(
        &self,
        user: &UserHandle,
        key: &PublicKey,
        validity: Validity,
        serial: Serial,
    ) -> Result<Vec<CertificateDer<'static>>, IssueError> {
        if user.home != self.home {
            return Err(IssueError::OtherHome { user: user.clone(), home: self.home.clone() });
        }
        if validity.lifetime() > USER_CERTIFICATE_LIFETIME {
            return Err(IssueError::LifetimeTooLong);
        }
        let template = Template::end(&Identity::User(user.clone()), validity, serial);
        let certificate = template.signed_by(key, &self.certificate, &self.key)?;
        Ok(vec![certificate, self.certificate.clone()])
    }
}

fn check_key(certificate: &CertificateDer<'_>, key: &KeyPair) -> Result<(), IssueError> {
    let parsed = profile::parse(certificate).map_err(|_| IssueError::OtherKey)?;
    if parsed.public_key().raw == key.public_key_der() { Ok(()) } else { Err(IssueError::OtherKey) }
}
