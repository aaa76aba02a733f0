//! Accounts and logins (chapters *Login and logout* and *Messaging preferences*): the home server's copy of a profile,
//! and the login at the local server.
//!
//! Between the two stands the server-to-server channel, or nothing where both are one server. The home copy decides:
//! it counts the login epochs, knows the one server that holds the profile, and compares versions. The login at a local
//! server is a process of fixed order, undone in the opposite order. Who looks for a user (chapter *Address lookup*) asks
//! the list of those logins.

pub mod login;
pub mod lookup;
pub mod profile;

#[cfg(test)]
mod tests;
