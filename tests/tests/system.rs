//! The whole system, as its users and operators meet it: real processes of the program, over real sockets.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "these are tests: they fail by panicking"
)]

#[path = "system/account.rs"]
mod account;
#[path = "system/configuration.rs"]
mod configuration;
#[path = "system/demonstration.rs"]
mod demonstration;
#[path = "system/hostile.rs"]
mod hostile;
#[path = "system/instant.rs"]
mod instant;
#[path = "system/line.rs"]
mod line;
#[path = "system/monitoring.rs"]
mod monitoring;
#[path = "system/operator.rs"]
mod operator;
#[path = "system/refusal.rs"]
mod refusal;
#[path = "system/relay.rs"]
mod relay;
#[path = "system/restart.rs"]
mod restart;
#[path = "system/secrecy.rs"]
mod secrecy;
#[path = "system/session.rs"]
mod session;
#[path = "system/takeover.rs"]
mod takeover;
#[path = "system/tree.rs"]
mod tree;

/// The program under test, which cargo has built from the working tree.
const PROGRAM: &str = env!("CARGO_BIN_EXE_antiphon-under-test");
