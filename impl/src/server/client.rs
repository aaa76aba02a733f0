//! One client's connection, as everything else in the server holds it: where to send, and what may come now.
//!
//! What is sent changes what may come. So the state changes under the same lock, before the message can reach the
//! client.

use std::sync::{Arc, Mutex, PoisonError};

use antiphon_spec::{
    account::login::ConnectionNumber,
    channel::{Reception, ServerEnd},
    error_code::ErrorCode,
    message::client_server::{FromServer, ToServer},
};

use super::relay::{Outlet, RelayEnd};
use crate::{
    mutant::{Mutant, active},
    net::Outbox,
};

/// A client's connection; a clone is the same one.
#[derive(Clone, Debug)]
pub(crate) struct ClientHandle {
    pub(crate) number: ConnectionNumber,
    /// The relayed links that lead over the connection.
    pub(crate) relay: Arc<RelayEnd>,
    outbox: Outbox<FromServer>,
    state: Arc<Mutex<ServerEnd>>,
}

impl ClientHandle {
    pub(crate) fn new(number: ConnectionNumber, outbox: Outbox<FromServer>) -> Self {
        let relay = RelayEnd::new(Outlet::Client(outbox.clone()));
        Self { number, relay, outbox, state: Arc::new(Mutex::new(ServerEnd::AwaitingLogin)) }
    }

    /// Judges a message of the client, and goes on to the next state if it may come now.
    pub(crate) fn receive(&self, message: &ToServer) -> Reception {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let reception = state.receive(message);
        if reception == Reception::Accepted {
            *state = state.after_receiving(message);
        } else if active(Mutant::LoginNotRequired) && matches!(message, ToServer::Lookup(_)) {
            return Reception::Accepted;
        }
        reception
    }

    /// Sends a message; nothing happens once the connection is closing.
    pub(crate) fn send(&self, message: &FromServer) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *state != ServerEnd::Closing {
            *state = state.after_sending(message);
            self.outbox.send(message);
        }
    }

    /// Closes the connection if the client broke a rule.
    pub(crate) fn faultless(&self, judged: Result<(), ErrorCode>) {
        if let Err(code) = judged {
            self.relay.fault(code);
        }
    }

    /// Says goodbye and closes.
    pub(crate) fn close(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = ServerEnd::Closing;
        self.outbox.close(None);
    }
}
