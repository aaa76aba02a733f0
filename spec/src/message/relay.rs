//! What the client-to-server and the server-to-server channel carry of relayed links (chapter *Relayed links*).
//!
//! These are no requests: a link is opened, opened or closed by the other side, and then carries bytes until it is
//! closed. `relay-close` has no code, so that every no is the same no.

use serde::{Deserialize, Serialize};

use crate::{
    identity::UserHandle,
    limits::{RELAY_DATA_BYTES_MAX, RELAY_WINDOW_BYTES},
    session::RelayTag,
};

/// Names a relayed link on one connection: odd where the dialling end opened it, even where the accepting end did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinkNumber(pub u64);

/// Client to server: whoever names this tag is to be let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayExpect {
    /// The tag.
    pub relay: RelayTag,
}

/// Client to server: the tag is good for nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayForget {
    /// The tag.
    pub relay: RelayTag,
}

/// Whom a relayed link is to lead to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Called {
    /// A user, whose preferences decide.
    User(UserHandle),
    /// A member of a session, by its tag.
    Member(TaggedUser),
}

impl Called {
    /// Who is called.
    #[must_use]
    pub fn handle(&self) -> &UserHandle {
        match self {
            Self::User(handle) => handle,
            Self::Member(member) => &member.handle,
        }
    }

    /// The tag that is named, if one is.
    #[must_use]
    pub fn tag(&self) -> Option<RelayTag> {
        match self {
            Self::User(_) => None,
            Self::Member(member) => Some(member.relay),
        }
    }
}

/// A user and the tag by which it is a member of a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaggedUser {
    /// The tag.
    pub relay: RelayTag,
    /// The user.
    pub handle: UserHandle,
}

/// Client to server: open a link.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayOpen {
    /// Its number.
    pub link: LinkNumber,
    /// To whom.
    pub called: Called,
}

/// Server to server: a user of the dialling server wants a link to one of the accepting server's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayCall {
    /// Its number.
    pub link: LinkNumber,
    /// To whom.
    pub called: Called,
    /// By whom.
    pub caller: UserHandle,
}

/// Server to client: somebody wants a link.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayIncoming {
    /// Its number.
    pub link: LinkNumber,
    /// By whom, as the servers say; what counts is the certificate that comes over the link.
    pub caller: UserHandle,
}

/// From the side that was called: the link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayOpened {
    /// Its number.
    pub link: LinkNumber,
}

/// Bytes on their way through a link.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayData {
    /// The link's number.
    pub link: LinkNumber,
    /// The bytes.
    pub bytes: RelayBytes,
}

/// So many bytes were taken off the link: as many more may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayCredit {
    /// The link's number.
    pub link: LinkNumber,
    /// How many.
    pub bytes: CreditBytes,
}

/// The link was refused, or is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayClose {
    /// Its number.
    pub link: LinkNumber,
}

/// A number of bytes is not one that a message may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum InvalidCount {
    /// For `relay-data`.
    #[error("relay-data carries 1 to {RELAY_DATA_BYTES_MAX} bytes")]
    Data,
    /// For `relay-credit`.
    #[error("relay-credit gives 1 to {RELAY_WINDOW_BYTES} bytes")]
    Credit,
}

/// What one `relay-data` carries: at least a byte, and no more than lets other links have their turn.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "serde_bytes::ByteBuf", into = "serde_bytes::ByteBuf")]
pub struct RelayBytes(Vec<u8>);

impl RelayBytes {
    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The bytes.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

impl TryFrom<Vec<u8>> for RelayBytes {
    type Error = InvalidCount;

    fn try_from(bytes: Vec<u8>) -> Result<Self, InvalidCount> {
        if (1..=RELAY_DATA_BYTES_MAX).contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(InvalidCount::Data)
        }
    }
}

impl TryFrom<serde_bytes::ByteBuf> for RelayBytes {
    type Error = InvalidCount;

    fn try_from(bytes: serde_bytes::ByteBuf) -> Result<Self, InvalidCount> {
        bytes.into_vec().try_into()
    }
}

impl From<RelayBytes> for serde_bytes::ByteBuf {
    fn from(bytes: RelayBytes) -> Self {
        Self::from(bytes.0)
    }
}

/// What one `relay-credit` gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct CreditBytes(usize);

impl CreditBytes {
    /// How many.
    #[must_use]
    pub fn count(self) -> usize {
        self.0
    }
}

impl TryFrom<usize> for CreditBytes {
    type Error = InvalidCount;

    fn try_from(count: usize) -> Result<Self, InvalidCount> {
        if (1..=RELAY_WINDOW_BYTES).contains(&count) { Ok(Self(count)) } else { Err(InvalidCount::Credit) }
    }
}

impl TryFrom<u64> for CreditBytes {
    type Error = InvalidCount;

    fn try_from(count: u64) -> Result<Self, InvalidCount> {
        usize::try_from(count).map_err(|_| InvalidCount::Credit)?.try_into()
    }
}

impl From<CreditBytes> for u64 {
    fn from(bytes: CreditBytes) -> Self {
        // At most a window.
        Self::try_from(bytes.0).unwrap_or(Self::MAX)
    }
}
