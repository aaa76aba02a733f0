//! Signed objects: untagged COSE_Sign1 (RFC 9052) in one form only (chapter *Signed objects*).
//!
//! The protected header is exactly the algorithm and the signer's key hash, the unprotected one is empty, the external
//! data is the context of the kind of statement, the payload its deterministic encoding. Anything else is rejected,
//! whether or not a signature would verify.

mod key_ring;

use antiphon_spec::{
    identity::KeyHash,
    signed::{Claims, SignatureRejected, Signed},
};
use coset::{
    Algorithm, CborSerializable as _, CoseSign1, CoseSign1Builder, Header, HeaderBuilder, ProtectedHeader,
    iana,
};

pub use key_ring::{KeyRing, KeyRingFull, hash_epoch, server_object_handle, session_id};

use crate::{
    cbor::{self, EncodeError},
    key::{KeyAlgorithm, KeyError, KeyPair, PublicKey},
    mutant::{Mutant, active},
};

/// Every context of the protocol, for the mutant that mixes them up.
const CONTEXTS: [&str; 5] =
    ["antiphon-grant/1", "antiphon-ticket/1", "antiphon-possession/1", "antiphon-commit/1", ""];

/// Why a statement cannot be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The claims have no encoding.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The key did not sign.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The object has no encoding.
    #[error("the signed object cannot be encoded")]
    Object,
}

/// The parts of a signed object that a peer can get wrong: [`sign`] fills them in, tests and the conformance suite
/// change them first.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// The protected header.
    pub protected: Header,
    /// The unprotected header; empty in every good object.
    pub unprotected: Header,
    /// The external data: the context of the kind of statement.
    pub context: String,
    /// The payload: the deterministic encoding of the claims.
    pub payload: Vec<u8>,
}

impl Envelope {
    /// A good envelope for claims under a key.
    ///
    /// # Errors
    /// The claims have no encoding.
    pub fn new<T: Claims>(key: &PublicKey, claims: &T) -> Result<Self, EncodeError> {
        Ok(Self {
            protected: header(algorithm_of(key), key.key_hash()),
            unprotected: Header::default(),
            context: T::CONTEXT.to_owned(),
            payload: cbor::encode(claims)?,
        })
    }

    /// Signs what is there, right or wrong.
    ///
    /// # Errors
    /// The key did not sign, or the object has no encoding.
    pub fn seal<T>(self, key: &KeyPair) -> Result<Signed<T>, SignError> {
        let object = CoseSign1Builder::new()
            .protected(self.protected)
            .unprotected(self.unprotected)
            .payload(self.payload)
            .try_create_signature(self.context.as_bytes(), |message| key.sign_plain(message))?
            .build();
        Ok(Signed::from_bytes(object.to_vec().map_err(|_| SignError::Object)?))
    }
}

/// Signs claims.
///
/// # Errors
/// The key did not sign; see [`SignError`].
pub fn sign<T: Claims>(key: &KeyPair, claims: &T) -> Result<Signed<T>, SignError> {
    Envelope::new(key.public_key(), claims)?.seal(key)
}

/// Opens claims that the holder of `key` signed.
///
/// # Errors
/// The object is not in its one form, names another key or algorithm, or the signature is not this key's over just
/// this kind of statement.
pub fn verify<T: Claims>(signed: &Signed<T>, key: &PublicKey) -> Result<T, SignatureRejected> {
    let object = Object::read(signed.as_bytes())?;
    if object.algorithm != algorithm_of(key) && !active(Mutant::AlgorithmUnchecked) {
        return Err(SignatureRejected);
    }
    if object.key_id != key.key_hash() && !active(Mutant::KeyIdUnchecked) {
        return Err(SignatureRejected);
    }
    let verifies =
        |context: &str| key.verifies(&object.cose.tbs_data(context.as_bytes()), &object.cose.signature);
    let mixed_up = || active(Mutant::ContextUnbound) && CONTEXTS.into_iter().any(verifies);
    if !verifies(T::CONTEXT) && !mixed_up() {
        return Err(SignatureRejected);
    }
    object.claims()
}

/// Reads claims without believing them, to learn under whose key they are to be verified.
///
/// # Errors
/// The object is not in its one form.
pub fn read_unverified<T: Claims>(signed: &Signed<T>) -> Result<T, SignatureRejected> {
    Object::read(signed.as_bytes())?.claims()
}

/// An object in its one form, whose signature nobody has checked yet.
struct Object {
    cose: CoseSign1,
    algorithm: iana::Algorithm,
    key_id: KeyHash,
}

impl Object {
    fn read(bytes: &[u8]) -> Result<Self, SignatureRejected> {
        cbor::check(bytes).map_err(|_| SignatureRejected)?;
        let cose = CoseSign1::from_slice(bytes).map_err(|_| SignatureRejected)?;
        let found = &cose.protected.header;
        let algorithm = match &found.alg {
            Some(Algorithm::Assigned(algorithm)) => *algorithm,
            _ => return Err(SignatureRejected),
        };
        let key_id = <[u8; 32]>::try_from(found.key_id.as_slice()).map_err(|_| SignatureRejected)?;
        let key_id = KeyHash(key_id);
        // Encoded again from what was understood, the object has to be the one that came: so there is no other
        // header parameter, no other order, and nothing in the unprotected header.
        let again = CoseSign1 {
            protected: ProtectedHeader { original_data: None, header: header(algorithm, key_id) },
            unprotected: Header::default(),
            payload: Some(cose.payload.clone().ok_or(SignatureRejected)?),
            signature: cose.signature.clone(),
        };
        if again.to_vec().map_err(|_| SignatureRejected)? != bytes {
            return Err(SignatureRejected);
        }
        Ok(Self { cose, algorithm, key_id })
    }

    fn claims<T: Claims>(&self) -> Result<T, SignatureRejected> {
        let payload = self.cose.payload.as_deref().ok_or(SignatureRejected)?;
        cbor::decode(payload).map_err(|_| SignatureRejected)
    }
}

fn header(algorithm: iana::Algorithm, key: KeyHash) -> Header {
    HeaderBuilder::new().algorithm(algorithm).key_id(key.0.to_vec()).build()
}

/// The algorithm identifier that signed objects use for a key (RFC 9053, section 2).
fn algorithm_of(key: &PublicKey) -> iana::Algorithm {
    match key.algorithm() {
        KeyAlgorithm::Ed25519 => iana::Algorithm::EdDSA,
        KeyAlgorithm::P256 => iana::Algorithm::ES256,
    }
}

#[cfg(test)]
mod tests;
