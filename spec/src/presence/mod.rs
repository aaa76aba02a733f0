//! Presence on its way (chapter *Presence*): how what a publisher discloses reaches the servers of those who watch, and
//! nobody else.
//!
//! A **feed** is what one publisher discloses to one circle of watchers: a row of publications, each newer than the one
//! before. [`Route`] is the machine of one feed at one server. It stores which neighbour in the tree of servers the feed
//! comes from, and which neighbours want it; a server that wants none of it prunes itself, and holds nothing but that
//! direction.
//!
//! The machine neither opens publications nor checks them: it is generic over the publication `P`, and over the `proof` `S`
//! with which a server shows that there is a version without telling what it says.

mod event;
mod route;

#[cfg(test)]
mod tests;

pub use event::{Action, Event, LinkNumber, Said, Terms, Version};
pub use route::Route;
