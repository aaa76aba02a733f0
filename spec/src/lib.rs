//! Antiphon, specified: the messages, the state machines, the policies and the requirements of the protocol.
//!
//! The normative text stands beside this code in `text/`, the grammar in `cddl/`. This crate does no I/O, reads no
//! clock, draws no random numbers and signs nothing by itself: all of that is handed in. Whoever wants to speak the
//! protocol over a wire looks at `antiphon-protocol`; whoever wants to run it looks at `antiphon`.
//!
//! Start with [`machine::Machine`] and [`session::Session`].

pub mod account;
pub mod channel;
pub mod error_code;
pub mod identity;
pub mod instant;
pub mod limits;
pub mod link;
pub mod location;
pub mod machine;
pub mod media_type;
pub mod message;
pub mod mutant;
pub mod policy;
pub mod presence;
pub mod rate;
pub mod registration_code;
pub mod relay;
pub mod requirement;
pub mod session;
pub mod signed;
pub mod sites;
pub mod time;
pub mod tree;
