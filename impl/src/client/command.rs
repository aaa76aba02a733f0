//! What a user, or the program that acts for one, can ask of the client. The JSON form is told in [`super::json`].

use std::{fmt, str::FromStr};

use antiphon_spec::{
    identity::UserHandle, policy::Verdict, registration_code::RegistrationCode, session::SessionId,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A session as users and programs name it: its ID in 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionName(pub SessionId);

/// A text is not a session's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a session is named by 64 lower-case hexadecimal digits")]
pub struct InvalidSessionName;

impl fmt::Display for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SessionName {
    type Err = InvalidSessionName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let HexDigits(bytes) = text.parse().map_err(|_| InvalidSessionName)?;
        bytes.try_into().map(|bytes| Self(SessionId(bytes))).map_err(|_| InvalidSessionName)
    }
}

/// Bytes as programs write them: two lower-case hexadecimal digits each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HexDigits(pub Vec<u8>);

/// A text is not bytes in hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bytes are written in pairs of lower-case hexadecimal digits")]
pub struct InvalidHexDigits;

impl FromStr for HexDigits {
    type Err = InvalidHexDigits;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        let byte = |pair: &[u8]| match *pair {
            [high, low] => Some(value(high)? << 4 | value(low)?),
            _ => None,
        };
        text.as_bytes().chunks(2).map(byte).collect::<Option<_>>().map(Self).ok_or(InvalidHexDigits)
    }
}

impl<'de> Deserialize<'de> for HexDigits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for SessionName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SessionName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A command. Each gets exactly one answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// Gets an account for the key in the identity folder, or a fresh certificate for the account that it has.
    Register {
        /// The code with which the server's operator has invited the user, if with one.
        #[serde(default)]
        code: RegistrationCode,
    },
    /// Logs in at the local server.
    Login {},
    /// Replaces the messaging preferences.
    SetPreferences {
        /// Who may invite, in any order.
        allow: Vec<UserHandle>,
        /// Who may not, in any order.
        deny: Vec<UserHandle>,
        /// Everybody else.
        default: Verdict,
    },
    /// Asks for the address of another user's client.
    Lookup {
        /// Whose.
        handle: UserHandle,
    },
    /// Begins a session with the user alone.
    Create {},
    /// Invites somebody.
    Invite {
        /// Into which session.
        session: SessionName,
        /// Whom.
        handle: UserHandle,
    },
    /// Accepts an invitation.
    Accept {
        /// The session of the invitation.
        session: SessionName,
    },
    /// Refuses an invitation.
    Reject {
        /// The session of the invitation.
        session: SessionName,
    },
    /// Says something in a session.
    Send {
        /// Where.
        session: SessionName,
        /// What, as plain text.
        text: String,
    },
    /// Says something that is no plain text in a session, if all others there take it.
    SendContent {
        /// Where.
        session: SessionName,
        /// What kind of content.
        media_type: String,
        /// The content.
        content: HexDigits,
    },
    /// Says something to somebody outside every session.
    Instant {
        /// To whom.
        handle: UserHandle,
        /// What, as plain text.
        text: String,
    },
    /// Leaves a session, or gives up joining it.
    Leave {
        /// Which.
        session: SessionName,
    },
    /// Asks who is in a session.
    Members {
        /// Which.
        session: SessionName,
    },
    /// Logs out. Sessions go on.
    Logout {},
    /// Leaves all sessions, logs out and ends the client.
    Quit {},
}

impl Command {
    /// The name under which the command is asked for and refused.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Register { .. } => "register",
            Self::Login {} => "login",
            Self::SetPreferences { .. } => "set-preferences",
            Self::Lookup { .. } => "lookup",
            Self::Create {} => "create",
            Self::Invite { .. } => "invite",
            Self::Accept { .. } => "accept",
            Self::Reject { .. } => "reject",
            Self::Send { .. } => "send",
            Self::SendContent { .. } => "send-content",
            Self::Instant { .. } => "instant",
            Self::Leave { .. } => "leave",
            Self::Members { .. } => "members",
            Self::Logout {} => "logout",
            Self::Quit {} => "quit",
        }
    }
}

/// A command, and the number that comes back with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Chosen by whoever asks.
    pub id: Option<u64>,
    /// What is asked for.
    pub command: Command,
}

impl From<Command> for Request {
    fn from(command: Command) -> Self {
        Self { id: None, command }
    }
}
