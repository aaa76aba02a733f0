//! The suite under test: implementations that are wrong in every way that there is, and what it says about them.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "a test ends with the first thing that is not as it should be, and nobody uses it"
)]

mod suite {
    pub(super) mod degenerate;
    pub(super) mod expectations;
    pub(super) mod mutants;
    pub(super) mod scene;
    pub(super) mod schema;
}
