//! Peers that keep to no rule, while others go on being served.

use std::process::Stdio;

use antiphon_protocol::connection::Ended;
use antiphon_spec::{
    identity::UserHandle,
    message::{
        client_server::{Login, Lookup, ToServer},
        common::RequestId,
    },
};
use antiphon_tests::{Client, Service, Town, dial_as, flood, in_time};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, unix::pipe},
    process::Command,
};

use crate::PROGRAM;

/// The beginning of a TLS handshake, and no more of it.
const HALF_A_HELLO: &[u8] = &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];

/// A new user comes, finds and is found, and talks with somebody who was there before.
async fn served(town: &Town, home: &Service, name: &str, alice: &mut Client) {
    let mut guest = town.citizen(name, home, home).await;
    alice.allows(&[guest.handle()]).await;
    assert_eq!(guest.finds(alice.handle()).await, alice.address());
    let session = guest.creates().await;
    guest.brings_in(&session, alice, &mut []).await;
    let before = alice.heard().len();
    guest.says(&session, name).await;
    alice.hears(before + 1).await;
    assert_eq!(alice.heard()[before].text, name);
    guest.quits().await;
    alice.leaves(&session).await;
}

#[tokio::test]
async fn nonsense_at_every_port() {
    let town = Town::found(PROGRAM).await;
    let home = town.server("home.example").await;
    let mut alice = town.citizen("alice", &home, &home).await;
    let mut ports: Vec<_> = home.ports().chain(town.node.ports()).collect();
    ports.push(alice.address().parse().unwrap());
    let zeros = vec![0; 70_000];
    let full = vec![0xff; 70_000];
    // A record that claims to be longer than any, and one whose content is no handshake.
    let nonsense: [&[u8]; 7] = [
        b"",
        b"GET / HTTP/1.1\r\nHost: home.example\r\n\r\n",
        HALF_A_HELLO,
        &[22, 3, 3, 255, 255, 0, 0, 0],
        &[23, 3, 3, 0, 4, 1, 2, 3, 4],
        &zeros,
        &full,
    ];
    let mut kept = Vec::new();
    for port in ports {
        for bytes in nonsense {
            // Some hang up at once, some stay.
            drop(flood(port, 3, bytes).await);
            kept.extend(flood(port, 2, bytes).await);
        }
    }
    served(&town, &home, "bob", &mut alice).await;
    drop(kept);
    served(&town, &home, "carol", &mut alice).await;
    for name in ["home.example", "node.example", "alice"] {
        assert!(!town.log(name).contains("panicked"), "{name}");
    }
}

#[tokio::test]
async fn two_hundred_half_open_connections_at_every_port() {
    let mut town = Town::found(PROGRAM).await;
    let mut home = town.server("home.example").await;
    let mut alice = town.citizen("alice", &home, &home).await;
    let mut kept = Vec::new();
    let mut ports: Vec<_> = home.ports().chain(town.node.ports()).collect();
    ports.push(alice.address().parse().unwrap());
    for port in ports {
        kept.extend(flood(port, 200, HALF_A_HELLO).await);
    }
    served(&town, &home, "bob", &mut alice).await;
    // Nor do they keep anybody from going.
    alice.quits().await;
    home.stop().await;
    town.node.stop().await;
    drop(kept);
}

#[tokio::test]
async fn a_user_who_asks_and_never_listens_loses_the_connection() {
    let town = Town::found(PROGRAM).await;
    let home = town.server_with("home.example", "[limits]\noutgoing-bytes = 65536\n").await;
    let mut alice = town.citizen("alice", &home, &home).await;
    town.citizen("mallory", &home, &home).await.quits().await;
    let mut mallory = dial_as::<ToServer>(&town, "mallory", &home).await;
    let login = Login { id: RequestId(1), address: "127.0.0.1:1".parse().unwrap() };
    mallory.send(&ToServer::Login(login)).await.unwrap();
    mallory.receive().await.unwrap();
    let user: UserHandle = alice.handle().parse().unwrap();
    let asking = async {
        for number in 2.. {
            let lookup = Lookup { id: RequestId(number), user: user.clone() };
            if mallory.send(&ToServer::Lookup(lookup)).await.is_err() {
                return;
            }
        }
    };
    in_time("the server to end the connection", asking).await;
    // What is left to be read ends without a word: there was no room for one.
    let ended = in_time("the end", async {
        loop {
            if let Err(ended) = mallory.receive().await {
                return ended;
            }
        }
    });
    let ended = ended.await;
    assert!(matches!(ended, Ended::Lost(_)), "{ended:?}");
    served(&town, &home, "bob", &mut alice).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn users_who_vanish_leave_nothing_at_the_server() {
    const CONNECTIONS: usize = 50;
    let town = Town::found(PROGRAM).await;
    let mut home = town.server("home.example").await;
    let mut alice = town.citizen("alice", &home, &home).await;
    town.citizen("mallory", &home, &home).await.quits().await;
    let files = format!("/proc/{}/fd", home.process().id());
    let open = || std::fs::read_dir(&files).unwrap().count();
    let before = open();
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut mallory = dial_as::<ToServer>(&town, "mallory", &home).await;
        let login = Login { id: RequestId(1), address: "127.0.0.1:1".parse().unwrap() };
        mallory.send(&ToServer::Login(login)).await.unwrap();
        mallory.receive().await.unwrap();
        // The next login replaces this one, whose connection the server ends; nobody reads what it says.
        connections.push(mallory);
    }
    drop(connections);
    // The database may hold more files open than before, but by far not one for each connection.
    let handle = alice.handle().to_owned();
    let closing = async {
        while open() > before + CONNECTIONS / 2 {
            alice.finds(&handle).await;
        }
    };
    in_time("the server to close what nobody uses", closing).await;
    alice.misses_in_time(&mallory_handle(&town)).await;
}

/// The handle that Mallory's client keeps.
#[cfg(target_os = "linux")]
fn mallory_handle(town: &Town) -> String {
    let text = std::fs::read_to_string(town.folder().join("mallory/client.toml")).unwrap();
    let line = text.lines().find(|line| line.starts_with("handle = ")).unwrap();
    line.split('"').nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn a_member_that_stands_still_holds_up_no_other_session() {
    let town = Town::found(PROGRAM).await;
    let home = town.server("home.example").await;
    let mut alice = town.citizen("alice", &home, &home).await;
    let mut bob = town.citizen("bob", &home, &home).await;
    let mut carol = town.citizen("carol", &home, &home).await;
    let slow = alice.creates().await;
    alice.brings_in(&slow, &mut bob, &mut []).await;
    bob.process().signal("STOP").await;

    // What Bob has not acknowledged waits, and is bounded; then Alice is told.
    let mut taken = 0;
    loop {
        let answer = alice.ask(json!({"command": "send", "session": slow, "text": format!("{taken}")})).await;
        if answer["event"] == "refused" {
            assert_eq!(answer["code"], "limit-reached", "{answer}");
            break;
        }
        taken += 1;
        assert!(taken <= 1_000, "nothing bounds what waits");
    }
    let other = carol.creates().await;
    carol.brings_in(&other, &mut alice, &mut []).await;
    carol.says(&other, "unhindered").await;
    alice.hears(1).await;
    served(&town, &home, "dave", &mut alice).await;

    // Bob goes on, and has everything that was taken, in order.
    bob.process().signal("CONT").await;
    bob.hears(taken).await;
    let texts: Vec<&str> = bob.heard().iter().map(|heard| heard.text.as_str()).collect();
    let expected: Vec<String> = (0..taken).map(|number| number.to_string()).collect();
    assert_eq!(texts, expected);
}

#[tokio::test]
async fn a_client_whose_output_nobody_reads_can_be_ended() {
    let folder = tempfile::tempdir().unwrap();
    let town = Town::found(PROGRAM).await;
    // The output is a pipe that is full from the start. A server that never answers shows that the client runs.
    let (full, _unread) = pipe::pipe().unwrap();
    full.writable().await.unwrap();
    while full.try_write(&[b'x'; 4_096]).is_ok() {}
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = Command::new(PROGRAM)
        .args(["client", "--json", "--identity"])
        .arg(folder.path().join("alice"))
        .arg("--root")
        .arg(town.folder().join("authority/root.pem"))
        .arg(format!("--registration=home.example={}", server.local_addr().unwrap()))
        .stdin(Stdio::piped())
        .stdout(full.into_blocking_fd().unwrap())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    client.stdin.as_mut().unwrap().write_all(b"{\"command\":\"register\"}\n").await.unwrap();
    let (mut connection, _) = in_time("the client to register", server.accept()).await.unwrap();
    let terminate = format!("kill -TERM {}", client.id().unwrap());
    // Politely in vain: what the client has to say before it ends goes nowhere. Once it has heard that it is asked
    // again, it asks nobody any more. Signals that come too fast are one, so they come until the client is gone.
    let ending = async {
        loop {
            Command::new("sh").args(["-c", &terminate]).status().await.unwrap();
            if let Some(status) = client.try_wait().unwrap() {
                return status;
            }
        }
    };
    let ended = in_time("the client to end", ending).await;
    assert_eq!(ended.code(), Some(1));
    in_time("its connections to end", connection.read_to_end(&mut Vec::new())).await.unwrap();
}
