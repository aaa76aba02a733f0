//! The conformance suite: vectors, and a runner that plays every missing role against an implementation, from outside.
//!
//! A *case* shows one thing that the text of the specification asks for, and names the requirements. Vector cases are
//! files that any program can read (`vectors/`), put to an implementation through a *shim*, a process that answers JSON
//! lines ([`shim`]). Live cases are conversations over real TLS: the suite is the directory node, the other servers and
//! the other clients. What an implementation is and how it is started stands in its target file ([`target`]).

use antiphon_spec::requirement;

mod case;
pub mod cli;
#[cfg(test)]
mod grammar;
mod live;
mod process;
pub mod recorded;
mod registry;
mod report;
mod run;
pub mod shim;
pub mod target;
mod vector;
