//! The messages by which a link goes on when its connection is lost (chapter *Links that go on*).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{identity::as_bytes, limits::LINK_PATIENCE_MAX, session::SessionId};

/// 128 bits that the client which dialled a link drew for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkName(pub [u8; 16]);

as_bytes!(LinkName[16]);

/// For how many seconds a link may be without a connection: at least 1, at most [`LINK_PATIENCE_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Patience(u64);

/// A number of seconds for which no link waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a link waits for a connection from 1 to {} seconds", LINK_PATIENCE_MAX.as_secs())]
pub struct InvalidPatience;

impl Patience {
    /// The longest.
    pub const MAX: Self = Self(LINK_PATIENCE_MAX.as_secs());

    /// As a time.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl TryFrom<u64> for Patience {
    type Error = InvalidPatience;

    fn try_from(seconds: u64) -> Result<Self, InvalidPatience> {
        if (1..=Self::MAX.0).contains(&seconds) { Ok(Self(seconds)) } else { Err(InvalidPatience) }
    }
}

impl From<Patience> for u64 {
    fn from(patience: Patience) -> Self {
        patience.0
    }
}

/// The client that has dialled wants the link to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// The link's name.
    pub link: LinkName,
    /// The sender's patience.
    #[serde(rename = "seconds")]
    pub patience: Patience,
}

/// The client that has accepted keeps the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The sender's patience.
    #[serde(rename = "seconds")]
    pub patience: Patience,
}

/// How many counted messages the sender has received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    /// How many, since `keep` or `kept`.
    pub received: u64,
}

/// A new connection for a link that has lost its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// Which link.
    pub link: LinkName,
    /// Counts the attempts to resume the link.
    pub attempt: u64,
    /// The session that it serves.
    pub session: SessionId,
    /// How many counted messages the sender has received.
    pub received: u64,
}
