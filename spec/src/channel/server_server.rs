//! The server-to-server channel's tables. Only the end that dialled asks.

use super::{Phase, Reception};
use crate::message::server_server::{FromPeerServer, ToPeerServer};

/// What the server that accepted does with a message of the one that dialled.
#[must_use]
pub fn receive_at_peer_server(state: Phase, message: &ToPeerServer) -> Reception {
    match message {
        ToPeerServer::CheckOut(_)
        | ToPeerServer::Store(_)
        | ToPeerServer::Renew(_)
        | ToPeerServer::CheckIn(_)
        | ToPeerServer::Replace(_)
        | ToPeerServer::Resolve(_)
        | ToPeerServer::RelayCall(_)
        | ToPeerServer::RelayData(_)
        | ToPeerServer::RelayCredit(_)
        | ToPeerServer::RelayClose(_)
        | ToPeerServer::Ping(_)
        | ToPeerServer::Pong(_)
        | ToPeerServer::Goodbye(_)
        | ToPeerServer::Error(_) => state.once_greeted(),
    }
}

/// What the server that dialled does with a message of the one that accepted. That an answer has an open request is
/// checked apart ([`super::Question::is_answered_by`]).
#[must_use]
pub fn receive_from_peer_server(state: Phase, message: &FromPeerServer) -> Reception {
    match message {
        FromPeerServer::Greeting(_) => state.greeting(),
        FromPeerServer::Error(_) => state.refusal(),
        FromPeerServer::CheckedOut(_)
        | FromPeerServer::Stored(_)
        | FromPeerServer::Renewed(_)
        | FromPeerServer::CheckedIn(_)
        | FromPeerServer::ReplaceDone(_)
        | FromPeerServer::Resolved(_)
        | FromPeerServer::RelayOpened(_)
        | FromPeerServer::RelayData(_)
        | FromPeerServer::RelayCredit(_)
        | FromPeerServer::RelayClose(_)
        | FromPeerServer::Refused(_)
        | FromPeerServer::Ping(_)
        | FromPeerServer::Pong(_)
        | FromPeerServer::Goodbye(_) => state.once_greeted(),
    }
}
