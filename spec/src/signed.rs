//! Signed objects, as the machines see them: opaque bytes that a verifier opens.
//!
//! On the wire each is an untagged COSE_Sign1 (RFC 9052) inside a byte string; the model checker uses symbolic
//! signatures instead. Either way a claim is only ever read through [`Verify`].

use std::{fmt, marker::PhantomData, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    identity::KeyHash,
    session::{Commitment, Epoch, EpochHash, Grant, Origin, SessionId, Ticket},
};

/// A kind of statement that can be signed.
pub trait Claims: Serialize + for<'de> Deserialize<'de> {
    /// The external data of the signature: no signature of one kind verifies as another.
    const CONTEXT: &'static str;
}

/// The bytes of a signed statement whose signature nobody has checked yet.
pub struct Signed<T> {
    bytes: Arc<[u8]>,
    claims: PhantomData<fn() -> T>,
}

impl<T> Signed<T> {
    /// Takes the bytes as they came; says nothing about what they are worth.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { bytes: bytes.into(), claims: PhantomData }
    }

    /// The bytes as they travel.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl<T> Clone for Signed<T> {
    fn clone(&self) -> Self {
        Self { bytes: Arc::clone(&self.bytes), claims: PhantomData }
    }
}

impl<T> PartialEq for Signed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<T> Eq for Signed<T> {}

impl<T> std::hash::Hash for Signed<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

impl<T> fmt::Debug for Signed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed({} bytes)", self.bytes.len())
    }
}

impl<T> Serialize for Signed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.bytes)
    }
}

impl<'de, T> Deserialize<'de> for Signed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_bytes(serde_bytes::ByteBuf::deserialize(deserializer)?.into_vec()))
    }
}

/// The signature does not stand for these claims under this key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the signature is not one of this key over these claims")]
pub struct SignatureRejected;

/// Signs with the own key. The machine signs nothing else than these three.
pub trait Sign {
    /// Signs a grant: the coordinator's part.
    fn sign_grant(&self, grant: &Grant) -> Signed<Grant>;
    /// Signs a ticket: the inviter's part.
    fn sign_ticket(&self, ticket: &Ticket) -> Signed<Ticket>;
    /// Signs a commitment: the coordinator's part, or its successor's.
    fn sign_commitment(&self, commitment: &Commitment) -> Signed<Commitment>;
}

/// Verifies under the key of a peer that TLS has authenticated, and hashes.
pub trait Verify {
    /// Opens a grant that the holder of `signer` signed.
    ///
    /// # Errors
    /// The bytes are malformed, the key is not known from a verified peer, or the signature is not its.
    fn verify_grant(&self, grant: &Signed<Grant>, signer: &KeyHash) -> Result<Grant, SignatureRejected>;
    /// Opens a ticket that the holder of `signer` signed.
    ///
    /// # Errors
    /// As for [`Verify::verify_grant`].
    fn verify_ticket(&self, ticket: &Signed<Ticket>, signer: &KeyHash) -> Result<Ticket, SignatureRejected>;
    /// Opens a commitment that the holder of `signer` signed.
    ///
    /// # Errors
    /// As for [`Verify::verify_grant`].
    fn verify_commitment(
        &self,
        commitment: &Signed<Commitment>,
        signer: &KeyHash,
    ) -> Result<Commitment, SignatureRejected>;
    /// Reads a commitment without believing it, to learn whether it names its signer as the successor.
    ///
    /// # Errors
    /// The bytes are malformed.
    fn read_unverified_commitment(
        &self,
        commitment: &Signed<Commitment>,
    ) -> Result<Commitment, SignatureRejected>;
    /// Reads a ticket without believing it, to learn whom it names as its issuer.
    ///
    /// # Errors
    /// The bytes are malformed.
    fn read_unverified_ticket(&self, ticket: &Signed<Ticket>) -> Result<Ticket, SignatureRejected>;
    /// The hash of an epoch, which the next epoch covers.
    fn hash_epoch(&self, epoch: &Epoch) -> EpochHash;
    /// The session ID that belongs to an origin.
    fn derive_session_id(&self, origin: &Origin) -> SessionId;
}

/// Both halves, as a session needs them.
pub trait SessionCrypto: Sign + Verify {}
impl<T: Sign + Verify> SessionCrypto for T {}
