//! Certificates that break one rule each.

use super::*;

pub(super) fn cases(refused: &mut Refused<'_>) -> Made<()> {
    users(refused)?;
    keys(refused)?;
    names(refused)?;
    authorities(refused)?;
    servers(refused)?;
    paths(refused)
}

/// A user's certificate, well signed, for a key that is none of this protocol.
fn keys(refused: &mut Refused<'_>) -> Made<()> {
    let town = refused.town;
    let good = town.user_chain(&town.user_template())?;
    let leaf = good.first().ok_or_else(|| GeneratorError("no leaf".to_owned()))?;
    let key = town.user_key.public_key_der();
    let (prefix, point) = key.split_at_checked(12).ok_or_else(|| GeneratorError("no key".to_owned()))?;
    if signed_again(leaf, key, key, 2)? != *leaf {
        return Err(GeneratorError("a certificate that is signed again unchanged is another one".to_owned()));
    }
    // The last byte of the algorithm's identifier, 1.3.101.112 for Ed25519, names X25519 instead.
    let x25519: Vec<u8> =
        prefix.iter().enumerate().map(|(at, byte)| if at == 8 { 0x6e } else { *byte }).collect();
    for (slug, about, other) in [
        ("user-with-x25519-key", "a user with a key that signs nothing", [x25519.as_slice(), point].concat()),
        ("user-with-small-order-key", "a user with a key of small order", [prefix, &[0; 32]].concat()),
    ] {
        let changed = signed_again(leaf, key, &other, 2)?;
        let chain = [changed, town.one_ca.clone()];
        refused.add(slug, "CERT-020", &["key-not-accepted"], about, USER_DIALS, &chain, "user");
    }
    Ok(())
}

/// A certificate with one part replaced by another of the same length, signed anew with an Ed25519 key.
fn signed_again(certificate: &Der, from: &[u8], to: &[u8], issuer: u8) -> Made<Der> {
    /// The heads of the certificate and of its part that is signed, both with a length of two bytes.
    const HEAD: usize = 4;
    const SIGNATURE: usize = 64;
    let wrong = || GeneratorError("not a certificate of this file".to_owned());
    let at = certificate.windows(from.len()).position(|part| part == from).ok_or_else(wrong)?;
    let before = certificate.get(..at).ok_or_else(wrong)?;
    let after = certificate.get(at + from.len()..).ok_or_else(wrong)?;
    let mut bytes = [before, to, after].concat();
    let length: [u8; 2] =
        bytes.get(HEAD + 2..HEAD + HEAD).and_then(|two| two.try_into().ok()).ok_or_else(wrong)?;
    let end = 2 * HEAD + usize::from(u16::from_be_bytes(length));
    let signature = Signer::new(issuer)?.sign_bytes(bytes.get(HEAD..end).ok_or_else(wrong)?);
    let place =
        bytes.len().checked_sub(SIGNATURE).and_then(|start| bytes.get_mut(start..)).ok_or_else(wrong)?;
    place.copy_from_slice(&signature);
    Ok(bytes.into())
}

fn users(refused: &mut Refused<'_>) -> Made<()> {
    let at = |from: u64, to: u64| Validity { not_before: Timestamp(from), not_after: Timestamp(to) };
    refused.user(
        "user-expired",
        "CERT-009",
        &["expired"],
        "a certificate whose last second is over",
        |t| t.validity = at(NOW - DAY, NOW - 1),
    )?;
    refused.user(
        "user-not-yet-valid",
        "CERT-009",
        &["not-yet-valid"],
        "a certificate whose first second has not come",
        |t| t.validity = at(NOW + 1, NOW + DAY),
    )?;
    refused.user(
        "user-is-authority",
        "CERT-010",
        &["is-authority"],
        "a user's certificate that is a certificate authority's",
        |t| t.authority = AuthorityFlag::Yes(0),
    )?;
    refused.user(
        "user-without-purpose",
        "CERT-012",
        &["wrong-purpose"],
        "a user without an extended key usage",
        |t| t.extended_key_usages = vec![],
    )?;
    refused.user(
        "user-for-servers-only",
        "CERT-012",
        &["wrong-purpose"],
        "a user with the extended key usage of servers alone",
        |t| t.extended_key_usages = vec![ExtendedKeyUsage::ServerAuth],
    )?;
    refused.user(
        "user-for-code",
        "CERT-012",
        &["wrong-purpose"],
        "a user with an extended key usage for code",
        |t| t.extended_key_usages = vec![ExtendedKeyUsage::CodeSigning],
    )?;
    refused.user(
        "user-with-unknown-critical-extension",
        "CERT-008",
        &["unknown-critical-extension"],
        "a critical extension that nobody knows",
        |t| t.unknown_critical_extension = true,
    )?;
    let chain = refused.town.user_chain(&{
        let mut template = refused.town.user_template();
        template.extended_key_usages = vec![ExtendedKeyUsage::ServerAuth];
        template
    })?;
    refused.add(
        "user-accepts-for-servers-only",
        "CERT-012",
        &["wrong-purpose"],
        "an accepting user with the extended key usage of servers alone",
        USER_ACCEPTS,
        &chain,
        "user-accepts",
    );
    let nobody: [Der; 0] = [];
    refused.add("no-certificate", "CERT-024", &["missing"], "no certificate", USER_DIALS, &nobody, "user");
    Ok(())
}

fn names(refused: &mut Refused<'_>) -> Made<()> {
    let user = identity_name(&Identity::User(refused.town.user.clone()));
    let uri = |text: String| vec![Name::Uri(text)];
    let other = format!("antiphon:user:{}", handle(3)?);
    let id = "01".repeat(16);
    for (slug, requirement, reason, about, names) in [
        ("no-name", "CERT-015", &["no-identity"], "no subject alternative name", vec![]),
        (
            "two-names",
            "CERT-015",
            &["two-identities"],
            "two users in one certificate",
            vec![Name::Uri(user.clone()), Name::Uri(other)],
        ),
        (
            "user-and-server",
            "CERT-015",
            &["two-identities"],
            "a user and a server in one certificate",
            vec![Name::Uri(user.clone()), Name::Dns("one.example".to_owned())],
        ),
        (
            "user-and-mail",
            "CERT-015",
            &["two-identities"],
            "a user and a mail address in one certificate",
            vec![Name::Uri(user.clone()), Name::Email("a@one.example".to_owned())],
        ),
        (
            "same-name-twice",
            "CERT-015",
            &["two-identities"],
            "a user twice in one certificate",
            vec![Name::Uri(user.clone()), Name::Uri(user.clone())],
        ),
        (
            "mail-address",
            "CERT-016",
            &["invalid-identity"],
            "a mail address",
            vec![Name::Email("a@one.example".to_owned())],
        ),
        (
            "other-scheme",
            "CERT-016",
            &["invalid-identity"],
            "a URI of another scheme",
            uri(format!("https://one.example/{id}")),
        ),
        (
            "other-kind",
            "CERT-016",
            &["invalid-identity"],
            "an unknown kind of identity",
            uri(format!("antiphon:robot:{id}@one.example")),
        ),
        (
            "scheme-in-capitals",
            "CERT-016",
            &["invalid-identity"],
            "the scheme in capitals",
            uri(user.replace("antiphon", "ANTIPHON")),
        ),
        (
            "handle-in-capitals",
            "CERT-016",
            &["invalid-identity"],
            "a handle with a capital in the server name",
            uri(user.replace("one", "One")),
        ),
        (
            "handle-cut-off",
            "CERT-016",
            &["invalid-identity"],
            "a handle without a home server",
            uri(format!("antiphon:user:{id}")),
        ),
        (
            "handle-with-space",
            "CERT-016",
            &["invalid-identity"],
            "a space behind the handle",
            uri(format!("{user} ")),
        ),
        (
            "handle-with-zero-byte",
            "CERT-016",
            &["invalid-identity"],
            "a zero byte behind the handle",
            uri(format!("{user}\0.two.example")),
        ),
    ] {
        refused.user(slug, requirement, reason, about, |template| template.names = names)?;
    }
    refused.user(
        "name-in-subject",
        "CERT-014",
        &["no-identity"],
        "the handle in the subject and no subject alternative name",
        |template| {
            template.common_name = Some(user);
            template.names = vec![];
        },
    )
}

fn authorities(refused: &mut Refused<'_>) -> Made<()> {
    let at = |from: u64, to: u64| Validity { not_before: Timestamp(from), not_after: Timestamp(to) };
    let two = || Name::Dns("two.example".to_owned());
    let two_ca = |t: &mut Template| {
        t.names = vec![two()];
        t.permitted_dns_names = vec!["two.example".to_owned()];
    };
    refused.authority(
        "other-home-issued",
        "CERT-018",
        &["home-did-not-issue"],
        "a user whom another server issued",
        two_ca,
    )?;
    refused.authority(
        "authority-without-name",
        "CERT-018",
        &["no-identity", "home-did-not-issue"],
        "a user CA without a name",
        |t| t.names = vec![],
    )?;
    refused.authority(
        "authority-with-two-names",
        "CERT-018",
        &["two-identities", "home-did-not-issue"],
        "a user CA with two names",
        |t| t.names.push(two()),
    )?;
    refused.authority(
        "authority-with-uri",
        "CERT-018",
        &["invalid-identity", "home-did-not-issue"],
        "a user CA with its name as URI",
        |t| t.names = vec![Name::Uri("one.example".to_owned())],
    )?;
    refused.authority(
        "authority-expired",
        "CERT-009",
        &["expired"],
        "a user CA whose last second is over",
        |t| t.validity = at(NOW - DAY, NOW - 1),
    )?;
    refused.authority(
        "authority-not-yet-valid",
        "CERT-009",
        &["not-yet-valid"],
        "a user CA whose first second has not come",
        |t| t.validity = at(NOW + 1, NOW + DAY),
    )?;
    refused.authority(
        "authority-is-none",
        "CERT-011",
        &["issuer-not-authority"],
        "an issuer that is no certificate authority",
        |t| t.authority = AuthorityFlag::No,
    )?;
    refused.authority(
        "authority-unsaid",
        "CERT-011",
        &["issuer-not-authority"],
        "an issuer without basic constraints",
        |t| t.authority = AuthorityFlag::Absent,
    )?;
    refused.authority(
        "authority-for-servers",
        "CERT-012",
        &["wrong-purpose"],
        "a user CA with the extended key usage of servers alone",
        |t| t.extended_key_usages = vec![ExtendedKeyUsage::ServerAuth],
    )?;
    refused.authority(
        "authority-may-not-sign",
        "CERT-030",
        &["wrong-key-usage"],
        "a user CA that may not sign certificates",
        |t| t.key_usages = vec![KeyUsage::RevocationListSign],
    )?;
    refused.authority(
        "authority-with-unknown-critical-extension",
        "CERT-008",
        &["unknown-critical-extension"],
        "a user CA with a critical extension that nobody knows",
        |t| t.unknown_critical_extension = true,
    )
}

fn servers(refused: &mut Refused<'_>) -> Made<()> {
    let at = |from: u64, to: u64| Validity { not_before: Timestamp(from), not_after: Timestamp(to) };
    let dns = |text: &str| vec![Name::Dns(text.to_owned())];
    refused.server(
        "server-expired",
        "CERT-009",
        &["expired"],
        "a server whose last second is over",
        |t| t.validity = at(NOW - DAY, NOW - 1),
    )?;
    refused.server(
        "server-not-yet-valid",
        "CERT-009",
        &["not-yet-valid"],
        "a server whose first second has not come",
        |t| t.validity = at(NOW + 1, NOW + DAY),
    )?;
    refused.server(
        "server-for-clients-only",
        "CERT-013",
        &["wrong-purpose"],
        "an accepting server without serverAuth",
        |t| t.extended_key_usages = vec![ExtendedKeyUsage::ClientAuth],
    )?;
    refused.server("server-without-name", "CERT-015", &["no-identity"], "a server without a name", |t| {
        t.names = vec![]
    })?;
    refused.server(
        "server-with-two-names",
        "CERT-015",
        &["two-identities"],
        "a server with two names",
        |t| t.names.push(Name::Dns("two.example".to_owned())),
    )?;
    refused.server(
        "server-with-wildcard",
        "CERT-016",
        &["invalid-identity"],
        "a server with a wildcard",
        |t| t.names = dns("*.example"),
    )?;
    refused.server(
        "server-in-capitals",
        "CERT-016",
        &["invalid-identity"],
        "a server name with a capital",
        |t| t.names = dns("One.example"),
    )?;
    refused.server(
        "server-is-authority",
        "CERT-010",
        &["is-authority"],
        "a server's certificate that is a certificate authority's",
        |t| t.authority = AuthorityFlag::Yes(0),
    )?;
    let mut template = refused.town.server_template();
    template.extended_key_usages = vec![ExtendedKeyUsage::ServerAuth];
    let chain = refused.town.rooted(&template)?;
    refused.add(
        "server-dials-without-purpose",
        "CERT-012",
        &["wrong-purpose"],
        "a dialling server without clientAuth",
        SERVER_DIALS,
        &chain,
        "server-dials-server",
    );
    let mut template = refused.town.node_template()?;
    template.extended_key_usages = vec![ExtendedKeyUsage::ClientAuth];
    let chain = refused.town.rooted(&template)?;
    refused.add(
        "node-for-clients-only",
        "CERT-013",
        &["wrong-purpose"],
        "an accepting directory node without serverAuth",
        NODE_ACCEPTS,
        &chain,
        "node-accepts",
    );
    Ok(())
}

fn paths(refused: &mut Refused<'_>) -> Made<()> {
    let town = refused.town;
    let other_root_key = key(20)?;
    let other_root =
        Template::root(validity(), serial(20)).self_signed(&other_root_key).map_err(GeneratorError::new)?;
    // The same name as the real root, signed by another key.
    let same_name =
        Template::root(validity(), serial(1)).self_signed(&other_root_key).map_err(GeneratorError::new)?;
    let user = town.user_chain(&town.user_template())?;
    let foreign_ca = signed(&town.authority_template(), &town.one_key, &other_root, &other_root_key)?;
    let foreign = vec![
        signed(&town.user_template(), &town.user_key, &foreign_ca, &town.one_key)?,
        foreign_ca,
        other_root.clone(),
    ];
    refused.add(
        "other-root",
        "CERT-008",
        &["unknown-root"],
        "a user under another root",
        USER_DIALS,
        &foreign,
        "user",
    );
    let forged_ca = signed(&town.authority_template(), &town.one_key, &same_name, &other_root_key)?;
    let forged = vec![signed(&town.user_template(), &town.user_key, &forged_ca, &town.one_key)?, forged_ca];
    refused.add(
        "root-of-the-same-name",
        "CERT-008",
        &["bad-signature"],
        "a user under another root of the same name",
        USER_DIALS,
        &forged,
        "user",
    );
    refused.add(
        "user-ca-missing",
        "CERT-008",
        &["unknown-root"],
        "a user without the certificate of the user CA",
        USER_DIALS,
        user.get(..1).unwrap_or_default(),
        "user",
    );
    let by_other_key =
        vec![signed(&town.user_template(), &town.user_key, &town.one_ca, &key(21)?)?, town.one_ca.clone()];
    refused.add(
        "user-signed-by-another-key",
        "CERT-008",
        &["bad-signature"],
        "a user whose signature is not the user CA's",
        USER_DIALS,
        &by_other_key,
        "user",
    );
    let server = town.rooted(&town.server_template())?;
    let foreign_server = vec![signed(&town.server_template(), &key(6)?, &other_root, &other_root_key)?];
    refused.add(
        "server-under-other-root",
        "CERT-008",
        &["unknown-root"],
        "a server under another root",
        SERVER_ACCEPTS,
        &foreign_server,
        "server-accepts-client-server",
    );
    let rooted = town.rooted(&town.user_template())?;
    refused.add(
        "user-under-root",
        "CERT-017",
        &["home-did-not-issue"],
        "a user whom the root issued itself",
        USER_DIALS,
        &rooted,
        "user",
    );
    let by_user: Vec<Der> = std::iter::once(signed(
        &Template::user(&handle(3)?, validity(), serial(30)),
        &key(22)?,
        user.first().unwrap_or(&town.root),
        &town.user_key,
    )?)
    .chain(user.iter().cloned())
    .collect();
    refused.add(
        "user-as-issuer",
        "CERT-011",
        &["issuer-not-authority"],
        "a user whom another user issued",
        USER_DIALS,
        &by_user,
        "user",
    );
    let by_server: Vec<Der> = std::iter::once(signed(
        &town.user_template(),
        &town.user_key,
        server.first().unwrap_or(&town.root),
        &key(6)?,
    )?)
    .chain(server.iter().cloned())
    .collect();
    refused.add(
        "server-as-issuer",
        "CERT-011",
        &["issuer-not-authority"],
        "a user whom a server's TLS certificate issued",
        USER_DIALS,
        &by_server,
        "user",
    );
    let server_by_ca =
        vec![signed(&town.server_template(), &key(6)?, &town.one_ca, &town.one_key)?, town.one_ca.clone()];
    refused.add(
        "user-ca-issued-server",
        "CERT-019",
        &["root-did-not-issue"],
        "a server that a user CA issued",
        SERVER_DIALS,
        &server_by_ca,
        "server-dials-server",
    );
    let node_by_ca =
        vec![signed(&town.node_template()?, &key(6)?, &town.one_ca, &town.one_key)?, town.one_ca.clone()];
    refused.add(
        "user-ca-issued-node",
        "CERT-019",
        &["root-did-not-issue", "wrong-purpose"],
        "a directory node that a user CA issued",
        NODE_ACCEPTS,
        &node_by_ca,
        "node-accepts",
    );
    let lower_key = key(23)?;
    let lower = signed(&town.authority_template(), &lower_key, &town.one_ca, &town.one_key)?;
    let deep =
        vec![signed(&town.user_template(), &town.user_key, &lower, &lower_key)?, lower, town.one_ca.clone()];
    refused.add(
        "user-ca-below-user-ca",
        "CERT-017",
        &["path-too-long"],
        "a user below two user CAs",
        USER_DIALS,
        &deep,
        "user",
    );
    let constrained = {
        let mut template = town.server_template();
        template.names = vec![Name::Dns("two.example".to_owned())];
        vec![signed(&template, &key(6)?, &town.one_ca, &town.one_key)?, town.one_ca.clone()]
    };
    refused.add(
        "name-outside-constraint",
        "CERT-008",
        &["outside-constraint"],
        "a name that the user CA may not give",
        SERVER_DIALS,
        &constrained,
        "server-dials-server",
    );
    let mut broken = user.clone();
    if let Some(first) = broken.first_mut() {
        let mut bytes = first.to_vec();
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
        *first = bytes.into();
    }
    refused.add(
        "signature-bit-flipped",
        "CERT-008",
        &["bad-signature"],
        "a user's certificate with one bit of the signature changed",
        USER_DIALS,
        &broken,
        "user",
    );
    let garbage: Vec<Der> = vec![vec![0x30, 0x03, 0x02, 0x01, 0x00].into()];
    refused.add(
        "no-certificate-inside",
        "CERT-008",
        &["malformed"],
        "DER that is no certificate",
        USER_DIALS,
        &garbage,
        "user",
    );
    let mut trailing = user;
    if let Some(first) = trailing.first_mut() {
        *first = [first.as_ref(), &[0]].concat().into();
    }
    refused.add(
        "trailing-byte",
        "CERT-008",
        &["malformed"],
        "a byte behind the certificate",
        USER_DIALS,
        &trailing,
        "user",
    );
    Ok(())
}
