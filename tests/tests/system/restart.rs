//! Servers and the directory node end, by a crash or because they are asked to, and come back.

use antiphon_tests::{Client, Service, Store, Town};
use serde_json::{Value, json};

use crate::PROGRAM;

/// Everybody in a session hears what everybody else says.
async fn all_talk(session: &str, people: &mut [&mut Client], text: &str) {
    let before: Vec<usize> = people.iter().map(|client| client.heard().len()).collect();
    for client in people.iter_mut() {
        client.says(session, text).await;
    }
    let others = people.len() - 1;
    for (client, before) in people.iter_mut().zip(before) {
        client.hears(before + others).await;
        assert!(client.heard()[before..].iter().all(|heard| heard.text == text), "{:?}", client.heard());
    }
}

/// Preferences that list these people.
fn preferences(allowed: &[&str], denied: &[&str]) -> Value {
    json!({"allow": allowed, "deny": denied, "default": "allow"})
}

/// Whatever way a server ends, what it acknowledged stands, and sessions do not need it.
async fn a_server_ends_and_comes_back(store: Store, end: impl AsyncFn(&mut Service)) {
    let town = Town::found_with_store(PROGRAM, store).await;
    let (mut home1, home2) = (town.server("home1.example").await, town.server("home2.example").await);
    let mut alice = town.citizen("alice", &home1, &home1).await;
    let mut bob = town.citizen("bob", &home1, &home1).await;
    let mut carol = town.citizen("carol", &home2, &home2).await;
    let mut dave = town.citizen("dave", &home1, &home1).await;
    // Each lists all others, so that they talk without a server.
    let people = [&alice, &bob, &carol, &dave].map(|client| client.handle().to_owned());
    let people = {
        let mut sorted = people.to_vec();
        sorted.sort();
        sorted
    };
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    for client in [&mut bob, &mut carol, &mut dave] {
        client.allows(&people).await;
    }
    let denied = ["00000000000000000000000000000001@home2.example"];
    let mut set = preferences(&people, &denied);
    set["command"] = "set-preferences".into();
    assert_eq!(alice.done(set, "preferences-set").await["version"], 1);
    let session = alice.creates().await;
    alice.brings_in(&session, &mut bob, &mut []).await;
    alice.brings_in(&session, &mut carol, &mut [&mut bob]).await;

    end(&mut home1).await;
    for client in [&mut alice, &mut bob, &mut dave] {
        client.sees(json!({"event": "disconnected"})).await;
    }
    all_talk(&session, &mut [&mut alice, &mut bob, &mut carol], "without a server").await;
    carol.misses(alice.handle()).await;

    home1.start_again().await;
    let again = alice.sees(json!({"event": "logged-in", "epoch": 2, "version": 1})).await;
    assert_eq!(again["preferences"], preferences(&people, &denied));
    dave.sees(json!({"event": "logged-in", "epoch": 2})).await;
    bob.sees(json!({"event": "logged-in", "epoch": 2})).await;
    assert_eq!(carol.finds(alice.handle()).await, alice.address());
    assert_eq!(bob.finds(carol.handle()).await, carol.address());
    let before = alice.handle().to_owned();
    alice.registers().await;
    assert_eq!(alice.handle(), before, "the account is the same");
    all_talk(&session, &mut [&mut alice, &mut bob, &mut carol], "with a server again").await;

    // A fourth joins the session that has seen it all.
    alice.brings_in(&session, &mut dave, &mut [&mut bob, &mut carol]).await;
    all_talk(&session, &mut [&mut alice, &mut bob, &mut carol, &mut dave], "four of us").await;
    for client in [alice, bob, carol, dave] {
        client.quits().await;
    }
}

#[tokio::test]
async fn a_server_crashes() {
    for store in Store::each("the crash of a server") {
        a_server_ends_and_comes_back(store, async |server: &mut Service| server.crash().await).await;
    }
}

#[tokio::test]
async fn a_server_is_asked_to_end() {
    for store in Store::each("the end of a server") {
        a_server_ends_and_comes_back(store, async |server: &mut Service| server.stop().await).await;
    }
}

#[tokio::test]
async fn a_server_that_is_asked_to_end_tells_everybody_and_leaves_its_database_whole() {
    let town = Town::found(PROGRAM).await;
    let (mut home1, home2) = (town.server("home1.example").await, town.server("home2.example").await);
    let mut alice = town.citizen("alice", &home1, &home1).await;
    let mut bob = town.citizen("bob", &home1, &home2).await;
    let mut carol = town.citizen("carol", &home2, &home2).await;
    alice.allows(&[carol.handle()]).await;
    bob.allows(&[carol.handle()]).await;
    carol.allows(&[bob.handle()]).await;
    assert_eq!(carol.finds(alice.handle()).await, alice.address());
    home1.stop().await;
    let told = alice.sees(json!({"event": "disconnected"})).await;
    assert!(told["detail"].as_str().unwrap().contains("shutting-down"), "{told}");
    for port in home1.ports() {
        assert!(tokio::net::TcpStream::connect(port).await.is_err(), "{port} is open");
    }
    // Nothing waits in the log of the database: it was closed, not left.
    let folder = town.folder().join("home1.example");
    assert!(folder.join("accounts.sqlite").metadata().unwrap().len() > 0);
    for left in ["accounts.sqlite-wal", "accounts.sqlite-shm"] {
        assert!(!folder.join(left).exists(), "{left}");
    }

    // Who is logged in elsewhere stays so, is found, and finds others; only preferences need the home server.
    carol.misses(alice.handle()).await;
    assert_eq!(carol.finds(bob.handle()).await, bob.address());
    assert_eq!(bob.finds(carol.handle()).await, carol.address());
    let mut set = preferences(&[], &[carol.handle()]);
    set["command"] = "set-preferences".into();
    assert_eq!(bob.refused(set.clone()).await["code"], "home-unreachable");
    assert_eq!(carol.finds(bob.handle()).await, bob.address(), "the preferences are as they were");
    bob.done(json!({"command": "logout"}), "logged-out").await;
    assert_eq!(bob.refused(json!({"command": "login"})).await["code"], "home-unreachable");
    carol.misses(bob.handle()).await;

    home1.start_again().await;
    let logged_in = bob.logs_in().await;
    assert_eq!((&logged_in["epoch"], &logged_in["version"]), (&json!(2), &json!(1)));
    assert_eq!(bob.done(set, "preferences-set").await["version"], 2);
    carol.misses(bob.handle()).await;
}

#[tokio::test]
async fn the_directory_node_crashes_and_comes_back() {
    for store in Store::each("the crash of a directory node") {
        a_directory_node_crashes_and_comes_back(store).await;
    }
}

async fn a_directory_node_crashes_and_comes_back(store: Store) {
    let mut town = Town::found_with_store(PROGRAM, store).await;
    let (home1, home2) = (town.server("home1.example").await, town.server("home2.example").await);
    let mut alice = town.citizen("alice", &home1, &home1).await;
    let mut bob = town.citizen("bob", &home1, &home1).await;
    let mut carol = town.citizen("carol", &home2, &home2).await;
    let mut askers = [bob.handle(), carol.handle()];
    askers.sort_unstable();
    alice.allows(&askers).await;
    bob.allows(&[carol.handle()]).await;
    assert_eq!(carol.finds(alice.handle()).await, alice.address());

    town.node.crash().await;
    // Users of one server find each other; others, and new ones, have to wait.
    assert_eq!(bob.finds(alice.handle()).await, alice.address());
    carol.misses(alice.handle()).await;
    let mut dave = town.client("dave", &home1, &home1).await;
    assert_eq!(dave.refused(json!({"command": "register"})).await["code"], "location-unreachable");
    bob.done(json!({"command": "logout"}), "logged-out").await;
    assert_eq!(bob.refused(json!({"command": "login"})).await["code"], "location-unreachable");

    town.node.start_again().await;
    // Its records were kept: nobody has logged in since.
    assert_eq!(carol.finds(alice.handle()).await, alice.address());
    dave.registers().await;
    dave.logs_in().await;
    dave.allows(&[carol.handle()]).await;
    bob.logs_in().await;
    assert_eq!(carol.finds(bob.handle()).await, bob.address());
    assert_eq!(carol.finds(dave.handle()).await, dave.address());

    town.node.stop().await;
    town.node.start_again().await;
    assert_eq!(carol.finds(dave.handle()).await, dave.address());
}

#[tokio::test]
async fn a_server_that_stands_still_holds_up_nobody_else() {
    let town = Town::found(PROGRAM).await;
    let (home1, mut home2) = (town.server("home1.example").await, town.server("home2.example").await);
    let mut alice = town.citizen("alice", &home1, &home1).await;
    let mut bob = town.citizen("bob", &home1, &home1).await;
    let mut carol = town.citizen("carol", &home2, &home2).await;
    let mut dave = town.client("dave", &home2, &home1).await;
    dave.registers().await;
    bob.allows(&[alice.handle()]).await;
    carol.allows(&[alice.handle()]).await;
    alice.allows(&[carol.handle()]).await;
    let session = alice.creates().await;
    alice.brings_in(&session, &mut carol, &mut []).await;

    // It takes connections and requests, and answers nothing.
    home2.process().signal("STOP").await;
    let login = dave.begin(json!({"command": "login"})).await;
    let lookup = alice.begin(json!({"command": "lookup", "handle": carol.handle()})).await;
    assert_eq!(alice.finds(bob.handle()).await, bob.address());
    all_talk(&session, &mut [&mut alice, &mut carol], "nobody needs a server to talk").await;
    assert_eq!(alice.answer(lookup).await["code"], "unavailable");
    assert_eq!(dave.answer(login).await["code"], "home-unreachable");

    home2.process().signal("CONT").await;
    assert_eq!(alice.finds(carol.handle()).await, carol.address());
    dave.logs_in().await;
}

#[tokio::test]
async fn a_server_need_not_wait_for_the_directory_node() {
    let mut town = Town::found(PROGRAM).await;
    town.node.crash().await;
    let home = town.server("home.example").await;
    let mut alice = town.client("alice", &home, &home).await;
    assert_eq!(alice.refused(json!({"command": "register"})).await["code"], "location-unreachable");
    town.node.start_again().await;
    alice.registers().await;
    alice.logs_in().await;
}

#[tokio::test]
async fn clients_end_as_they_are_asked_to() {
    let town = Town::found(PROGRAM).await;
    let home = town.server("home.example").await;
    let mut alice = town.citizen("alice", &home, &home).await;
    let mut bob = town.citizen("bob", &home, &home).await;
    let mut carol = town.citizen("carol", &home, &home).await;
    let session = alice.creates().await;
    alice.brings_in(&session, &mut bob, &mut []).await;
    alice.brings_in(&session, &mut carol, &mut [&mut bob]).await;
    let (gone_bob, gone_carol) = (bob.handle().to_owned(), carol.handle().to_owned());

    // The end of the input, and a signal, are a `quit`: the others see a leave, the server a logout.
    bob.process().close_input();
    bob.sees(json!({"event": "quit"})).await;
    assert_eq!(bob.process().ended().await.code(), Some(0));
    alice.sees_change(&session, "leave", &gone_bob).await;
    carol.process().signal("TERM").await;
    carol.sees(json!({"event": "quit"})).await;
    assert_eq!(carol.process().ended().await.code(), Some(0));
    alice.sees_change(&session, "leave", &gone_carol).await;
    for gone in [&gone_bob, &gone_carol] {
        alice.misses(gone).await;
    }
}
