//! What nobody but the people who talk may ever see: what they say, and their keys; and, without being asked to, whom
//! a server serves.

use std::{collections::BTreeSet, path::Path};

use antiphon_tests::Town;
use serde_json::json;

use crate::PROGRAM;

/// What is said, with nothing in it that would be said anyway.
const TEXTS: [&str; 3] = ["the-first-secret-k3y7q", "the-second-secret-x9v2m", "the-third-secret-p4w8z"];

/// Every line of every secret key in a folder and below.
fn key_material(folder: &Path, into: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            key_material(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "key") || path.ends_with("key.pem") {
            let text = std::fs::read_to_string(path).unwrap();
            into.extend(text.lines().filter(|line| !line.starts_with("-----")).map(str::to_owned));
        }
    }
}

/// A session with all that can go wrong and right in it; then every log, and what must not be in it.
async fn check(log: Option<&'static str>) {
    let mut town = Town::found_with_log(PROGRAM, log).await;
    let (mut home1, mut home2) = (town.server("home1.example").await, town.server("home2.example").await);
    let mut alice = town.citizen("alice", &home1, &home1).await;
    let mut bob = town.citizen("bob", &home1, &home2).await;
    let mut carol = town.citizen("carol", &home2, &home2).await;
    let people = [&alice, &bob, &carol].map(|client| client.handle().to_owned());
    let set =
        json!({"command": "set-preferences", "allow": [people[1]], "deny": [people[2]], "default": "deny"});
    bob.done(set, "preferences-set").await;
    carol.misses(bob.handle()).await;
    // These two talk without a server.
    alice.allows(&[&people[2]]).await;
    carol.allows(&[&people[0]]).await;
    let session = alice.creates().await;
    alice.brings_in(&session, &mut carol, &mut []).await;
    for (client, text) in [(&mut alice, TEXTS[0]), (&mut carol, TEXTS[1])] {
        client.says(&session, text).await;
    }
    alice.hears(1).await;
    carol.hears(1).await;
    // A server that crashes and comes back, and a client that vanishes, have their own lines in the logs.
    home1.crash().await;
    home1.start_again().await;
    alice.sees(json!({"event": "logged-in"})).await;
    bob.process().kill().await;
    alice.says(&session, TEXTS[2]).await;
    carol.hears(2).await;
    alice.quits().await;
    carol.quits().await;
    home1.stop().await;
    home2.stop().await;
    town.node.stop().await;

    let mut secrets = BTreeSet::new();
    key_material(town.folder(), &mut secrets);
    assert!(secrets.len() >= 9, "the keys of the authority, the node, two servers and three clients");
    secrets.extend(TEXTS.map(str::to_owned));
    let servers = ["home1.example", "home2.example", "node.example"];
    for name in servers.into_iter().chain(["alice", "bob", "carol"]) {
        let log = town.log(name);
        assert!(!servers.contains(&name) || log.contains("INFO"), "the log of {name} is empty");
        for secret in &secrets {
            assert!(!log.contains(secret), "{secret} is in the log of {name}");
        }
    }
    if log.is_none() {
        for name in servers {
            let log = town.log(name);
            for person in &people {
                let (id, _) = person.split_once('@').unwrap();
                assert!(!log.contains(id), "{id} is in the log of {name}");
            }
            assert!(!log.contains(&session), "a session is in the log of {name}");
        }
    }
}

#[tokio::test]
async fn logs_hold_nothing_personal() {
    check(None).await;
}

#[tokio::test]
async fn not_even_the_most_talkative_logs_hold_secrets() {
    check(Some("trace")).await;
}
