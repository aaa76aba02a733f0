//! Clients among themselves, over real sockets, with a local server that knows just enough.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test waits for one event among all others")]

mod instants;
mod links;
mod program;
mod server;
mod sessions;
mod world;
