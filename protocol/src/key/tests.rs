//! Keys: one form for each, points that are none, secrets that stay inside.

use proptest::prelude::*;

use super::*;

/// An Ed25519 public key from RFC 8032, section 7.1, test 1.
const ED25519: &str =
    "302a300506032b6570032100d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

/// The base point of P-256, whose secret key is 1.
const P256: &str = "3059301306072a8648ce3d020106082a8648ce3d03010703420004\
    6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
    4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

/// The algorithm of a public key, where the bytes are one.
#[track_caller]
fn check(der: &[u8], expected: Option<KeyAlgorithm>) {
    let found = PublicKey::from_der(der);
    assert_eq!(found.as_ref().map(PublicKey::algorithm).ok(), expected, "{}", hex::encode(der));
    if let Ok(key) = found {
        assert_eq!(key.as_der(), der);
        assert_eq!(key.key_hash().0, sha256(&[der]));
    }
}

/// An Ed25519 key of these bytes.
fn ed25519(raw: &[u8]) -> Vec<u8> {
    [&bytes("302a300506032b6570032100"), raw].concat()
}

#[test]
fn each_algorithm_has_one_form() {
    check(&bytes(ED25519), Some(KeyAlgorithm::Ed25519));
    check(&bytes(P256), Some(KeyAlgorithm::P256));
    for good in [ED25519, P256] {
        let good = bytes(good);
        for cut in 0..good.len() {
            check(&good[..cut], None);
        }
        check(&[&good[..], &[0]].concat(), None);
        check(&[&[0], &good[..]].concat(), None);
    }
}

#[test]
fn no_other_form_and_no_other_algorithm() {
    // Parameters where there are none, and none where there are some.
    check(
        &bytes(
            "302c300706032b65700500032100d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        ),
        None,
    );
    check(
        &bytes(&P256.replace("3059301306072a8648ce3d020106082a8648ce3d030107", "304f300906072a8648ce3d0201")),
        None,
    );
    // A compressed point, a hybrid one, and the point at infinity.
    let compressed = "3039301306072a8648ce3d020106082a8648ce3d030107032200036b17d1f2e12c4247f8bce6e563a440f2\
        77037d812deb33a0f4a13945d898c296";
    check(&bytes(compressed), None);
    check(&bytes(&P256.replace("03420004", "03420007")), None);
    check(&bytes("3019301306072a8648ce3d020106082a8648ce3d0301070302 0000".replace(' ', "").as_str()), None);
    // Ed448, X25519, P-384.
    check(&bytes(&("3043300506032b6571033a00".to_owned() + &"11".repeat(57))), None);
    check(&bytes(&ED25519.replace("2b6570", "2b656e")), None);
    let p384 = "3076301006072a8648ce3d020106052b8104002203620004".to_owned() + &"11".repeat(96);
    check(&bytes(&p384), None);
    // A length in a longer form.
    check(&bytes(&ED25519.replacen("302a", "30812a", 1)), None);
}

#[test]
fn a_point_is_on_its_curve() {
    let mut off = bytes(P256);
    *off.last_mut().unwrap() ^= 1;
    check(&off, None);
    // A coordinate that is not below the prime.
    let above = [&bytes("3059301306072a8648ce3d020106082a8648ce3d03010703420004"), &[0xff; 32][..], &[1; 32]]
        .concat();
    check(&above, None);
    // Bytes that are no Ed25519 point stand for a key under which nothing verifies: the square root for x is missing.
    let mut y = [0; 32];
    y[0] = 2;
    let nobody = PublicKey::from_der(&ed25519(&y)).unwrap();
    let signature = KeyPair::from_seed(&[1; 32]).unwrap().sign_plain(b"said").unwrap();
    for signature in [signature, vec![0; 64], [&y[..], &[0; 32]].concat()] {
        assert!(!nobody.verifies(b"said", &signature));
    }
}

#[test]
fn a_point_has_no_small_order_and_one_form() {
    let orders_eight = [
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ];
    let of_one_and_two = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    let of_four = ["0000000000000000000000000000000000000000000000000000000000000000"];
    let not_below_the_prime = [
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        // Of large order: the same point as 3 and as 16.
        "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "fdffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    for text in orders_eight.iter().chain(&of_one_and_two).chain(&of_four).chain(&not_below_the_prime) {
        let mut raw = bytes(text);
        check(&ed25519(&raw), None);
        // With the other sign of x.
        raw[31] |= 0x80;
        check(&ed25519(&raw), None);
    }
}

#[test]
fn the_seed_of_the_rfc_makes_its_key() {
    let seed = bytes("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let key = KeyPair::from_seed(&seed.try_into().unwrap()).unwrap();
    assert_eq!(key.public_key_der(), bytes(ED25519));
    let signature = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b\
        d25bf5f0595bbe24655141438e7a100b";
    assert_eq!(hex::encode(key.sign_plain(b"").unwrap()), signature);
}

#[test]
fn a_pair_comes_back_from_its_file() {
    for algorithm in [KeyAlgorithm::Ed25519, KeyAlgorithm::P256] {
        let key = KeyPair::generate(algorithm).unwrap();
        let text = key.to_pem().unwrap();
        assert!(text.starts_with("-----BEGIN PRIVATE KEY-----\n") && !text.contains('\r'));
        let again = KeyPair::from_pem(&text).unwrap();
        assert_eq!(again.public_key(), key.public_key());
        assert_eq!(again.public_key().algorithm(), algorithm);
        // The same key signs: what it signs verifies under the first one's public key, and nothing else does.
        let signature = again.sign_plain(b"said").unwrap();
        assert_eq!(signature.len(), 64);
        assert!(key.public_key().verifies(b"said", &signature));
        assert!(!key.public_key().verifies(b"other", &signature));
        let other = KeyPair::generate(algorithm).unwrap();
        assert!(!other.public_key().verifies(b"said", &signature));
    }
}

/// Why a text is no key pair.
#[track_caller]
fn check_pem(text: &str, expected: KeyError) {
    assert_eq!(KeyPair::from_pem(text).err(), Some(expected), "{text}");
}

#[test]
fn a_file_that_holds_no_key_says_so() {
    let pem = |label: &str, der: &[u8]| crate::certificate::encode_pem(&pem::Pem::new(label, der));
    let good = KeyPair::from_seed(&[1; 32]).unwrap().to_pkcs8_der().unwrap();
    check_pem("", KeyError::NotPem);
    check_pem("-----BEGIN PRIVATE KEY-----", KeyError::NotPem);
    check_pem(&pem("CERTIFICATE", &good), KeyError::NotPem);
    check_pem(&pem("ENCRYPTED PRIVATE KEY", &good), KeyError::NotPem);
    check_pem(&pem("PRIVATE KEY", &good[1..]), KeyError::NotAccepted);
    check_pem(&pem("PRIVATE KEY", &[]), KeyError::NotAccepted);
    // X25519 in the same form.
    let x25519 = [&bytes("302e020100300506032b656e04220420"), &[7; 32][..]].concat();
    check_pem(&pem("PRIVATE KEY", &x25519), KeyError::NotAccepted);
}

#[test]
fn nothing_shows_a_secret() {
    for algorithm in [KeyAlgorithm::Ed25519, KeyAlgorithm::P256] {
        let key = KeyPair::generate(algorithm).unwrap();
        let shown = format!("{key:?} {key:#?}");
        assert!(shown.contains("[redacted]"), "{shown}");
        let secret = key.to_pkcs8_der().unwrap();
        // Any eight bytes of the file in a row would be too much, as numbers or in hexadecimal.
        for window in secret.windows(8) {
            assert!(!shown.contains(&hex::encode(window)), "{shown}");
            let numbers: Vec<String> = window.iter().map(ToString::to_string).collect();
            assert!(!shown.contains(&numbers.join(", ")), "{shown}");
        }
    }
}

proptest! {
    #[test]
    fn bytes_of_any_kind_are_a_key_in_one_form_or_none(raw in prop::collection::vec(any::<u8>(), 0..100), prefix in 0..3usize) {
        let prefixes = [vec![], bytes("302a300506032b6570032100"), bytes(&P256[..52])];
        let der = [&prefixes[prefix][..], &raw].concat();
        if let Ok(key) = PublicKey::from_der(&der) {
            prop_assert_eq!(key.as_der(), der);
        }
    }
}
