//! What the client tells its user, or the program that acts for one. The JSON form is told in [`super::json`].

use std::fmt;

use antiphon_protocol::signed::hash_epoch;
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{ContactAddress, UserHandle},
    message::{
        client_client::{Content, Instant},
        server_server::{LoginEpoch, ProfileVersion},
    },
    policy::{Preferences, Verdict},
    session::{Change, EndReason, Epoch, Notice, RelayTag},
};
use serde::{Serialize, Serializer};

use super::{command::SessionName, stream::Way};

/// The version of the JSON interface.
pub const INTERFACE: u64 = 1;

/// An event, and the number of the command that it answers, if it answers one that had a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Output {
    /// The number of the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// What happened.
    #[serde(flatten)]
    pub event: ClientEvent,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum ClientEvent {
    /// The client runs; the first event.
    Ready {
        /// The version of the JSON interface: [`INTERFACE`].
        interface: u64,
        /// Where it accepts links.
        address: ContactAddress,
        /// The user, if the identity folder holds a good certificate.
        #[serde(skip_serializing_if = "Option::is_none")]
        handle: Option<UserHandle>,
    },
    /// Answers `register`.
    Registered {
        /// The user.
        handle: UserHandle,
    },
    /// Answers `login`; without a command, the client has logged in again after a lost connection.
    LoggedIn {
        /// The login epoch.
        epoch: LoginEpoch,
        /// The version of the profile.
        version: ProfileVersion,
        /// The messaging preferences.
        preferences: Preferences,
    },
    /// Answers `set-preferences`.
    PreferencesSet {
        /// The new version of the profile.
        version: ProfileVersion,
        /// The messaging preferences that hold now.
        preferences: Preferences,
    },
    /// Answers `lookup`.
    Address {
        /// Whose.
        handle: UserHandle,
        /// Where.
        address: ContactAddress,
    },
    /// Answers `create`.
    Created {
        /// The new session.
        session: SessionName,
        /// The user's tag in it, in 32 hexadecimal digits.
        #[serde(serialize_with = "hex_digits")]
        relay: RelayTag,
    },
    /// Answers `invite`, `accept`, `reject`, `send` and `leave`: the client does it; what comes of it is told by
    /// further events.
    Taken {
        /// The command's name.
        command: &'static str,
        /// The session.
        session: SessionName,
        /// For `send`: names what was said in further events of the session.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<u64>,
    },
    /// Answers `members`.
    Members {
        /// The epoch that holds.
        #[serde(flatten)]
        view: EpochView,
    },
    /// Answers `logout`.
    LoggedOut,
    /// Answers `quit`; the last event.
    Quit,
    /// Answers any command that cannot be done.
    Refused {
        /// The command's name; empty if it could not be read.
        command: String,
        /// Why, in one word.
        code: Refusal,
        /// Why, for people.
        detail: String,
    },

    /// Somebody invites the user.
    Invited {
        /// The session.
        session: SessionName,
        /// Who.
        inviter: UserHandle,
    },
    /// The invitee does not want to join, or did not answer in time.
    InvitationRejected {
        /// The session.
        session: SessionName,
        /// Who.
        handle: UserHandle,
    },
    /// The invitation came to nothing.
    InvitationFailed {
        /// The session.
        session: SessionName,
        /// Who was invited.
        handle: UserHandle,
        /// Why.
        code: ErrorCode,
    },
    /// A link of a session stands.
    Linked {
        /// The session.
        session: SessionName,
        /// To whom.
        handle: UserHandle,
        /// `direct` or `relayed`.
        way: Way,
    },
    /// An epoch begins.
    Epoch {
        /// What is new.
        change: ChangeView,
        /// The epoch.
        #[serde(flatten)]
        view: EpochView,
    },
    /// A member said something.
    Message {
        /// The session.
        session: SessionName,
        /// Who.
        from: UserHandle,
        /// In which epoch.
        epoch: u64,
        /// Counts the sender's messages in the epoch.
        number: u64,
        /// What kind of content it is.
        media_type: String,
        /// The content, if it is plain text.
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// The content in hexadecimal digits, if it is anything else.
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<String>,
    },
    /// What the user said waits to be sent.
    Pending {
        /// The session.
        session: SessionName,
        /// What was said.
        message: u64,
    },
    /// What the user said went out.
    Sent {
        /// The session.
        session: SessionName,
        /// What was said.
        message: u64,
        /// In which epoch.
        epoch: u64,
        /// Counts the user's messages in the epoch.
        number: u64,
        /// To whom: a `delivered` or `failed` follows for each.
        to: Vec<UserHandle>,
    },
    /// A member has what the user said.
    Delivered {
        /// The session.
        session: SessionName,
        /// What was said.
        message: u64,
        /// Which member.
        to: UserHandle,
        /// In which epoch.
        epoch: u64,
        /// Counts the user's messages in the epoch.
        number: u64,
    },
    /// A member was gone before it acknowledged what the user said.
    Failed {
        /// The session.
        session: SessionName,
        /// What was said.
        message: u64,
        /// Which member.
        to: UserHandle,
    },
    /// The session was over before what the user said could be sent.
    Unsent {
        /// The session.
        session: SessionName,
        /// What was said.
        message: u64,
    },
    /// Answers `instant`.
    InstantTaken {
        /// Names the message in further events.
        message: u64,
    },
    /// Somebody said something outside every session.
    Instant {
        /// Who.
        from: UserHandle,
        /// What kind of content it is.
        media_type: String,
        /// The content, if it is plain text.
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// The content in hexadecimal digits, if it is anything else.
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<String>,
    },
    /// The receiver has an instant message.
    InstantDelivered {
        /// Which.
        message: u64,
        /// To whom.
        to: UserHandle,
    },
    /// An instant message could not be delivered.
    InstantFailed {
        /// Which.
        message: u64,
        /// To whom.
        to: UserHandle,
    },
    /// The link to a member is lost.
    MemberLost {
        /// The session.
        session: SessionName,
        /// Which member.
        handle: UserHandle,
    },
    /// A member holds another history of the session.
    Fork {
        /// The session.
        session: SessionName,
        /// Which member.
        handle: UserHandle,
    },
    /// Something that the session had taken on cannot be done after all.
    NotPossible {
        /// The session.
        session: SessionName,
        /// Why.
        code: ErrorCode,
    },
    /// The session is over for the user.
    Ended {
        /// The session.
        session: SessionName,
        /// Why: `left`, `invitation-over`, `join-failed` or `member-lost`.
        reason: &'static str,
    },
    /// A newer login of the same user took this one's place. The client does not log in again by itself.
    Replaced {
        /// The login that is over.
        epoch: LoginEpoch,
    },
    /// The connection to the local server is lost; the client tries again.
    Disconnected {
        /// Why, for people.
        detail: String,
    },
    /// Something failed that no command asked for.
    Error {
        /// Why, in one word.
        code: Refusal,
        /// Why, for people.
        detail: String,
    },
}

/// An epoch of a session as users and programs see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EpochView {
    /// The session.
    pub session: SessionName,
    /// The epoch's number.
    pub number: u64,
    /// The epoch's hash in 64 hexadecimal digits.
    pub hash: String,
    /// All members, in the order of their handles.
    pub members: Vec<UserHandle>,
    /// The member that orders changes.
    pub coordinator: UserHandle,
}

impl EpochView {
    /// What there is to see of an epoch.
    #[must_use]
    pub fn of(epoch: &Epoch) -> Self {
        Self {
            session: SessionName(epoch.session),
            number: epoch.number.0,
            hash: to_hex(&hash_epoch(epoch).0),
            members: epoch.handles().cloned().collect(),
            coordinator: epoch.coordinator.clone(),
        }
    }
}

/// What an epoch changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangeView {
    /// `create`, `join`, `leave`, `remove`, `hand-over`, `void` or `take-over`.
    pub kind: &'static str,
    /// Who created, joined, left, was removed, took over, or did not come.
    pub handle: UserHandle,
}

impl ChangeView {
    fn of(change: &Change) -> Self {
        let (kind, handle) = match change {
            Change::Create(handle) => ("create", handle),
            Change::Join(member) => ("join", &member.handle),
            Change::Leave(handle) => ("leave", handle),
            Change::Remove(handle) => ("remove", handle),
            Change::HandOver(handle) => ("hand-over", handle),
            Change::Void(handle) => ("void", handle),
            Change::TakeOver(handle) => ("take-over", handle),
        };
        Self { kind, handle: handle.clone() }
    }
}

impl ClientEvent {
    /// The beginning of an epoch.
    #[must_use]
    pub fn epoch(epoch: &Epoch) -> Self {
        Self::Epoch { change: ChangeView::of(&epoch.change), view: EpochView::of(epoch) }
    }

    /// An instant message, as it is shown.
    #[must_use]
    pub fn instant(from: UserHandle, instant: &Instant) -> Self {
        let (text, content) = text_or_digits(&instant.media_type, &instant.content);
        Self::Instant { from, media_type: instant.media_type.to_string(), text, content }
    }

    /// What a session tells its user.
    #[must_use]
    pub fn of_notice(session: SessionName, notice: Notice) -> Self {
        match notice {
            Notice::Invited { inviter } => Self::Invited { session, inviter },
            Notice::InvitationRejected { invitee } => Self::InvitationRejected { session, handle: invitee },
            Notice::InvitationFailed { invitee, code } => {
                Self::InvitationFailed { session, handle: invitee, code }
            }
            Notice::EpochBegan(epoch) => Self::epoch(&epoch),
            Notice::MessageReceived { from, epoch, number, media_type, content } => {
                let (text, content) = text_or_digits(&media_type, &content);
                let media_type = media_type.to_string();
                Self::Message { session, from, epoch: epoch.0, number, media_type, text, content }
            }
            Notice::MessagePending { local } => Self::Pending { session, message: local.0 },
            Notice::MessageSent { local, epoch, number, to } => {
                Self::Sent { session, message: local.0, epoch: epoch.0, number, to }
            }
            Notice::MessageDelivered { local, to, epoch, number } => {
                Self::Delivered { session, message: local.0, to, epoch: epoch.0, number }
            }
            Notice::MessageFailed { local, to } => Self::Failed { session, message: local.0, to },
            Notice::MessageUnsent { local } => Self::Unsent { session, message: local.0 },
            Notice::NotPossible(code) => Self::NotPossible { session, code },
            Notice::ForkNoticed(handle) => Self::Fork { session, handle },
            Notice::MemberLost(handle) => Self::MemberLost { session, handle },
            Notice::Ended(reason) => Self::Ended { session, reason: reason_name(reason) },
        }
    }
}

const fn reason_name(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Left => "left",
        EndReason::InvitationOver => "invitation-over",
        EndReason::JoinFailed => "join-failed",
        EndReason::MemberLost => "member-lost",
    }
}

/// Plain text as it is, anything else in hexadecimal digits.
fn text_or_digits(media_type: &str, content: &Content) -> (Option<String>, Option<String>) {
    let text = std::str::from_utf8(&content.0).ok().filter(|_| is_plain_text(media_type));
    match text {
        Some(text) => (Some(text.to_owned()), None),
        None => (None, Some(to_hex(&content.0))),
    }
}

/// Whether the type, whatever its parameters, is `text/plain`.
fn is_plain_text(media_type: &str) -> bool {
    media_type.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("text/plain"))
}

fn hex_digits<S: Serializer>(tag: &RelayTag, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&to_hex(&tag.0))
}

/// Lower-case hexadecimal digits.
pub(super) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Why a command cannot be done, in one word: a code of the protocol, or one of the client's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A code of the protocol, by the server or by a session.
    Protocol(ErrorCode),
    /// The command cannot be read.
    InvalidCommand,
    /// There is no account yet.
    NotRegistered,
    /// The user is not logged in.
    NotLoggedIn,
    /// The user is logged in, or about to be.
    LoggedIn,
    /// The same kind of command is being done already.
    Busy,
    /// The server cannot be reached, did not answer, or refused the connection.
    Unreachable,
    /// The server's answer proves nothing.
    AnswerRefused,
    /// The identity folder cannot be read or written.
    IdentityFolder,
    /// A server is needed that the settings do not name.
    NoServer,
    /// The client is ending.
    Quitting,
}

impl Refusal {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Protocol(code) => code.as_str(),
            Self::InvalidCommand => "invalid-command",
            Self::NotRegistered => "not-registered",
            Self::NotLoggedIn => "not-logged-in",
            Self::LoggedIn => "logged-in-already",
            Self::Busy => "busy",
            Self::Unreachable => "unreachable",
            Self::AnswerRefused => "answer-refused",
            Self::IdentityFolder => "identity-folder",
            Self::NoServer => "no-server",
            Self::Quitting => "quitting",
        }
    }

    /// The word, said to a person.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::Protocol(ErrorCode::Unavailable) => {
                "there is no such user, the user is not online, or does not want to be found by you"
            }
            Self::Protocol(ErrorCode::NoSuchSession) => "there is no such session",
            Self::Protocol(ErrorCode::UnexpectedMessage) => "this cannot be done now",
            Self::Protocol(ErrorCode::LimitReached) => "this is more than allowed",
            Self::Protocol(ErrorCode::VersionConflict) => {
                "the preferences were changed elsewhere; log in again to learn them"
            }
            Self::Protocol(ErrorCode::HomeUnreachable) => "your home server cannot be reached",
            Self::Protocol(ErrorCode::LocationUnreachable) => {
                "the location service cannot be reached; try again later"
            }
            Self::Protocol(ErrorCode::NoSuchUser) => "your home server has no such account",
            Self::Protocol(ErrorCode::RegistrationClosed) => "the server takes no new accounts",
            Self::Protocol(ErrorCode::CodeRefused) => {
                "the server takes new accounts with a registration code of its operator alone, and this is none, or used up"
            }
            Self::Protocol(ErrorCode::LoginReplaced) => "a newer login took this one's place",
            Self::Protocol(ErrorCode::AlreadyMember) => "already a member, or invited",
            Self::Protocol(ErrorCode::Forbidden) => "this is not allowed now",
            Self::Protocol(ErrorCode::SessionFull) => "the session is full",
            Self::Protocol(ErrorCode::MediaType) => "somebody there does not take this kind of content",
            Self::Protocol(code) => code.as_str(),
            Self::InvalidCommand => "the command cannot be read",
            Self::NotRegistered => "there is no account yet; register first",
            Self::NotLoggedIn => "you are not logged in",
            Self::LoggedIn => "you are logged in already",
            Self::Busy => "this is being done already",
            Self::Unreachable => "the server cannot be reached",
            Self::AnswerRefused => "the server's answer proves nothing",
            Self::IdentityFolder => "the identity folder cannot be used",
            Self::NoServer => "no server was named; start the client with --server and --registration",
            Self::Quitting => "the client is ending",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Refusal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self::Protocol(code)
    }
}

/// The verdict as preferences print it.
#[must_use]
pub const fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "allow",
        Verdict::Deny => "deny",
    }
}
