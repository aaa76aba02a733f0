//! The JSON lines as another program writes and reads them.

use serde_json::Value;
use tokio::sync::mpsc;

use super::world::World;
use crate::client::{
    Client,
    input::{Line, UnreadableLine},
    json,
};

#[tokio::test]
async fn every_line_is_answered_and_the_end_of_the_input_is_a_quit() {
    let world = World::new().await;
    let client = Client::start(world.settings("alice", &world.home1)).await.unwrap();
    let (sender, lines) = mpsc::channel(16);
    for line in [
        r#"{"id":1,"command":"register"}"#,
        "",
        "no json",
        r#"{"id":2,"command":"members","session":"00"}"#,
        r#"{"id":3,"command":"login","fast":true}"#,
        r#"{"id":4,"command":"lookup","handle":"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a@home1.example"}"#,
    ] {
        sender.send(Line::Text(line.to_owned())).await.unwrap();
    }
    sender.send(Line::Unreadable(UnreadableLine::TooLong)).await.unwrap();
    drop(sender);
    let (reader, writer) = tokio::io::duplex(64 * 1024);
    json::run(client, lines, writer).await.unwrap();
    let mut text = String::new();
    let mut reader = reader;
    tokio::io::AsyncReadExt::read_to_string(&mut reader, &mut text).await.unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let answer = |id: u64| {
        let of: Vec<&Value> = events.iter().filter(|event| event["id"] == id).collect();
        assert_eq!(of.len(), 1, "one answer to {id}: {text}");
        of[0]
    };
    assert_eq!(events.first().unwrap()["event"], "ready", "{text}");
    assert_eq!(events.last().unwrap()["event"], "quit", "{text}");
    assert_eq!(answer(1)["event"], "registered", "{text}");
    for id in [2, 3] {
        assert_eq!(answer(id)["code"], "invalid-command", "{text}");
    }
    assert_eq!(answer(4)["code"], "not-logged-in", "{text}");
    let unread = events.iter().filter(|event| event["event"] == "refused" && event["command"] == "").count();
    assert_eq!(unread, 2, "{text}");
}
