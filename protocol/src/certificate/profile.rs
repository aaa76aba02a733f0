//! Reading the certificates of a verified path against the profile: usages, key, and the one name.

use std::fmt::Write as _;

use antiphon_spec::identity::{Identity, ServerName};
use x509_parser::{
    certificate::X509Certificate,
    extensions::{ExtendedKeyUsage, GeneralName},
};

use super::{CertificateRule as Rule, identify::Role};
use crate::mutant::{Mutant, active};

/// Before a user handle in a certificate's name.
pub(super) const USER_PREFIX: &str = "antiphon:user:";

/// Before a directory node's name in a certificate's name.
pub(super) const NODE_PREFIX: &str = "antiphon:node:";

/// Most characters of a certificate's names that a message shows.
const NAMES_SHOWN_MAX: usize = 200;

/// The identity as a certificate writes it: `antiphon:user:HANDLE`, `antiphon:node:NAME`, or a server's DNS name.
#[must_use]
pub fn identity_name(identity: &Identity) -> String {
    match identity {
        Identity::User(handle) => format!("{USER_PREFIX}{handle}"),
        Identity::Server(name) => name.to_string(),
        Identity::DirectoryNode(name) => format!("{NODE_PREFIX}{name}"),
    }
}

/// Reads DER with nothing behind it.
pub(super) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, Rule> {
    match x509_parser::parse_x509_certificate(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(Rule::Malformed),
    }
}

/// Whether a certificate names itself as its issuer, as a root does.
pub(super) fn is_self_issued(der: &[u8]) -> bool {
    parse(der).is_ok_and(|certificate| certificate.subject().as_raw() == certificate.issuer().as_raw())
}

/// The one identity of an end of a connection.
#[expect(clippy::wildcard_enum_match_arm, reason = "a name of any other kind, now or later, is no identity")]
pub(super) fn identity(certificate: &X509Certificate<'_>) -> Result<Identity, Rule> {
    match name(certificate)? {
        GeneralName::DNSName(text) => text.parse().map(Identity::Server).map_err(|_| Rule::InvalidIdentity),
        GeneralName::URI(text) => {
            let converted = converted(text);
            let text = converted.as_deref().unwrap_or(text);
            let user = text.strip_prefix(USER_PREFIX).and_then(|handle| handle.parse().ok());
            let node = || text.strip_prefix(NODE_PREFIX).and_then(|name| name.parse().ok());
            user.map(Identity::User)
                .or_else(|| node().map(Identity::DirectoryNode))
                .ok_or(Rule::InvalidIdentity)
        }
        _ => Err(Rule::InvalidIdentity),
    }
}

/// For the mutant that converts: a name in lower case, without what some would take off its end.
fn converted(text: &str) -> Option<String> {
    active(Mutant::NameConverted).then(|| text.trim_end_matches(['.', ' ', '\n']).to_ascii_lowercase())
}

/// The server whose users an authority vouches for.
#[expect(clippy::wildcard_enum_match_arm, reason = "a name of any other kind, now or later, is no identity")]
pub(super) fn home(certificate: &X509Certificate<'_>) -> Result<ServerName, Rule> {
    match name(certificate)? {
        GeneralName::DNSName(text) => text.parse().map_err(|_| Rule::InvalidIdentity),
        _ => Err(Rule::InvalidIdentity),
    }
}

/// The only name of a certificate, of whatever kind.
fn name<'a>(certificate: &'a X509Certificate<'_>) -> Result<&'a GeneralName<'a>, Rule> {
    let extension = certificate.subject_alternative_name().map_err(|_| Rule::Malformed)?;
    match extension.map(|extension| extension.value.general_names.as_slice()) {
        None | Some([]) => Err(Rule::NoIdentity),
        Some([name]) => Ok(name),
        Some([first, ..]) if active(Mutant::TwoIdentitiesAccepted) => Ok(first),
        Some(_) => Err(Rule::TwoIdentities),
    }
}

/// An end of a connection signs handshakes, and no certificates.
pub(super) fn check_end_usage(certificate: &X509Certificate<'_>, role: Role) -> Result<(), Rule> {
    if active(Mutant::KeyUsageUnchecked) {
        return check_purpose(certificate, role != Role::User);
    }
    let usage = certificate.key_usage().map_err(|_| Rule::Malformed)?.ok_or(Rule::WrongKeyUsage)?;
    if !usage.value.digital_signature() || usage.value.key_cert_sign() {
        return Err(Rule::WrongKeyUsage);
    }
    check_purpose(certificate, role != Role::User)
}

/// A user authority signs certificates, for clients alone.
pub(super) fn check_authority_usage(certificate: &X509Certificate<'_>) -> Result<(), Rule> {
    let usage = certificate.key_usage().map_err(|_| Rule::Malformed)?.ok_or(Rule::WrongKeyUsage)?;
    if !usage.value.key_cert_sign() {
        return Err(Rule::WrongKeyUsage);
    }
    check_purpose(certificate, false)
}

/// The extended key usage is exactly `clientAuth`, or exactly `serverAuth` and `clientAuth`.
fn check_purpose(certificate: &X509Certificate<'_>, server_too: bool) -> Result<(), Rule> {
    let extension = certificate.extended_key_usage().map_err(|_| Rule::Malformed)?;
    let ExtendedKeyUsage {
        any,
        server_auth,
        client_auth,
        code_signing,
        email_protection,
        time_stamping,
        ocsp_signing,
        ref other,
    } = *extension.ok_or(Rule::WrongPurpose)?.value;
    let more = any || code_signing || email_protection || time_stamping || ocsp_signing || !other.is_empty();
    let is_beyond = active(Mutant::PurposeBeyondKindAccepted) && client_auth;
    if client_auth && server_auth == server_too && !more || is_beyond {
        Ok(())
    } else {
        Err(Rule::WrongPurpose)
    }
}

/// The names and the serial number of a certificate, for people.
#[expect(clippy::wildcard_enum_match_arm, reason = "names of other kinds are shown as such")]
pub(super) fn describe(der: &[u8]) -> String {
    let Ok(certificate) = parse(der) else {
        return "a certificate that cannot be read".to_owned();
    };
    let mut text = String::new();
    if let Ok(Some(extension)) = certificate.subject_alternative_name() {
        for name in &extension.value.general_names {
            let separator = if text.is_empty() { "" } else { ", " };
            let _ = match name {
                GeneralName::DNSName(name) | GeneralName::URI(name) | GeneralName::RFC822Name(name) => {
                    write!(text, "{separator}{}", name.escape_debug())
                }
                _ => write!(text, "{separator}a name of another kind"),
            };
        }
    }
    if text.is_empty() {
        let _ = write!(text, "{}", certificate.subject().to_string().escape_debug());
    }
    let mut text: String = text.chars().take(NAMES_SHOWN_MAX).collect();
    if text.is_empty() {
        text.push_str("no name");
    }
    text.push_str(" (serial ");
    for byte in certificate.raw_serial().iter().take(20) {
        let _ = write!(text, "{byte:02x}");
    }
    text.push(')');
    text
}
