//! What a server puts into its users' certificates (chapter *Certificates*, section *Issuing*).

use std::{collections::BTreeSet, sync::Arc};

use antiphon_protocol::key::{KeyAlgorithm, KeyPair};
use antiphon_spec::limits::USER_CERTIFICATE_LIFETIME;
use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509Certificate};

use super::stage::{Done, Stage, case, expect_equal};
use crate::{
    case::Failure,
    live::{LiveCase, World},
};

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    case(
        "issued/names-and-constraints",
        &["CERT-001", "CERT-005"],
        "A user's certificate is no CA, for clientAuth alone, and has the handle's URI as its one name and no name constraints.",
        |world| Box::pin(names_and_constraints(world)),
    ),
    case(
        "issued/signature-and-key",
        &["CERT-002", "REG-015"],
        "A user's certificate is signed with one of the two algorithms, for the key of the request in its DER form, of either kind.",
        |world| Box::pin(signature_and_key(world)),
    ),
    case(
        "issued/serial-numbers",
        &["CERT-003"],
        "Twelve certificates of one key have serial numbers that differ in their first and last 6 bytes and have 120 bits at least.",
        |world| Box::pin(serial_numbers(world)),
    ),
    case(
        "issued/validity",
        &["CERT-004", "REG-016"],
        "A user's certificate is valid now, and for 30 days at most from its beginning to its end.",
        |world| Box::pin(validity(world)),
    ),
    case(
        "issued/key-usage",
        &["CERT-027"],
        "The key usage of a user's certificate is digitalSignature alone.",
        |world| Box::pin(key_usage(world)),
    ),
    case(
        "issued/second-certificate",
        &["REG-014"],
        "The second certificate of the chain is the server's user CA, byte for byte.",
        |world| Box::pin(second_certificate(world)),
    ),
];

/// Registers a key and lets `look` look at the user's certificate.
async fn issued<T>(
    stage: &Stage,
    key: &KeyPair,
    look: impl FnOnce(&X509Certificate<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let registered = stage.register(key).await?;
    let leaf = registered.chain.first().ok_or_else(|| Failure::unexpected("a chain", "an empty one"))?;
    let (rest, certificate) =
        X509Certificate::from_der(leaf).map_err(|error| Failure::unexpected("a certificate", error))?;
    expect_equal("bytes behind the certificate", &0, &rest.len())?;
    look(&certificate)
}

fn key(algorithm: KeyAlgorithm) -> Result<KeyPair, Failure> {
    KeyPair::generate(algorithm).map_err(Failure::harness)
}

async fn names_and_constraints(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let key = key(KeyAlgorithm::Ed25519)?;
    let handle = stage.register(&key).await?.handle;
    issued(&stage, &key, |certificate| {
        let unreadable = |error| Failure::unexpected("extensions that can be read, each once", error);
        let constraints = certificate.basic_constraints().map_err(unreadable)?;
        expect_equal("a CA", &false, &constraints.is_some_and(|it| it.value.ca))?;
        let usage = certificate.extended_key_usage().map_err(unreadable)?;
        let usage = usage.ok_or_else(|| Failure::unexpected("an extended key usage", "none"))?.value;
        let others = usage.any
            || usage.server_auth
            || usage.code_signing
            || usage.email_protection
            || usage.time_stamping
            || usage.ocsp_signing
            || !usage.other.is_empty();
        expect_equal("clientAuth, and others", &(true, false), &(usage.client_auth, others))?;
        let names = certificate.subject_alternative_name().map_err(unreadable)?;
        let names = names.map(|it| it.value.general_names.clone()).unwrap_or_default();
        let uri = format!("antiphon:user:{handle}");
        expect_equal("the subject alternative names", &vec![GeneralName::URI(&uri)], &names)?;
        expect_equal(
            "name constraints",
            &false,
            &certificate.name_constraints().map_err(unreadable)?.is_some(),
        )
    })
    .await
}

async fn signature_and_key(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    for algorithm in [KeyAlgorithm::Ed25519, KeyAlgorithm::P256] {
        let key = key(algorithm)?;
        issued(&stage, &key, |certificate| {
            let signed = certificate.signature_algorithm.algorithm.to_id_string();
            if !["1.3.101.112", "1.2.840.10045.4.3.2"].contains(&signed.as_str()) {
                return Err(Failure::unexpected("Ed25519, or ECDSA with SHA-256", signed));
            }
            expect_equal(
                "the public key",
                &hex::encode(key.public_key_der()),
                &hex::encode(certificate.public_key().raw),
            )
        })
        .await?;
    }
    Ok(())
}

async fn serial_numbers(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let key = key(KeyAlgorithm::Ed25519)?;
    let (mut begins, mut ends, mut longest) = (BTreeSet::new(), BTreeSet::new(), 0);
    const COUNT: usize = 12;
    for _ in 0..COUNT {
        issued(&stage, &key, |certificate| {
            // Without the zero that only keeps the number positive.
            let bytes = certificate.raw_serial();
            let bytes = bytes.strip_prefix(&[0]).unwrap_or(bytes);
            longest = longest.max(bytes.len());
            begins.insert(bytes.iter().take(6).copied().collect::<Vec<_>>());
            ends.insert(bytes.iter().rev().take(6).copied().collect::<Vec<_>>());
            Ok(())
        })
        .await?;
    }
    // A random number of 120 bits has a zero as its first byte once in 256 times, not twelve times in a row.
    expect_equal("120 bits", &true, &(longest >= 15))?;
    expect_equal("first and last bytes that differ", &(COUNT, COUNT), &(begins.len(), ends.len()))
}

async fn validity(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let (begin, end) = issued(&stage, &key(KeyAlgorithm::Ed25519)?, |certificate| {
        let validity = certificate.validity();
        Ok((validity.not_before.timestamp(), validity.not_after.timestamp()))
    })
    .await?;
    let now = i64::try_from(stage.now().0).map_err(Failure::harness)?;
    let longest = i64::try_from(USER_CERTIFICATE_LIFETIME.as_secs()).map_err(Failure::harness)?;
    expect_equal("valid now", &true, &(begin <= now && now <= end))?;
    expect_equal("at most 30 days", &true, &(end - begin <= longest))
}

async fn key_usage(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    issued(&stage, &key(KeyAlgorithm::Ed25519)?, |certificate| {
        let found = certificate.extensions().iter().find_map(|extension| {
            let ParsedExtension::KeyUsage(usage) = extension.parsed_extension() else { return None };
            Some(usage.flags)
        });
        // The first bit is digitalSignature.
        expect_equal("the key usage", &Some(1), &found)
    })
    .await
}

async fn second_certificate(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let registered = stage.register(&key(KeyAlgorithm::Ed25519)?).await?;
    let second = registered.chain.get(1).map(hex::encode);
    expect_equal("the second certificate", &Some(hex::encode(stage.user_ca())), &second)
}
