//! Signs of life, deadlines, and the end of a connection (chapter *Wire*).

use std::sync::Arc;

use antiphon_protocol::channel::Channel;
use antiphon_spec::error_code::ErrorCode;
use tokio::{io::AsyncReadExt as _, io::AsyncWriteExt as _, net::TcpStream, time::timeout};

use super::{
    line::{DEADLINE_PATIENCE, Heard, frame, item},
    open, refused, taken,
    tls::{TLS_1_3, client_hello},
};
use crate::{
    case::Failure,
    live::{
        LiveCase, World,
        server::stage::{Done, Stage},
    },
    process::PATIENCE,
};

/// Bytes that end a connection on purpose.
const GOODBYE: &[u8] = b"\xa1\x67goodbye\xa0";
const ERROR: &[u8] = b"\xa1\x65error\xa1\x64code\x68internal";

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    taken(
        "wire/ping-of-a-user",
        &["WIRE-045"],
        "A user who isn't logged in sends pings of the smallest and the greatest number, and one number twice.",
        |world| Box::pin(pings(world, Channel::ClientServer)),
    ),
    taken(
        "wire/ping-of-a-server",
        &["WIRE-045"],
        "A server sends pings of the smallest and the greatest number, and one number twice.",
        |world| Box::pin(pings(world, Channel::ServerServer)),
    ),
    taken(
        "wire/ping-to-the-registrar",
        &["WIRE-045"],
        "Somebody who registers sends pings of the smallest and the greatest number, and one number twice.",
        |world| Box::pin(pings(world, Channel::Registration)),
    ),
    taken(
        "wire/pong-of-a-user-unasked",
        &["WIRE-046"],
        "A user sends pongs that nobody asked for; the ping behind them is answered, and nothing else.",
        |world| Box::pin(pongs(world, Channel::ClientServer)),
    ),
    taken(
        "wire/pong-of-a-server-unasked",
        &["WIRE-046"],
        "A server sends pongs that nobody asked for; the ping behind them is answered, and nothing else.",
        |world| Box::pin(pongs(world, Channel::ServerServer)),
    ),
    taken(
        "wire/pong-to-the-registrar-unasked",
        &["WIRE-046"],
        "Somebody who registers sends pongs that nobody asked for; the ping behind them is answered, and nothing else.",
        |world| Box::pin(pongs(world, Channel::Registration)),
    ),
    refused(
        "wire/first-message-of-a-user-missing",
        &["WIRE-044", "WIRE-052"],
        "wire/ping-is-a-first-message",
        "A user says nothing after the greeting.",
        |world| Box::pin(silent(world, Channel::ClientServer)),
    ),
    refused(
        "wire/first-message-of-a-server-missing",
        &["WIRE-044", "WIRE-052"],
        "wire/ping-is-a-first-message",
        "A server says nothing after the greeting.",
        |world| Box::pin(silent(world, Channel::ServerServer)),
    ),
    refused(
        "wire/first-message-to-the-registrar-missing",
        &["WIRE-044", "WIRE-052"],
        "wire/ping-is-a-first-message",
        "Somebody who registers says nothing after the greeting.",
        |world| Box::pin(silent(world, Channel::Registration)),
    ),
    taken(
        "wire/ping-is-a-first-message",
        &["WIRE-044"],
        "Of two users one sends a ping after the greeting: when the other's time is over, the first one's connection goes on.",
        |world| Box::pin(first_message(world)),
    ),
    taken(
        "wire/handshake-that-never-begins",
        &["WIRE-043", "WIRE-055"],
        "Somebody connects to each of the two ports and sends nothing: the connections end.",
        |world| Box::pin(handshake_missing(world, false)),
    ),
    taken(
        "wire/handshake-that-stops",
        &["WIRE-043", "WIRE-055"],
        "Somebody sends a half of a ClientHello to each of the two ports: the connections end.",
        |world| Box::pin(handshake_missing(world, true)),
    ),
    taken(
        "wire/signs-of-life-are-wanted",
        &["WIRE-047", "WIRE-046"],
        "A user says nothing for 30 seconds after a first ping: the server sends a ping, and goes on when it is answered.",
        |world| Box::pin(wanted(world)),
    ),
    taken(
        "wire/goodbye-of-a-user",
        &["WIRE-050", "WIRE-054"],
        "A user says goodbye: the server ends the connection, and says goodbye at most.",
        |world| Box::pin(ends(world, Channel::ClientServer, GOODBYE, &["goodbye"])),
    ),
    taken(
        "wire/goodbye-of-a-server",
        &["WIRE-050", "WIRE-054"],
        "A server says goodbye: the server under test ends the connection, and says goodbye at most.",
        |world| Box::pin(ends(world, Channel::ServerServer, GOODBYE, &["goodbye"])),
    ),
    taken(
        "wire/goodbye-to-the-registrar",
        &["WIRE-050", "WIRE-054"],
        "Somebody who registers says goodbye: the server ends the connection, and says goodbye at most.",
        |world| Box::pin(ends(world, Channel::Registration, GOODBYE, &["goodbye"])),
    ),
    taken(
        "wire/error-of-a-user",
        &["WIRE-053"],
        "A user closes with an error: the server ends the connection and says nothing.",
        |world| Box::pin(ends(world, Channel::ClientServer, ERROR, &[])),
    ),
    taken(
        "wire/error-of-a-server",
        &["WIRE-053"],
        "A server closes with an error: the server under test ends the connection and says nothing.",
        |world| Box::pin(ends(world, Channel::ServerServer, ERROR, &[])),
    ),
    taken(
        "wire/error-to-the-registrar",
        &["WIRE-053"],
        "Somebody who registers closes with an error: the server ends the connection and says nothing.",
        |world| Box::pin(ends(world, Channel::Registration, ERROR, &[])),
    ),
    taken(
        "wire/end-without-a-word",
        &["WIRE-051", "WIRE-055"],
        "Users end connections with close_notify alone, and TCP without even that: others go on, and new ones are greeted.",
        |world| Box::pin(without_a_word(world)),
    ),
];

async fn pings(world: Arc<World>, channel: Channel) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut line = open(&stage, channel).await?;
    for number in [0, u64::MAX, 7, 7, 1 << 32] {
        line.probe(number).await?;
    }
    Ok(())
}

async fn pongs(world: Arc<World>, channel: Channel) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut line = open(&stage, channel).await?;
    for number in [0, 1, u64::MAX] {
        line.send_item(&item("pong", "number", number)?).await?;
    }
    line.probe(1).await
}

async fn silent(world: Arc<World>, channel: Channel) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut line = open(&stage, channel).await?;
    line.closed_within(&[ErrorCode::Deadline], DEADLINE_PATIENCE).await
}

async fn first_message(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut speaks = open(&stage, Channel::ClientServer).await?;
    speaks.probe(1).await?;
    let mut is_silent = open(&stage, Channel::ClientServer).await?;
    is_silent.closed_within(&[ErrorCode::Deadline], DEADLINE_PATIENCE).await?;
    speaks.probe(2).await
}

async fn handshake_missing(world: Arc<World>, is_begun: bool) -> Done {
    let stage = Stage::shared(&world).await?;
    let hello = client_hello(Channel::ClientServer, &[TLS_1_3], false)?;
    let half = hello.get(..hello.len() / 2).unwrap_or_default();
    let wait = async |address| {
        let mut stream = TcpStream::connect(address).await.map_err(Failure::harness)?;
        if is_begun {
            stream.write_all(half).await.map_err(Failure::harness)?;
        }
        let mut bytes = Vec::new();
        match timeout(DEADLINE_PATIENCE, stream.read_to_end(&mut bytes)).await {
            // Whether TCP ends or is reset is the same to the one who waits.
            Ok(_) => Ok(()),
            Err(_) => Err(Failure::unexpected("the end of the connection", "nothing")),
        }
    };
    let ended = tokio::join!(wait(stage.address().0), wait(stage.registration().0));
    ended.0.and(ended.1)?;
    open(&stage, Channel::ClientServer).await?.probe(1).await
}

async fn wanted(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut line = open(&stage, Channel::ClientServer).await?;
    line.probe(1).await?;
    match line.hear_within(DEADLINE_PATIENCE + PATIENCE / 2).await? {
        Heard::Message(name, body) if name == "ping" => {
            let number = body.first().and_then(|(_, value)| value.as_integer());
            let number = number.and_then(|number| u64::try_from(number).ok());
            let number = number.ok_or_else(|| Failure::unexpected("a number", format!("{body:?}")))?;
            line.send_item(&item("pong", "number", number)?).await?;
            line.probe(2).await
        }
        heard @ (Heard::Message(..) | Heard::Closed | Heard::Alert(_) | Heard::Cut(_)) => {
            Err(Failure::unexpected("a ping", heard.shown()))
        }
    }
}

/// A connection ends after an item, and nothing but messages of these names comes before that.
async fn ends(world: Arc<World>, channel: Channel, item: &[u8], but_for: &[&str]) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut line = open(&stage, channel).await?;
    line.send(&frame(item)?).await?;
    line.close().await?;
    line.ends(but_for).await
}

async fn without_a_word(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut other = open(&stage, Channel::ClientServer).await?;
    for channel in [Channel::ClientServer, Channel::ServerServer, Channel::Registration] {
        let (mut closed, mut cut) = (open(&stage, channel).await?, open(&stage, channel).await?);
        cut.probe(1).await?;
        drop(cut);
        closed.probe(1).await?;
        closed.close().await?;
        closed.ends(&["goodbye", "error"]).await?;
        open(&stage, channel).await?.probe(1).await?;
    }
    other.probe(1).await
}
