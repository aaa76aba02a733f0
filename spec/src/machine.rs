//! The one shape that every algorithm has: a value that takes an event and says what to do.
//!
//! A machine does no I/O, reads no clock and draws no random numbers. Time and entropy come in with every
//! event, in the [`Context`]; cryptography comes in through the traits of [`crate::signed`].

use std::fmt::Debug;

use crate::{signed::SessionCrypto, time::Timestamp};

/// A pure state machine.
///
/// **Contract of the caller.** One event at a time; carry out the actions in the order in which they were
/// pushed; an action that persists must be durable before the actions behind it are carried out.
pub trait Machine: Clone + Eq + std::hash::Hash + Debug {
    /// What happened: a message arrived, the user asked, a timer fired, a link went up or down.
    type Event;
    /// What to do: send, open or close a link, arm a timer, persist, tell the application.
    type Action;
    /// What an event comes with: time, entropy, keys.
    type Context<'a>;

    /// Takes one event and pushes what is to be done, in order.
    fn handle(&mut self, event: Self::Event, context: &Self::Context<'_>, out: &mut Vec<Self::Action>);
}

/// What comes with every event of the session machine.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The time at which the event is handled, in seconds since 1970-01-01T00:00:00Z.
    pub now: Timestamp,
    /// 16 fresh random bytes for this event alone.
    pub entropy: [u8; 16],
    /// Signing under the own key, verifying under the keys of peers, and hashing.
    pub crypto: &'a dyn SessionCrypto,
}

impl Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("now", &self.now).finish_non_exhaustive()
    }
}
