//! What may come when (chapter *Wire*, section *States*): for each channel with requests, one function from the state
//! of an end and a message to what is to be done with it.
//!
//! No match here has a catch-all arm: a new message or state does not compile until every table decides about it. The
//! whole of each table is a committed snapshot, so that a changed decision shows as a changed line.

mod client_server;
mod exchange;
mod location;
mod registration;
mod server_server;

#[cfg(test)]
mod tests;

use std::fmt;

pub use client_server::{ClientEnd, ServerEnd};
pub use exchange::{Answer, Question, Request};
pub use location::{receive_at_directory_node, receive_from_directory_node};
pub use registration::{receive_at_registrar, receive_from_registrar};
pub use server_server::{receive_at_peer_server, receive_from_peer_server};

/// What an end does with a message that matches the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reception {
    /// It may come now: act on it.
    Accepted,
    /// It comes after the end of the conversation: count it and do nothing (`WIRE-054`).
    Late,
    /// It may not come now: close with `unexpected-message` (`WIRE-034`).
    ProtocolError,
}

impl fmt::Display for Reception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Accepted => "accepted",
            Self::Late => "late",
            Self::ProtocolError => "protocol error",
        })
    }
}

/// The states of an end whose channel has no login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// At the dialling end: waits for the greeting.
    AwaitingGreeting,
    /// Waits for requests at the accepting end, for answers at the dialling one.
    Greeted,
    /// Said goodbye or why it cannot go on, and waits for the end of the stream.
    Closing,
}

impl Phase {
    /// Every state, in the order of a connection's life.
    pub const ALL: [Self; 3] = [Self::AwaitingGreeting, Self::Greeted, Self::Closing];

    /// For a message that may come at any time after the greeting.
    const fn once_greeted(self) -> Reception {
        match self {
            Self::AwaitingGreeting => Reception::ProtocolError,
            Self::Greeted => Reception::Accepted,
            Self::Closing => Reception::Late,
        }
    }

    /// For the greeting, which is the first message and no other.
    const fn greeting(self) -> Reception {
        match self {
            Self::AwaitingGreeting => Reception::Accepted,
            Self::Greeted => Reception::ProtocolError,
            Self::Closing => Reception::Late,
        }
    }

    /// For the accepting end's refusal of the connection, which may stand in the place of the greeting.
    const fn refusal(self) -> Reception {
        match self {
            Self::AwaitingGreeting | Self::Greeted => Reception::Accepted,
            Self::Closing => Reception::Late,
        }
    }
}
