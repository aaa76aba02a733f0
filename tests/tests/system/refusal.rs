//! Every no that a user can get, as the user sees it.

use antiphon_tests::Town;
use serde_json::{Value, json};

use crate::PROGRAM;

/// Everything but whom it is about.
fn without_handle(mut event: Value) -> Value {
    event.as_object_mut().unwrap().remove("handle");
    event
}

#[tokio::test]
async fn who_may_not_be_found_looks_like_who_is_not_there() {
    let town = Town::found(PROGRAM).await;
    let (home1, home2) = (town.server("home1.example").await, town.server("home2.example").await);
    let mut alice = town.citizen("alice", &home1, &home1).await;
    let mut inviter = town.citizen("inviter", &home2, &home2).await;
    let mut near = town.citizen("near", &home1, &home1).await;
    let offline = town.client("offline", &home1, &home1).await;
    let offline = {
        let mut client = offline;
        client.registers().await;
        client.handle().to_owned()
    };
    let deny = json!([inviter.handle(), near.handle()]);
    let set = json!({"command": "set-preferences", "allow": deny, "deny": deny, "default": "allow"});
    alice.done(set, "preferences-set").await;
    let unknown = "0123456789abcdef0123456789abcdef@home1.example";
    let nowhere = "0123456789abcdef0123456789abcdef@nowhere.example";
    for asker in [&mut inviter, &mut near] {
        let session = asker.creates().await;
        let mut looked_up = Vec::new();
        let mut invited = Vec::new();
        for handle in [alice.handle(), &offline, unknown, nowhere] {
            looked_up.push(asker.misses(handle).await);
            invited.push(without_handle(asker.invites_in_vain(&session, handle).await));
        }
        assert!(looked_up.iter().all(|refusal| *refusal == looked_up[0]), "{looked_up:?}");
        assert!(invited.iter().all(|failure| *failure == invited[0]), "{invited:?}");
        assert_eq!(invited[0]["code"], "unavailable");
    }
    // Alice has heard of none of it.
    alice.done(json!({"command": "logout"}), "logged-out").await;
    assert!(!alice.has_seen(&json!({"event": "invited"})));
}

#[tokio::test]
async fn commands_are_refused_with_a_word_and_a_sentence() {
    let town = Town::found(PROGRAM).await;
    let home = town.server("home.example").await;
    let mut alice = town.citizen("alice", &home, &home).await;
    let session = alice.creates().await;
    let none = "0".repeat(64);
    let too_many: Vec<String> = (0..201).map(|number| format!("{number:032x}@home.example")).collect();
    let longest = "x".repeat(16_384);
    let cases = [
        (json!({"command": "login"}), "logged-in-already"),
        (json!({"command": "send", "session": none, "text": "?"}), "no-such-session"),
        (json!({"command": "accept", "session": none}), "no-such-session"),
        (json!({"command": "accept", "session": session}), "unexpected-message"),
        (json!({"command": "send", "session": session, "text": format!("{longest}x")}), "limit-reached"),
        (
            json!({"command": "set-preferences", "allow": too_many, "deny": [], "default": "allow"}),
            "limit-reached",
        ),
        (json!({"command": "lookup", "handle": "nobody"}), "invalid-command"),
        (json!({"command": "lookup"}), "invalid-command"),
        (json!({"command": "create", "colour": "blue"}), "invalid-command"),
        (json!({"command": "dance"}), "invalid-command"),
    ];
    for (command, code) in cases {
        let refused = alice.refused(command.clone()).await;
        assert_eq!(refused["code"], code, "{refused}");
        assert_eq!(refused["command"], command["command"], "{refused}");
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.contains(' '), "{detail:?} is no sentence");
    }
    // What is at the bound goes through; a line that is no command gets an answer, too.
    let mut bob = town.citizen("bob", &home, &home).await;
    alice.brings_in(&session, &mut bob, &mut []).await;
    alice.says(&session, &longest).await;
    bob.hears(1).await;
    assert_eq!(bob.heard()[0].text, longest);
    for line in ["", "{", "\"register\"", "[1]", "{\"command\":1}"] {
        alice.process().write(line).await;
    }
    for _ in 0..4 {
        alice.sees(json!({"event": "refused", "command": "", "code": "invalid-command"})).await;
    }
    // Whoever has logged out asks in vain.
    alice.done(json!({"command": "logout"}), "logged-out").await;
    for command in [
        json!({"command": "lookup", "handle": bob.handle()}),
        json!({"command": "logout"}),
        json!({"command": "set-preferences", "allow": [], "deny": [], "default": "allow"}),
    ] {
        assert_eq!(alice.refused(command).await["code"], "not-logged-in");
    }
}

#[tokio::test]
async fn a_closed_registration_is_closed_for_new_keys_alone() {
    let town = Town::found(PROGRAM).await;
    let mut home = town.server("home.example").await;
    let mut alice = town.citizen("alice", &home, &home).await;
    home.stop().await;
    let config = town.folder().join("home.example/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("registration = \"open\"", "registration = \"closed\"")).unwrap();
    home.start_again().await;
    let mut bob = town.client("bob", &home, &home).await;
    let refused = bob.refused(json!({"command": "register"})).await;
    assert_eq!(refused["code"], "registration-closed", "{refused}");
    assert!(refused["detail"].as_str().unwrap().ends_with("the server takes no new accounts"), "{refused}");
    alice.sees(json!({"event": "logged-in"})).await;
    alice.registers().await;
}

#[tokio::test]
async fn a_server_of_another_root_is_no_server() {
    let (town, elsewhere) = (Town::found(PROGRAM).await, Town::found(PROGRAM).await);
    let (home, foreign) = (town.server("home.example").await, elsewhere.server("home.example").await);
    // A new user, and one with an account, meet a server that has the right name and the wrong root.
    let mut alice = town.client("alice", &foreign, &home).await;
    let refused = alice.refused(json!({"command": "register"})).await;
    assert_eq!(refused["code"], "unreachable", "{refused}");
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("home.example") && detail.contains("certificate"), "{detail}");
    let mut bob = town.client("bob", &home, &foreign).await;
    bob.registers().await;
    let refused = bob.refused(json!({"command": "login"})).await;
    assert_eq!(refused["code"], "unreachable", "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("certificate"), "{refused}");
    // The other way round: the foreign server lets nobody in whom its root does not vouch for.
    std::fs::copy(elsewhere.folder().join("authority/root.pem"), town.folder().join("other-root.pem"))
        .unwrap();
    let mut arguments = town.client_arguments("bob", &home, &foreign);
    let root = arguments.iter_mut().find(|argument| argument.ends_with("root.pem")).unwrap();
    *root = "other-root.pem".to_owned();
    let ended = town.run(&arguments).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.error.contains("bob/certificate.pem"), "{}", ended.error);
}
