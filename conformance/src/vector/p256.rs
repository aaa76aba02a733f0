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
    signed::{commitment, grant, header, ticket},
};
use crate::case::Role;

/// The public key under which the objects below were signed.
const KEY: &str = concat!(
    "3059301306072a8648ce3d020106082a8648ce3d030107034200",
    "04d2afa6a436f9c5cf7b64456044219b5358850acfda5a9e5c807bb3ee0921077a",
    "72c81dba452f00f358ab378f2b26dc5d3fe8cdbc460d162a2eb2b06204f0dece",
);

/// Over the claims of the other vectors, a possession of [`KEY`] first.
const POSSESSION: &str = concat!(
    "25cd52f0184a1b7250059d55938db3bc87a572c4e59ffae86b30834beb7ed9c8",
    "f8f4eaba771539a5355f83e5650f72b42f94759ed764156c57807a84d91936f0",
);
const GRANT: &str = concat!(
    "cf566b97ccef2628ebdc92b2ba475654d45d5d88545117f8034b31e9954897c8",
    "2b923e4d85f5ba6ce50c3868c83e8e294402a29fe801538924cbcd0c5569a8c5",
);
const TICKET: &str = concat!(
    "bc34f77d0dc5a200cb475cc816eba702e917c219c34d15b0d2e11c808ce8618e",
    "71646b4bad31799326dbac9627180a00b689fd645f79527a5caffa52ab698d5e",
);
const COMMITMENT: &str = concat!(
    "a149326d1aa3e5527faa346dc545cc4a0274992064a1bea42569b7e46ea61be9",
    "378b6fbfd97bc7118ab889d6c1292fabdc2adf2d8333ae5936d30f9a57799a4a",
);

/// Over the grant, with the algorithm of Ed25519 in the header.
const GRANT_ALGORITHM: &str = concat!(
    "76876caa648339853dab1aadae60342fe96b2036caacf2945a7813c26e7e5977",
    "da14f4f5ec6e9fbec54091954f17d0448f7a577716c2e34c5ecb9e14972efee0",
);
/// Over the grant, with [`OTHER_KEY`] in the header.
const GRANT_KEY: &str = concat!(
    "3d05cd818e9b22fac3e5fc6052e72953e3c5bf814628b983c6747a76a7312803",
    "b9788059e7ddd76d05c1ba0b9f7ca8bb5e0f28dd0862aa3b54fb7f244bf7f13d",
);
/// Over the grant, in the context of a ticket.
const GRANT_CONTEXT: &str = concat!(
    "34ee99fca81e7c8145f6d2c1b5a06a027e88e943360ff9063fded1bfc51fc48c",
    "a55949fc87b8055cc41f480427e6287ea70631a0a2ec00a5dc9243d646256aad",
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
    accepted(cases, &key, "commitment", &commitment()?, COMMITMENT)?;
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
