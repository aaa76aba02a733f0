//! The reasons for which a certificate is refused, and the alerts that fit them (chapter *Certificates*, section
//! *Refusing*).

use rustls::AlertDescription::{
    self as Alert, AccessDenied, BadCertificate, CertificateExpired, CertificateRequired, CertificateUnknown,
    DecryptError, UnknownCA, UnsupportedCertificate,
};

use crate::case::Failure;

/// The table of the text.
const TABLE: [(&str, &[Alert]); 25] = [
    ("missing", &[CertificateRequired]),
    ("too-many", &[BadCertificate]),
    ("malformed", &[BadCertificate]),
    ("unknown-critical-extension", &[BadCertificate, CertificateUnknown]),
    ("unknown-root", &[UnknownCA]),
    ("bad-signature", &[BadCertificate, DecryptError]),
    ("expired", &[CertificateExpired]),
    ("not-yet-valid", &[CertificateExpired, BadCertificate]),
    ("is-authority", &[AccessDenied, CertificateUnknown]),
    ("issuer-not-authority", &[AccessDenied, CertificateUnknown, UnknownCA]),
    ("path-too-long", &[AccessDenied, CertificateUnknown, UnknownCA]),
    ("outside-constraint", &[AccessDenied, CertificateUnknown]),
    ("wrong-purpose", &[UnsupportedCertificate]),
    ("wrong-key-usage", &[UnsupportedCertificate]),
    ("key-not-accepted", &[AccessDenied, CertificateUnknown, UnsupportedCertificate]),
    ("no-identity", &[AccessDenied, CertificateUnknown]),
    ("two-identities", &[AccessDenied, CertificateUnknown]),
    ("invalid-identity", &[AccessDenied, CertificateUnknown]),
    ("home-did-not-issue", &[AccessDenied, CertificateUnknown]),
    ("root-did-not-issue", &[AccessDenied, CertificateUnknown]),
    ("lifetime-too-long", &[AccessDenied, CertificateUnknown]),
    ("wrong-role", &[AccessDenied, CertificateUnknown]),
    ("wrong-peer", &[AccessDenied, CertificateUnknown]),
    ("wrong-key", &[AccessDenied, CertificateUnknown]),
    ("not-proved", &[DecryptError]),
];

/// An alert is one that the table names for the reason.
//= spec/text/certificates.md#refusing
//# CERT-033: An end that refuses a peer's certificate with a TLS alert MUST send an alert that the table names for a reason that applies to the certificate.
//= type=test
pub(super) fn fits(reason: &str, alert: Alert) -> Result<(), Failure> {
    let row = TABLE.iter().find(|(name, _)| *name == reason);
    let (_, alerts) = row.ok_or_else(|| Failure::harness(format!("{reason} is no reason of the table")))?;
    if alerts.contains(&alert) {
        Ok(())
    } else {
        Err(Failure::unexpected(
            format!("an alert for {reason}, one of {alerts:?}"),
            format!("the alert {alert:?}"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::TABLE;
    use crate::{case::Body, registry, vector::Expect};

    const TEXT: &str = include_str!("../../../spec/text/certificates.md");

    /// The first and the last column of the text's table.
    fn rows() -> Vec<(String, String)> {
        TEXT.lines()
            .filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"))
            .filter_map(|row| {
                let (reason, rest) = row.split_once("` | ")?;
                Some((reason.to_owned(), rest.rsplit_once(" | ")?.1.to_owned()))
            })
            .collect()
    }

    #[test]
    fn the_table_is_the_one_of_the_text() {
        let snake = |name: &str| {
            let mut text = String::new();
            for (at, letter) in name.replace("CA", "Ca").char_indices() {
                if letter.is_uppercase() && at > 0 {
                    text.push('_');
                }
                text.push(letter.to_ascii_lowercase());
            }
            text
        };
        let table: Vec<(String, String)> = TABLE
            .iter()
            .map(|(reason, alerts)| {
                let alerts: Vec<String> = alerts.iter().map(|alert| snake(&format!("{alert:?}"))).collect();
                ((*reason).to_owned(), alerts.join(", "))
            })
            .collect();
        assert_eq!(table, rows());
    }

    /// That the key is held shows in a handshake alone; every other reason stands in a vector.
    #[test]
    fn every_reason_has_a_vector_and_no_vector_another_reason() {
        let mut found = BTreeSet::from(["not-proved".to_owned()]);
        for case in registry::all().unwrap() {
            if let Body::Vector(vector) = case.body
                && let Expect::Reject { reasons, .. } = &vector.expect
            {
                found.extend(reasons.iter().cloned());
            }
        }
        let expected: BTreeSet<String> = TABLE.iter().map(|(reason, _)| (*reason).to_owned()).collect();
        assert_eq!(found, expected);
    }
}
