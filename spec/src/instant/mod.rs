//! Instant messages: one message to one user, outside every session (chapter *Instant messages*).
//!
//! The sender's machine is [`Outgoing`], one for each message; the receiver's is [`Inbox`], one for each client. Nothing is
//! stored for somebody who is not there: a message is delivered within [`INSTANT_DEADLINE`](crate::limits::INSTANT_DEADLINE),
//! or its sender is told that it was not.

mod inbox;
mod outgoing;

pub use inbox::{Came, Inbox, Receipt};
pub use outgoing::{Errand, Outcome, Outgoing, Step};

#[cfg(test)]
mod tests;
