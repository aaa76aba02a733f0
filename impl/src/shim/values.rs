//! What is computed alike everywhere: hashes, handles, epochs, and the judgement of preferences.

use antiphon_protocol::{
    cbor::{self, DecodeError},
    key::PublicKey,
    signed::{hash_epoch, server_object_handle},
};
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{KeyHash, ObjectHandle, ServerName, UserHandle},
    policy::Preferences,
    session::{Change, Epoch, Member, Nonce, Origin},
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Answer, BadQuestion, Shim,
    bytes::{Hex, digits, encoded},
    read,
};

#[derive(Debug, Deserialize)]
struct KeyOf {
    key: Hex,
}

pub(super) fn key_hash(_: &mut Shim, question: Value) -> Result<Answer, BadQuestion> {
    let KeyOf { key } = read(question)?;
    Ok(match PublicKey::from_der(&key.0) {
        Ok(key) => Answer::accept([("hash", digits(&key.key_hash().0))]),
        Err(_) => Answer::reject(ErrorCode::Malformed),
    })
}

#[derive(Debug, Deserialize)]
struct NameOf {
    name: String,
}

pub(super) fn server_handle(_: &mut Shim, question: Value) -> Result<Answer, BadQuestion> {
    let NameOf { name } = read(question)?;
    Ok(match name.parse::<ServerName>() {
        Ok(name) => Answer::accept([("handle", digits(&server_object_handle(&name).0))]),
        Err(_) => Answer::reject(ErrorCode::Malformed),
    })
}

pub(super) fn well_known_handle(_: &mut Shim, _: Value) -> Result<Answer, BadQuestion> {
    Ok(Answer::accept([("handle", digits(&ObjectHandle::SERVERS.0))]))
}

#[derive(Debug, Deserialize)]
struct OriginOf {
    key: Hex,
    nonce: Hex,
}

pub(super) fn session_id(_: &mut Shim, question: Value) -> Result<Answer, BadQuestion> {
    let OriginOf { key, nonce } = read(question)?;
    let origin = Origin { key: KeyHash(key.array()?), nonce: Nonce(nonce.array()?) };
    let session = antiphon_protocol::signed::session_id(&origin);
    Ok(Answer::accept([("session", digits(&session.0))]))
}

#[derive(Debug, Deserialize)]
struct EpochOf {
    epoch: Hex,
}

pub(super) fn epoch_hash(_: &mut Shim, question: Value) -> Result<Answer, BadQuestion> {
    let EpochOf { epoch } = read(question)?;
    Ok(match cbor::decode::<Epoch>(&epoch.0) {
        Ok(epoch) => Answer::accept([("hash", digits(&hash_epoch(&epoch).0))]),
        Err(error) => Answer::reject(error.code()),
    })
}

#[derive(Debug, Deserialize)]
struct FirstOf {
    creator: Hex,
    nonce: Hex,
}

pub(super) fn first_epoch(_: &mut Shim, question: Value) -> Result<Answer, BadQuestion> {
    let FirstOf { creator, nonce } = read(question)?;
    let creator: Member = match cbor::decode(&creator.0) {
        Ok(creator) => creator,
        Err(error) => return Ok(Answer::reject(error.code())),
    };
    let origin = Origin { key: creator.key, nonce: Nonce(nonce.array()?) };
    epoch(&Epoch::first(antiphon_protocol::signed::session_id(&origin), origin, creator))
}

#[derive(Debug, Deserialize)]
struct NextOf {
    epoch: Hex,
    change: Hex,
}

pub(super) fn next_epoch(_: &mut Shim, question: Value) -> Result<Answer, BadQuestion> {
    let NextOf { epoch: before, change } = read(question)?;
    let both = || -> Result<(Epoch, Change), DecodeError> {
        Ok((cbor::decode(&before.0)?, cbor::decode(&change.0)?))
    };
    let (before, change) = match both() {
        Ok(both) => both,
        Err(error) => return Ok(Answer::reject(error.code())),
    };
    match before.next(hash_epoch(&before), change) {
        Ok(after) => epoch(&after),
        Err(_) => Ok(Answer::Reject("impossible", None)),
    }
}

fn epoch(epoch: &Epoch) -> Result<Answer, BadQuestion> {
    Ok(Answer::accept([("epoch", encoded(epoch)?), ("hash", digits(&hash_epoch(epoch).0))]))
}

#[derive(Debug, Deserialize)]
struct Judge {
    preferences: Hex,
    asker: UserHandle,
}

pub(super) fn judge(_: &mut Shim, question: Value) -> Result<Answer, BadQuestion> {
    let Judge { preferences, asker } = read(question)?;
    let preferences: Preferences = match cbor::decode(&preferences.0) {
        Ok(preferences) => preferences,
        Err(error) => return Ok(Answer::reject(error.code())),
    };
    let judgement = serde_json::to_value(preferences.judge(&asker)).map_err(BadQuestion::new)?;
    Ok(Answer::accept([("judgement", judgement)]))
}
