//! Sessions in virtual time, under faults: whole lives of sessions of 2 to 34 clients, drawn from a seed.
//!
//! Where a model sees everything that can happen to few, a simulation sees some of what happens to many: it drives
//! the very same [`Session`](antiphon_spec::session::Session), with the caller's part of its contract and symbolic
//! signatures, through latency, timers, deaths, restarts, lost links, partitions, stalls and failed dials. A seed is
//! a run: the same number makes the same run on every machine. What is not seen is not shown.

mod caller;
mod client;
mod clock;
mod decision;
mod driver;
#[cfg(feature = "mutants")]
pub mod mutants;
mod network;
mod noise;
mod oracle;
mod profile;
mod random;
mod reached;
mod report;
mod rest;
mod run;
mod search;
mod shrink;

pub use report::{Failure, Replay, Summary};
pub use search::{Search, simulate};
#[cfg(feature = "export")]
pub(crate) use {
    profile::Profile,
    random::Random,
    run::{Plan, Run},
};
