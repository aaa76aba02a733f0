//! What every channel has: the greeting, signs of life, the end, errors, and requests with their answers.

use serde::{Deserialize, Serialize};

use crate::error_code::ErrorCode;

/// The version of the protocol that this crate specifies.
pub const PROTOCOL_VERSION: u64 = 1;

/// Ties an answer to its request; chosen by the requester, unused among its open requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u64);

/// The first message of a connection, by its accepting end: the certificates were accepted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Greeting {
    /// The protocol version: [`PROTOCOL_VERSION`].
    pub version: u64,
}

/// Asks for a [`Pong`] with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ping {
    /// Comes back in the pong.
    pub number: u64,
}

/// Answers a [`Ping`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pong {
    /// The number of the ping.
    pub number: u64,
}

/// The last message of an end that closes because it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goodbye {}

/// The last message of an end that closes because the peer broke a rule, or because it cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Error {
    /// Which rule.
    pub code: ErrorCode,
}

/// The answer to a request that is not granted; the connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// The request.
    pub id: RequestId,
    /// Why.
    pub code: ErrorCode,
}
