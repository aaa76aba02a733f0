//! Reading messages and frames: the decoder of each direction of each channel, and the frame codec of connections.

use ::bytes::BytesMut;
use antiphon_protocol::{cbor, channel::Channel, frame::FrameCodec, message::ChannelMessage};
use antiphon_spec::{
    error_code::ErrorCode,
    message::{
        client_client::ClientMessage,
        client_server::{FromServer, ToServer},
        location::{FromDirectoryNode, ToDirectoryNode},
        registration::{FromRegistrar, ToRegistrar},
        server_server::{FromPeerServer, ToPeerServer},
    },
};
use serde::Deserialize;
use serde_json::Value;
use tokio_util::codec::Decoder as _;

use super::{
    Answer, BadQuestion, Shim,
    bytes::{Hex, digits, encoded},
    read,
};

/// A channel as the lines name it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ChannelName {
    Registration,
    ClientServer,
    ServerServer,
    ClientClient,
    Location,
}

impl From<ChannelName> for Channel {
    fn from(name: ChannelName) -> Self {
        match name {
            ChannelName::Registration => Self::Registration,
            ChannelName::ClientServer => Self::ClientServer,
            ChannelName::ServerServer => Self::ServerServer,
            ChannelName::ClientClient => Self::ClientClient,
            ChannelName::Location => Self::Location,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Direction {
    FromDialler,
    FromAcceptor,
}

#[derive(Debug, Deserialize)]
struct Decode {
    channel: ChannelName,
    direction: Direction,
    hex: Hex,
}

pub(super) fn decode(_: &mut Shim, question: Value) -> Result<Answer, BadQuestion> {
    let Decode { channel, direction, hex } = read(question)?;
    let hex = hex.0.as_slice();
    match (channel, direction) {
        (ChannelName::Registration, Direction::FromDialler) => message::<ToRegistrar>(hex),
        (ChannelName::Registration, Direction::FromAcceptor) => message::<FromRegistrar>(hex),
        (ChannelName::ClientServer, Direction::FromDialler) => message::<ToServer>(hex),
        (ChannelName::ClientServer, Direction::FromAcceptor) => message::<FromServer>(hex),
        (ChannelName::ServerServer, Direction::FromDialler) => message::<ToPeerServer>(hex),
        (ChannelName::ServerServer, Direction::FromAcceptor) => message::<FromPeerServer>(hex),
        (ChannelName::ClientClient, Direction::FromDialler | Direction::FromAcceptor) => {
            message::<ClientMessage>(hex)
        }
        (ChannelName::Location, Direction::FromDialler) => message::<ToDirectoryNode>(hex),
        (ChannelName::Location, Direction::FromAcceptor) => message::<FromDirectoryNode>(hex),
    }
}

fn message<M: ChannelMessage>(bytes: &[u8]) -> Result<Answer, BadQuestion> {
    match cbor::decode::<M>(bytes) {
        Ok(message) => Ok(Answer::accept([("reencoded", encoded(&message)?)])),
        Err(error) => Ok(Answer::reject(error.code())),
    }
}

#[derive(Debug, Deserialize)]
struct Frames {
    channel: ChannelName,
    hex: Hex,
}

pub(super) fn frames(_: &mut Shim, question: Value) -> Result<Answer, BadQuestion> {
    let Frames { channel, hex } = read(question)?;
    let mut codec = FrameCodec::new(channel.into());
    let mut stream = BytesMut::from(hex.0.as_slice());
    let (mut items, mut whole) = (Vec::new(), 0);
    loop {
        match codec.decode(&mut stream) {
            Ok(Some(item)) => {
                whole += antiphon_protocol::frame::FRAME_HEAD_BYTES + item.len();
                items.push(digits(&item));
            }
            Ok(None) => break,
            Err(error) => return Ok(Answer::reject(error.code().unwrap_or(ErrorCode::Internal))),
        }
    }
    Ok(Answer::accept([("items", items.into()), ("waiting", hex.0.len().saturating_sub(whole).into())]))
}
