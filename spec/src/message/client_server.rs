//! The client-to-server channel: login, preferences, address lookup, logout.

use serde::{Deserialize, Serialize};

use super::{
    common::{Error, Goodbye, Greeting, Ping, Pong, Refused, RequestId},
    relay::{
        RelayClose, RelayCredit, RelayData, RelayExpect, RelayForget, RelayIncoming, RelayOpen, RelayOpened,
    },
    server_server::{LoginEpoch, Profile, ProfileVersion},
};
use crate::{
    identity::{ContactAddress, UserHandle},
    policy::Preferences,
};

/// From the client.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToServer {
    /// Logs in: the first request of every connection.
    Login(Login),
    /// Replaces the preferences.
    SetPreferences(SetPreferences),
    /// Asks where another user's client is.
    Lookup(Lookup),
    /// Logs out: the last request.
    Logout(Logout),
    /// Lets those through who name a tag.
    RelayExpect(RelayExpect),
    /// Lets nobody through for a tag any more.
    RelayForget(RelayForget),
    /// Opens a relayed link.
    RelayOpen(RelayOpen),
    /// A relayed link to this client stands.
    RelayOpened(RelayOpened),
    /// Bytes on a relayed link.
    RelayData(RelayData),
    /// Room on a relayed link.
    RelayCredit(RelayCredit),
    /// A relayed link is over.
    RelayClose(RelayClose),
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
pub enum FromServer {
    /// The connection stands.
    Greeting(Greeting),
    /// The user is logged in.
    LoggedIn(LoggedIn),
    /// The preferences are durable at the home server.
    PreferencesSet(PreferencesSet),
    /// Where the user's client is.
    Address(Address),
    /// The user is logged out.
    LoggedOut(LoggedOut),
    /// The request is not granted.
    Refused(Refused),
    /// Another login of the same user replaced this one; the server closes.
    Replaced(Replaced),
    /// Somebody wants a relayed link to this client.
    RelayIncoming(RelayIncoming),
    /// A relayed link that the client opened stands.
    RelayOpened(RelayOpened),
    /// Bytes on a relayed link.
    RelayData(RelayData),
    /// Room on a relayed link.
    RelayCredit(RelayCredit),
    /// A relayed link was refused, or is over.
    RelayClose(RelayClose),
    /// A sign of life is wanted.
    Ping(Ping),
    /// A sign of life.
    Pong(Pong),
    /// The server is done.
    Goodbye(Goodbye),
    /// The server cannot go on.
    Error(Error),
}

/// Logs the user of the TLS certificate in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The request.
    pub id: RequestId,
    /// Where this client accepts client-to-client links.
    pub address: ContactAddress,
}

/// The login is complete.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoggedIn {
    /// The request.
    pub id: RequestId,
    /// This login, counted by the home server.
    pub epoch: LoginEpoch,
    /// The profile.
    pub profile: Profile,
}

/// Replaces the messaging preferences, if they still have the version that the client has seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetPreferences {
    /// The request.
    pub id: RequestId,
    /// The version that is to be replaced.
    pub version: ProfileVersion,
    /// What replaces it.
    pub messaging: Preferences,
}

/// The preferences are durable at the home server, under a new version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreferencesSet {
    /// The request.
    pub id: RequestId,
    /// The new version.
    pub version: ProfileVersion,
}

/// Asks for the contact address of a user's client.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// The request.
    pub id: RequestId,
    /// Whose.
    pub user: UserHandle,
}

/// Where the user's client accepts links. Every other outcome is [`Refused`] with `unavailable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// The request.
    pub id: RequestId,
    /// Where.
    pub address: ContactAddress,
}

/// Logs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logout {
    /// The request.
    pub id: RequestId,
}

/// The user is logged out; the server says goodbye and closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoggedOut {
    /// The request.
    pub id: RequestId,
}

/// A newer login of the same user took this one's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replaced {
    /// The login that is over.
    pub epoch: LoginEpoch,
}
