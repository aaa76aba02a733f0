//! Relayed links: what a server decides about one, how links are numbered, and how much may be on its way (chapter
//! *Relayed links*).
//!
//! [`RelayedLink`] is the machine of one link at one server. Both ends of a connection number links with [`Numbers`],
//! and count what they may send and what may come with [`Window`].

mod link;
mod numbers;
mod tags;
mod window;

#[cfg(test)]
mod tests;

pub use link::{Action, Event, RelayedLink, Side};
pub use numbers::Numbers;
pub use tags::Tags;
pub use window::Window;
