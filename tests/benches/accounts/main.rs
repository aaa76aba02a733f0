//! What accounts cost: logins against bare TLS handshakes, changes of preferences against a bare database, lookups by
//! distance and by the number of records; and what the time of a refusal tells.
//!
//! `cargo bench -p antiphon-tests --bench accounts` prints tables; words behind `--` choose parts whose names contain one of
//! them: `logins`, `changes`, `distance`, `records`, `privacy`. What is compared is done in rounds that take turns, so that
//! what disturbs the machine disturbs all alike; told are medians over the rounds, and behind a ratio its quartiles.
//! Servers, directory nodes and the bare TLS server are processes of their own; clients are in this one.
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::wildcard_enum_match_arm,
    reason = "a benchmark fails by panicking, and prints"
)]

mod bare_store;
mod bare_tls;
mod changes;
mod distance;
mod figures;
mod line;
mod logins;
mod privacy;
mod records;

use std::path::Path;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_antiphon-under-test");

fn main() {
    let mut arguments = std::env::args().skip(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime can be had");
    if let (Some(bare_tls::ARGUMENT), Some(folder)) = (arguments.next().as_deref(), arguments.next()) {
        return runtime.block_on(bare_tls::serve(Path::new(&folder)));
    }
    runtime.block_on(run());
}

async fn run() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    let wants = |part: &str| wanted.is_empty() || wanted.iter().any(|word| part.contains(word.as_str()));
    if wants("logins") {
        logins::run().await;
    }
    if wants("changes") {
        changes::run().await;
    }
    if wants("distance") {
        distance::run().await;
    }
    if wants("records") {
        records::run().await;
    }
    if wants("privacy") {
        privacy::run().await;
    }
}
