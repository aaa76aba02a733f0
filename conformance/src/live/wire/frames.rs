//! Frames (chapter *Wire*, section *Frames*): lengths that no channel allows, ends inside of a frame, and frames that
//! TLS cuts in other places.

use std::sync::Arc;

use antiphon_protocol::channel::Channel;
use antiphon_spec::error_code::ErrorCode;

use super::{
    is_closed,
    line::{frame, item},
    open, refused, taken,
};
use crate::live::{
    LiveCase, World,
    server::stage::{Done, Stage},
};

/// The cases of this file.
pub(super) const CASES: &[LiveCase] = &[
    taken(
        "wire/frame-in-pieces",
        &["WIRE-015"],
        "A ping comes byte by byte, each in a TLS record of its own, and is answered.",
        |world| Box::pin(in_pieces(world)),
    ),
    taken(
        "wire/frames-in-one-record",
        &["WIRE-015", "WIRE-011"],
        "Three pings and the head of a fourth come in one TLS record, then the rest; each is answered, in a frame of its own.",
        |world| Box::pin(in_one_record(world)),
    ),
    refused(
        "wire/frame-empty",
        &["WIRE-012", "WIRE-052", "WIRE-054", "WIRE-055"],
        "wire/frame-in-pieces",
        "A user sends a frame of length 0 and a ping behind it.",
        |world| Box::pin(empty(world, Channel::ClientServer)),
    ),
    refused(
        "wire/frame-empty-of-a-server",
        &["WIRE-012", "WIRE-052", "WIRE-054", "WIRE-055"],
        "wire/frame-in-pieces",
        "A server sends a frame of length 0 and a ping behind it.",
        |world| Box::pin(empty(world, Channel::ServerServer)),
    ),
    refused(
        "wire/frame-empty-to-the-registrar",
        &["WIRE-012", "WIRE-052", "WIRE-054", "WIRE-055"],
        "wire/frame-in-pieces",
        "Somebody who registers sends a frame of length 0 and a ping behind it.",
        |world| Box::pin(empty(world, Channel::Registration)),
    ),
    taken(
        "wire/frame-at-the-cap",
        &["WIRE-013", "WIRE-033"],
        "A frame as long as the client-to-server channel allows holds one text: what is refused is the text, not the length.",
        |world| Box::pin(at_the_cap(world, Channel::ClientServer)),
    ),
    taken(
        "wire/frame-at-the-cap-of-servers",
        &["WIRE-013", "WIRE-033"],
        "A frame as long as the server-to-server channel allows holds one text: what is refused is the text, not the length.",
        |world| Box::pin(at_the_cap(world, Channel::ServerServer)),
    ),
    taken(
        "wire/frame-at-the-cap-of-the-registrar",
        &["WIRE-013", "WIRE-033"],
        "A frame as long as the registration channel allows holds one text: what is refused is the text, not the length.",
        |world| Box::pin(at_the_cap(world, Channel::Registration)),
    ),
    refused(
        "wire/frame-above-the-cap",
        &["WIRE-013", "WIRE-052", "WIRE-055"],
        "wire/frame-at-the-cap",
        "A user announces a frame of one byte more than the channel allows, and sends nothing of it.",
        |world| Box::pin(above_the_cap(world, Channel::ClientServer, 1)),
    ),
    refused(
        "wire/frame-above-the-cap-of-servers",
        &["WIRE-013", "WIRE-052", "WIRE-055"],
        "wire/frame-at-the-cap-of-servers",
        "A server announces a frame of one byte more than the channel allows, and sends nothing of it.",
        |world| Box::pin(above_the_cap(world, Channel::ServerServer, 1)),
    ),
    refused(
        "wire/frame-above-the-cap-of-the-registrar",
        &["WIRE-013", "WIRE-052", "WIRE-055"],
        "wire/frame-at-the-cap-of-the-registrar",
        "Somebody who registers announces a frame of one byte more than the channel allows, and sends nothing of it.",
        |world| Box::pin(above_the_cap(world, Channel::Registration, 1)),
    ),
    refused(
        "wire/frame-of-four-gigabytes",
        &["WIRE-013", "WIRE-028", "WIRE-055"],
        "wire/frame-at-the-cap",
        "A user announces the longest frame that four bytes can say, and sends nothing of it.",
        |world| Box::pin(above_the_cap(world, Channel::ClientServer, u32::MAX)),
    ),
    taken(
        "wire/frame-cut-off",
        &["WIRE-051", "WIRE-055"],
        "A user ends TLS inside of a frame: the connection ends, and another user's goes on.",
        |world| Box::pin(cut_off(world, &[0, 0, 0, 9, 0xa1])),
    ),
    taken(
        "wire/frame-head-cut-off",
        &["WIRE-051", "WIRE-055"],
        "A user ends TLS inside of a frame's length: the connection ends, and another user's goes on.",
        |world| Box::pin(cut_off(world, &[0, 0])),
    ),
];

async fn in_pieces(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut line = open(&stage, Channel::ClientServer).await?;
    for byte in frame(&item("ping", "number", 5)?)? {
        line.send(&[byte]).await?;
    }
    line.ponged(5).await
}

async fn in_one_record(world: Arc<World>) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut line = open(&stage, Channel::ClientServer).await?;
    let mut bytes = Vec::new();
    for number in 1..=4 {
        bytes.extend(frame(&item("ping", "number", number)?)?);
    }
    let (record, rest) = bytes.split_at(bytes.len() - 9);
    line.send(record).await?;
    for number in 1..=3 {
        line.ponged(number).await?;
    }
    line.send(rest).await?;
    line.ponged(4).await
}

async fn empty(world: Arc<World>, channel: Channel) -> Done {
    is_closed(world, channel, &[0; 4], &[ErrorCode::FrameLength]).await
}

async fn at_the_cap(world: Arc<World>, channel: Channel) -> Done {
    // A text's head with a length of two bytes takes three of them.
    let length = u16::try_from(channel.frame_bytes_max() - 3).map_err(crate::case::Failure::harness)?;
    let text = [&[0x79], length.to_be_bytes().as_slice(), &vec![b'a'; length.into()]].concat();
    is_closed(world, channel, &frame(&text)?, &[ErrorCode::Malformed]).await
}

/// A length above the cap by `more`, or the greatest there is.
async fn above_the_cap(world: Arc<World>, channel: Channel, more: u32) -> Done {
    let stage = Stage::shared(&world).await?;
    let (mut other, mut line) = (open(&stage, channel).await?, open(&stage, channel).await?);
    let cap = u32::try_from(channel.frame_bytes_max()).map_err(crate::case::Failure::harness)?;
    line.send(&cap.saturating_add(more).to_be_bytes()).await?;
    line.closed_with(&[ErrorCode::FrameLength]).await?;
    other.probe(1).await
}

async fn cut_off(world: Arc<World>, bytes: &[u8]) -> Done {
    let stage = Stage::shared(&world).await?;
    let mut other = open(&stage, Channel::ClientServer).await?;
    let mut line = open(&stage, Channel::ClientServer).await?;
    line.send(bytes).await?;
    line.close().await?;
    line.ends(&["error"]).await?;
    other.probe(1).await
}
