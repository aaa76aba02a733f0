//! The two judgements that let people in: a newcomer's of its welcome, and a member's of a ticket.
//!
//! [`Admission`] can be made by [`judge_ticket`] alone; without one the machine cannot admit anybody.

use super::{
    commitment::Commitment,
    epoch::{Change, Epoch, EpochHash, Member, Origin, SessionId},
    grant::Grant,
    ticket::Ticket,
};
use crate::{
    error_code::ErrorCode,
    identity::{Peer, UserHandle},
    limits::{CLOCK_SKEW, SESSION_MEMBERS_MAX},
    machine::Context,
    media_type::MediaTypes,
    mutant::{Mutant, active},
    signed::Signed,
};

/// Holds a welcome against the invitation that it follows.
///
/// # Errors
/// The code with which the link to the inviter closes.
pub(super) fn check_welcome(
    epoch: &Epoch,
    id: SessionId,
    origin: Origin,
    me: &Member,
    inviter: &Peer,
) -> Result<(), ErrorCode> {
    let ordered = epoch.members.is_sorted_by(|a, b| a.handle < b.handle);
    let keys: std::collections::BTreeSet<_> = epoch.members.iter().map(|member| member.key).collect();
    let inviter_listed = epoch.member(&inviter.handle).is_some_and(|member| member.key == inviter.key);
    if epoch.session != id || epoch.origin != origin {
        return Err(ErrorCode::SessionIdForged);
    }
    if epoch.members.len() >= SESSION_MEMBERS_MAX {
        return Err(ErrorCode::SessionFull);
    }
    if active(Mutant::WelcomeUnchecked) {
        return Ok(());
    }
    let sound = ordered
        && keys.len() == epoch.members.len()
        && inviter_listed
        && epoch.member(&epoch.coordinator).is_some()
        && epoch.member(&me.handle).is_none()
        && !keys.contains(&me.key);
    if sound { Ok(()) } else { Err(ErrorCode::Malformed) }
}

/// The proof that a ticket was judged good: who may come in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Admission {
    newcomer: Member,
}

impl Admission {
    /// The newcomer, as the grant names it.
    #[must_use]
    pub fn newcomer(&self) -> &Member {
        &self.newcomer
    }
}

/// A member's judgement of the ticket that `peer` shows in `epoch`, whose hash is `hash`.
///
/// The checks are made in the order of the text, so that a ticket that is wrong in two ways gets one answer.
///
/// # Errors
/// The code with which the link to the newcomer closes.
pub fn judge_ticket(
    signed: &Signed<Ticket>,
    peer: &Peer,
    epoch: &Epoch,
    hash: EpochHash,
    context: &Context<'_>,
) -> Result<Admission, ErrorCode> {
    let claimed = context.crypto.read_unverified_ticket(signed).map_err(|_| ErrorCode::TicketIssuer)?;
    let issuer = epoch.member(&claimed.issuer).ok_or(ErrorCode::TicketIssuer)?;
    let ticket = match context.crypto.verify_ticket(signed, &issuer.key) {
        Ok(ticket) => ticket,
        Err(_) if active(Mutant::TicketSignatureUnchecked) => claimed,
        Err(_) => return Err(ErrorCode::TicketIssuer),
    };
    if ticket.session != epoch.session && !active(Mutant::TicketSessionUnchecked) {
        return Err(ErrorCode::TicketSession);
    }
    let later = ticket.epoch > epoch.number && active(Mutant::TicketOfLaterEpoch);
    if ticket.epoch != epoch.number && !later && !active(Mutant::TicketEpochUnchecked) {
        return Err(ErrorCode::TicketEpoch);
    }
    let wrong_peer = ticket.newcomer != peer.handle && !active(Mutant::TicketPeerUnchecked);
    let wrong_key = ticket.key != peer.key && !active(Mutant::TicketKeyUnchecked);
    if wrong_peer || wrong_key {
        return Err(ErrorCode::TicketPeer);
    }
    let grant = open_grant(&ticket.grant, epoch, hash, context).map_err(|_| ErrorCode::TicketGrant);
    let newcomer = match grant {
        Ok(grant) => granted_newcomer(&grant, &ticket)?,
        Err(_) if active(Mutant::TicketGrantUnchecked) => Member {
            key: peer.key,
            // The wrong variant has no honest tag to offer; nobody dials it.
            relay: issuer.relay,
            handle: peer.handle.clone(),
            accepts: MediaTypes::default(),
        },
        Err(code) => return Err(code),
    };
    if context.now > ticket.not_after.after(CLOCK_SKEW) && !active(Mutant::TicketExpiryUnchecked) {
        return Err(ErrorCode::TicketExpired);
    }
    Ok(Admission { newcomer })
}

/// The grant's own claims must fit the ticket that carries it.
fn granted_newcomer(grant: &Grant, ticket: &Ticket) -> Result<Member, ErrorCode> {
    if grant.holder != ticket.issuer && !active(Mutant::TicketHolderUnchecked) {
        return Err(ErrorCode::TicketGrant);
    }
    let Change::Join(newcomer) = &grant.change else { return Err(ErrorCode::TicketGrant) };
    let same = newcomer.handle == ticket.newcomer && newcomer.key == ticket.key;
    if !same && !active(Mutant::TicketChangeUnchecked) {
        return Err(ErrorCode::TicketGrant);
    }
    if ticket.not_after > grant.not_after && !active(Mutant::TicketOutlivesGrant) {
        return Err(ErrorCode::TicketGrant);
    }
    Ok(newcomer.clone())
}

/// Opens a grant that must be one of the coordinator of `epoch`, for `epoch`.
///
/// # Errors
/// `grant-refused`.
pub(super) fn open_grant(
    signed: &Signed<Grant>,
    epoch: &Epoch,
    hash: EpochHash,
    context: &Context<'_>,
) -> Result<Grant, ErrorCode> {
    let coordinator = epoch.member(&epoch.coordinator).ok_or(ErrorCode::GrantRefused)?;
    let grant = context.crypto.verify_grant(signed, &coordinator.key).map_err(|_| ErrorCode::GrantRefused)?;
    let chained = grant.chain == hash || active(Mutant::GrantChainUnchecked);
    let here = grant.session == epoch.session && grant.epoch == epoch.number && chained;
    if here { Ok(grant) } else { Err(ErrorCode::GrantRefused) }
}

/// Opens a commitment that must be one of `signer`, a member of `epoch`, for `epoch`.
///
/// # Errors
/// `commit-refused`.
pub(super) fn open_commitment(
    signed: &Signed<Commitment>,
    signer: &UserHandle,
    epoch: &Epoch,
    hash: EpochHash,
    context: &Context<'_>,
) -> Result<Commitment, ErrorCode> {
    let refused = ErrorCode::CommitRefused;
    let signer = epoch.member(signer).ok_or(refused)?;
    let commitment = match context.crypto.verify_commitment(signed, &signer.key) {
        Ok(commitment) => commitment,
        Err(_) if active(Mutant::CommitSignatureUnchecked) => {
            context.crypto.read_unverified_commitment(signed).map_err(|_| refused)?
        }
        Err(_) => return Err(refused),
    };
    let here =
        commitment.session == epoch.session && commitment.epoch == epoch.number && commitment.chain == hash;
    if here { Ok(commitment) } else { Err(refused) }
}

/// Opens the word that ends `epoch` for those who have lost its coordinator: the coordinator's own, or that of a member
/// that takes over, which is named beside it.
///
/// # Errors
/// `commit-refused`.
pub(super) fn open_last_word(
    signed: &Signed<Commitment>,
    epoch: &Epoch,
    hash: EpochHash,
    context: &Context<'_>,
) -> Result<(Commitment, Option<UserHandle>), ErrorCode> {
    let claimed = context.crypto.read_unverified_commitment(signed).map_err(|_| ErrorCode::CommitRefused)?;
    let successor = match claimed.change {
        Change::TakeOver(to) => Some(to),
        Change::Create(_)
        | Change::Join(_)
        | Change::Leave(_)
        | Change::Remove(_)
        | Change::HandOver(_)
        | Change::Void(_) => None,
    };
    let signer = successor.as_ref().unwrap_or(&epoch.coordinator);
    let commitment = open_commitment(signed, signer, epoch, hash, context)?;
    Ok((commitment, successor))
}

/// Whether `change` may close an epoch in which `grant` was given, at the member `me`.
pub(super) fn covers(grant: &Grant, change: &Change, coordinator: &UserHandle) -> bool {
    match (change, &grant.change) {
        (Change::Void(newcomer), Change::Join(member)) => {
            *newcomer == member.handle || active(Mutant::VoidOfAnother)
        }
        (Change::Join(newcomer), Change::Join(member)) => newcomer == member,
        (Change::Remove(_) | Change::Leave(_), _) if active(Mutant::CloseChangeUnchecked) => true,
        (Change::Leave(who), Change::Leave(granted)) => who == granted && grant.holder == *who,
        (Change::HandOver(to), Change::HandOver(granted)) => to == granted && grant.holder == *to,
        (Change::Remove(who), Change::Remove(granted)) => who == granted && grant.holder == *coordinator,
        _ => false,
    }
}
