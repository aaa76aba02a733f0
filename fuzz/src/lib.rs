//! Antiphon fuzzed: decoders, verifiers and machines under arbitrary input.
//!
//! Each target is a function from bytes to nothing that fails where something does not hold. libFuzzer calls it from
//! `fuzz_targets/`, and `cargo test` calls it with every input of `corpus/` and `regressions/`. Nothing is decided here
//! that the crates below decide; what a target knows beforehand it knows because it made the input that way.
//!
//! Start with [`TARGETS`]; [`session`] is the richest of them, [`frames`] the shortest.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a target reports what it finds by panicking, and what it sets up itself it knows"
)]

pub mod certificates;
pub mod frames;
pub mod identity;
pub mod instants;
pub mod links;
pub mod messages;
pub mod seeds;
pub mod session;
pub mod signed;
mod symbolic;
pub mod tickets;

/// A target: its name, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// Every target. The names are those of the binaries, and of the folders below `corpus/` and `regressions/`.
pub const TARGETS: [Target; 9] = [
    ("frames", frames::play),
    ("messages", messages::play),
    ("identity", identity::play),
    ("certificates", certificates::play),
    ("signed", signed::play),
    ("tickets", tickets::play),
    ("session", session::play),
    ("instants", instants::play),
    ("links", links::play),
];
