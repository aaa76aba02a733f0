//! What the messages of all channels have in common, so that one connection serves them all.
//!
//! A channel has two message types, one for each direction; clients among themselves have one for both.

use std::fmt::Debug;

use antiphon_spec::{
    error_code::ErrorCode,
    message::{
        client_client::ClientMessage,
        client_server::{FromServer, ToServer},
        common::{Error, Goodbye, Greeting, PROTOCOL_VERSION, Ping, Pong},
        location::{FromDirectoryNode, ToDirectoryNode},
        registration::{FromRegistrar, ToRegistrar},
        server_server::{FromPeerServer, ToPeerServer},
    },
};
use serde::{Serialize, de::DeserializeOwned};

use crate::channel::Channel;

/// A message that concerns the connection and not what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkMessage {
    /// The accepting end's first message, with its protocol version.
    Greeting(u64),
    /// A sign of life is wanted.
    Ping(u64),
    /// A sign of life.
    Pong(u64),
    /// The peer is done.
    Goodbye,
    /// The peer cannot go on.
    Error(ErrorCode),
}

/// The messages of one direction of a channel.
pub trait ChannelMessage:
    Serialize + DeserializeOwned + Clone + Debug + PartialEq + Send + Sync + Unpin + 'static
{
    /// The channel.
    const CHANNEL: Channel;

    /// The message as one of those that all channels have, if it is one.
    fn link(&self) -> Option<LinkMessage>;
    /// Asks for a sign of life.
    fn ping(number: u64) -> Self;
    /// Gives a sign of life.
    fn pong(number: u64) -> Self;
    /// The last message of an end that is done.
    fn goodbye() -> Self;
    /// The last message of an end that cannot go on.
    fn error(code: ErrorCode) -> Self;
}

/// The messages of an accepting end, which speaks first.
pub trait AcceptorMessage: ChannelMessage {
    /// The first message.
    fn greeting() -> Self;
}

/// The messages of a dialling end.
pub trait DiallerMessage: ChannelMessage {
    /// The messages of the other end.
    type Answer: AcceptorMessage;
}

macro_rules! channel_message {
    ($message:ident of $channel:ident $(, greets $greeting:ident)?) => {
        impl ChannelMessage for $message {
            const CHANNEL: Channel = Channel::$channel;

            fn link(&self) -> Option<LinkMessage> {
                match self {
                    $(Self::$greeting(Greeting { version }) => Some(LinkMessage::Greeting(*version)),)?
                    Self::Ping(Ping { number }) => Some(LinkMessage::Ping(*number)),
                    Self::Pong(Pong { number }) => Some(LinkMessage::Pong(*number)),
                    Self::Goodbye(Goodbye {}) => Some(LinkMessage::Goodbye),
                    Self::Error(Error { code }) => Some(LinkMessage::Error(*code)),
                    _ => None,
                }
            }

            fn ping(number: u64) -> Self {
                Self::Ping(Ping { number })
            }

            fn pong(number: u64) -> Self {
                Self::Pong(Pong { number })
            }

            fn goodbye() -> Self {
                Self::Goodbye(Goodbye {})
            }

            fn error(code: ErrorCode) -> Self {
                Self::Error(Error { code })
            }
        }

        $(impl AcceptorMessage for $message {
            fn greeting() -> Self {
                Self::$greeting(Greeting { version: PROTOCOL_VERSION })
            }
        })?
    };
}

channel_message!(ToRegistrar of Registration);
channel_message!(FromRegistrar of Registration, greets Greeting);
channel_message!(ToServer of ClientServer);
channel_message!(FromServer of ClientServer, greets Greeting);
channel_message!(ToPeerServer of ServerServer);
channel_message!(FromPeerServer of ServerServer, greets Greeting);
channel_message!(ClientMessage of ClientClient, greets Greeting);
channel_message!(ToDirectoryNode of Location);
channel_message!(FromDirectoryNode of Location, greets Greeting);

impl DiallerMessage for ToRegistrar {
    type Answer = FromRegistrar;
}

impl DiallerMessage for ToServer {
    type Answer = FromServer;
}

impl DiallerMessage for ToPeerServer {
    type Answer = FromPeerServer;
}

impl DiallerMessage for ClientMessage {
    type Answer = Self;
}

impl DiallerMessage for ToDirectoryNode {
    type Answer = FromDirectoryNode;
}
