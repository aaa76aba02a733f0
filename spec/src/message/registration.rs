//! The registration channel: a client without a certificate asks a server for an account.

use serde::{Deserialize, Serialize};

use super::common::{Error, Goodbye, Greeting, Ping, Pong, Refused, RequestId};
use crate::{
    identity::{ServerName, UserHandle},
    registration_code::RegistrationCode,
    signed::{Claims, Signed},
};

/// From the client.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToRegistrar {
    /// Asks for an account.
    Register(Register),
    /// Puts another key in the place of one that has an account.
    Rotate(Rotate),
    /// A sign of life is wanted.
    Ping(Ping),
    /// A sign of life.
    Pong(Pong),
    /// The client is done.
    Goodbye(Goodbye),
    /// The client cannot go on.
    Error(Error),
}

/// From the server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FromRegistrar {
    /// The connection stands.
    Greeting(Greeting),
    /// The account.
    Registered(Registered),
    /// The same account, under the other key.
    Rotated(Registered),
    /// No account.
    Refused(Refused),
    /// A sign of life is wanted.
    Ping(Ping),
    /// A sign of life.
    Pong(Pong),
    /// The server is done.
    Goodbye(Goodbye),
    /// The server cannot go on.
    Error(Error),
}

/// Asks for an account for a key. The same key gets the same account, however often it asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// The request.
    pub id: RequestId,
    /// The public key, as DER SubjectPublicKeyInfo.
    #[serde(with = "serde_bytes")]
    pub key: Vec<u8>,
    /// With which the server's operator has invited the user; empty if with none.
    pub code: RegistrationCode,
    /// Signed with that key, for this server.
    pub proof: Signed<Possession>,
}

/// The statement that its signer holds the key and wants an account at this server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Possession {
    /// The public key, as DER SubjectPublicKeyInfo.
    #[serde(with = "serde_bytes")]
    pub key: Vec<u8>,
    /// The server that is asked.
    pub server: ServerName,
}

impl Claims for Possession {
    const CONTEXT: &'static str = "antiphon-possession/1";
}

/// Puts another key in the place of one that has an account; its handle stays.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// The request.
    pub id: RequestId,
    /// The public key that is replaced, as DER SubjectPublicKeyInfo.
    #[serde(with = "serde_bytes")]
    pub key: Vec<u8>,
    /// Signed with the successor.
    pub proof: Signed<Succession>,
    /// Signed with the key that is replaced.
    pub consent: Signed<Succession>,
    /// The public key that takes its place, as DER SubjectPublicKeyInfo.
    #[serde(with = "serde_bytes")]
    pub successor: Vec<u8>,
}

/// The statement of both keys that one takes the other's place at this server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Succession {
    /// The public key that is replaced, as DER SubjectPublicKeyInfo.
    #[serde(with = "serde_bytes")]
    pub key: Vec<u8>,
    /// The server that is asked.
    pub server: ServerName,
    /// The public key that takes its place, as DER SubjectPublicKeyInfo.
    #[serde(with = "serde_bytes")]
    pub successor: Vec<u8>,
}

impl Claims for Succession {
    const CONTEXT: &'static str = "antiphon-succession/1";
}

/// The account: its handle, and the certificates that prove it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registered {
    /// The request.
    pub id: RequestId,
    /// The user's certificate, then the server's user CA certificate; each in DER.
    pub chain: Vec<serde_bytes::ByteBuf>,
    /// The user handle.
    pub handle: UserHandle,
}
