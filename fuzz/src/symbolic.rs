//! Symbolic signatures: the key and the claims in clear, which only this module's users could forge and do not.
//!
//! Thousands of events a second need thousands of signatures; what real ones are worth is the business of the target
//! `signed`. Hashes are the real ones.

use std::hash::{DefaultHasher, Hasher as _};

use antiphon_protocol::{
    cbor::{decode, encode},
    signed::{hash_epoch, session_id},
};
use antiphon_spec::{
    identity::{KeyHash, ObjectHandle, Peer, UserHandle},
    media_type::MediaTypes,
    session::{Commitment, Epoch, EpochHash, Grant, Member, Origin, RelayTag, SessionId, Ticket},
    signed::{Claims, Sign, SignatureRejected, Signed, Verify},
};

/// The holder of a key.
pub(crate) struct Holder(pub(crate) KeyHash);

/// Signs claims under a key.
pub(crate) fn sign<T: Claims>(key: KeyHash, claims: &T) -> Signed<T> {
    let mut bytes = encode(&(T::CONTEXT, key, claims)).expect("claims have an encoding");
    bytes.extend(seal(&bytes));
    Signed::from_bytes(bytes)
}

/// Opens claims: who signed what.
pub(crate) fn open<T: Claims>(signed: &Signed<T>) -> Result<(KeyHash, T), SignatureRejected> {
    let (statement, found) = signed.as_bytes().split_last_chunk::<8>().ok_or(SignatureRejected)?;
    if *found != seal(statement) {
        return Err(SignatureRejected);
    }
    let (context, key, claims): (String, _, _) = decode(statement).map_err(|_| SignatureRejected)?;
    if context == T::CONTEXT { Ok((key, claims)) } else { Err(SignatureRejected) }
}

/// Shows that no byte of a statement was changed.
fn seal(statement: &[u8]) -> [u8; 8] {
    let mut hasher = DefaultHasher::new();
    hasher.write(statement);
    hasher.finish().to_be_bytes()
}

fn verify<T: Claims>(signed: &Signed<T>, signer: &KeyHash) -> Result<T, SignatureRejected> {
    match open(signed)? {
        (key, claims) if key == *signer => Ok(claims),
        _ => Err(SignatureRejected),
    }
}

impl Sign for Holder {
    fn sign_grant(&self, grant: &Grant) -> Signed<Grant> {
        sign(self.0, grant)
    }

    fn sign_ticket(&self, ticket: &Ticket) -> Signed<Ticket> {
        sign(self.0, ticket)
    }

    fn sign_commitment(&self, commitment: &Commitment) -> Signed<Commitment> {
        sign(self.0, commitment)
    }
}

impl Verify for Holder {
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

/// A client of the targets: its number is in its handle, its key and its tag.
pub(crate) fn member(number: u8) -> Member {
    let home = "a.example".parse().expect("a server name");
    let handle = UserHandle { id: ObjectHandle([number; 16]), home };
    Member {
        key: KeyHash([number; 32]),
        relay: RelayTag([number; 16]),
        handle,
        accepts: MediaTypes::default(),
    }
}

/// The number in a handle.
pub(crate) fn number(handle: &UserHandle) -> u8 {
    handle.id.0[0]
}

/// A client as TLS proves it.
pub(crate) fn peer(number: u8) -> Peer {
    let Member { key, handle, .. } = member(number);
    Peer { handle, key }
}
