//! Relayed links: who is connected how, and what becomes of a session when a server that relays is gone.

use antiphon_tests::{Client, Town};
use serde_json::json;

use crate::PROGRAM;

/// One is told that the link to the other stands, and how.
async fn linked(client: &mut Client, session: &str, handle: &str, way: &str) {
    client.sees(json!({"event": "linked", "session": session, "handle": handle, "way": way})).await;
}

/// Both say something that the other hears.
async fn talk(session: &str, one: &mut Client, other: &mut Client, text: &str) {
    let before = [one.heard().len(), other.heard().len()];
    one.says(session, text).await;
    other.says(session, text).await;
    one.hears(before[0] + 1).await;
    other.hears(before[1] + 1).await;
    assert!(one.heard()[before[0]].text == text && other.heard()[before[1]].text == text);
}

#[tokio::test]
async fn who_does_not_list_the_other_talks_by_way_of_the_servers() {
    let town = Town::found(PROGRAM).await;
    let (home1, home2) = (town.server("home1.example").await, town.server("home2.example").await);
    let mut alice = town.citizen("alice", &home1, &home1).await;
    let mut bob = town.citizen("bob", &home2, &home2).await;
    let mut carol = town.citizen("carol", &home1, &home1).await;
    let handles = [&alice, &bob, &carol].map(|client| client.handle().to_owned());
    // Alice and Carol list each other, Bob lists Alice, and nobody lists Bob.
    alice.allows(&[&handles[2]]).await;
    carol.allows(&[&handles[0]]).await;
    bob.allows(&[&handles[0]]).await;
    // She is told where he is, and does not dial: he would learn where she is.
    assert_eq!(alice.finds(&handles[1]).await, bob.address());

    let session = alice.creates().await;
    alice.brings_in(&session, &mut bob, &mut []).await;
    linked(&mut alice, &session, &handles[1], "relayed").await;
    linked(&mut bob, &session, &handles[0], "relayed").await;
    talk(&session, &mut alice, &mut bob, "across two servers").await;

    alice.brings_in(&session, &mut carol, &mut [&mut bob]).await;
    linked(&mut alice, &session, &handles[2], "direct").await;
    linked(&mut carol, &session, &handles[0], "direct").await;
    linked(&mut carol, &session, &handles[1], "relayed").await;
    // What is far above a window of a link goes through in turn with everything else.
    let long = "sealed ".repeat(2_000);
    for _ in 0..10 {
        bob.says(&session, &long).await;
    }
    alice.hears(11).await;
    carol.hears(10).await;
    assert!(alice.heard()[1..].iter().all(|heard| heard.text == long));

    // A member is reached by its tag, although its preferences deny everybody by now.
    let deny = json!({"command": "set-preferences", "allow": [], "deny": [], "default": "deny"});
    bob.done(deny, "preferences-set").await;
    let mut dave = town.citizen("dave", &home2, &home2).await;
    alice.brings_in(&session, &mut dave, &mut [&mut bob, &mut carol]).await;
    linked(&mut dave, &session, &handles[1], "relayed").await;
    let stranger = dave.creates().await;
    dave.invites_in_vain(&stranger, &handles[1]).await;
    for client in [alice, bob, carol, dave] {
        client.quits().await;
    }
}

#[tokio::test]
async fn relayed_links_end_with_the_server() {
    let town = Town::found(PROGRAM).await;
    let (home1, mut home2) = (town.server("home1.example").await, town.server("home2.example").await);
    let mut alice = town.citizen("alice", &home1, &home1).await;
    let mut bob = town.citizen("bob", &home2, &home2).await;
    let session = alice.creates().await;
    alice.brings_in(&session, &mut bob, &mut []).await;
    home2.crash().await;
    alice.sees(json!({"event": "member-lost", "session": session, "handle": bob.handle()})).await;
    alice.sees_change(&session, "remove", bob.handle()).await;
    // The server comes back, and with it the way to Bob.
    home2.start_again().await;
    bob.sees(json!({"event": "logged-in", "epoch": 2})).await;
    let session = alice.creates().await;
    alice.brings_in(&session, &mut bob, &mut []).await;
    talk(&session, &mut alice, &mut bob, "back again").await;
}

#[tokio::test]
async fn relayed_links_go_on_when_the_server_comes_back_in_time() {
    let town = Town::found(PROGRAM).await;
    let (home1, mut home2) = (town.server("home1.example").await, town.server("home2.example").await);
    let mut alice = town.patient_citizen("alice", &home1, &home1).await;
    let mut bob = town.patient_citizen("bob", &home2, &home2).await;
    let session = alice.creates().await;
    alice.brings_in(&session, &mut bob, &mut []).await;
    linked(&mut bob, &session, alice.handle(), "relayed").await;
    talk(&session, &mut alice, &mut bob, "before").await;
    home2.crash().await;
    for text in ["to nobody yet", "and another"] {
        alice.says(&session, text).await;
    }
    home2.start_again().await;
    bob.sees(json!({"event": "logged-in", "epoch": 2})).await;
    bob.hears(3).await;
    talk(&session, &mut bob, &mut alice, "after").await;
    let heard: Vec<&str> = bob.heard().iter().map(|heard| heard.text.as_str()).collect();
    assert_eq!(heard, ["before", "to nobody yet", "and another", "after"]);
    // Nobody was lost: the epoch is the one that Bob came with.
    for client in [&mut alice, &mut bob] {
        let members = client.done(json!({"command": "members", "session": session}), "members").await;
        assert_eq!(members["number"], 1, "{members}");
    }
}
