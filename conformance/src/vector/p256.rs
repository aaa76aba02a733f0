//! What was signed with ECDSA on P-256: signatures and certificates that were made once and are kept here, because ECDSA
//! draws a random number for each signature and the vectors have to come out the same every time.
//!
//! The secret keys are gone. Whoever changes what is signed makes everything here anew.

use antiphon_protocol::{certificate::from_pem, key::PublicKey, signed::verify};
use antiphon_spec::{
    identity::KeyHash,
    message::registration::Possession,
    session::Grant,
    signed::{Claims, Signed},
};
use rustls::pki_types::CertificateDer;

use super::{
    Draft, GeneratorError, Made, Phase, VectorCase,
    node::Node,
    samples::handle,
    signed::{grant, header, ticket},
};
use crate::case::Role;

/// The public key under which the objects below were signed.
const KEY: &str = concat!(
    "3059301306072a8648ce3d020106082a8648ce3d030107034200",
    "04a6ec38bfaa3ea884f13099e64b180fae1e392e9ed3351d8f71534ef5c675c7bd",
    "d2d8c11b280f845bc43010aa838bfacffc4b363262d7acdf170da46c4536f9f3",
);

/// Over the claims of the other vectors, a possession of [`KEY`] first.
const POSSESSION: &str = concat!(
    "3ecf9e45ce9e167b65c3ab95617b7d7f97a84f009ae5e776ca81f574ff058c5d",
    "21e888bbd28c87e30a35380b889156dbc859f5b57707a2a415de4039bdb4b591",
);
const GRANT: &str = concat!(
    "abd08228245d6b749e861d0bd6aa9bcd29d3f9ebc4d4739a18ae216e652dce28",
    "ec2d5414c2a6ab9d559df5ca38b9302798a07d9a5bb57072bb72ac4cb259066e",
);
const TICKET: &str = concat!(
    "ffe16e55fcd37c839b55a7077a7d9f45f2c64065e9385cf5b434d2575b77a1ed",
    "2a9c4a047f0d47fbdcab4d370d195cef531260530596501de12d97d67d12170d",
);

/// Over the grant, with the algorithm of Ed25519 in the header.
const GRANT_ALGORITHM: &str = concat!(
    "5c8b027eb4f4e10930567bd88261da9951b9e7af5c24e2e1d60c609f822a69a3",
    "f03c5cdc3e3d6b3fe8741edede3aec0ce79548563fbf2983b3f41d488dcee2ae",
);
/// Over the grant, with [`OTHER_KEY`] in the header.
const GRANT_KEY: &str = concat!(
    "81ad843f1b8583abe08ab90bec6176c247d61c578a77a3e2a96e9d670fce20be",
    "9d09a3dfe75a5db6ffa0bbc6c832f254134f4d65a45e4b71bf45bb2aface9b01",
);
/// Over the grant, in the context of a ticket.
const GRANT_CONTEXT: &str = concat!(
    "9429a639fa2cf5c60b1fe4c3a44126a85ca33a87d67636b48da6b54aebea6b25",
    "2a62df6f8a56de756cc26ebfeac0e2152b02132acd736a65d9d9b3f1c49f440f",
);

const OTHER_KEY: KeyHash = KeyHash([0x5a; 32]);

/// The public key in the leaf of the chain.
const LEAF_KEY: &str = concat!(
    "3059301306072a8648ce3d020106082a8648ce3d030107034200",
    "0409f89603c2f9f270af441cb9cf564c27394a052b8c045dad73ebddaa895dce34",
    "93c06df108aecdb26a1459aa077fd2129958debc094492de0bdad62b0665c185",
);

/// A user, the user CA and the root, each with a P-256 key: named and dated like those of the other vectors.
const CHAIN: &str = include_str!("p256/chain.pem");

/// ES256 (RFC 9053).
const ES256: i64 = -7;
/// EdDSA (RFC 9053).
const EDDSA: i64 = -8;

fn hex_bytes(text: &str) -> Made<Vec<u8>> {
    hex::decode(text).map_err(GeneratorError::new)
}

fn object(algorithm: i64, key: &KeyHash, payload: &[u8], signature: Vec<u8>) -> Vec<u8> {
    let protected = header(algorithm, key.0.to_vec()).encode();
    let payload = Node::Bytes(payload.to_vec());
    Node::Array(vec![Node::Bytes(protected), Node::Map(vec![]), payload, Node::Bytes(signature)]).encode()
}

/// Signed objects under a P-256 key.
pub(super) fn signed(cases: &mut Vec<VectorCase>) -> Made<()> {
    let key = PublicKey::from_der(&hex_bytes(KEY)?).map_err(GeneratorError::new)?;
    let possession = Possession { key: key.as_der().to_vec(), server: handle(1)?.home };
    accepted(cases, &key, "possession", &possession, POSSESSION)?;
    accepted(cases, &key, "grant", &grant()?, GRANT)?;
    accepted(cases, &key, "ticket", &ticket()?, TICKET)?;
    let payload = antiphon_protocol::cbor::encode::<Grant>(&grant()?).map_err(GeneratorError::new)?;
    let good = hex_bytes(GRANT)?;
    let (r, s) = good.split_at_checked(32).ok_or_else(|| GeneratorError("not 64 bytes".to_owned()))?;
    let own = key.key_hash();
    let with = |signature: Vec<u8>| object(ES256, &own, &payload, signature);
    let flipped: Vec<u8> =
        good.iter().enumerate().map(|(at, byte)| if at == 0 { byte ^ 1 } else { *byte }).collect();
    for (slug, requirement, about, bytes) in [
        (
            "alg-eddsa",
            "SIGN-007",
            "the algorithm of another kind of key",
            object(EDDSA, &own, &payload, hex_bytes(GRANT_ALGORITHM)?),
        ),
        (
            "kid-of-another",
            "SIGN-008",
            "the key hash of another key",
            object(ES256, &OTHER_KEY, &payload, hex_bytes(GRANT_KEY)?),
        ),
        ("other-context", "SIGN-009", "signed as another kind of statement", with(hex_bytes(GRANT_CONTEXT)?)),
        ("signature-changed", "SIGN-009", "one bit of the signature changed", with(flipped)),
        (
            "signature-in-der",
            "SIGN-009",
            "the signature as DER instead of two numbers of 32 bytes",
            with(der(r, s)),
        ),
        ("signature-halves-swapped", "SIGN-009", "s before r", with([s, r].concat())),
        (
            "signature-of-63-bytes",
            "SIGN-009",
            "a signature cut off",
            with(good.get(..63).unwrap_or_default().to_vec()),
        ),
        ("signature-zero", "SIGN-009", "a signature of zeros", with(vec![0; 64])),
        ("r-zero", "SIGN-009", "r is 0", with([&[0; 32], s].concat())),
        ("s-zero", "SIGN-009", "s is 0", with([r, &[0; 32]].concat())),
    ] {
        let draft = draft(
            &key,
            "grant",
            &format!("-{slug}"),
            &[requirement],
            &format!("under a P-256 key: {about}"),
            &bytes,
        );
        cases.push(draft.reject(Phase::Auth, &["grant-refused"], "signed/grant-p256").done());
    }
    Ok(())
}

fn draft(key: &PublicKey, kind: &str, slug: &str, requirements: &[&str], about: &str, bytes: &[u8]) -> Draft {
    let operation = format!("verify-{kind}");
    Draft::new(format!("signed/{kind}-p256{slug}"), Role::Verifier, &operation, requirements, about)
        .input("key", hex::encode(key.as_der()))
        .bytes("hex", bytes)
}

fn accepted<T: Claims>(
    cases: &mut Vec<VectorCase>,
    key: &PublicKey,
    kind: &str,
    claims: &T,
    signature: &str,
) -> Made<()> {
    let payload = antiphon_protocol::cbor::encode(claims).map_err(GeneratorError::new)?;
    let bytes = object(ES256, &key.key_hash(), &payload, hex_bytes(signature)?);
    // What is signed may have changed since the signature was made.
    verify(&Signed::<T>::from_bytes(bytes.as_slice()), key).map_err(GeneratorError::new)?;
    let requirements = ["SIGN-005", "SIGN-007", "SIGN-009", "IDENT-010"];
    let draft = draft(key, kind, "", &requirements, "the object in its one form, under a P-256 key", &bytes);
    cases.push(draft.output("claims", hex::encode(payload)).done());
    Ok(())
}

/// A signature as X.509 has it: SEQUENCE { INTEGER r, INTEGER s }.
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let sign: &[u8] = if number.first().is_some_and(|first| *first >= 0x80) { &[0] } else { &[] };
        let length = u8::try_from(number.len() + sign.len()).unwrap_or(u8::MAX);
        [&[2, length], sign, number].concat()
    };
    let both = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(both.len()).unwrap_or(u8::MAX)], both.as_slice()].concat()
}

/// The chain of a user, and its root.
pub(super) fn chain() -> Made<(Vec<CertificateDer<'static>>, CertificateDer<'static>)> {
    let mut all = from_pem(CHAIN).map_err(GeneratorError::new)?;
    let root = all.pop().ok_or_else(|| GeneratorError("no root".to_owned()))?;
    Ok((all, root))
}

/// The hash of the key in the leaf of the chain.
pub(super) fn key_hash() -> Made<KeyHash> {
    Ok(PublicKey::from_der(&hex_bytes(LEAF_KEY)?).map_err(GeneratorError::new)?.key_hash())
}
