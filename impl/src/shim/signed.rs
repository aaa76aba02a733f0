//! Signed objects, and a member's judgement of a ticket.

use antiphon_protocol::{
    cbor,
    key::{KeyPair, PublicKey},
    signed::{hash_epoch, verify},
};
use antiphon_spec::{
    error_code::ErrorCode,
    identity::Peer,
    machine::Context,
    message::registration::Possession,
    session::{self, Commitment, Epoch, Grant, Ticket},
    signed::{Claims, Signed},
    time::Timestamp,
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Answer, BadQuestion, Shim,
    bytes::{Hex, encoded},
    notation::PeerName,
    read,
};

#[derive(Debug, Deserialize)]
struct Verify {
    key: Hex,
    hex: Hex,
}

fn verified<T: Claims>(question: Value, code: ErrorCode) -> Result<Answer, BadQuestion> {
    let Verify { key, hex } = read(question)?;
    let key = PublicKey::from_der(&key.0).map_err(BadQuestion::new)?;
    match verify(&Signed::<T>::from_bytes(hex.0), &key) {
        Ok(claims) => Ok(Answer::accept([("claims", encoded(&claims)?)])),
        Err(_) => Ok(Answer::reject(code)),
    }
}

pub(super) fn verify_possession(_: &mut Shim, question: Value) -> Result<Answer, BadQuestion> {
    verified::<Possession>(question, ErrorCode::ProofRefused)
}

pub(super) fn verify_grant(_: &mut Shim, question: Value) -> Result<Answer, BadQuestion> {
    verified::<Grant>(question, ErrorCode::GrantRefused)
}

pub(super) fn verify_ticket(_: &mut Shim, question: Value) -> Result<Answer, BadQuestion> {
    verified::<Ticket>(question, ErrorCode::TicketIssuer)
}

pub(super) fn verify_commitment(_: &mut Shim, question: Value) -> Result<Answer, BadQuestion> {
    verified::<Commitment>(question, ErrorCode::CommitRefused)
}

#[derive(Debug, Deserialize)]
struct JudgeTicket {
    epoch: Hex,
    keys: Vec<Hex>,
    peer: PeerName,
    now: u64,
    hex: Hex,
}

pub(super) fn judge_ticket(shim: &mut Shim, question: Value) -> Result<Answer, BadQuestion> {
    let JudgeTicket { epoch, keys, peer, now, hex } = read(question)?;
    let epoch: Epoch = match cbor::decode(&epoch.0) {
        Ok(epoch) => epoch,
        Err(error) => return Ok(Answer::reject(error.code())),
    };
    let peer = Peer::try_from(peer)?;
    // Whoever judges signs nothing, so any key is good enough for its own.
    let own = KeyPair::from_seed(&[0xa3; 32]).map_err(BadQuestion::new)?;
    let ring = shim.keys.ring(own, &keys)?;
    let context = Context { now: Timestamp(now), entropy: [0; 16], crypto: &ring };
    let ticket = Signed::from_bytes(hex.0);
    match session::judge_ticket(&ticket, &peer, &epoch, hash_epoch(&epoch), &context) {
        Ok(admission) => Ok(Answer::accept([("newcomer", encoded(admission.newcomer())?)])),
        Err(code) => Ok(Answer::reject(code)),
    }
}
