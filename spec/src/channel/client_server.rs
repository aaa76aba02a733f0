//! The client-to-server channel's tables: the one channel on which what may be asked depends on the login.

use super::Reception;
use crate::message::client_server::{FromServer, ToServer};

/// The states of the server's end of a connection, each named by what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServerEnd {
    /// Waits for the client to log in.
    AwaitingLogin,
    /// Waits for its own answer to a login.
    AwaitingLoginAnswer,
    /// Waits for requests.
    AwaitingRequest,
    /// Waits for its own answer to a logout.
    AwaitingLogoutAnswer,
    /// Said goodbye or why it cannot go on, and waits for the end of the stream.
    Closing,
}

impl ServerEnd {
    /// Every state, in the order of a connection's life.
    pub const ALL: [Self; 5] = [
        Self::AwaitingLogin,
        Self::AwaitingLoginAnswer,
        Self::AwaitingRequest,
        Self::AwaitingLogoutAnswer,
        Self::Closing,
    ];

    /// What the server does with a message of the client.
    #[must_use]
    pub fn receive(self, message: &ToServer) -> Reception {
        match self {
            Self::AwaitingLogin => match message {
                ToServer::Login(_)
                | ToServer::Ping(_)
                | ToServer::Pong(_)
                | ToServer::Goodbye(_)
                | ToServer::Error(_) => Reception::Accepted,
                ToServer::SetPreferences(_)
                | ToServer::Lookup(_)
                | ToServer::Logout(_)
                | ToServer::RelayExpect(_)
                | ToServer::RelayForget(_)
                | ToServer::RelayOpen(_)
                | ToServer::RelayOpened(_)
                | ToServer::RelayData(_)
                | ToServer::RelayCredit(_)
                | ToServer::RelayClose(_) => Reception::ProtocolError,
            },
            Self::AwaitingRequest => match message {
                ToServer::SetPreferences(_)
                | ToServer::Lookup(_)
                | ToServer::Logout(_)
                | ToServer::RelayExpect(_)
                | ToServer::RelayForget(_)
                | ToServer::RelayOpen(_)
                | ToServer::RelayOpened(_)
                | ToServer::RelayData(_)
                | ToServer::RelayCredit(_)
                | ToServer::RelayClose(_)
                | ToServer::Ping(_)
                | ToServer::Pong(_)
                | ToServer::Goodbye(_)
                | ToServer::Error(_) => Reception::Accepted,
                ToServer::Login(_) => Reception::ProtocolError,
            },
            Self::AwaitingLoginAnswer | Self::AwaitingLogoutAnswer => match message {
                ToServer::Ping(_) | ToServer::Pong(_) | ToServer::Goodbye(_) | ToServer::Error(_) => {
                    Reception::Accepted
                }
                ToServer::Login(_)
                | ToServer::SetPreferences(_)
                | ToServer::Lookup(_)
                | ToServer::Logout(_)
                | ToServer::RelayExpect(_)
                | ToServer::RelayForget(_)
                | ToServer::RelayOpen(_)
                | ToServer::RelayOpened(_)
                | ToServer::RelayData(_)
                | ToServer::RelayCredit(_)
                | ToServer::RelayClose(_) => Reception::ProtocolError,
            },
            Self::Closing => Reception::Late,
        }
    }

    /// The state after an accepted message.
    #[must_use]
    pub fn after_receiving(self, message: &ToServer) -> Self {
        match message {
            ToServer::Login(_) => Self::AwaitingLoginAnswer,
            ToServer::Logout(_) => Self::AwaitingLogoutAnswer,
            ToServer::Goodbye(_) | ToServer::Error(_) => Self::Closing,
            ToServer::SetPreferences(_)
            | ToServer::Lookup(_)
            | ToServer::RelayExpect(_)
            | ToServer::RelayForget(_)
            | ToServer::RelayOpen(_)
            | ToServer::RelayOpened(_)
            | ToServer::RelayData(_)
            | ToServer::RelayCredit(_)
            | ToServer::RelayClose(_)
            | ToServer::Ping(_)
            | ToServer::Pong(_) => self,
        }
    }

    /// The state after a message that this end sends. It holds before the message can have an effect on the client.
    #[must_use]
    pub fn after_sending(self, message: &FromServer) -> Self {
        match message {
            FromServer::LoggedIn(_) => Self::AwaitingRequest,
            FromServer::Refused(_) => match self {
                // The refusal of a login; while one is asked for, nothing else can be refused.
                Self::AwaitingLoginAnswer => Self::AwaitingLogin,
                Self::AwaitingLogin | Self::AwaitingRequest | Self::AwaitingLogoutAnswer | Self::Closing => {
                    self
                }
            },
            FromServer::LoggedOut(_)
            | FromServer::Replaced(_)
            | FromServer::Goodbye(_)
            | FromServer::Error(_) => Self::Closing,
            FromServer::Greeting(_)
            | FromServer::PreferencesSet(_)
            | FromServer::Address(_)
            | FromServer::RelayIncoming(_)
            | FromServer::RelayOpened(_)
            | FromServer::RelayData(_)
            | FromServer::RelayCredit(_)
            | FromServer::RelayClose(_)
            | FromServer::Ping(_)
            | FromServer::Pong(_) => self,
        }
    }
}

/// The states of the client's end of a connection, each named by what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientEnd {
    /// Waits for the greeting.
    AwaitingGreeting,
    /// Waits for its user to log in.
    AwaitingLogin,
    /// Waits for the answer to a login.
    AwaitingLoginAnswer,
    /// Is logged in, and waits for answers, if there are open requests.
    LoggedIn,
    /// Waits for the answer to a logout.
    AwaitingLogoutAnswer,
    /// Said goodbye or why it cannot go on, and waits for the end of the stream.
    Closing,
}

impl ClientEnd {
    /// Every state, in the order of a connection's life.
    pub const ALL: [Self; 6] = [
        Self::AwaitingGreeting,
        Self::AwaitingLogin,
        Self::AwaitingLoginAnswer,
        Self::LoggedIn,
        Self::AwaitingLogoutAnswer,
        Self::Closing,
    ];

    /// What the client does with a message of the server. That an answer has an open request is checked apart
    /// ([`super::Question::is_answered_by`]).
    #[must_use]
    pub fn receive(self, message: &FromServer) -> Reception {
        match self {
            Self::AwaitingGreeting => match message {
                FromServer::Greeting(_) | FromServer::Error(_) => Reception::Accepted,
                FromServer::LoggedIn(_)
                | FromServer::PreferencesSet(_)
                | FromServer::Address(_)
                | FromServer::LoggedOut(_)
                | FromServer::Refused(_)
                | FromServer::Replaced(_)
                | FromServer::RelayIncoming(_)
                | FromServer::RelayOpened(_)
                | FromServer::RelayData(_)
                | FromServer::RelayCredit(_)
                | FromServer::RelayClose(_)
                | FromServer::Ping(_)
                | FromServer::Pong(_)
                | FromServer::Goodbye(_) => Reception::ProtocolError,
            },
            Self::AwaitingLogin => match message {
                FromServer::Ping(_) | FromServer::Pong(_) | FromServer::Goodbye(_) | FromServer::Error(_) => {
                    Reception::Accepted
                }
                FromServer::Greeting(_)
                | FromServer::LoggedIn(_)
                | FromServer::PreferencesSet(_)
                | FromServer::Address(_)
                | FromServer::LoggedOut(_)
                | FromServer::Refused(_)
                | FromServer::RelayIncoming(_)
                | FromServer::RelayOpened(_)
                | FromServer::RelayData(_)
                | FromServer::RelayCredit(_)
                | FromServer::RelayClose(_)
                | FromServer::Replaced(_) => Reception::ProtocolError,
            },
            Self::AwaitingLoginAnswer => match message {
                FromServer::LoggedIn(_)
                | FromServer::Refused(_)
                | FromServer::Ping(_)
                | FromServer::Pong(_)
                | FromServer::Goodbye(_)
                | FromServer::Error(_) => Reception::Accepted,
                FromServer::Greeting(_)
                | FromServer::PreferencesSet(_)
                | FromServer::Address(_)
                | FromServer::LoggedOut(_)
                | FromServer::RelayIncoming(_)
                | FromServer::RelayOpened(_)
                | FromServer::RelayData(_)
                | FromServer::RelayCredit(_)
                | FromServer::RelayClose(_)
                | FromServer::Replaced(_) => Reception::ProtocolError,
            },
            Self::LoggedIn => match message {
                FromServer::PreferencesSet(_)
                | FromServer::Address(_)
                | FromServer::Refused(_)
                | FromServer::Replaced(_)
                | FromServer::RelayIncoming(_)
                | FromServer::RelayOpened(_)
                | FromServer::RelayData(_)
                | FromServer::RelayCredit(_)
                | FromServer::RelayClose(_)
                | FromServer::Ping(_)
                | FromServer::Pong(_)
                | FromServer::Goodbye(_)
                | FromServer::Error(_) => Reception::Accepted,
                FromServer::Greeting(_) | FromServer::LoggedIn(_) | FromServer::LoggedOut(_) => {
                    Reception::ProtocolError
                }
            },
            // Answers to what was asked before the logout may still come, and so may a replacement.
            Self::AwaitingLogoutAnswer => match message {
                FromServer::PreferencesSet(_)
                | FromServer::Address(_)
                | FromServer::LoggedOut(_)
                | FromServer::Refused(_)
                | FromServer::Replaced(_)
                | FromServer::RelayIncoming(_)
                | FromServer::RelayOpened(_)
                | FromServer::RelayData(_)
                | FromServer::RelayCredit(_)
                | FromServer::RelayClose(_)
                | FromServer::Ping(_)
                | FromServer::Pong(_)
                | FromServer::Goodbye(_)
                | FromServer::Error(_) => Reception::Accepted,
                FromServer::Greeting(_) | FromServer::LoggedIn(_) => Reception::ProtocolError,
            },
            Self::Closing => Reception::Late,
        }
    }

    /// The state after an accepted message.
    #[must_use]
    pub fn after_receiving(self, message: &FromServer) -> Self {
        match message {
            FromServer::Greeting(_) => Self::AwaitingLogin,
            FromServer::LoggedIn(_) => Self::LoggedIn,
            FromServer::Refused(_) => match self {
                Self::AwaitingLoginAnswer => Self::AwaitingLogin,
                Self::AwaitingGreeting
                | Self::AwaitingLogin
                | Self::LoggedIn
                | Self::AwaitingLogoutAnswer
                | Self::Closing => self,
            },
            FromServer::LoggedOut(_)
            | FromServer::Replaced(_)
            | FromServer::Goodbye(_)
            | FromServer::Error(_) => Self::Closing,
            FromServer::PreferencesSet(_)
            | FromServer::Address(_)
            | FromServer::RelayIncoming(_)
            | FromServer::RelayOpened(_)
            | FromServer::RelayData(_)
            | FromServer::RelayCredit(_)
            | FromServer::RelayClose(_)
            | FromServer::Ping(_)
            | FromServer::Pong(_) => self,
        }
    }

    /// The state after a message that this end sends.
    #[must_use]
    pub fn after_sending(self, message: &ToServer) -> Self {
        match message {
            ToServer::Login(_) => Self::AwaitingLoginAnswer,
            ToServer::Logout(_) => Self::AwaitingLogoutAnswer,
            ToServer::Goodbye(_) | ToServer::Error(_) => Self::Closing,
            ToServer::SetPreferences(_)
            | ToServer::Lookup(_)
            | ToServer::RelayExpect(_)
            | ToServer::RelayForget(_)
            | ToServer::RelayOpen(_)
            | ToServer::RelayOpened(_)
            | ToServer::RelayData(_)
            | ToServer::RelayCredit(_)
            | ToServer::RelayClose(_)
            | ToServer::Ping(_)
            | ToServer::Pong(_) => self,
        }
    }
}
