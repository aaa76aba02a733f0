//! The registration channel's tables.

use super::{Phase, Reception};
use crate::message::registration::{FromRegistrar, ToRegistrar};

/// What the server does with a message of the client.
#[must_use]
pub fn receive_at_registrar(state: Phase, message: &ToRegistrar) -> Reception {
    match message {
        ToRegistrar::Register(_)
        | ToRegistrar::Rotate(_)
        | ToRegistrar::Ping(_)
        | ToRegistrar::Pong(_)
        | ToRegistrar::Goodbye(_)
        | ToRegistrar::Error(_) => state.once_greeted(),
    }
}

/// What the client does with a message of the server. That an answer has an open request is checked apart
/// ([`super::Question::is_answered_by`]).
#[must_use]
pub fn receive_from_registrar(state: Phase, message: &FromRegistrar) -> Reception {
    match message {
        FromRegistrar::Greeting(_) => state.greeting(),
        FromRegistrar::Error(_) => state.refusal(),
        FromRegistrar::Registered(_)
        | FromRegistrar::Rotated(_)
        | FromRegistrar::Refused(_)
        | FromRegistrar::Ping(_)
        | FromRegistrar::Pong(_)
        | FromRegistrar::Goodbye(_) => state.once_greeted(),
    }
}
