//! A person at a terminal, who types, or pastes.

use antiphon_tests::Town;
use serde_json::json;

use crate::PROGRAM;

/// As many lines as may wait for somebody who is slow, and some more.
const PASTED: usize = 300;

#[tokio::test]
async fn what_is_pasted_is_said_line_by_line() {
    let town = Town::found(PROGRAM).await;
    let home = town.server("home.example").await;
    let mut bob = town.citizen("bob", &home, &home).await;
    let mut alice = town.process("alice", &town.client_arguments("alice", &home, &home), |_| {});
    let invite = format!("/invite {}", bob.handle());
    for (typed, told) in
        [("/register", "you are logged in"), ("/create", "you began"), (&invite, "on its way")]
    {
        alice.write(typed).await;
        while !alice.read(told).await.unwrap().contains(told) {}
    }
    let invited = bob.sees(json!({"event": "invited"})).await;
    bob.does(json!({"command": "accept", "session": invited["session"]})).await;
    while !alice.read("the newcomer").await.unwrap().contains("joined; 2 members") {}

    let pasted: Vec<String> = (0..PASTED).map(|number| format!("line {number}")).collect();
    alice.write(&pasted.join("\n")).await;
    bob.hears(PASTED).await;
    let heard: Vec<&str> = bob.heard().iter().map(|heard| heard.text.as_str()).collect();
    assert_eq!(heard, pasted);
    // What became of each line is told as well; some may have waited for room.
    let mut delivered = 0;
    while delivered < PASTED {
        match alice.read("every line to be delivered").await.unwrap().as_str() {
            "[1] (delivered to all)" => delivered += 1,
            other => assert_eq!(other, "[1] (pending)"),
        }
    }

    // What cannot be shown is no way out of the line.
    let session = invited["session"].as_str().unwrap().to_owned();
    bob.says(&session, "\u{1b}[2Jgone?\n[9] <you> yes").await;
    let line = alice.read("a message").await.unwrap();
    assert!(line.ends_with("> \u{fffd}[2Jgone?\u{23ce}[9] <you> yes"), "{line:?}");
    alice.write("/quit").await;
    // Alice coordinates, so Bob does before she goes.
    for told in ["now coordinates", "[1] you have left the session", "goodbye"] {
        let line = alice.read(told).await.unwrap();
        assert!(line.contains(told), "{line:?}");
    }
    assert_eq!(alice.ended().await.code(), Some(0));
}
