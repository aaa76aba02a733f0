//! The client-to-client channel: everything that inviter, newcomer and members of a session say to each other.
//!
//! One link serves one session and one pair of clients. Two families travel on it: the invitation, between inviter
//! and invitee, and the session's own messages, each of which names the epoch that it acts on and that epoch's hash,
//! so that what comes early is held, what comes late is ignored, and a fork is noticed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    common::{Error, Goodbye, Greeting, Ping, Pong},
    link::{Counted, Keep, Kept, Resume},
};
use crate::{
    error_code::ErrorCode,
    identity::{UserHandle, as_bytes},
    media_type::MediaTypes,
    session::{
        Change, Commitment, Epoch, EpochHash, EpochNumber, Grant, Origin, RelayTag, SessionId, Ticket,
    },
    signed::Signed,
};

/// From either client.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientMessage {
    /// The link stands; only from the accepting end.
    Greeting(Greeting),
    /// Between inviter and invitee.
    Invitation(InvitationMessage),
    /// Between members, and between a newcomer and the members.
    Session(SessionMessage),
    /// A message outside every session.
    Instant(Instant),
    /// The answer to it.
    InstantReceived(InstantReceived),
    /// The link is to be kept; only from the client that has dialled it.
    Keep(Keep),
    /// The link is kept.
    Kept(Kept),
    /// So many messages have been received.
    Have(Counted),
    /// The link goes on over this connection.
    Resume(Resume),
    /// The link goes on.
    Resumed(Counted),
    /// A sign of life is wanted.
    Ping(Ping),
    /// A sign of life.
    Pong(Pong),
    /// The client is done with this link.
    Goodbye(Goodbye),
    /// The client cannot go on with this link.
    Error(Error),
}

/// What a session's machine receives and sends: a [`ClientMessage`] without the link's own business.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PeerMessage {
    /// Between inviter and invitee.
    Invitation(InvitationMessage),
    /// Between members, and between a newcomer and the members.
    Session(SessionMessage),
}

impl PeerMessage {
    /// The session that the message names.
    #[must_use]
    pub fn session(&self) -> SessionId {
        match self {
            Self::Invitation(message) => message.session,
            Self::Session(message) => message.session,
        }
    }
}

impl From<PeerMessage> for ClientMessage {
    fn from(message: PeerMessage) -> Self {
        match message {
            PeerMessage::Invitation(message) => Self::Invitation(message),
            PeerMessage::Session(message) => Self::Session(message),
        }
    }
}

/// What the machines of instant messages receive.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum InstantMessage {
    /// A message.
    Instant(Instant),
    /// The answer to one.
    Received(InstantReceived),
}

impl From<InstantMessage> for ClientMessage {
    fn from(message: InstantMessage) -> Self {
        match message {
            InstantMessage::Instant(instant) => Self::Instant(instant),
            InstantMessage::Received(received) => Self::InstantReceived(received),
        }
    }
}

/// 128 bits that a sender drew for one instant message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstantId(pub [u8; 16]);

as_bytes!(InstantId[16]);

/// A message outside every session.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instant {
    /// Tells the message from others of its sender.
    pub id: InstantId,
    /// The content: for `text/plain`, UTF-8 text.
    pub content: Content,
    /// What the content is (RFC 6838).
    #[serde(rename = "media-type")]
    pub media_type: Arc<str>,
}

/// The receiver's user has been shown the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstantReceived {
    /// Which message.
    pub id: InstantId,
}

/// A step of an invitation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvitationMessage {
    /// Which step.
    pub body: InvitationBody,
    /// The session.
    pub session: SessionId,
}

/// The steps of an invitation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InvitationBody {
    /// The inviter asks the invitee into the session.
    Invite(Invite),
    /// The invitee wants to join.
    Join(Join),
    /// The invitee does not want to join, or gives up joining.
    Reject(Reject),
    /// The inviter takes the invitation back, or the join came to nothing.
    Cancel(Cancel),
    /// The inviter holds the token: the newcomer gets the member list and its ticket.
    Welcome(Welcome),
}

/// The inviter asks the invitee into the session.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    /// What the session ID is derived from.
    pub origin: Origin,
    /// How long the inviter waits for the answer, in seconds.
    pub lifetime: u64,
}

/// The invitee wants to join.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// The invitee's tag in this session.
    pub relay: RelayTag,
    /// The media types that the invitee takes besides plain text.
    pub accepts: MediaTypes,
}

/// The invitee does not join. It says no more: the user's refusal and the preferences' look alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reject {}

/// The invitation is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancel {}

/// What a newcomer needs to join.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Welcome {
    /// The epoch that the join will close, with all members and their tags.
    pub epoch: Arc<Epoch>,
    /// Shown to every member.
    pub ticket: Signed<Ticket>,
}

/// A message within an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionMessage {
    /// What is said.
    pub body: SessionBody,
    /// The hash of the epoch.
    pub chain: EpochHash,
    /// The epoch that the message acts on.
    pub epoch: EpochNumber,
    /// The session.
    pub session: SessionId,
}

/// What is said within an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionBody {
    /// Member to coordinator: may I make this change?
    TokenRequest(TokenRequest),
    /// Coordinator to member: no.
    TokenRefused(TokenRefused),
    /// Coordinator to member: the token is yours.
    TokenGrant(TokenGrant),
    /// Holder to coordinator: the newcomer does not come after all.
    TokenReturn(TokenReturn),
    /// Newcomer to member: here is my ticket.
    Admit(Admit),
    /// Member to newcomer: your ticket is good.
    Admitted(Admitted),
    /// Newcomer to coordinator: all members have admitted me.
    Complete(Complete),
    /// Coordinator to member: will you coordinate?
    HandOver(HandOver),
    /// Member to coordinator: yes or no.
    HandOverAnswer(HandOverAnswer),
    /// Coordinator to member: say nothing more in this epoch, and tell me how much you have said.
    Close(Close),
    /// Member to coordinator: I have said so much.
    Closed(Closed),
    /// Coordinator or successor to members and newcomer, or anyone to one that missed it: the epoch is over, the next
    /// one begins.
    Commit(Commit),
    /// Member to members: the coordinator is lost to me, and I will follow this member.
    Follow(Follow),
    /// Member to members: a chat message.
    Message(Message),
    /// Member to the sender: I have delivered your messages up to this one.
    Received(Received),
}

/// Numbers the token requests of one member, from 1; a repeated request keeps its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestNumber(pub u64);

/// Asks for the token, for one change: a join or the own leave.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// What the member wants to change.
    pub change: Change,
    /// Which request of this member.
    pub number: RequestNumber,
}

/// The token is not given for this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRefused {
    /// Why.
    pub code: ErrorCode,
    /// Which request.
    pub number: RequestNumber,
}

/// The token, for a join.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenGrant {
    /// The token.
    pub grant: Signed<Grant>,
    /// Which request.
    pub number: RequestNumber,
}

/// The token comes back unused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenReturn {}

/// The newcomer shows its ticket.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admit {
    /// The ticket.
    pub ticket: Signed<Ticket>,
}

/// The member has judged the ticket good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admitted {}

/// The newcomer has been admitted by every member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Complete {}

/// The coordinator wants to leave and offers its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandOver {}

/// The answer to the offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandOverAnswer {
    /// Whether the member will coordinate. One that is leaving will not.
    pub accepted: bool,
}

/// The epoch closes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Close {
    /// The grant for the change.
    pub grant: Signed<Grant>,
    /// What changes: the grant's change, or that a granted join is void.
    pub change: Change,
}

/// The member says nothing more in this epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closed {
    /// How many chat messages the member has sent in the epoch.
    pub sent: u64,
}

/// The next epoch begins, once everything that was said in this one has arrived.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// What the coordinator, or its successor, has committed to.
    pub commitment: Signed<Commitment>,
}

/// The member has lost the coordinator, and says nothing more in this epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Follow {
    /// How many chat messages the member has sent in the epoch.
    pub sent: u64,
    /// Whether the member wants to leave, and so will not take over if anybody else can.
    pub leaving: bool,
    /// The member that is to take over, as far as this one can see.
    pub successor: UserHandle,
}

/// How many chat messages a member sent in an epoch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentCount {
    /// How many.
    pub count: u64,
    /// Who.
    pub member: UserHandle,
}

/// A chat message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Counts the sender's messages in this epoch, from 1.
    pub number: u64,
    /// The content: for `text/plain`, UTF-8 text.
    pub content: Content,
    /// What the content is (RFC 6838).
    #[serde(rename = "media-type")]
    pub media_type: Arc<str>,
}

/// The bytes of a chat message, shared by all the links that carry it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Content(pub Arc<[u8]>);

impl Serialize for Content {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(serde_bytes::ByteBuf::deserialize(deserializer)?.into_vec().into()))
    }
}

/// All messages of the sender up to a number have been delivered to the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Received {
    /// The number of the last one.
    pub number: u64,
}
