//! Events and actions of a session as the lines write them.

use antiphon_protocol::{cbor, signed::hash_epoch};
use antiphon_spec::{
    identity::{KeyHash, Peer, UserHandle},
    message::client_client::ClientMessage,
    policy::Verdict,
    session::{Action, Notice, Timer},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    BadQuestion,
    bytes::{Hex, digits, encoded},
};

/// A verified peer.
#[derive(Debug, Deserialize)]
pub(super) struct PeerName {
    handle: UserHandle,
    key: Hex,
}

impl TryFrom<PeerName> for Peer {
    type Error = BadQuestion;

    fn try_from(PeerName { handle, key }: PeerName) -> Result<Self, BadQuestion> {
        Ok(Self { handle, key: KeyHash(key.array()?) })
    }
}

/// A message of a link.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct MessageBytes(Hex);

impl MessageBytes {
    pub(super) fn decode(&self) -> Result<ClientMessage, BadQuestion> {
        cbor::decode(&self.0.0).map_err(BadQuestion::new)
    }
}

/// A timer, and whom it is about where there are several of its name.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub(super) enum TimerName {
    Invitation { peer: UserHandle },
    Answer,
    Join,
    Lease,
    Close,
    Flush,
    Acknowledgement,
    Lost { peer: UserHandle },
    Linger,
}

impl From<TimerName> for Timer {
    fn from(name: TimerName) -> Self {
        match name {
            TimerName::Invitation { peer } => Self::Invitation(peer),
            TimerName::Answer => Self::Answer,
            TimerName::Join => Self::Join,
            TimerName::Lease => Self::Lease,
            TimerName::Close => Self::Close,
            TimerName::Flush => Self::Flush,
            TimerName::Acknowledgement => Self::Acknowledgement,
            TimerName::Lost { peer } => Self::Lost(peer),
            TimerName::Linger => Self::Linger,
        }
    }
}

impl From<Timer> for TimerName {
    fn from(timer: Timer) -> Self {
        match timer {
            Timer::Invitation(peer) => Self::Invitation { peer },
            Timer::Answer => Self::Answer,
            Timer::Join => Self::Join,
            Timer::Lease => Self::Lease,
            Timer::Close => Self::Close,
            Timer::Flush => Self::Flush,
            Timer::Acknowledgement => Self::Acknowledgement,
            Timer::Lost(peer) => Self::Lost { peer },
            Timer::Linger => Self::Linger,
        }
    }
}

/// What the user says, or what happens to the session.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub(super) enum TraceEvent {
    /// The user begins a session.
    Create {
        nonce: Hex,
    },
    /// An invitation came, about which the user's preferences say this.
    Invited {
        inviter: PeerName,
        message: MessageBytes,
        verdict: Verdict,
    },
    Invite {
        invitee: UserHandle,
    },
    Accept,
    Refuse,
    Say {
        message: u64,
        media_type: String,
        content: Hex,
    },
    Leave,
    LinkUp {
        peer: PeerName,
    },
    LinkFailed {
        peer: UserHandle,
    },
    LinkLost {
        peer: UserHandle,
    },
    Received {
        from: PeerName,
        message: MessageBytes,
    },
    Timer {
        timer: TimerName,
    },
}

/// An action as a line writes it.
pub(super) fn action(action: Action) -> Result<Value, BadQuestion> {
    Ok(match action {
        Action::Connect { peer, target: None } => json!({"connect": {"peer": peer}}),
        Action::Connect { peer, target: Some(target) } => {
            json!({"connect": {"peer": peer, "key": digits(&target.key.0), "relay": digits(&target.relay.0)}})
        }
        Action::Send { to, message } => {
            json!({"send": {"to": to, "message": encoded(&ClientMessage::from(message))?}})
        }
        Action::Disconnect { peer, fault: None } => json!({"disconnect": {"peer": peer}}),
        Action::Disconnect { peer, fault: Some(code) } => json!({"disconnect": {"peer": peer, "code": code}}),
        Action::Arm { timer, after } => {
            json!({"arm": {"timer": TimerName::from(timer), "seconds": after.as_secs()}})
        }
        Action::Disarm(timer) => json!({"disarm": {"timer": TimerName::from(timer)}}),
        Action::Tell(notice) => json!({"tell": notice_json(&notice)}),
        Action::Late { from } => json!({"late": {"from": from}}),
    })
}

/// What the user is told. How an implementation words a reason is its own business, so the lines have none.
fn notice_json(notice: &Notice) -> Value {
    match notice {
        Notice::Invited { inviter } => json!({"notice": "invited", "peer": inviter}),
        Notice::InvitationRejected { invitee } => json!({"notice": "invitation-rejected", "peer": invitee}),
        Notice::InvitationFailed { invitee, code: _ } => {
            json!({"notice": "invitation-failed", "peer": invitee})
        }
        Notice::EpochBegan(epoch) => json!({"notice": "epoch", "hash": digits(&hash_epoch(epoch).0)}),
        Notice::MessageReceived { from, epoch, number, media_type, content } => json!({
            "notice": "message", "peer": from, "epoch": epoch, "number": number,
            "media-type": media_type, "content": digits(&content.0),
        }),
        Notice::MessagePending { local } => json!({"notice": "pending", "message": local.0}),
        Notice::MessageSent { local, epoch, number, to } => json!({
            "notice": "sent", "message": local.0, "epoch": epoch, "number": number, "to": to,
        }),
        Notice::MessageDelivered { local, to, epoch, number } => json!({
            "notice": "delivered", "message": local.0, "peer": to, "epoch": epoch, "number": number,
        }),
        Notice::MessageFailed { local, to } => {
            json!({"notice": "failed", "message": local.0, "peer": to})
        }
        Notice::MessageUnsent { local } => json!({"notice": "unsent", "message": local.0}),
        Notice::NotPossible(_) => json!({"notice": "not-possible"}),
        Notice::ForkNoticed(peer) => json!({"notice": "fork", "peer": peer}),
        Notice::MemberLost(peer) => json!({"notice": "member-lost", "peer": peer}),
        Notice::Ended(_) => json!({"notice": "ended"}),
    }
}
