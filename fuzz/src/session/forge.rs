//! What a hostile client can send: anything it saw or can make up, signed with its own key or with nobody's.

use std::sync::Arc;

use antiphon_protocol::signed::hash_epoch;
use antiphon_spec::{
    error_code::ErrorCode,
    media_type::MediaTypes,
    message::client_client::{
        Admit, Admitted, Cancel, Close, Closed, Commit, Complete, Content, Follow, HandOver, HandOverAnswer,
        InvitationBody, InvitationMessage, Invite, Join, Message, PeerMessage, Received, Reject,
        RequestNumber, SentCount, SessionBody, SessionMessage, TokenGrant, TokenRefused, TokenRequest,
        TokenReturn, Welcome,
    },
    session::{Change, Commitment, Epoch, EpochHash, EpochNumber, Grant, Nonce, Ticket},
    signed::Signed,
    time::Timestamp,
};
use arbitrary::Arbitrary;

use crate::symbolic::{member, sign};

/// A message that the liar makes up.
#[derive(Arbitrary, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Forgery {
    /// What it says.
    body: Body,
    /// Added to the number of the epoch that the receiver is in.
    epoch: i8,
    /// Whether it names the receiver's own chain.
    right_chain: bool,
}

#[derive(Arbitrary, Clone, Debug, PartialEq, Eq)]
enum Body {
    /// Some message that was on a link before, as it was.
    Again(u8),
    TokenRequest(Changed, u8),
    TokenRefused(u8),
    TokenGrant(Lease, u8),
    TokenReturn,
    Admit(Lease),
    Admitted,
    Complete,
    HandOver,
    HandOverAnswer(bool),
    Close(Lease, Changed),
    Closed(u8),
    Commit {
        change: Changed,
        counts: Vec<u8>,
        right_hash: bool,
    },
    Follow {
        sent: u8,
        leaving: bool,
        successor: u8,
    },
    Message {
        number: u8,
        long: bool,
    },
    Received(u8),
    Invite,
    Join,
    Reject,
    Cancel,
    Welcome(Lease),
}

/// A change, of this client.
#[derive(Arbitrary, Clone, Debug, PartialEq, Eq)]
enum Changed {
    Join(u8),
    Leave(u8),
    Remove(u8),
    HandOver(u8),
    Void(u8),
    Create(u8),
    TakeOver(u8),
}

/// A grant that the liar signed, for a change.
#[derive(Arbitrary, Clone, Debug, PartialEq, Eq)]
struct Lease {
    change: Changed,
    holder: u8,
    signer: Signer,
}

#[derive(Arbitrary, Clone, Debug, PartialEq, Eq)]
enum Signer {
    /// The liar itself.
    Liar,
    /// Nobody: bytes.
    Nobody(u8),
}

/// What a forger knows of the receiver.
pub(super) struct Scene<'s> {
    pub(super) liar: u8,
    pub(super) epoch: &'s Arc<Epoch>,
    pub(super) hash: EpochHash,
    /// Messages that were on links before.
    pub(super) seen: &'s [PeerMessage],
}

impl Forgery {
    /// The message; none where it would repeat what was never said.
    pub(super) fn message(&self, scene: &Scene<'_>) -> Option<PeerMessage> {
        let body = match &self.body {
            Body::Again(pick) => {
                return scene.seen.get(usize::from(*pick) % scene.seen.len().max(1)).cloned();
            }
            Body::TokenRequest(change, number) => SessionBody::TokenRequest(TokenRequest {
                change: change.change(),
                number: RequestNumber((*number).into()),
            }),
            Body::TokenRefused(number) => SessionBody::TokenRefused(TokenRefused {
                code: ErrorCode::Forbidden,
                number: RequestNumber((*number).into()),
            }),
            Body::TokenGrant(lease, number) => SessionBody::TokenGrant(TokenGrant {
                grant: lease.grant(scene),
                number: RequestNumber((*number).into()),
            }),
            Body::TokenReturn => SessionBody::TokenReturn(TokenReturn {}),
            Body::Admit(lease) => SessionBody::Admit(Admit { ticket: lease.ticket(scene) }),
            Body::Admitted => SessionBody::Admitted(Admitted {}),
            Body::Complete => SessionBody::Complete(Complete {}),
            Body::HandOver => SessionBody::HandOver(HandOver {}),
            Body::HandOverAnswer(accepted) => {
                SessionBody::HandOverAnswer(HandOverAnswer { accepted: *accepted })
            }
            Body::Close(lease, change) => {
                SessionBody::Close(Close { grant: lease.grant(scene), change: change.change() })
            }
            Body::Closed(sent) => SessionBody::Closed(Closed { sent: (*sent).into() }),
            Body::Commit { change, counts, right_hash } => {
                SessionBody::Commit(commit(&change.change(), counts, *right_hash, scene))
            }
            Body::Follow { sent, leaving, successor } => SessionBody::Follow(Follow {
                sent: (*sent).into(),
                leaving: *leaving,
                successor: member(successor % super::CLIENTS).handle,
            }),
            Body::Message { number, long } => {
                let content = Content(vec![b'x'; if *long { 16 * 1024 + 1 } else { 1 }].into());
                let number = (*number).into();
                SessionBody::Message(Message { number, content, media_type: "text/plain".into() })
            }
            Body::Received(number) => SessionBody::Received(Received { number: (*number).into() }),
            Body::Invite => {
                let invite = Invite { origin: scene.epoch.origin, lifetime: u64::MAX };
                return Some(invitation(InvitationBody::Invite(invite), scene));
            }
            Body::Join => {
                let join = Join { relay: member(scene.liar).relay, accepts: MediaTypes::default() };
                return Some(invitation(InvitationBody::Join(join), scene));
            }
            Body::Reject => return Some(invitation(InvitationBody::Reject(Reject {}), scene)),
            Body::Cancel => return Some(invitation(InvitationBody::Cancel(Cancel {}), scene)),
            Body::Welcome(lease) => {
                let welcome = Welcome { epoch: Arc::clone(scene.epoch), ticket: lease.ticket(scene) };
                return Some(invitation(InvitationBody::Welcome(welcome), scene));
            }
        };
        let epoch = EpochNumber(scene.epoch.number.0.saturating_add_signed(self.epoch.into()));
        let chain = if self.right_chain { scene.hash } else { EpochHash([0xee; 32]) };
        Some(PeerMessage::Session(SessionMessage { body, chain, epoch, session: scene.epoch.session }))
    }
}

fn invitation(body: InvitationBody, scene: &Scene<'_>) -> PeerMessage {
    PeerMessage::Invitation(InvitationMessage { body, session: scene.epoch.session })
}

/// A commitment of the liar's own, to the right next epoch or to none.
fn commit(change: &Change, counts: &[u8], right_hash: bool, scene: &Scene<'_>) -> Commit {
    let members = scene.epoch.handles().zip(counts);
    let sent = members.map(|(who, count)| SentCount { count: (*count).into(), member: who.clone() });
    let next = scene.epoch.next(scene.hash, change.clone()).ok().filter(|_| right_hash);
    let commitment = Commitment {
        hash: next.map_or(EpochHash([1; 32]), |next| hash_epoch(&next)),
        sent: sent.collect(),
        chain: scene.hash,
        epoch: scene.epoch.number,
        change: change.clone(),
        session: scene.epoch.session,
    };
    Commit { commitment: sign(member(scene.liar).key, &commitment) }
}

impl Changed {
    fn change(&self) -> Change {
        let handle = |who: &u8| member(who % super::CLIENTS).handle;
        match self {
            Self::Join(who) => Change::Join(member(who % super::CLIENTS)),
            Self::Leave(who) => Change::Leave(handle(who)),
            Self::Remove(who) => Change::Remove(handle(who)),
            Self::HandOver(who) => Change::HandOver(handle(who)),
            Self::Void(who) => Change::Void(handle(who)),
            Self::TakeOver(who) => Change::TakeOver(handle(who)),
            Self::Create(who) => Change::Create(handle(who)),
        }
    }
}

impl Lease {
    fn grant(&self, scene: &Scene<'_>) -> Signed<Grant> {
        let grant = Grant {
            chain: scene.hash,
            epoch: scene.epoch.number,
            change: self.change.change(),
            holder: member(self.holder % super::CLIENTS).handle,
            session: scene.epoch.session,
            not_after: Timestamp(u64::MAX),
        };
        match self.signer {
            Signer::Liar => sign(member(scene.liar).key, &grant),
            Signer::Nobody(byte) => Signed::from_bytes(vec![byte; 3]),
        }
    }

    fn ticket(&self, scene: &Scene<'_>) -> Signed<Ticket> {
        let me = member(scene.liar);
        let ticket = Ticket {
            key: me.key,
            epoch: scene.epoch.number,
            grant: self.grant(scene),
            nonce: Nonce([1; 16]),
            issuer: member(self.holder % super::CLIENTS).handle,
            session: scene.epoch.session,
            newcomer: me.handle,
            not_after: Timestamp(u64::MAX),
        };
        match self.signer {
            Signer::Liar => sign(member(scene.liar).key, &ticket),
            Signer::Nobody(byte) => Signed::from_bytes(vec![byte; 3]),
        }
    }
}
