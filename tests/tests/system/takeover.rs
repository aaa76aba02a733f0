//! Several processes before one database: one that starts as the same server takes over, whether the one before has died
//! or not; and a PostgreSQL that dies and comes back.

use antiphon_tests::{Store, Town};
use serde_json::json;

use crate::PROGRAM;

#[tokio::test]
async fn a_second_process_takes_over_after_the_first_died() {
    for store in Store::each("the takeover of a home") {
        takeover_after_a_death(store).await;
    }
}

/// Accounts, profiles and login epochs are there at the second process, for users and for other servers.
async fn takeover_after_a_death(store: Store) {
    let town = Town::found_with_store(PROGRAM, store).await;
    let (mut first, elsewhere) = (town.server("home1.example").await, town.server("home2.example").await);
    let mut alice = town.citizen("alice", &first, &first).await;
    let mut bob = town.citizen("bob", &first, &elsewhere).await;
    let mut carol = town.citizen("carol", &elsewhere, &elsewhere).await;
    let people = [alice.handle(), bob.handle(), carol.handle()].map(str::to_owned);
    let others = |own: &str| -> Vec<&String> { people.iter().filter(|person| *person != own).collect() };
    let set =
        json!({"command": "set-preferences", "allow": others(&people[0]), "deny": [], "default": "deny"});
    assert_eq!(alice.done(set, "preferences-set").await["version"], 1);
    carol.allows(&[&people[1]]).await;
    let session = bob.creates().await;
    bob.brings_in(&session, &mut carol, &mut []).await;

    first.crash().await;
    alice.process().kill().await;
    let second = town.another(&first).await;
    assert_ne!(second.listen(), first.listen());

    // Alice: her account, her profile, and the login epoch behind the last one.
    let mut alice = town.client("alice", &second, &second).await;
    assert_eq!(alice.handle(), people[0]);
    let logged_in = alice.logs_in().await;
    assert_eq!((&logged_in["epoch"], &logged_in["version"]), (&json!(2), &json!(1)), "{logged_in}");
    let allowed: std::collections::BTreeSet<&str> = {
        let allowed = logged_in["preferences"]["allow"].as_array().unwrap();
        allowed.iter().map(|handle| handle.as_str().unwrap()).collect()
    };
    assert_eq!(allowed, others(&people[0]).into_iter().map(String::as_str).collect());
    assert_eq!(logged_in["preferences"]["default"], "deny");
    alice.registers().await;
    assert_eq!(alice.handle(), people[0], "the account is the same");

    // Bob has stayed where he is, under the epoch that the first process gave; what he changes is stored by the second.
    assert_eq!(carol.finds(alice.handle()).await, alice.address());
    let set =
        json!({"command": "set-preferences", "allow": others(&people[1]), "deny": [], "default": "allow"});
    assert_eq!(bob.done(set, "preferences-set").await["version"], 1);
    assert_eq!(bob.finds(alice.handle()).await, alice.address());
    assert_eq!(alice.finds(bob.handle()).await, bob.address());
    bob.says(&session, "the session has not noticed").await;
    carol.hears(1).await;

    // Somebody new is new.
    let dave = town.citizen("dave", &second, &elsewhere).await;
    assert!(!people.contains(&dave.handle().to_owned()));
    for client in [alice, bob, carol, dave] {
        client.quits().await;
    }
}

#[tokio::test]
async fn a_process_ends_when_a_later_one_has_started() {
    for store in Store::each("a later process of a home") {
        takeover_from_the_living(store).await;
    }
}

/// Nobody needs to know which of two processes is the server: the later one is, and the earlier one sees it and ends.
async fn takeover_from_the_living(store: Store) {
    let town = Town::found_with_store(PROGRAM, store).await;
    let mut first = town.server("home.example").await;
    let mut alice = town.citizen("alice", &first, &first).await;
    let set = json!({"command": "set-preferences", "allow": [], "deny": [], "default": "deny"});
    assert_eq!(alice.done(set.clone(), "preferences-set").await["version"], 1);
    let second = town.another(&first).await;

    // A user of the first one cannot have anything stored, so she isn't told that it was.
    let asked = alice.begin(set).await;
    assert_eq!(alice.answer(asked).await["event"], "refused");
    assert_eq!(first.process().ended().await.code(), Some(1));
    alice.sees(json!({"event": "disconnected"})).await;
    let log = town.log("home.example");
    assert!(log.contains("has taken over") && log.contains("what to do: run one process"), "{log}");

    alice.process().kill().await;
    let mut alice = town.client("alice", &second, &second).await;
    let logged_in = alice.logs_in().await;
    assert_eq!((&logged_in["epoch"], &logged_in["version"]), (&json!(2), &json!(1)), "{logged_in}");
    let mut bob = town.citizen("bob", &second, &second).await;
    alice.allows(&[bob.handle()]).await;
    assert_eq!(bob.finds(alice.handle()).await, alice.address());
}

#[tokio::test]
async fn a_postgresql_that_dies_and_comes_back_has_lost_nothing() {
    let Some(postgres) = Store::own_postgres("the death of the database") else { return };
    let town = Town::found_with_store(PROGRAM, Store::Postgres(postgres.clone())).await;
    let home = town.server("home.example").await;
    let mut alice = town.citizen("alice", &home, &home).await;
    let bob = town.citizen("bob", &home, &home).await;
    let set = |denied: &[&str]| json!({"command": "set-preferences", "allow": [], "deny": denied, "default": "allow"});
    assert_eq!(alice.done(set(&[]), "preferences-set").await["version"], 1);
    postgres.crash();
    assert_eq!(alice.refused(set(&[bob.handle()])).await["code"], "internal");
    postgres.start_again();
    assert_eq!(alice.done(set(&[bob.handle()]), "preferences-set").await["version"], 2);
    alice.done(json!({"command": "logout"}), "logged-out").await;
    let logged_in = alice.logs_in().await;
    assert_eq!((&logged_in["epoch"], &logged_in["version"]), (&json!(2), &json!(2)), "{logged_in}");
}
