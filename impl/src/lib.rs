//! Antiphon's reference system: authority, directory node, server and client, as a library and as the program
//! `antiphon`.
//!
//! It runs the machines of `antiphon-spec` over the connections of `antiphon-protocol`, with SQLite for what has to
//! last. It decides nothing about the protocol by itself: what a message does is the machines' business, what a
//! certificate proves is the protocol crate's.
//!
//! Start with [`server::Server`], [`directory::DirectoryNode`] and [`client::Client`].

pub mod authority;
pub mod cli;
pub mod client;
pub mod config;
mod control;
pub mod credentials;
pub mod demo;
pub mod directory;
mod monitoring;
pub mod mutant;
pub mod net;
mod renewal;
pub mod server;
mod shim;
pub mod start;
mod store;
