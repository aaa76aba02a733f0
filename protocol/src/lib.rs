//! Antiphon on the wire: deterministic CBOR, frames, TLS and certificate profiles, signed objects, connections.
//!
//! This crate turns the types of `antiphon-spec` into bytes and back and proves who sent them. It decides nothing: what
//! a message means is the business of the machines, what is stored and served that of `antiphon`. It reads no clock and
//! no file; sockets are handed in, or dialled for the caller.
//!
//! Start with [`connection::Connection`] and [`certificate::identify`].

pub mod cbor;
pub mod certificate;
pub mod channel;
pub mod connection;
pub mod frame;
pub mod key;
pub mod message;
pub mod mutant;
pub mod signed;
pub mod tls;

#[cfg(test)]
mod testing;
