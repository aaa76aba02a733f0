//! A network with a firewall in it, and somebody who listens at the servers: processes in network namespaces of their
//! own.
//!
//! Needs root, and the programs `ip`, `nft` and `tcpdump`; without them it says so, and has checked nothing.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "this is a test: it fails by panicking, and says whether it ran"
)]

use serde_json::json;

use antiphon_tests::{Capture, Client, Network, Service, Town};

/// The program under test, which cargo has built from the working tree.
const PROGRAM: &str = env!("CARGO_BIN_EXE_antiphon-under-test");

/// Stands in everything that is said in the session.
const SECRET: &str = "what-only-members-may-read";

/// Said in the open, to show that a capture would show what is said in the session.
const OPEN: &str = "what-everybody-may-read";

fn main() {
    let asked_for = |filter: &String| "namespaces".contains(filter.as_str());
    if !std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).all(|f| asked_for(&f)) {
        return;
    }
    let missing = Network::missing();
    if !missing.is_empty() {
        println!("NOT RUN: the test of network namespaces needs {}", missing.join(", "));
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(servers_read_nothing_of_a_session_across_a_firewall());
    println!("in network namespaces: servers read nothing of a session across a firewall: ok");
}

/// Alice is behind a firewall that lets nobody in. Bob and Carol talk directly; then Bob invites Alice, to whom no
/// direct link can be had.
async fn servers_read_nothing_of_a_session_across_a_firewall() {
    let places = ["node.example", "home1.example", "home2.example", "alice", "bob", "carol"];
    let town = Town::found_in(PROGRAM, Network::lay(&places)).await;
    let network = town.network();
    network.shield("alice");
    let servers = [town.server("home1.example").await, town.server("home2.example").await];
    let mut captures = Vec::new();
    for server in &servers {
        let file = town.folder().join(server.name()).join("capture.pcap");
        captures.push(network.capture(server.name(), &file).await);
    }
    let mut alice = town.citizen("alice", &servers[0], &servers[0]).await;
    let mut bob = town.citizen("bob", &servers[1], &servers[1]).await;
    let mut carol = town.citizen("carol", &servers[1], &servers[0]).await;

    // The firewall is one, and what is said in the open is found.
    let [at_alice, at_bob] = [&alice, &bob].map(|client| client.address().parse().unwrap());
    assert!(network.says_openly("alice", at_bob, OPEN).await);
    let refused = network.refused("alice");
    assert!(!network.says_openly("bob", at_alice, OPEN).await);
    assert!(network.refused("alice") > refused);
    fence(&town, &servers, &captures, OPEN).await;

    // All list each other, so that whoever can be reached is reached directly.
    let people = [alice.handle(), bob.handle(), carol.handle()].map(str::to_owned);
    for client in [&mut alice, &mut bob, &mut carol] {
        let others: Vec<&str> = people.iter().map(String::as_str).filter(|p| *p != client.handle()).collect();
        client.allows(&others).await;
    }
    let session = bob.creates().await;
    bob.brings_in(&session, &mut carol, &mut []).await;
    let lengths = [captures[0].length(), captures[1].length()];
    talk(&session, &mut [&mut bob, &mut carol]).await;
    fence(&town, &servers, &captures, "they-have-talked").await;
    for (capture, before) in captures.iter().zip(lengths) {
        assert!(capture.length() - before < SAID_BYTES, "what is said to members goes to them directly");
    }

    // Who lets nobody in is invited all the same: what is said goes through the servers, which cannot read it.
    let lengths = [captures[0].length(), captures[1].length()];
    bob.brings_in(&session, &mut alice, &mut [&mut carol]).await;
    let way = json!({"event": "linked", "session": session, "handle": alice.handle(), "way": "relayed"});
    bob.sees(way).await;
    talk(&session, &mut [&mut alice, &mut bob, &mut carol]).await;
    fence(&town, &servers, &captures, "all-have-talked").await;
    for (capture, before) in captures.iter().zip(lengths) {
        assert!(capture.length() - before > SAID_BYTES, "what is said to Alice passes the servers");
        assert_eq!(capture.count(SECRET), 0, "a server can read what is said");
    }
}

/// So much is said to each member, at least.
const SAID_BYTES: u64 = 10 * 1_000;

/// Everybody says much, and hears what everybody else says.
async fn talk(session: &str, people: &mut [&mut Client]) {
    let mut text = String::new();
    while text.len() < 1_000 {
        text.push_str(SECRET);
    }
    let before: Vec<usize> = people.iter().map(|client| client.heard().len()).collect();
    for client in people.iter_mut() {
        for _ in 0..10 {
            client.says(session, &text).await;
        }
    }
    let others = people.len() - 1;
    for (client, before) in people.iter_mut().zip(before) {
        client.hears(before + 10 * others).await;
    }
}

/// Something is said to each server in the open, and found at it: so is all that came before.
async fn fence(town: &Town, servers: &[Service], captures: &[Capture], text: &str) {
    for (server, capture) in servers.iter().zip(captures) {
        assert!(town.network().says_openly("bob", server.registration(), text).await);
        capture.shows(text).await;
    }
}
