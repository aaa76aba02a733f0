//! One client's connection, as everything else in the server holds it: where to send, and what may come now.
//!
//! What is sent changes what may come. So the state changes under the same lock, before the message can reach the
//! client.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use antiphon_spec::{
    account::login::ConnectionNumber,
    channel::{Question, Reception, Request as _, ServerEnd},
    error_code::ErrorCode,
    message::{
        client_server::{FromServer, ToServer},
        common::RequestId,
    },
};

use super::relay::{Outlet, RelayEnd};
use crate::{
    monitoring::metrics,
    mutant::{Mutant, active},
    net::Outbox,
};

/// Most requests of one connection that are counted at a time: more than may be open.
const ASKED_MAX: usize = 256;

/// A client's connection; a clone is the same one.
#[derive(Clone, Debug)]
pub(crate) struct ClientHandle {
    pub(crate) number: ConnectionNumber,
    /// The relayed links that lead over the connection.
    pub(crate) relay: Arc<RelayEnd>,
    outbox: Outbox<FromServer>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    end: ServerEnd,
    /// What the client has asked and wasn't answered yet, and since when: to count it.
    asked: BTreeMap<RequestId, (Question, Instant)>,
}

impl ClientHandle {
    pub(crate) fn new(number: ConnectionNumber, outbox: Outbox<FromServer>) -> Self {
        let relay = RelayEnd::new(Outlet::Client(outbox.clone()));
        let state = State { end: ServerEnd::AwaitingLogin, asked: BTreeMap::new() };
        Self { number, relay, outbox, state: Arc::new(Mutex::new(state)) }
    }

    /// Judges a message of the client, and goes on to the next state if it may come now.
    pub(crate) fn receive(&self, message: &ToServer) -> Reception {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let reception = state.end.receive(message);
        if reception == Reception::Accepted {
            state.end = state.end.after_receiving(message);
            if let Some((id, question)) = message.question()
                && state.asked.len() < ASKED_MAX
            {
                state.asked.insert(id, (question, Instant::now()));
            }
        } else if active(Mutant::LoginNotRequired) && matches!(message, ToServer::Lookup(_)) {
            return Reception::Accepted;
        }
        reception
    }

    /// Sends a message; nothing happens once the connection is closing.
    pub(crate) fn send(&self, message: &FromServer) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.end != ServerEnd::Closing {
            state.end = state.end.after_sending(message);
            self.outbox.send(message);
            if let Some((id, answer)) = ToServer::answer(message)
                && let Some((question, since)) = state.asked.remove(&id)
            {
                metrics::answered(question, answer, since.elapsed());
            }
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
        self.state.lock().unwrap_or_else(PoisonError::into_inner).end = ServerEnd::Closing;
        self.outbox.close(None);
    }
}
