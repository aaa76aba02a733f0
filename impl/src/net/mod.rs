//! Connections at run time: what waits to be sent, signs of life, deadlines, who asks and who answers.
//!
//! The protocol crate makes a connection and says what a message is. Here stands how long an end waits, how much it
//! keeps for a slow peer, how requests find their answers, and how everything ends.

mod backoff;
mod budget;
mod handshakes;
mod lanes;
mod link;
mod listener;
mod outbox;
mod rates;
mod requester;
mod respond;

#[cfg(test)]
mod tests;

pub use backoff::Backoff;
pub use budget::Allowance;
pub(crate) use budget::Budget;
pub(crate) use handshakes::Handshakes;
pub use link::{Link, LinkEnd};
pub(crate) use listener::Origin;
pub use listener::{Listener, Serving};
pub use outbox::Outbox;
pub(crate) use rates::{Asker, Pace, Rates};
pub(crate) use requester::pause;
pub use requester::{AskError, Asks, Requester};
pub(crate) use respond::span;
pub use respond::{Refuses, respond, respond_at_once};

use aws_lc_rs::rand;

/// Fresh random bytes from the operating system.
///
/// # Errors
/// The system has no entropy to give.
pub fn entropy<const N: usize>() -> Result<[u8; N], NoEntropy> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| NoEntropy)?;
    Ok(bytes)
}

/// The operating system has no entropy to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system has no entropy to give")]
pub struct NoEntropy;

/// An error and everything behind it, in one line: for logs.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
