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
    "0486ade5f64a5db09ebb00b0e1e368ed49c2fbb7a1f6d5dd490909c8b938dbbf68",
    "5f65c8a2292efc47f4ae91bb3d6ad32368199f51d300591f7afdacfed5fd25ac",
);

/// Over the claims of the other vectors, a possession of [`KEY`] first.
const POSSESSION: &str = concat!(
    "690be3d38ec54aaceda18f82f5f2a36a19e7873b0857709dc7aff5bb4316c3f6",
    "13ee4fcb931fd9163cec09e9d791379cc105be5fb281d2d945a673137fed80cb",
);
const GRANT: &str = concat!(
    "afb2842050d4cb31044e470e56b6acd611ee394eb73c11f8a3a22ce48e1c9413",
    "2232e43d20c4665f29e225a27303a94b4fa4df9d60fe9c305b1bc6609faacf46",
);
const TICKET: &str = concat!(
    "1af5dc5c6eed3f919cb934f72e9acd7ec703e7bdbfec4913dd05aa27422538cf",
    "14575c19181e5646b5d85a58c190b949787b4bcf578b79a9435c51681b4f81d3",
);

/// Over the grant, with the algorithm of Ed25519 in the header.
const GRANT_ALGORITHM: &str = concat!(
    "175bc6f79599b9df3860cf8d4a4b4ebbfc463937219e02f86ecb014b3d807633",
    "02ebe938584df5611ab9b426e3d70ba3d79ffb7cf5f3413264fb6d235e986078",
);
/// Over the grant, with [`OTHER_KEY`] in the header.
const GRANT_KEY: &str = concat!(
    "f117680c1b90f0aa26639c57184b0519aa7e950d31241da88b5af00fb2344e38",
    "f98998fd3950ba759a4862ee63e30f31bb84e3a2cd09b5c942ba41a22a8b2ea4",
);
/// Over the grant, in the context of a ticket.
const GRANT_CONTEXT: &str = concat!(
    "f6a69e60ce032f546dea5d7c624ca112faafb5b89707a49b76d440add6926daf",
    "7ab8610fa7be92c355fc7ce9905209f949f3e1378b3fde8c012c089869219028",
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
