//! What an operator asks of a server that runs, and what it does.

use antiphon_tests::{Client, Ended, Service, Town};
use serde_json::{Value, json};

use crate::PROGRAM;

const OPERATED: &str = "control-socket = \"control.sock\"\nmonitoring-address = \"127.0.0.1:0\"\n";

async fn ask(town: &Town, server: &Service, what: &[&str]) -> Ended {
    let config = format!("{}/config.toml", server.name());
    let mut arguments = vec!["admin", what[0], "--config", &config];
    arguments.extend(&what[1..]);
    town.run(&arguments).await
}

/// The answers, in a form for programs.
async fn told(town: &Town, server: &Service, what: &[&str]) -> Vec<Value> {
    let ended = ask(town, server, &[what, &["--json"]].concat()).await;
    assert_eq!((ended.code, ended.error.as_str()), (Some(0), ""));
    ended.output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn users(people: &[&Client]) -> Vec<Value> {
    let mut handles: Vec<_> = people.iter().map(|person| person.handle()).collect();
    handles.sort_unstable();
    handles.into_iter().map(|user| json!({"tell": "user", "user": user, "epoch": 1})).collect()
}

#[tokio::test]
async fn an_operator_sees_who_is_there_and_what_waits() {
    let town = Town::found(PROGRAM).await;
    let (home, elsewhere) = (
        town.server_with("home1.example", OPERATED).await,
        town.server_with("home2.example", OPERATED).await,
    );
    assert_eq!(told(&town, &home, &["online"]).await, Vec::<Value>::new());
    let alice = town.citizen("alice", &home, &home).await;
    let bob = town.citizen("bob", &home, &elsewhere).await;
    let carol = town.citizen("carol", &home, &home).await;
    assert_eq!(told(&town, &home, &["online"]).await, users(&[&alice, &carol]));
    assert_eq!(told(&town, &elsewhere, &["online"]).await, users(&[&bob]));
    let readable = ask(&town, &elsewhere, &["online"]).await;
    assert_eq!(readable.output, format!("{}  login 1\n", bob.handle()));
    assert_eq!(
        told(&town, &home, &["links"]).await,
        [
            json!({"tell": "link", "peer": "home2.example", "accepted": 1, "dialled": 0}),
            json!({"tell": "link", "peer": "node.example", "accepted": 0, "dialled": 1}),
        ]
    );
    assert_eq!(
        told(&town, &elsewhere, &["links"]).await,
        [
            json!({"tell": "link", "peer": "home1.example", "accepted": 0, "dialled": 1}),
            json!({"tell": "link", "peer": "node.example", "accepted": 0, "dialled": 1}),
        ]
    );
    let queues = told(&town, &home, &["queues"]).await;
    assert_eq!(queues.len(), 3);
    for queue in queues {
        assert!(queue["waiting"].as_u64() < queue["most"].as_u64(), "{queue}");
    }
}

#[tokio::test]
async fn an_operator_ends_a_login_wherever_it_is() {
    let town = Town::found(PROGRAM).await;
    let (home, elsewhere) = (
        town.server_with("home1.example", OPERATED).await,
        town.server_with("home2.example", OPERATED).await,
    );
    let mut bob = town.citizen("bob", &home, &elsewhere).await;
    let handle = bob.handle().to_owned();
    let refused = ask(&town, &elsewhere, &["end-login", &handle]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.error.contains("ask at the user's home server"), "{}", refused.error);
    assert_eq!(told(&town, &home, &["end-login", &handle]).await, [json!({"tell": "login-ended"})]);
    bob.sees(json!({"event": "replaced", "epoch": 1})).await;
    let online = elsewhere.sampled("nobody", |samples| samples.of("antiphon_users_online") == 0.0).await;
    assert_eq!(online.of("antiphon_users_online"), 0.0);
    bob.logs_in().await;
}

#[tokio::test]
async fn a_server_that_is_drained_keeps_its_users_and_takes_no_others() {
    let town = Town::found(PROGRAM).await;
    let mut home = town.server_with("home.example", OPERATED).await;
    let mut alice = town.citizen("alice", &home, &home).await;
    let mut bob = town.citizen("bob", &home, &home).await;
    bob.process().kill().await;
    let config = format!("{}/config.toml", home.name());
    let drain = ["admin", "drain", "--config", &config, "--patience", "600", "--json"];
    let mut operator = town.process("operator", &drain, |_| {});
    let draining = operator.read("that it drains").await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&draining).unwrap()["tell"], "draining");
    let unready = home.page("/health/ready").await;
    assert_eq!(
        (unready.status, unready.body.as_str()),
        (503, "{\"obstacles\":[\"draining\"],\"ok\":false}\n")
    );
    // Alice has noticed nothing; who comes is turned away.
    let set = json!({"command": "set-preferences", "allow": [], "deny": [], "default": "deny"});
    alice.done(set, "preferences-set").await;
    let mut bob = town.client("bob", &home, &home).await;
    let refused = bob.refused(json!({"command": "login"})).await;
    assert_eq!(refused["code"], "unreachable", "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("shutting-down"), "{refused}");
    alice.done(json!({"command": "logout"}), "logged-out").await;
    let drained = operator.read("that it has drained").await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&drained).unwrap(), json!({"tell": "drained", "users": 0}));
    assert_eq!(operator.ended().await.code(), Some(0));
    assert_eq!(home.process().ended().await.code(), Some(0));
}

#[tokio::test]
async fn who_stays_is_cut_off_when_patience_ends() {
    let town = Town::found(PROGRAM).await;
    let mut home = town.server_with("home.example", OPERATED).await;
    let mut alice = town.citizen("alice", &home, &home).await;
    assert_eq!(
        told(&town, &home, &["drain", "--patience", "0"]).await,
        [json!({"tell": "draining", "users": 1}), json!({"tell": "drained", "users": 1})]
    );
    alice.sees(json!({"event": "disconnected"})).await;
    assert_eq!(home.process().ended().await.code(), Some(0));
}

#[tokio::test]
async fn an_operator_who_cannot_be_answered_is_told_why() {
    let town = Town::found(PROGRAM).await;
    let without = town.server("home1.example").await;
    let ended = ask(&town, &without, &["online"]).await;
    assert_eq!(ended.code, Some(2));
    assert!(ended.error.contains("control-socket = \"control.sock\""), "{}", ended.error);
    let mut gone = town.server_with("home2.example", OPERATED).await;
    let socket = town.folder().join("home2.example/control.sock");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&socket).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    gone.crash().await;
    let ended = ask(&town, &gone, &["online"]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.error.contains("see that the server runs"), "{}", ended.error);
    // What a process that was killed has left is in nobody's way.
    gone.start_again().await;
    assert_eq!(told(&town, &gone, &["online"]).await, Vec::<Value>::new());
    gone.stop().await;
    assert!(!socket.exists());
    assert!(!town.log("home2.example").contains("did not end in time"), "whoever may ask holds up no end");
}
