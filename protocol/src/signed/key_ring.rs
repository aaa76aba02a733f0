//! What a session's machine needs of cryptography: signing with the own key, verifying under the keys of peers that TLS
//! has proved, and the hashes of the protocol.

use std::collections::BTreeMap;

use antiphon_spec::{
    identity::{KeyHash, ObjectHandle, ServerName},
    session::{Commitment, Epoch, EpochHash, Grant, Origin, SessionId, Ticket},
    signed::{Claims, Sign, SignatureRejected, Signed, Verify},
};

use crate::{
    cbor,
    certificate::VerifiedPeer,
    key::{KeyPair, PublicKey, sha256},
};

/// Before an origin, under the hash that is the session ID.
const SESSION_CONTEXT: &[u8] = b"antiphon-session/1";

/// Before an epoch, under its hash.
const EPOCH_CONTEXT: &[u8] = b"antiphon-epoch/1";

/// Before a server's name, under the hash that begins with its object handle.
const SERVER_CONTEXT: &[u8] = b"antiphon-server/1";

/// The own key and the keys of verified peers, up to a bound.
#[derive(Debug)]
pub struct KeyRing {
    own: KeyPair,
    peers: BTreeMap<KeyHash, Known>,
    peers_max: usize,
}

/// A peer's key, and over how many links it is known.
#[derive(Debug)]
struct Known {
    key: PublicKey,
    links: usize,
}

/// The key ring holds as many keys as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("no more peers' keys can be kept")]
pub struct KeyRingFull;

impl KeyRing {
    /// A key ring with the own key alone, and room for `peers_max` others.
    #[must_use]
    pub fn new(own: KeyPair, peers_max: usize) -> Self {
        Self { own, peers: BTreeMap::new(), peers_max }
    }

    /// Learns the key of a verified peer, for one link. [`KeyRing::forget`] undoes it.
    ///
    /// # Errors
    /// The ring is full; nothing changed.
    pub fn learn(&mut self, peer: &VerifiedPeer) -> Result<(), KeyRingFull> {
        let hash = peer.key().key_hash();
        let full = self.peers.len() >= self.peers_max && !self.peers.contains_key(&hash);
        if full {
            return Err(KeyRingFull);
        }
        self.peers.entry(hash).or_insert_with(|| Known { key: peer.key().clone(), links: 0 }).links += 1;
        Ok(())
    }

    /// Forgets a key with the last of the links over which it was learnt.
    pub fn forget(&mut self, key: &KeyHash) {
        if let Some(known) = self.peers.get_mut(key) {
            known.links -= 1;
            if known.links == 0 {
                self.peers.remove(key);
            }
        }
    }

    /// The own key pair.
    #[must_use]
    pub fn own(&self) -> &KeyPair {
        &self.own
    }

    fn key(&self, hash: &KeyHash) -> Result<&PublicKey, SignatureRejected> {
        if *hash == self.own.key_hash() {
            return Ok(self.own.public_key());
        }
        self.peers.get(hash).map(|known| &known.key).ok_or(SignatureRejected)
    }

    /// Signs; an object that nobody can verify if the cryptographic library fails, which it does not for these keys.
    fn sign<T: Claims>(&self, claims: &T) -> Signed<T> {
        super::sign(&self.own, claims).unwrap_or_else(|_| Signed::from_bytes(Vec::new()))
    }
}

impl Sign for KeyRing {
    fn sign_grant(&self, grant: &Grant) -> Signed<Grant> {
        self.sign(grant)
    }

    fn sign_ticket(&self, ticket: &Ticket) -> Signed<Ticket> {
        self.sign(ticket)
    }

    fn sign_commitment(&self, commitment: &Commitment) -> Signed<Commitment> {
        self.sign(commitment)
    }
}

impl Verify for KeyRing {
    fn verify_grant(&self, grant: &Signed<Grant>, signer: &KeyHash) -> Result<Grant, SignatureRejected> {
        super::verify(grant, self.key(signer)?)
    }

    fn verify_ticket(&self, ticket: &Signed<Ticket>, signer: &KeyHash) -> Result<Ticket, SignatureRejected> {
        super::verify(ticket, self.key(signer)?)
    }

    fn verify_commitment(
        &self,
        commitment: &Signed<Commitment>,
        signer: &KeyHash,
    ) -> Result<Commitment, SignatureRejected> {
        super::verify(commitment, self.key(signer)?)
    }

    fn read_unverified_commitment(
        &self,
        commitment: &Signed<Commitment>,
    ) -> Result<Commitment, SignatureRejected> {
        super::read_unverified(commitment)
    }

    fn read_unverified_ticket(&self, ticket: &Signed<Ticket>) -> Result<Ticket, SignatureRejected> {
        super::read_unverified(ticket)
    }

    fn hash_epoch(&self, epoch: &Epoch) -> EpochHash {
        hash_epoch(epoch)
    }

    fn derive_session_id(&self, origin: &Origin) -> SessionId {
        session_id(origin)
    }
}

/// The hash of an epoch: SHA-256 over a context and the deterministic encoding.
#[must_use]
pub fn hash_epoch(epoch: &Epoch) -> EpochHash {
    // An epoch always has an encoding; without one it would get the hash of none.
    let encoding = cbor::encode(epoch).unwrap_or_default();
    EpochHash(sha256(&[EPOCH_CONTEXT, &encoding]))
}

/// The session ID of an origin: SHA-256 over a context, the creator's key hash and nonce.
#[must_use]
pub fn session_id(origin: &Origin) -> SessionId {
    SessionId(sha256(&[SESSION_CONTEXT, &origin.key.0, &origin.nonce.0]))
}

/// The object handle under which the location service knows a server by its name.
#[must_use]
pub fn server_object_handle(name: &ServerName) -> ObjectHandle {
    let hash = sha256(&[SERVER_CONTEXT, name.as_str().as_bytes()]);
    let mut handle = [0; 16];
    handle.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    ObjectHandle(handle)
}
