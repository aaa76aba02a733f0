//! Messages outside every session: delivered while both are there, and otherwise told to be undeliverable.

use antiphon_tests::{Client, Town};
use serde_json::json;

use crate::PROGRAM;

/// Sends a message; returns whether it was delivered.
async fn writes(client: &mut Client, to: &str, text: &str) -> bool {
    let command = json!({"command": "instant", "handle": to, "text": text});
    let message = client.done(command, "instant-taken").await["message"].clone();
    let outcome = client.sees_either(
        json!({"event": "instant-delivered", "message": message, "to": to}),
        json!({"event": "instant-failed", "message": message, "to": to}),
    );
    outcome.await["event"] == "instant-delivered"
}

#[tokio::test]
async fn instant_messages_reach_whoever_is_there_and_wants_them() {
    let town = Town::found(PROGRAM).await;
    let (home1, home2) = (town.server("home1.example").await, town.server("home2.example").await);
    let mut alice = town.citizen("alice", &home1, &home1).await;
    let mut bob = town.citizen("bob", &home1, &home2).await;
    let (a, b) = (alice.handle().to_owned(), bob.handle().to_owned());

    assert!(writes(&mut alice, &b, "to bob, \u{1f33b}").await);
    bob.sees(json!({"event": "instant", "from": a, "text": "to bob, \u{1f33b}"})).await;
    assert!(writes(&mut bob, &a, "to alice").await);
    alice.sees(json!({"event": "instant", "from": b, "text": "to alice"})).await;

    // Whoever is denied hears what everybody hears who reaches nobody.
    let deny = json!({"command": "set-preferences", "allow": [], "deny": [a], "default": "allow"});
    bob.done(deny, "preferences-set").await;
    assert!(!writes(&mut alice, &b, "not wanted").await);
    let allow = json!({"command": "set-preferences", "allow": [a], "deny": [], "default": "deny"});
    bob.done(allow, "preferences-set").await;
    assert!(writes(&mut alice, &b, "wanted again").await);
    bob.sees(json!({"event": "instant", "from": a, "text": "wanted again"})).await;
    assert!(!bob.has_seen(&json!({"event": "instant"})), "and nothing else has come");

    // Nothing waits for somebody who is gone.
    bob.process().kill().await;
    assert!(!writes(&mut alice, &b, "too late").await);
    let mut bob = town.client("bob", &home1, &home2).await;
    bob.logs_in().await;
    assert!(writes(&mut alice, &b, "welcome back").await);
    bob.sees(json!({"event": "instant", "from": a, "text": "welcome back"})).await;
    assert!(!bob.has_seen(&json!({"event": "instant"})), "nobody has kept anything");
}
