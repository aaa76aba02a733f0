//! The server-to-server channel: profiles leave home and come back, addresses are asked for.

use serde::{Deserialize, Serialize};

use super::{
    common::{Error, Goodbye, Greeting, Ping, Pong, Refused, RequestId},
    relay::{RelayCall, RelayClose, RelayCredit, RelayData, RelayOpened},
};
use crate::{
    identity::{ContactAddress, ObjectHandle, UserHandle},
    policy::Preferences,
};

/// Counts a user's logins at the home server, from 1; every later login has a greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LoginEpoch(pub u64);

/// Counts the changes of a profile at the home server, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProfileVersion(pub u64);

/// What the system keeps about a user.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The version of the contents.
    pub version: ProfileVersion,
    /// Who may send messages and invitations.
    pub messaging: Preferences,
}

/// From the server that dialled.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToPeerServer {
    /// A user of the accepting server logs in at the dialling one.
    CheckOut(CheckOut),
    /// Changes a checked-out profile.
    Store(Store),
    /// The user is still logged in.
    Renew(Renew),
    /// The user logged out.
    CheckIn(CheckIn),
    /// A user's login at the accepting server was replaced by a newer one; from the home server.
    Replace(Replace),
    /// A user of the dialling server asks where a user's client is.
    Resolve(Resolve),
    /// A user of the dialling server wants a relayed link to one of the accepting server's.
    RelayCall(RelayCall),
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
    /// The server is done.
    Goodbye(Goodbye),
    /// The server cannot go on.
    Error(Error),
}

/// From the server that accepted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FromPeerServer {
    /// The connection stands.
    Greeting(Greeting),
    /// The profile, checked out.
    CheckedOut(CheckedOut),
    /// The change is durable.
    Stored(Stored),
    /// The login epoch has a new lease.
    Renewed(Renewed),
    /// The profile is home.
    CheckedIn(CheckedIn),
    /// The login is over.
    ReplaceDone(ReplaceDone),
    /// Where the user's client is.
    Resolved(Resolved),
    /// A relayed link stands.
    RelayOpened(RelayOpened),
    /// Bytes on a relayed link.
    RelayData(RelayData),
    /// Room on a relayed link.
    RelayCredit(RelayCredit),
    /// A relayed link was refused, or is over.
    RelayClose(RelayClose),
    /// The request is not granted.
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

/// Begins a login epoch at the dialling server and asks for the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckOut {
    /// The request.
    pub id: RequestId,
    /// The user ID of the one who logs in.
    pub user: ObjectHandle,
}

/// The new login epoch and the profile.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckedOut {
    /// The request.
    pub id: RequestId,
    /// The new login epoch.
    pub epoch: LoginEpoch,
    /// The lease of the login epoch, in seconds.
    pub lease: u64,
    /// The profile.
    pub profile: Profile,
}

/// Replaces the preferences in a profile that the dialling server holds under `epoch`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// The request.
    pub id: RequestId,
    /// The user ID.
    pub user: ObjectHandle,
    /// The login epoch under which the dialling server holds the profile.
    pub epoch: LoginEpoch,
    /// The version that is to be replaced.
    pub version: ProfileVersion,
    /// What replaces it.
    pub messaging: Preferences,
}

/// The change is durable, under a new version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    /// The request.
    pub id: RequestId,
    /// The new version.
    pub version: ProfileVersion,
}

/// Asks for a new lease of the login epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renew {
    /// The request.
    pub id: RequestId,
    /// The user ID.
    pub user: ObjectHandle,
    /// The login epoch under which the dialling server holds the profile.
    pub epoch: LoginEpoch,
}

/// The login epoch stands until its lease ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renewed {
    /// The request.
    pub id: RequestId,
    /// The lease, in seconds.
    pub lease: u64,
}

/// Ends the login epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckIn {
    /// The request.
    pub id: RequestId,
    /// The user ID.
    pub user: ObjectHandle,
    /// The login epoch that ends.
    pub epoch: LoginEpoch,
}

/// The login epoch has ended; also the answer when it had ended before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckedIn {
    /// The request.
    pub id: RequestId,
}

/// From the home server: the login of `epoch`, and any before it, has been replaced.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replace {
    /// The request.
    pub id: RequestId,
    /// Whose login.
    pub user: UserHandle,
    /// The last login epoch that is over.
    pub epoch: LoginEpoch,
}

/// The login is over at the accepting server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplaceDone {
    /// The request.
    pub id: RequestId,
}

/// Asks, for a user of the dialling server, where a user of the accepting one can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolve {
    /// The request.
    pub id: RequestId,
    /// Whose address.
    pub user: UserHandle,
    /// Who asks.
    pub asker: UserHandle,
}

/// Where the user's client accepts links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolved {
    /// The request.
    pub id: RequestId,
    /// Where.
    pub address: ContactAddress,
}
