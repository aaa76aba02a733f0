//! What a session's machine is told and what it asks for.

use std::{sync::Arc, time::Duration};

use super::epoch::{Epoch, EpochNumber, RelayTag};
use crate::{
    error_code::ErrorCode,
    identity::{KeyHash, Peer, UserHandle},
    message::client_client::{Content, PeerMessage},
};

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The user invites somebody.
    Invite {
        /// Whom.
        invitee: UserHandle,
    },
    /// The user accepts the invitation that this session began with.
    Accept,
    /// The user refuses the invitation that this session began with.
    Refuse,
    /// The user says something. Unless [`Notice::NotPossible`] is told in return, every member gets its own outcome:
    /// [`Notice::MessageDelivered`] or [`Notice::MessageFailed`], or all get [`Notice::MessageUnsent`].
    Say {
        /// Under which the user hears of it again: another one for each thing that the user says in the session.
        local: LocalNumber,
        /// What kind of content (RFC 6838).
        media_type: Arc<str>,
        /// The content.
        content: Content,
    },
    /// The user leaves, or gives up joining.
    Leave,
    /// A link that [`Action::Connect`] asked for stands: the peer's certificate was verified, its greeting read.
    LinkUp {
        /// The verified peer.
        peer: Peer,
    },
    /// A link that [`Action::Connect`] asked for cannot be had.
    LinkFailed {
        /// To whom.
        peer: UserHandle,
    },
    /// A link ended that [`Action::Disconnect`] did not end.
    LinkLost {
        /// To whom.
        peer: UserHandle,
    },
    /// A message came over the link of this verified peer.
    Received {
        /// The verified peer.
        from: Peer,
        /// The message.
        message: PeerMessage,
    },
    /// The time of a timer that [`Action::Arm`] set is over.
    TimerFired(Timer),
}

/// Names one thing that the user says in a session, for the user alone: it does not travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalNumber(pub u64);

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Open a link, for which the local server is asked; answered by [`Event::LinkUp`] or [`Event::LinkFailed`].
    Connect {
        /// To whom.
        peer: UserHandle,
        /// With which key and tag, for a member; absent for somebody who is to be invited.
        target: Option<Target>,
    },
    /// Send one message to each of these peers: encode it once.
    Send {
        /// The peers, all with a link; never empty.
        to: Vec<UserHandle>,
        /// The message.
        message: PeerMessage,
    },
    /// Close the link after what was sent on it; no [`Event::LinkLost`] follows.
    Disconnect {
        /// To whom.
        peer: UserHandle,
        /// A `goodbye`, or an `error` with this code.
        fault: Option<ErrorCode>,
    },
    /// Start a timer, or start it again.
    Arm {
        /// Which.
        timer: Timer,
        /// When it fires, from now.
        after: Duration,
    },
    /// Stop a timer; nothing happens if it is not armed.
    Disarm(Timer),
    /// Tell the user, or the program that acts for the user.
    Tell(Notice),
    /// A message came too late to matter and was ignored: count it.
    Late {
        /// From whom.
        from: UserHandle,
    },
}

/// The key that a member must prove on its link, and the tag under which servers let others through to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The member's key.
    pub key: KeyHash,
    /// The member's tag in the session.
    pub relay: RelayTag,
}

/// The timers of a session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// At the inviter: this invitee has not answered.
    Invitation(UserHandle),
    /// At the invitee: the user has not answered.
    Answer,
    /// At the newcomer: the join takes too long.
    Join,
    /// At the coordinator: the lease of the grant, or the answer to an offered hand-over.
    Lease,
    /// At the coordinator: members have not closed the epoch.
    Close,
    /// At a member: messages that the commit counts have not come.
    Flush,
    /// At a sender: the oldest message under way has not been acknowledged by all.
    Acknowledgement,
    /// At a member: the coordinator has not removed this member, whose link is lost.
    Lost(UserHandle),
    /// At a member that left: others have not closed their links.
    Linger,
}

/// What the user is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Notice {
    /// Somebody invites the user: accept or refuse?
    Invited {
        /// Who.
        inviter: UserHandle,
    },
    /// The invitee does not want to join, or has not answered in time.
    InvitationRejected {
        /// Who.
        invitee: UserHandle,
    },
    /// The invitation came to nothing.
    InvitationFailed {
        /// Who was invited.
        invitee: UserHandle,
        /// Why: `unavailable`, `already-member`, `session-full`, `deadline` or `limit-reached`.
        code: ErrorCode,
    },
    /// A new epoch holds; its `change` says what is new. The first one that a newcomer sees is its own join.
    EpochBegan(Arc<Epoch>),
    /// A chat message, in its sender's order.
    MessageReceived {
        /// The sender.
        from: UserHandle,
        /// The epoch in which it was said.
        epoch: EpochNumber,
        /// Counts the sender's messages in the epoch.
        number: u64,
        /// What kind of content.
        media_type: Arc<str>,
        /// The content.
        content: Content,
    },
    /// What the user said waits: the epoch closes, or too much is on its way already.
    MessagePending {
        /// What the user said.
        local: LocalNumber,
    },
    /// What the user said was sent under this number.
    MessageSent {
        /// What the user said.
        local: LocalNumber,
        /// The epoch in which it was said.
        epoch: EpochNumber,
        /// Counts the user's messages in the epoch.
        number: u64,
        /// The other members of the epoch, each of whom gets an outcome.
        to: Vec<UserHandle>,
    },
    /// A member has acknowledged what the user said.
    MessageDelivered {
        /// What the user said.
        local: LocalNumber,
        /// The member.
        to: UserHandle,
        /// The epoch in which it was said.
        epoch: EpochNumber,
        /// Its number there.
        number: u64,
    },
    /// A member was gone before it acknowledged what the user said. It may have it all the same; nobody will know.
    MessageFailed {
        /// What the user said.
        local: LocalNumber,
        /// The member.
        to: UserHandle,
    },
    /// The session was over, or somebody had joined who does not take its media type, before what the user said could be
    /// sent to anybody.
    MessageUnsent {
        /// What the user said.
        local: LocalNumber,
    },
    /// What the user asked for cannot be done now; nothing changed.
    NotPossible(ErrorCode),
    /// The link to a member is lost; the coordinator will remove it, or somebody takes over if it was the coordinator.
    MemberLost(UserHandle),
    /// A member holds another chain of epochs, or another count of what was said: one of the two was told something
    /// wrong. The link is closed.
    ForkNoticed(UserHandle),
    /// The session is over for this user; no event matters any more.
    Ended(EndReason),
}

/// Why a session is over for a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndReason {
    /// The user left, refused, or gave up joining.
    Left,
    /// The inviter took the invitation back, or the user did not answer in time.
    InvitationOver,
    /// The join came to nothing: a member could not be reached or refused, or it took too long.
    JoinFailed,
    /// The link to another member is lost, and the coordinator keeps that member.
    MemberLost,
}
