//! Certificates in forms that a strict reader refuses and a lax one takes for something else: names that aren't in their
//! one form, parts that are there twice or not at all, keys and algorithms of other protocols, and good certificates
//! that were put together in a wrong way.

use super::{
    der::{Element, Parts, place},
    *,
};

/// The keys of the vectors: the user CA's and the root's.
const ROOT: u8 = 1;
const USER_CA: u8 = 2;

/// `id-ce` (2.5.29): key usage, subject alternative names, basic constraints, extended key usage.
const KEY_USAGE: u8 = 15;
const NAMES: u8 = 17;
const CONSTRAINTS: u8 = 19;
const PURPOSE: u8 = 37;

pub(super) fn cases(refused: &mut Refused<'_>) -> Made<()> {
    names(refused)?;
    other_names(refused)?;
    homes(refused)?;
    lifetimes(refused)?;
    usages(refused)?;
    structure(refused)?;
    algorithms(refused)?;
    keys(refused)?;
    chains(refused)
}

/// A user's certificate, taken apart, changed and signed again by the user CA.
fn reformed(
    refused: &mut Refused<'_>,
    (id, requirement, reasons, about): (&str, &str, &[&str], &str),
    change: impl FnOnce(&mut Parts) -> Made<()>,
) -> Made<()> {
    let town = refused.town;
    let good = town.user_chain(&town.user_template())?;
    let [leaf, authority] = good.as_slice() else { return Err(GeneratorError("no chain of two".to_owned())) };
    let mut parts = Parts::of(leaf)?;
    if parts.sign(USER_CA)? != *leaf {
        return Err(GeneratorError("a certificate that is signed again unchanged is another one".to_owned()));
    }
    change(&mut parts)?;
    let chain = [parts.sign(USER_CA)?, authority.clone()];
    refused.add(id, requirement, reasons, about, USER_DIALS, &chain, "user");
    Ok(())
}

/// Handles that are good but for one thing, which another reader of URIs would overlook.
fn names(refused: &mut Refused<'_>) -> Made<()> {
    let good = identity_name(&Identity::User(refused.town.user.clone()));
    let id = "01".repeat(16);
    for (slug, about, name) in [
        (
            "handle-with-id-in-capitals",
            "the digits of the user ID in capitals",
            format!("antiphon:user:{}@one.example", "AB".repeat(16)),
        ),
        ("handle-with-port", "a port behind the home", format!("{good}:5222")),
        ("handle-with-path", "a path behind the home", format!("{good}/admin")),
        ("handle-with-query", "a query behind the home", format!("{good}?home=two.example")),
        ("handle-with-fragment", "a fragment behind the home", format!("{good}#two.example")),
        ("handle-percent-encoded", "a letter of the home percent-encoded", good.replace("one", "%6fne")),
        ("handle-with-trailing-dot", "a dot behind the home", format!("{good}.")),
        ("handle-with-two-homes", "two homes", format!("{good}@two.example")),
        ("handle-with-address-as-home", "an IP address as home", format!("antiphon:user:{id}@192.0.2.1")),
        ("handle-with-short-id", "a user ID of 31 digits", good.replacen("01", "1", 1)),
        (
            "handle-with-slashes",
            "the handle as the authority of a URI",
            good.replace("antiphon:user:", "antiphon:user://"),
        ),
        ("handle-with-line-end", "a line end behind the handle", format!("{good}\n")),
    ] {
        refused.user(slug, "CERT-016", &["invalid-identity"], about, |template| {
            template.names = vec![Name::Uri(name)];
        })?;
    }
    Ok(())
}

/// Names of other kinds, and lists of names of other lengths.
fn other_names(refused: &mut Refused<'_>) -> Made<()> {
    let good = identity_name(&Identity::User(refused.town.user.clone())).into_bytes();
    let uri = |bytes: &[u8]| Element::Bytes(0x86, bytes.to_vec());
    let foreign = [good.as_slice(), "é".as_bytes()].concat();
    let common_name =
        Element::sequence([Element::identifier(&[0x55, 0x04, 0x03]), Element::Bytes(0x0c, good.clone())]);
    for (slug, requirement, reasons, about, names) in [
        (
            "address-as-name",
            "CERT-016",
            &["invalid-identity"][..],
            "an IP address as the name",
            vec![Element::Bytes(0x87, vec![192, 0, 2, 1])],
        ),
        (
            "directory-name-as-name",
            "CERT-016",
            &["invalid-identity"],
            "the handle in a directory name",
            vec![Element::Nest(0xa4, vec![Element::sequence([Element::Nest(0x31, vec![common_name])])])],
        ),
        (
            "registered-identifier-as-name",
            "CERT-016",
            &["invalid-identity"],
            "an object identifier as the name",
            vec![Element::Bytes(0x88, vec![0x55, 0x04, 0x03])],
        ),
        (
            "handle-not-in-ascii",
            "CERT-016",
            &["invalid-identity", "malformed"],
            "a letter behind the handle that isn't of ASCII",
            vec![uri(&foreign)],
        ),
        ("names-of-no-entry", "CERT-015", &["no-identity", "malformed"], "a list of no names", vec![]),
        (
            "user-and-address",
            "CERT-015",
            &["two-identities"],
            "a user and an IP address in one certificate",
            vec![uri(&good), Element::Bytes(0x87, vec![192, 0, 2, 1])],
        ),
    ] {
        reformed(refused, (slug, requirement, reasons, about), |parts| {
            let value = Element::Nest(0x30, names).encode()?;
            let extension = parts.extension(NAMES)?.inside()?;
            let old = extension.last_mut().ok_or_else(|| GeneratorError("no value".to_owned()))?;
            *old = Element::Bytes(0x04, value);
            Ok(())
        })?;
    }
    Ok(())
}

/// User CAs whose name is almost that of the user's home.
fn homes(refused: &mut Refused<'_>) -> Made<()> {
    for (slug, about, home) in [
        (
            "home-below-issuer",
            "a user CA of the home's parent domain, whose constraint permits the home",
            "example",
        ),
        ("home-above-issuer", "a user CA of a name below the home", "users.one.example"),
        ("home-ends-like-issuer", "a user CA whose name ends with the home's", "xone.example"),
        ("home-begins-like-issuer", "a user CA whose name begins with the home's", "one.example.two.example"),
    ] {
        refused.authority(slug, "CERT-018", &["home-did-not-issue"], about, |template| {
            template.names = vec![Name::Dns(home.to_owned())];
            template.permitted_dns_names = vec![home.to_owned()];
        })?;
    }
    refused.authority(
        "home-in-capitals",
        "CERT-018",
        &["invalid-identity", "home-did-not-issue"],
        "a user CA with the home's name in capitals",
        |template| {
            template.names = vec![Name::Dns("ONE.example".to_owned())];
        },
    )?;
    refused.authority(
        "home-as-wildcard",
        "CERT-018",
        &["invalid-identity", "home-did-not-issue"],
        "a user CA of every home of a domain",
        |template| {
            template.names = vec![Name::Dns("*.example".to_owned())];
        },
    )
}

/// Certificates that are good now, and for too long.
fn lifetimes(refused: &mut Refused<'_>) -> Made<()> {
    let at = |from: u64, to: u64| Validity { not_before: Timestamp(from), not_after: Timestamp(to) };
    for (slug, about, validity) in [
        (
            "user-of-30-days-and-a-second",
            "a certificate of a second more than 30 days",
            at(NOW - 15 * DAY, NOW + 15 * DAY + 1),
        ),
        (
            "user-from-long-ago",
            "a certificate that began years ago and ends tomorrow",
            at(NOW - 2_000 * DAY, NOW + DAY),
        ),
        ("user-for-ever", "a certificate that ends with the year 9999", at(NOW - DAY, 253_402_300_799)),
    ] {
        refused
            .user(slug, "CERT-029", &["lifetime-too-long"], about, |template| template.validity = validity)?;
    }
    reformed(
        refused,
        (
            "user-ends-before-it-begins",
            "CERT-009",
            &["expired", "not-yet-valid", "malformed"],
            "a certificate whose last second is before its first",
        ),
        |parts| parts.signed.at(place::VALIDITY)?.inside().map(|both| both.reverse()),
    )
}

/// Key usages and extended key usages that are missing, others, or one too many.
fn usages(refused: &mut Refused<'_>) -> Made<()> {
    use ExtendedKeyUsage::{ClientAuth, CodeSigning, ServerAuth};
    let (usage, purpose) = ("CERT-030", "CERT-031");
    refused.user(
        "user-without-key-usage",
        usage,
        &["wrong-key-usage"],
        "a user without a key usage",
        |template| {
            template.key_usages = vec![];
        },
    )?;
    refused.user(
        "user-may-encipher",
        usage,
        &["wrong-key-usage"],
        "a user whose key is for enciphering keys alone",
        |template| {
            template.key_usages = vec![KeyUsage::KeyEncipherment];
        },
    )?;
    refused.user(
        "user-may-sign-certificates",
        usage,
        &["wrong-key-usage"],
        "a user whose key may sign certificates",
        |template| {
            template.key_usages.push(KeyUsage::CertificateSign);
        },
    )?;
    refused.server(
        "server-without-key-usage",
        usage,
        &["wrong-key-usage"],
        "a server without a key usage",
        |template| {
            template.key_usages = vec![];
        },
    )?;
    refused.server(
        "server-may-sign-certificates",
        usage,
        &["wrong-key-usage"],
        "a server whose TLS key may sign certificates",
        |template| {
            template.key_usages.push(KeyUsage::CertificateSign);
        },
    )?;
    refused.authority(
        "authority-without-key-usage",
        usage,
        &["wrong-key-usage"],
        "a user CA without a key usage",
        |template| {
            template.key_usages = vec![];
        },
    )?;
    refused.user(
        "user-for-servers-too",
        purpose,
        &["wrong-purpose"],
        "a user with the extended key usages of a server",
        |template| {
            template.extended_key_usages = vec![ServerAuth, ClientAuth];
        },
    )?;
    refused.user(
        "user-for-code-too",
        purpose,
        &["wrong-purpose"],
        "a user with an extended key usage for code beside the right one",
        |template| {
            template.extended_key_usages = vec![ClientAuth, CodeSigning];
        },
    )?;
    refused.server(
        "server-for-code-too",
        purpose,
        &["wrong-purpose"],
        "a server with an extended key usage for code beside the right ones",
        |template| {
            template.extended_key_usages = vec![ServerAuth, ClientAuth, CodeSigning];
        },
    )?;
    refused.authority(
        "authority-for-servers-too",
        purpose,
        &["wrong-purpose"],
        "a user CA with the extended key usages of a server",
        |template| {
            template.extended_key_usages = vec![ServerAuth, ClientAuth];
        },
    )?;
    reformed(
        refused,
        (
            "user-for-anything",
            purpose,
            &["wrong-purpose"],
            "a user with anyExtendedKeyUsage beside the right one",
        ),
        |parts| {
            let client = Element::identifier(&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02]);
            let any = Element::identifier(&[0x55, 0x1d, 0x25, 0x00]);
            let value = Element::sequence([client, any]).encode()?;
            let extension = parts.extension(PURPOSE)?.inside()?;
            extension.pop();
            extension.push(Element::Bytes(0x04, value));
            Ok(())
        },
    )
}

/// Certificates that aren't put together like one.
fn structure(refused: &mut Refused<'_>) -> Made<()> {
    let malformed: &[&str] = &["malformed"];
    let version = |number| Element::Nest(0xa0, vec![Element::integer(&[number])]);
    reformed(
        refused,
        ("version-1", "CERT-008", malformed, "a certificate of version 1, without extensions"),
        |parts| {
            let fields = parts.signed.inside()?;
            fields.truncate(place::EXTENSIONS);
            fields.remove(place::VERSION);
            Ok(())
        },
    )?;
    reformed(
        refused,
        ("version-2", "CERT-008", malformed, "a certificate that says to be of version 2"),
        |parts| {
            *parts.signed.at(place::VERSION)? = version(1);
            Ok(())
        },
    )?;
    reformed(
        refused,
        ("version-4", "CERT-008", malformed, "a certificate that says to be of version 4"),
        |parts| {
            *parts.signed.at(place::VERSION)? = version(3);
            Ok(())
        },
    )?;
    for (slug, about, which) in [
        ("key-usage-twice", "two extensions with the key usage", KEY_USAGE),
        ("constraints-twice", "two extensions with the basic constraints", CONSTRAINTS),
        ("purpose-twice", "two extensions with the extended key usage", PURPOSE),
        ("names-twice", "two extensions with subject alternative names", NAMES),
    ] {
        reformed(refused, (slug, "CERT-008", malformed, about), |parts| {
            let again = parts.extension(which)?.clone();
            parts.extensions()?.push(again);
            Ok(())
        })?;
    }
    let other = identity_name(&Identity::User(handle(3)?)).into_bytes();
    reformed(
        refused,
        ("other-names-behind", "CERT-008", malformed, "a second extension with another user's name"),
        |parts| {
            let mut second = parts.extension(NAMES)?.clone();
            let value = Element::sequence([Element::Bytes(0x86, other)]).encode()?;
            second.inside()?.pop();
            second.inside()?.push(Element::Bytes(0x04, value));
            parts.extensions()?.push(second);
            Ok(())
        },
    )?;
    reformed(
        refused,
        ("length-not-shortest", "CERT-008", malformed, "a length that isn't in its shortest form"),
        |parts| {
            let Element::Bytes(_, serial) = parts.signed.at(place::SERIAL)?.clone() else {
                return Err(GeneratorError("no serial number".to_owned()));
            };
            let length = u8::try_from(serial.len()).map_err(GeneratorError::new)?;
            *parts.signed.at(place::SERIAL)? = Element::Raw([vec![0x02, 0x81, length], serial].concat());
            Ok(())
        },
    )?;
    reformed(
        refused,
        ("extension-behind-extensions", "CERT-008", malformed, "bytes behind the extensions"),
        |parts| {
            parts.signed.inside()?.push(Element::integer(&[0]));
            Ok(())
        },
    )
}

/// Signatures of other algorithms than the two, or of one that is said in two ways.
fn algorithms(refused: &mut Refused<'_>) -> Made<()> {
    let null = || Element::Bytes(0x05, vec![]);
    let rsa = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    let ecdsa = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
    let with = |arc: &[u8], last: &[u8]| Element::identifier(&[arc, last].concat());
    let not_accepted: &[&str] = &["key-not-accepted"];
    for (slug, about, algorithm) in [
        (
            "signed-with-ed448",
            "a signature said to be of Ed448",
            Element::sequence([Element::identifier(&[0x2b, 0x65, 0x71])]),
        ),
        (
            "signed-with-rsa-and-sha-1",
            "a signature said to be of RSA with SHA-1",
            Element::sequence([with(&rsa, &[5]), null()]),
        ),
        (
            "signed-with-rsa-and-sha-256",
            "a signature said to be of RSA with SHA-256",
            Element::sequence([with(&rsa, &[11]), null()]),
        ),
        (
            "signed-with-ecdsa-and-sha-1",
            "a signature said to be of ECDSA with SHA-1",
            Element::sequence([with(&ecdsa, &[1])]),
        ),
        (
            "signed-with-ecdsa-and-sha-384",
            "a signature said to be of ECDSA with SHA-384",
            Element::sequence([with(&ecdsa, &[3, 3])]),
        ),
    ] {
        reformed(refused, (slug, "CERT-008", not_accepted, about), |parts| {
            *parts.signed.at(place::ALGORITHM)? = algorithm.clone();
            parts.algorithm = algorithm;
            Ok(())
        })?;
    }
    reformed(
        refused,
        (
            "signed-with-key-of-another-kind",
            "CERT-008",
            &["key-not-accepted", "bad-signature"],
            "a signature said to be of ECDSA with SHA-256, by a key of Ed25519",
        ),
        |parts| {
            let algorithm = Element::sequence([with(&ecdsa, &[3, 2])]);
            *parts.signed.at(place::ALGORITHM)? = algorithm.clone();
            parts.algorithm = algorithm;
            Ok(())
        },
    )?;
    reformed(
        refused,
        (
            "algorithm-said-in-two-ways",
            "CERT-008",
            &["malformed"],
            "another algorithm beside the signature than inside of what is signed",
        ),
        |parts| {
            parts.algorithm = Element::sequence([with(&ecdsa, &[3, 2])]);
            Ok(())
        },
    )
}

/// Keys of other protocols. Nobody has to hold one: the certificate alone is refused.
fn keys(refused: &mut Refused<'_>) -> Made<()> {
    let elliptic = Element::identifier(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01]);
    let bits = |bytes: Vec<u8>| Element::Bytes(0x03, [vec![0], bytes].concat());
    let on = |curve: &[u8], point: Vec<u8>| {
        Element::sequence([Element::sequence([elliptic.clone(), Element::identifier(curve)]), bits(point)])
    };
    let p256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let base = hex::decode(P256_KEY).map_err(GeneratorError::new)?;
    let (x, y) =
        base.get(27..59).zip(base.get(59..91)).ok_or_else(|| GeneratorError("no point".to_owned()))?;
    let compressed = [vec![2 + (y.last().copied().unwrap_or(0) & 1)], x.to_vec()].concat();
    let off_the_curve = [vec![4], x.to_vec(), x.to_vec()].concat();
    let modulus = Element::integer(&[vec![0, 0xc5], vec![0x55; 254], vec![0x01]].concat());
    let rsa = Element::sequence([modulus, Element::integer(&[1, 0, 1])]).encode()?;
    let rsa_algorithm = Element::sequence([
        Element::identifier(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01]),
        Element::Bytes(0x05, vec![]),
    ]);
    for (slug, about, key) in [
        (
            "user-with-rsa-key",
            "a user with an RSA key of 2048 bits",
            Element::sequence([rsa_algorithm, bits(rsa)]),
        ),
        (
            "user-with-p384-key",
            "a user with a key on P-384",
            on(&[0x2b, 0x81, 0x04, 0x00, 0x22], [vec![4], vec![0x11; 96]].concat()),
        ),
        (
            "user-with-compressed-key",
            "a user with a point of P-256 in its compressed form",
            on(&p256, compressed),
        ),
        ("user-with-key-off-the-curve", "a user with a point that isn't on P-256", on(&p256, off_the_curve)),
        (
            "user-with-ed448-key",
            "a user with a key of Ed448",
            Element::sequence([
                Element::sequence([Element::identifier(&[0x2b, 0x65, 0x71])]),
                bits(vec![0x11; 57]),
            ]),
        ),
    ] {
        reformed(refused, (slug, "CERT-020", &["key-not-accepted"], about), |parts| {
            *parts.signed.at(place::KEY)? = key;
            Ok(())
        })?;
    }
    Ok(())
}

/// Good certificates that make no path together.
fn chains(refused: &mut Refused<'_>) -> Made<()> {
    let town = refused.town;
    let user = town.user_chain(&town.user_template())?;
    let server = town.rooted(&town.server_template())?;
    let other_root_key = key(20)?;
    let other_root =
        Template::root(validity(), serial(20)).self_signed(&other_root_key).map_err(GeneratorError::new)?;
    let (leaf, authority) = user.split_first().ok_or_else(|| GeneratorError("no chain".to_owned()))?;
    let wrong_order: Vec<Der> = authority.iter().chain([leaf]).cloned().collect();
    refused.add(
        "chain-in-the-wrong-order",
        "CERT-010",
        &["is-authority"],
        "a user CA before its user",
        USER_DIALS,
        &wrong_order,
        "user",
    );
    refused.add(
        "user-ca-as-leaf",
        "CERT-010",
        &["is-authority"],
        "a user CA by itself, as a user",
        USER_DIALS,
        authority,
        "user",
    );
    refused.add(
        "user-ca-as-server",
        "CERT-010",
        &["is-authority"],
        "a user CA by itself, as a server",
        SERVER_DIALS,
        authority,
        "server-dials-server",
    );
    let root = [town.root.clone()];
    refused.add(
        "root-as-leaf",
        "CERT-010",
        &["is-authority"],
        "the root itself, as a server",
        SERVER_DIALS,
        &root,
        "server-dials-server",
    );
    let four: Vec<Der> = user.iter().chain([&town.root, &other_root]).cloned().collect();
    refused.add(
        "four-certificates",
        "CERT-028",
        &["too-many"],
        "a good path, the root and one more certificate",
        USER_DIALS,
        &four,
        "user-with-root",
    );
    let many: Vec<Der> =
        std::iter::once(leaf).chain(std::iter::repeat_n(&town.one_ca, 40)).cloned().collect();
    refused.add(
        "forty-certificates",
        "CERT-028",
        &["too-many"],
        "a user's certificate and its user CA forty times",
        USER_DIALS,
        &many,
        "user",
    );
    let crossed = signed(&town.authority_template(), &town.one_key, &other_root, &other_root_key)?;
    let crossed = [leaf.clone(), crossed];
    refused.add(
        "authority-certified-by-another-root",
        "CERT-008",
        &["unknown-root"],
        "a good user below the home's own key, which another root certified",
        USER_DIALS,
        &crossed,
        "user",
    );
    let own_root = [
        leaf.clone(),
        Template { names: vec![Name::Dns(town.home.to_string())], ..town.authority_template() }
            .self_signed(&town.one_key)
            .map_err(GeneratorError::new)?,
    ];
    refused.add(
        "authority-certified-by-itself",
        "CERT-008",
        &["unknown-root"],
        "a good user below the home's own key, which certified itself",
        USER_DIALS,
        &own_root,
        "user",
    );
    let by_server: Vec<Der> = [leaf.clone()].into_iter().chain(server.iter().cloned()).collect();
    refused.add(
        "tls-certificate-instead-of-user-ca",
        "CERT-008",
        &["unknown-root"],
        "a user and the home's TLS certificate instead of its user CA",
        USER_DIALS,
        &by_server,
        "user",
    );
    let mut self_issued = town.user_template();
    self_issued.common_name = Some("Antiphon root".to_owned());
    let self_issued = [self_issued.self_signed(&town.user_key).map_err(GeneratorError::new)?];
    refused.add(
        "user-certified-by-itself",
        "CERT-008",
        &["unknown-root"],
        "a user's certificate that its own key signed",
        USER_DIALS,
        &self_issued,
        "user",
    );
    // The root's key is not a user CA's, and the other way round.
    let by_root = [Parts::of(leaf)?.sign(ROOT)?, town.one_ca.clone()];
    refused.add(
        "user-signed-by-the-root",
        "CERT-008",
        &["bad-signature"],
        "a user in the user CA's name, signed by the root",
        USER_DIALS,
        &by_root,
        "user",
    );
    Ok(())
}
