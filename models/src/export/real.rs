//! Real bytes for a symbolic run: keys, hashes, session IDs and signed objects of a model are replaced by real ones.
//!
//! A model's terms are free of collisions, so each stands for one real value: a key for the Ed25519 key whose seed has
//! its number in each byte, a hash for the hash of the epoch that it was made from, a signed object for what that key
//! signs about the replaced claims. The machine is then run again on the replaced events, with real cryptography, and
//! has to do what it did in the model ([`Real::action`]).

use std::collections::BTreeMap;

use antiphon_conformance::recorded::Told;
use antiphon_protocol::{
    key::KeyPair,
    signed::{self, hash_epoch, session_id},
};
use antiphon_spec::{
    identity::{KeyHash, Peer},
    message::client_client::PeerMessage,
    session::{Action, Commitment, Epoch, Event, Grant, Member, Notice, Origin, Target, Ticket},
    signed::Claims,
};
use ciborium::Value;
use serde::{Serialize, de::DeserializeOwned};

use super::ExportError;
use crate::{crypto, tap::Recording};

/// What stands for what.
pub(super) struct Real {
    keys: BTreeMap<KeyHash, KeyPair>,
    hashes: BTreeMap<[u8; 32], [u8; 32]>,
}

fn error(what: impl std::fmt::Display) -> ExportError {
    ExportError::Unreal(what.to_string())
}

impl Real {
    /// Replaces everything that was hashed in a run; these are the numbers of all keys in it.
    pub(super) fn new(recording: &Recording, keys: &[u8]) -> Result<Self, ExportError> {
        let pair = |&number: &u8| {
            let pair = KeyPair::from_seed(&[number; 32]).map_err(error)?;
            Ok((KeyHash([number; 32]), pair))
        };
        let keys = keys.iter().map(pair).collect::<Result<_, ExportError>>()?;
        let mut real = Self { keys, hashes: BTreeMap::new() };
        for origin in &recording.origins {
            let id = session_id(&real.term::<Origin>(origin)?).0;
            real.hashes.insert(crypto::session_id(origin).0, id);
        }
        // Each epoch names the hash of the one before, which somebody has made before.
        for epoch in &recording.epochs {
            let hash = hash_epoch(&real.term::<Epoch>(epoch)?).0;
            real.hashes.insert(crypto::hash_epoch(epoch).0, hash);
        }
        Ok(real)
    }

    /// What a client is told.
    pub(super) fn told(&self, told: &Told) -> Result<Told, ExportError> {
        Ok(match told {
            Told::Create(nonce) => Told::Create(*nonce),
            Told::Invited { inviter, message, verdict } => {
                Told::Invited { inviter: self.peer(inviter), message: self.term(message)?, verdict: *verdict }
            }
            Told::Event(event) => Told::Event(match event {
                Event::LinkUp { peer } => Event::LinkUp { peer: self.peer(peer) },
                Event::Received { from, message } => {
                    Event::Received { from: self.peer(from), message: self.message(message)? }
                }
                Event::Invite { .. }
                | Event::Accept
                | Event::Refuse
                | Event::Say { .. }
                | Event::Leave
                | Event::LinkFailed { .. }
                | Event::LinkLost { .. }
                | Event::TimerFired(_) => event.clone(),
            }),
        })
    }

    /// What a client does.
    pub(super) fn action(&self, action: &Action) -> Result<Action, ExportError> {
        Ok(match action {
            Action::Connect { peer, target } => {
                let real = |target: &Target| Target { key: self.key(target.key), ..*target };
                Action::Connect { peer: peer.clone(), target: target.as_ref().map(real) }
            }
            Action::Send { to, message } => Action::Send { to: to.clone(), message: self.message(message)? },
            Action::Tell(Notice::EpochBegan(epoch)) => {
                Action::Tell(Notice::EpochBegan(self.term::<Epoch>(epoch)?.into()))
            }
            Action::Disconnect { .. }
            | Action::Arm { .. }
            | Action::Disarm(_)
            | Action::Tell(_)
            | Action::Late { .. } => action.clone(),
        })
    }

    fn message(&self, message: &PeerMessage) -> Result<PeerMessage, ExportError> {
        Ok(match message {
            PeerMessage::Invitation(message) => PeerMessage::Invitation(self.term(message)?),
            PeerMessage::Session(message) => PeerMessage::Session(self.term(message)?),
        })
    }

    pub(super) fn member(&self, member: &Member) -> Member {
        Member { key: self.key(member.key), ..member.clone() }
    }

    fn peer(&self, peer: &Peer) -> Peer {
        Peer { handle: peer.handle.clone(), key: self.key(peer.key) }
    }

    fn key(&self, key: KeyHash) -> KeyHash {
        self.keys.get(&key).map_or(key, KeyPair::key_hash)
    }

    /// Replaces whatever has to be in something that travels.
    fn term<T: Serialize + DeserializeOwned>(&self, term: &T) -> Result<T, ExportError> {
        let mut value = Value::serialized(term).map_err(error)?;
        self.replace(&mut value, "")?;
        value.deserialized().map_err(error)
    }

    /// What a byte string is shows the name of its field.
    fn replace(&self, value: &mut Value, field: &str) -> Result<(), ExportError> {
        if let Value::Map(entries) = value {
            for (name, value) in entries {
                let name = name.as_text().map(str::to_owned).unwrap_or_default();
                self.replace(value, &name)?;
            }
        } else if let Value::Array(items) = value {
            for item in items {
                self.replace(item, field)?;
            }
        } else if let Value::Bytes(bytes) = value {
            match field {
                "key" => self.replace_key(bytes),
                "chain" | "hash" | "previous" | "session" => {
                    if let Some(real) = self.hashes.get(bytes.as_slice()) {
                        *bytes = real.to_vec();
                    }
                }
                "grant" => self.sign_again::<Grant>(bytes)?,
                "ticket" => self.sign_again::<Ticket>(bytes)?,
                "commitment" => self.sign_again::<Commitment>(bytes)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn replace_key(&self, bytes: &mut Vec<u8>) {
        if let Ok(key) = <[u8; 32]>::try_from(bytes.as_slice()) {
            *bytes = self.key(KeyHash(key)).0.to_vec();
        }
    }

    /// A symbolic signature becomes a real one about the replaced claims; anything else stays what it is.
    fn sign_again<T: Claims>(&self, bytes: &mut Vec<u8>) -> Result<(), ExportError> {
        let read: Result<(String, KeyHash, Value), _> = ciborium::from_reader(bytes.as_slice());
        let Ok((_, key, mut claims)) = read else { return Ok(()) };
        self.replace(&mut claims, "")?;
        let pair = self.keys.get(&key).ok_or_else(|| error("a key that nobody has"))?;
        let claims: T = claims.deserialized().map_err(error)?;
        *bytes = signed::sign(pair, &claims).map_err(error)?.as_bytes().to_vec();
        Ok(())
    }
}
