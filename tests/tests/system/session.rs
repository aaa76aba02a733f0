//! A session of four people of two homes, from its beginning to its last member.

use antiphon_tests::{Client, Heard, Town};
use serde_json::{Value, json};

use crate::PROGRAM;

/// How many lines everybody says in each part of the conversation.
const LINES: usize = 12;

fn line(speaker: usize, number: usize) -> String {
    format!("line {number} of speaker {speaker}, with \u{1f33b} and \"quotes\"")
}

/// What each client tells about the epoch that holds.
async fn view(client: &mut Client, session: &str) -> Value {
    let mut view = client.done(json!({"command": "members", "session": session}), "members").await;
    view.as_object_mut().unwrap().remove("id");
    view
}

/// Everybody says lines, all at once; everybody else delivers each once, in its sender's order, and acknowledges it.
async fn talk(session: &str, people: &mut [&mut Client]) {
    let heard_before: Vec<usize> = people.iter().map(|client| client.heard().len()).collect();
    for number in 1..=LINES {
        for (speaker, client) in people.iter_mut().enumerate() {
            client.says(session, &line(speaker, number)).await;
        }
    }
    let handles: Vec<String> = people.iter().map(|client| client.handle().to_owned()).collect();
    for (listener, client) in people.iter_mut().enumerate() {
        client.hears(heard_before[listener] + LINES * (handles.len() - 1)).await;
        for (speaker, handle) in handles.iter().enumerate().filter(|(speaker, _)| *speaker != listener) {
            let said = client.heard()[heard_before[listener]..].iter().filter(|heard| heard.from == *handle);
            let said: Vec<&str> = said.map(|heard| heard.text.as_str()).collect();
            let expected: Vec<String> = (1..=LINES).map(|number| line(speaker, number)).collect();
            assert_eq!(said, expected);
            let last = json!({"event": "delivered", "session": session, "to": handle, "number": LINES});
            client.sees(last).await;
        }
    }
}

#[tokio::test]
async fn a_session_of_four() {
    let town = Town::found(PROGRAM).await;
    let (home1, home2) = (town.server("home1.example").await, town.server("home2.example").await);
    let mut alice = town.citizen("alice", &home1, &home1).await;
    // Bob and Dave are logged in at another server than their home.
    let mut bob = town.citizen("bob", &home1, &home2).await;
    let mut carol = town.citizen("carol", &home2, &home2).await;
    let mut dave = town.citizen("dave", &home2, &home1).await;
    let handles = [&alice, &bob, &carol, &dave].map(|client| client.handle().to_owned());
    assert!(handles[1].ends_with("@home1.example") && handles[3].ends_with("@home2.example"), "{handles:?}");

    let session = alice.creates().await;
    let session = session.as_str();
    alice.sees_change(session, "create", &handles[0]).await;
    alice.brings_in(session, &mut bob, &mut []).await;
    // A member that is not the coordinator invites, too.
    bob.brings_in(session, &mut carol, &mut [&mut alice]).await;
    talk(session, &mut [&mut alice, &mut bob, &mut carol]).await;

    // Dave refuses, is asked again, and comes.
    alice.does(json!({"command": "invite", "session": session, "handle": handles[3]})).await;
    dave.sees(json!({"event": "invited", "session": session})).await;
    dave.does(json!({"command": "reject", "session": session})).await;
    alice.sees(json!({"event": "invitation-rejected", "session": session, "handle": handles[3]})).await;
    alice.brings_in(session, &mut dave, &mut [&mut bob, &mut carol]).await;
    let seen = view(&mut alice, session).await;
    assert_eq!(seen["coordinator"], handles[0]);
    assert_eq!(seen["members"].as_array().unwrap().len(), 4);
    for client in [&mut bob, &mut carol, &mut dave] {
        assert_eq!(view(client, session).await, seen);
    }
    talk(session, &mut [&mut alice, &mut bob, &mut carol, &mut dave]).await;

    // A member is not invited again, and nobody invites themselves.
    for whom in [&handles[1], &handles[0]] {
        assert_eq!(alice.invites_in_vain(session, whom).await["code"], "already-member");
    }

    bob.leaves(session).await;
    for client in [&mut alice, &mut carol, &mut dave] {
        client.sees_change(session, "leave", &handles[1]).await;
    }
    talk(session, &mut [&mut alice, &mut carol, &mut dave]).await;
    let refused = bob.refused(json!({"command": "send", "session": session, "text": "too late"})).await;
    assert_eq!(refused["code"], "no-such-session");

    // The coordinator leaves: the lowest handle among the others coordinates.
    let successor = handles[2..].iter().min().unwrap();
    alice.leaves(session).await;
    for client in [&mut carol, &mut dave] {
        client.sees_change(session, "hand-over", successor).await;
        let left = client.sees_change(session, "leave", &handles[0]).await;
        assert_eq!(left["coordinator"], *successor);
    }
    assert_eq!(view(&mut carol, session).await, view(&mut dave, session).await);
    talk(session, &mut [&mut carol, &mut dave]).await;

    // One that left may come back.
    carol.brings_in(session, &mut bob, &mut [&mut dave]).await;
    talk(session, &mut [&mut bob, &mut carol, &mut dave]).await;
    bob.leaves(session).await;
    carol.sees_change(session, "leave", &handles[1]).await;
    dave.sees_change(session, "leave", &handles[1]).await;

    carol.leaves(session).await;
    dave.sees_change(session, "leave", &handles[2]).await;
    dave.leaves(session).await;

    // Nobody has ever heard anything twice, or anything else.
    let talks = [[0, 1, 2].as_slice(), &[0, 1, 2, 3], &[0, 2, 3], &[2, 3], &[1, 2, 3]];
    for (listener, client) in [alice, bob, carol, dave].into_iter().enumerate() {
        let mut heard: Vec<Heard> = client.quits().await;
        let mut expected = Vec::new();
        for people in talks.iter().filter(|people| people.contains(&listener)) {
            for (speaker, person) in people.iter().enumerate().filter(|(_, person)| **person != listener) {
                expected.extend((1..=LINES).map(|number| Heard {
                    session: session.to_owned(),
                    from: handles[*person].clone(),
                    text: line(speaker, number),
                }));
            }
        }
        heard.sort();
        expected.sort();
        assert_eq!(heard, expected);
    }
}

#[tokio::test]
async fn members_that_vanish_are_removed_and_a_coordinator_that_vanishes_has_a_successor() {
    let town = Town::found(PROGRAM).await;
    let home = town.server("home.example").await;
    let mut alice = town.citizen("alice", &home, &home).await;
    let mut bob = town.citizen("bob", &home, &home).await;
    let mut carol = town.citizen("carol", &home, &home).await;
    let session = alice.creates().await;
    alice.brings_in(&session, &mut bob, &mut []).await;
    alice.brings_in(&session, &mut carol, &mut [&mut bob]).await;

    carol.process().kill().await;
    let gone = carol.handle().to_owned();
    // The coordinator removes whom it has lost; the others may hear of it from the coordinator first.
    alice.sees(json!({"event": "member-lost", "session": session, "handle": gone})).await;
    alice.sees_change(&session, "remove", &gone).await;
    bob.sees_change(&session, "remove", &gone).await;
    // The server notices as well: who is gone is not online.
    bob.misses_in_time(&gone).await;

    // Carol comes back with the same identity, and into the same session.
    let mut carol = town.client("carol", &home, &home).await;
    assert_eq!(carol.handle(), gone);
    carol.logs_in().await;
    bob.brings_in(&session, &mut carol, &mut [&mut alice]).await;

    alice.process().kill().await;
    let successor = bob.handle().min(carol.handle()).to_owned();
    let taken_over = bob.sees_change(&session, "take-over", &successor).await;
    assert_eq!(carol.sees_change(&session, "take-over", &successor).await, taken_over);
    assert_eq!(taken_over["coordinator"], json!(successor));
    carol.says(&session, "still here").await;
    bob.hears(1).await;
    assert_eq!(bob.heard()[0].text, "still here");
}
