//! What happens to the login of a user, and what it wants done.

use std::time::Duration;

use crate::{
    error_code::ErrorCode,
    identity::ContactAddress,
    message::{
        client_server::FromServer,
        common::RequestId,
        server_server::{LoginEpoch, Profile, ProfileVersion},
    },
    policy::Preferences,
};

/// One connection of a client, numbered by the server; no number is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionNumber(pub u64);

/// What happened. Every request of an action comes back as just one of its answers, even if the peer never gave one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A client asks to log in.
    LoginAsked(Client),
    /// A client asks to log out.
    LogoutAsked {
        /// Its connection.
        connection: ConnectionNumber,
        /// The request.
        id: RequestId,
    },
    /// A client asks to change the preferences.
    PreferencesAsked {
        /// Its connection.
        connection: ConnectionNumber,
        /// The request.
        id: RequestId,
        /// The version that is to be replaced.
        version: ProfileVersion,
        /// What replaces it.
        messaging: Preferences,
    },
    /// A client's connection has ended, whoever ended it.
    ConnectionEnded(ConnectionNumber),
    /// The home server says that the login is over, and every one up to this epoch.
    ReplacedAtHome(LoginEpoch),
    /// Answers [`Action::CheckOut`].
    CheckedOut {
        /// The new login epoch.
        epoch: LoginEpoch,
        /// Its lease.
        lease: Duration,
        /// The profile.
        profile: Profile,
    },
    /// Answers [`Action::CheckOut`].
    CheckOutFailed(ErrorCode),
    /// Answers [`Action::Store`].
    Stored(ProfileVersion),
    /// Answers [`Action::Store`].
    StoreFailed(ErrorCode),
    /// Answers [`Action::Renew`]: the login epoch stands for this lease.
    Renewed(Duration),
    /// Answers [`Action::Renew`].
    RenewFailed(ErrorCode),
    /// Answers [`Action::Insert`]: the record stands for this lease.
    Inserted(Duration),
    /// Answers [`Action::Insert`].
    InsertFailed(ErrorCode),
    /// Answers [`Action::Delete`], whatever came of it: a record that stays ends with its lease.
    DeleteEnded,
    /// Answers [`Action::CheckIn`], whatever came of it: an epoch that stays ends with the next login.
    CheckInEnded,
    /// The time of [`Action::ArmRenewal`] is over.
    RenewalDue,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Ask the home server to begin a login epoch here.
    CheckOut,
    /// Ask the home server to change the preferences.
    Store {
        /// The login epoch.
        epoch: LoginEpoch,
        /// The version that is to be replaced.
        version: ProfileVersion,
        /// What replaces it.
        messaging: Preferences,
    },
    /// Ask the home server to renew the lease of the login epoch.
    Renew(LoginEpoch),
    /// Ask the home server to end the login epoch.
    CheckIn(LoginEpoch),
    /// Ask the location service to insert or renew the contact record of this epoch.
    Insert(LoginEpoch),
    /// Ask the location service to delete the contact record of this epoch.
    Delete(LoginEpoch),
    /// Send a message to a client; nothing happens if its connection has ended.
    Send {
        /// The connection.
        connection: ConnectionNumber,
        /// The message.
        message: FromServer,
    },
    /// Say goodbye to a client and close.
    Close(ConnectionNumber),
    /// Start the one timer, or start it again.
    ArmRenewal(Duration),
    /// Stop the timer.
    DisarmRenewal,
}

/// A client that asks to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    /// Its connection.
    pub connection: ConnectionNumber,
    /// Its request.
    pub id: RequestId,
    /// Where it accepts links.
    pub address: ContactAddress,
}
