//! Servers and a directory node in one process, over real sockets, with clients that say just what a test wants.

mod account;
mod home;
mod limits;
mod login;
mod lookup;
mod preferences;
mod restart;
pub(crate) mod world;
