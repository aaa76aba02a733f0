//! What goes into a certificate, before somebody signs it.
//!
//! [`Template`] makes good certificates with its constructors and any other by changing their fields: the conformance
//! suite and the tests must be able to show wrong ones. Whoever issues for real uses [`super::Authority`].

use antiphon_spec::{
    identity::{Identity, ServerName, UserHandle},
    time::Timestamp,
};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyUsagePurpose, NameConstraints, SanType, SerialNumber,
};
use rustls_pki_types::CertificateDer;

use super::{IssueError, Serial, Validity, profile::identity_name};
use crate::key::KeyPair;

/// A subject alternative name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    /// A DNS name.
    Dns(String),
    /// A URI.
    Uri(String),
    /// A mail address.
    Email(String),
}

/// The basic constraints (RFC 5280, section 4.2.1.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthorityFlag {
    /// No such extension.
    Absent,
    /// Explicitly no certificate authority.
    No,
    /// A certificate authority, with at most so many authorities below it.
    Yes(u8),
}

/// A key usage (RFC 5280, section 4.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyUsage {
    /// Signs handshakes and statements.
    DigitalSignature,
    /// Encrypts keys: not used by this protocol.
    KeyEncipherment,
    /// Signs certificates.
    CertificateSign,
    /// Signs revocation lists.
    RevocationListSign,
}

/// An extended key usage (RFC 5280, section 4.2.1.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExtendedKeyUsage {
    /// The accepting end of TLS.
    ServerAuth,
    /// The dialling end of TLS.
    ClientAuth,
    /// Code: not used by this protocol.
    CodeSigning,
}

/// A certificate without its key and without its signature.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Template {
    /// The common name; without one the subject is empty, as it is for every end of a connection.
    pub common_name: Option<String>,
    /// The subject alternative names.
    pub names: Vec<Name>,
    /// Whether the holder may issue certificates.
    pub authority: AuthorityFlag,
    /// What the key may do; empty for no such extension.
    pub key_usages: Vec<KeyUsage>,
    /// What the certificate is for; empty for no such extension.
    pub extended_key_usages: Vec<ExtendedKeyUsage>,
    /// The only DNS names that an authority may give; empty for no such extension.
    pub permitted_dns_names: Vec<String>,
    /// Whether to add a critical extension that nobody knows.
    pub unknown_critical_extension: bool,
    /// From when to when it is good.
    pub validity: Validity,
    /// The serial number.
    pub serial: Serial,
}

impl Template {
    /// A root: one user authority may stand below it.
    #[must_use]
    pub fn root(validity: Validity, serial: Serial) -> Self {
        Self {
            common_name: Some(format!("Antiphon root {}", hex(&serial.0))),
            names: Vec::new(),
            authority: AuthorityFlag::Yes(1),
            key_usages: vec![KeyUsage::CertificateSign, KeyUsage::RevocationListSign],
            extended_key_usages: Vec::new(),
            permitted_dns_names: Vec::new(),
            unknown_critical_extension: false,
            validity,
            serial,
        }
    }

    /// A server's authority for its users.
    #[must_use]
    pub fn user_authority(home: &ServerName, validity: Validity, serial: Serial) -> Self {
        Self {
            common_name: Some(format!("Antiphon users {}", hex(&serial.0))),
            names: vec![Name::Dns(home.to_string())],
            authority: AuthorityFlag::Yes(0),
            extended_key_usages: vec![ExtendedKeyUsage::ClientAuth],
            permitted_dns_names: vec![home.to_string()],
            ..Self::root(validity, serial)
        }
    }

    /// An end of connections.
    #[must_use]
    pub fn end(identity: &Identity, validity: Validity, serial: Serial) -> Self {
        let text = identity_name(identity);
        let (name, extended_key_usages) = match identity {
            Identity::User(_) => (Name::Uri(text), vec![ExtendedKeyUsage::ClientAuth]),
            Identity::Server(_) => {
                (Name::Dns(text), vec![ExtendedKeyUsage::ServerAuth, ExtendedKeyUsage::ClientAuth])
            }
            Identity::DirectoryNode(_) => {
                (Name::Uri(text), vec![ExtendedKeyUsage::ServerAuth, ExtendedKeyUsage::ClientAuth])
            }
        };
        Self {
            common_name: None,
            names: vec![name],
            authority: AuthorityFlag::No,
            key_usages: vec![KeyUsage::DigitalSignature],
            extended_key_usages,
            ..Self::root(validity, serial)
        }
    }

    /// A user.
    #[must_use]
    pub fn user(handle: &UserHandle, validity: Validity, serial: Serial) -> Self {
        Self::end(&Identity::User(handle.clone()), validity, serial)
    }

    /// A server's TLS leaf.
    #[must_use]
    pub fn server(name: &ServerName, validity: Validity, serial: Serial) -> Self {
        Self::end(&Identity::Server(name.clone()), validity, serial)
    }

    /// A directory node's TLS leaf.
    #[must_use]
    pub fn directory_node(name: &ServerName, validity: Validity, serial: Serial) -> Self {
        Self::end(&Identity::DirectoryNode(name.clone()), validity, serial)
    }

    /// Signs the certificate for its own key.
    ///
    /// # Errors
    /// A name or a time has no form in X.509, or signing failed.
    pub fn self_signed(&self, key: &KeyPair) -> Result<CertificateDer<'static>, IssueError> {
        let certificate = self.parameters()?.self_signed(key).map_err(IssueError::library)?;
        Ok(certificate.der().clone())
    }

    /// Signs the certificate for `subject` with the key of `issuer`, whatever that issuer may do.
    ///
    /// # Errors
    /// As for [`Template::self_signed`], or the issuer's certificate cannot be read.
    pub fn signed_by(
        &self,
        subject: &impl rcgen::PublicKeyData,
        issuer: &CertificateDer<'_>,
        issuer_key: &KeyPair,
    ) -> Result<CertificateDer<'static>, IssueError> {
        let issuer = rcgen::Issuer::from_ca_cert_der(issuer, issuer_key).map_err(IssueError::library)?;
        let certificate = self.parameters()?.signed_by(subject, &issuer).map_err(IssueError::library)?;
        Ok(certificate.der().clone())
    }

    fn parameters(&self) -> Result<CertificateParams, IssueError> {
        let mut parameters = CertificateParams::default();
        parameters.not_before = moment(self.validity.not_before)?;
        parameters.not_after = moment(self.validity.not_after)?;
        parameters.serial_number = Some(SerialNumber::from_slice(&self.serial.0));
        parameters.distinguished_name = DistinguishedName::new();
        if let Some(name) = &self.common_name {
            parameters.distinguished_name.push(DnType::CommonName, name.as_str());
        }
        for name in &self.names {
            let text = |text: &str| text.try_into().map_err(IssueError::library);
            parameters.subject_alt_names.push(match name {
                Name::Dns(name) => SanType::DnsName(text(name)?),
                Name::Uri(name) => SanType::URI(text(name)?),
                Name::Email(name) => SanType::Rfc822Name(text(name)?),
            });
        }
        parameters.is_ca = match self.authority {
            AuthorityFlag::Absent => IsCa::NoCa,
            AuthorityFlag::No => IsCa::ExplicitNoCa,
            AuthorityFlag::Yes(below) => IsCa::Ca(BasicConstraints::Constrained(below)),
        };
        parameters.key_usages = self.key_usages.iter().map(|usage| key_usage(*usage)).collect();
        parameters.extended_key_usages =
            self.extended_key_usages.iter().map(|usage| extended_key_usage(*usage)).collect();
        if !self.permitted_dns_names.is_empty() {
            let permitted = self.permitted_dns_names.iter().cloned().map(GeneralSubtree::DnsName);
            parameters.name_constraints =
                Some(NameConstraints { permitted_subtrees: permitted.collect(), excluded_subtrees: vec![] });
        }
        if self.unknown_critical_extension {
            // An arc for private use (RFC 5612's example enterprise), with NULL inside.
            let mut extension =
                CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 32473, 1], vec![0x05, 0x00]);
            extension.set_criticality(true);
            parameters.custom_extensions.push(extension);
        }
        parameters.use_authority_key_identifier_extension = true;
        Ok(parameters)
    }
}

fn key_usage(usage: KeyUsage) -> KeyUsagePurpose {
    match usage {
        KeyUsage::DigitalSignature => KeyUsagePurpose::DigitalSignature,
        KeyUsage::KeyEncipherment => KeyUsagePurpose::KeyEncipherment,
        KeyUsage::CertificateSign => KeyUsagePurpose::KeyCertSign,
        KeyUsage::RevocationListSign => KeyUsagePurpose::CrlSign,
    }
}

fn extended_key_usage(usage: ExtendedKeyUsage) -> ExtendedKeyUsagePurpose {
    match usage {
        ExtendedKeyUsage::ServerAuth => ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsage::ClientAuth => ExtendedKeyUsagePurpose::ClientAuth,
        ExtendedKeyUsage::CodeSigning => ExtendedKeyUsagePurpose::CodeSigning,
    }
}

fn moment(time: Timestamp) -> Result<time::OffsetDateTime, IssueError> {
    let seconds = i64::try_from(time.0).map_err(|_| IssueError::Time(time))?;
    time::OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| IssueError::Time(time))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
