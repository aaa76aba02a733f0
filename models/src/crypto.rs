//! Symbolic cryptography: a signature is a term that only the owner of the key can make.
//!
//! What stands for a signed object is the deterministic CBOR of (context, key, claims). A model never builds one by
//! any other way than a client's own [`Hand`], so nobody can sign for somebody else. Hashes are fixed digests that
//! are taken to be free of collisions.

use std::cell::RefCell;

use antiphon_spec::{
    identity::KeyHash,
    session::{Commitment, Epoch, EpochHash, Grant, Origin, SessionId, Ticket},
    signed::{Claims, Sign, SignatureRejected, Signed, Verify},
};

use crate::{digest::digest_bytes, tap};

/// The key of one client, in the one step in which it is used.
#[derive(Debug)]
pub(crate) struct Hand {
    key: KeyHash,
    granted: RefCell<Vec<Grant>>,
    committed: RefCell<Vec<Commitment>>,
}

impl Hand {
    pub(crate) fn new(key: KeyHash) -> Self {
        Self { key, granted: RefCell::new(Vec::new()), committed: RefCell::new(Vec::new()) }
    }

    /// The commitments that were signed with this hand since it was last asked, for the properties about ends of epochs.
    pub(crate) fn committed(&self) -> Vec<Commitment> {
        self.committed.take()
    }

    /// The grants that were signed with this hand, for the properties about grants.
    pub(crate) fn into_granted(self) -> Vec<Grant> {
        self.granted.into_inner()
    }

    fn sign<T: Claims>(&self, claims: &T) -> Signed<T> {
        let mut bytes = Vec::new();
        // A vector takes all bytes, and the claims are plain maps; if they ever were not, nobody could verify this.
        if ciborium::into_writer(&(T::CONTEXT, self.key, claims), &mut bytes).is_err() {
            bytes.clear();
        }
        Signed::from_bytes(bytes)
    }
}

/// Reads who signed, and what.
pub(crate) fn open<T: Claims>(signed: &Signed<T>) -> Result<(KeyHash, T), SignatureRejected> {
    let (context, key, claims): (String, KeyHash, T) =
        ciborium::from_reader(signed.as_bytes()).map_err(|_| SignatureRejected)?;
    if context == T::CONTEXT { Ok((key, claims)) } else { Err(SignatureRejected) }
}

fn verify<T: Claims>(signed: &Signed<T>, signer: &KeyHash) -> Result<T, SignatureRejected> {
    let (key, claims) = open(signed)?;
    if key == *signer { Ok(claims) } else { Err(SignatureRejected) }
}

impl Sign for Hand {
    fn sign_grant(&self, grant: &Grant) -> Signed<Grant> {
        self.granted.borrow_mut().push(grant.clone());
        self.sign(grant)
    }

    fn sign_ticket(&self, ticket: &Ticket) -> Signed<Ticket> {
        self.sign(ticket)
    }

    fn sign_commitment(&self, commitment: &Commitment) -> Signed<Commitment> {
        self.committed.borrow_mut().push(commitment.clone());
        self.sign(commitment)
    }
}

impl Verify for Hand {
    fn verify_grant(&self, grant: &Signed<Grant>, signer: &KeyHash) -> Result<Grant, SignatureRejected> {
        verify(grant, signer)
    }

    fn verify_ticket(&self, ticket: &Signed<Ticket>, signer: &KeyHash) -> Result<Ticket, SignatureRejected> {
        verify(ticket, signer)
    }

    fn verify_commitment(
        &self,
        commitment: &Signed<Commitment>,
        signer: &KeyHash,
    ) -> Result<Commitment, SignatureRejected> {
        verify(commitment, signer)
    }

    fn read_unverified_commitment(
        &self,
        commitment: &Signed<Commitment>,
    ) -> Result<Commitment, SignatureRejected> {
        open(commitment).map(|(_, commitment)| commitment)
    }

    fn read_unverified_ticket(&self, ticket: &Signed<Ticket>) -> Result<Ticket, SignatureRejected> {
        open(ticket).map(|(_, ticket)| ticket)
    }

    fn hash_epoch(&self, epoch: &Epoch) -> EpochHash {
        hash_epoch(epoch)
    }

    fn derive_session_id(&self, origin: &Origin) -> SessionId {
        session_id(origin)
    }
}

/// The session ID that stands for this origin in the models.
pub(crate) fn session_id(origin: &Origin) -> SessionId {
    tap::derived(origin);
    SessionId(digest_bytes("antiphon-session/1", origin))
}

/// The hash that stands for the epoch in the models.
pub(crate) fn hash_epoch(epoch: &Epoch) -> EpochHash {
    tap::hashed(epoch);
    EpochHash(digest_bytes("antiphon-epoch/1", epoch))
}

#[cfg(test)]
mod tests {
    use antiphon_spec::{
        identity::{ObjectHandle, UserHandle},
        session::{Change, EpochNumber},
        time::Timestamp,
    };

    use super::*;

    fn grant() -> Grant {
        let holder = UserHandle { id: ObjectHandle([1; 16]), home: "a.example".parse().expect("a name") };
        Grant {
            chain: EpochHash([2; 32]),
            epoch: EpochNumber(3),
            change: Change::Leave(holder.clone()),
            holder,
            session: SessionId([4; 32]),
            not_after: Timestamp(5),
        }
    }

    #[test]
    fn a_signature_stands_for_one_key_and_one_kind_of_claims() {
        let hand = Hand::new(KeyHash([7; 32]));
        let signed = hand.sign_grant(&grant());
        assert_eq!(hand.verify_grant(&signed, &KeyHash([7; 32])), Ok(grant()));
        assert_eq!(hand.verify_grant(&signed, &KeyHash([8; 32])), Err(SignatureRejected));
        let ticket: Signed<Ticket> = Signed::from_bytes(signed.as_bytes());
        assert!(hand.verify_ticket(&ticket, &KeyHash([7; 32])).is_err());
        assert_eq!(hand.into_granted(), [grant()]);
    }
}
