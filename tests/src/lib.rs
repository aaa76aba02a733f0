//! A town of real processes: an authority, a directory node, servers and clients of the program `antiphon`, each with
//! its files in one temporary folder, on a loopback address of the town's own.
//!
//! Tests say what they do and wait for what they mean: an event, a line, the end of a process. The only deadline is one
//! that failures alone reach ([`PATIENCE`]). A test that fails prints what was said in the whole town, in its order, and
//! keeps the folder with the logs; one that passes leaves nothing behind.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "this is the harness of tests: it fails by panicking and reports to the standard error"
)]

mod chronicle;
mod client;
mod draws;
mod hostile;
mod monitoring;
mod network;
mod pattern;
pub mod people;
mod process;
mod store;
mod town;

use std::{future::Future, time::Duration};

pub use client::{Client, Heard};
pub use draws::Draws;
pub use hostile::{dial_as, flood};
pub use monitoring::{Page, Samples, page};
pub use network::{Capture, Network};
pub use pattern::matches;
pub use process::Process;
pub use store::Store;
pub use town::{Ended, Founding, OWN_RATES, Service, Town};

/// How long anything that has to come may take: longer than every deadline of the protocol that a scenario can meet,
/// on a machine that runs all scenarios at once.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for something that has to come.
pub async fn in_time<T>(awaited: &str, coming: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, coming).await {
        Ok(came) => came,
        Err(_) => panic!("waited {} s in vain for {awaited}", PATIENCE.as_secs()),
    }
}
