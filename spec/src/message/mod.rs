//! The messages of every channel, as types (chapter *Wire*); the grammar of the same messages is `cddl/antiphon.cddl`.
//!
//! A message is a map with one entry: its name, and its body. Fields stand in the order of deterministic encoding
//! (RFC 8949, section 4.2.1), which for keys below 24 bytes is: shorter first, then bytewise.

pub mod client_client;
pub mod client_server;
pub mod common;
pub mod link;
pub mod location;
pub mod registration;
pub mod relay;
pub mod server_server;
