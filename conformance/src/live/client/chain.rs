//! Epochs, grants and tickets as the peers of the client make them, by hand.

use antiphon_protocol::{
    key::KeyPair,
    signed::{hash_epoch, sign},
};
use antiphon_spec::{
    identity::UserHandle,
    message::client_client::*,
    session::{Change, Commitment, Epoch, EpochHash, EpochNumber, Grant, Member, Nonce, Origin, Ticket},
    signed::{Claims, Signed},
    time::Timestamp,
};

use super::realm::{Person, now};
use crate::case::Failure;

/// How long grants and tickets are good, in seconds.
pub(super) const LEASE: u64 = 30;

pub(super) fn in_epoch(epoch: &Epoch, body: SessionBody) -> SessionMessage {
    SessionMessage { body, chain: hash_epoch(epoch), epoch: epoch.number, session: epoch.session }
}

pub(super) fn next(epoch: &Epoch, change: Change) -> Result<Epoch, Failure> {
    epoch.next(hash_epoch(epoch), change).map_err(Failure::harness)
}

/// The first epoch of a session that this person created.
pub(super) fn first(creator: &Person, nonce: u8) -> Epoch {
    let origin = Origin { key: creator.key.key_hash(), nonce: Nonce([nonce; 16]) };
    Epoch::first(antiphon_protocol::signed::session_id(&origin), origin, creator.member())
}

/// An epoch with these members, the first of whom created the session and coordinates.
pub(super) fn epoch_of(creator: &Person, others: &[&Person]) -> Result<Epoch, Failure> {
    let mut epoch = first(creator, 8);
    for other in others {
        epoch = next(&epoch, Change::Join(other.member()))?;
    }
    Ok(epoch)
}

pub(super) fn signed<T: Claims>(key: &KeyPair, claims: &T) -> Result<Signed<T>, Failure> {
    sign(key, claims).map_err(Failure::harness)
}

/// What a good grant of this epoch says.
pub(super) fn grant_claims(epoch: &Epoch, change: Change, holder: &UserHandle) -> Grant {
    Grant {
        chain: hash_epoch(epoch),
        epoch: epoch.number,
        change,
        holder: holder.clone(),
        session: epoch.session,
        not_after: Timestamp(now().0 + LEASE),
    }
}

pub(super) fn grant(
    epoch: &Epoch,
    change: Change,
    holder: &UserHandle,
    coordinator: &Person,
) -> Result<Signed<Grant>, Failure> {
    signed(&coordinator.key, &grant_claims(epoch, change, holder))
}

/// What a good ticket of this epoch says.
pub(super) fn ticket_claims(
    epoch: &Epoch,
    newcomer: &Member,
    issuer: &UserHandle,
    grant: Signed<Grant>,
) -> Ticket {
    Ticket {
        key: newcomer.key,
        epoch: epoch.number,
        grant,
        nonce: Nonce([7; 16]),
        issuer: issuer.clone(),
        session: epoch.session,
        newcomer: newcomer.handle.clone(),
        // Not above the grant's, however long its signing took.
        not_after: Timestamp(now().0 + LEASE - 10),
    }
}

pub(super) fn ticket(
    epoch: &Epoch,
    newcomer: &Member,
    issuer: &Person,
    coordinator: &Person,
) -> Result<Signed<Ticket>, Failure> {
    let grant = grant(epoch, Change::Join(newcomer.clone()), &issuer.handle, coordinator)?;
    signed(&issuer.key, &ticket_claims(epoch, newcomer, &issuer.handle, grant))
}

pub(super) fn admit(ticket: Signed<Ticket>) -> SessionBody {
    SessionBody::Admit(Admit { ticket })
}

pub(super) fn message(number: u64, text: &str) -> SessionBody {
    content(number, text.as_bytes(), "text/plain")
}

pub(super) fn content(number: u64, content: &[u8], media_type: &str) -> SessionBody {
    SessionBody::Message(Message { number, content: Content(content.into()), media_type: media_type.into() })
}

pub(super) fn received(number: u64) -> SessionBody {
    SessionBody::Received(Received { number })
}

pub(super) fn closed(sent: u64) -> SessionBody {
    SessionBody::Closed(Closed { sent })
}

pub(super) fn request(number: u64, change: Change) -> SessionBody {
    SessionBody::TokenRequest(TokenRequest { change, number: RequestNumber(number) })
}

/// What a good commitment to `after` says; who sent how much, in whatever order.
pub(super) fn commitment(after: &Epoch, sent: &[(&UserHandle, u64)]) -> Commitment {
    let mut sent: Vec<_> =
        sent.iter().map(|(member, count)| SentCount { count: *count, member: (*member).clone() }).collect();
    sent.sort_by(|a, b| a.member.cmp(&b.member));
    Commitment {
        hash: hash_epoch(after),
        sent,
        chain: after.previous,
        epoch: EpochNumber(after.number.0.saturating_sub(1)),
        change: after.change.clone(),
        session: after.session,
    }
}

/// The commit by which this person makes `after`.
pub(super) fn commit(
    by: &Person,
    after: &Epoch,
    sent: &[(&UserHandle, u64)],
) -> Result<SessionBody, Failure> {
    committed(by, &commitment(after, sent))
}

/// The commit by which this person commits to whatever this says.
pub(super) fn committed(by: &Person, commitment: &Commitment) -> Result<SessionBody, Failure> {
    Ok(SessionBody::Commit(Commit { commitment: signed(&by.key, commitment)? }))
}

pub(super) fn invite(epoch: &Epoch) -> InvitationBody {
    InvitationBody::Invite(Invite { origin: epoch.origin, lifetime: 120 })
}

pub(super) fn forked(epoch: &Epoch, body: SessionBody) -> SessionMessage {
    SessionMessage { chain: EpochHash([1; 32]), ..in_epoch(epoch, body) }
}
