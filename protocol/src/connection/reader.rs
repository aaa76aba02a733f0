//! The receiving direction of a connection, and the four ways in which it ends.

use std::{io, marker::PhantomData};

use antiphon_spec::{error_code::ErrorCode, message::common::PROTOCOL_VERSION};
use bytes::BytesMut;
use futures::StreamExt as _;
use tokio::io::AsyncRead;
use tokio_util::codec::FramedRead;

use crate::{
    cbor::{self, DecodeError},
    frame::{FrameCodec, FrameError},
    message::{ChannelMessage, LinkMessage},
};

/// Why nothing more comes.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// The peer said goodbye and closed.
    #[error("the peer is done")]
    Done,
    /// The peer said that it cannot go on.
    #[error("the peer closed with the error {0}")]
    Error(ErrorCode),
    /// The stream ended or failed without a word.
    #[error("the link was lost")]
    Lost(#[source] io::Error),
    /// The peer broke a rule; tell it [`Violation::code`] and close.
    #[error("the peer broke a rule")]
    Violation(#[from] Violation),
}

/// The rule of the wire that the peer broke.
#[derive(Debug, thiserror::Error)]
pub enum Violation {
    /// A frame that is too long or empty.
    #[error(transparent)]
    Frame(FrameError),
    /// A frame that holds no message of this direction in deterministic form.
    #[error(transparent)]
    Message(#[from] DecodeError),
    /// A greeting that is not the first message, or anything after a goodbye.
    #[error("a message that may not come now")]
    Unexpected,
    /// The first message is no greeting.
    #[error("no greeting came first")]
    Greeting,
    /// The greeting is of another version.
    #[error("the greeting is of version {0} instead of {PROTOCOL_VERSION}")]
    Version(u64),
}

impl Violation {
    /// What to tell the peer.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Frame(error) => error.code().unwrap_or(ErrorCode::Internal),
            Self::Message(error) => error.code(),
            Self::Unexpected | Self::Greeting => ErrorCode::UnexpectedMessage,
            //= spec/text/wire.md#greeting
            //# WIRE-040: A dialler MUST close with `malformed` when the greeting has another version than 1.
            Self::Version(_) => ErrorCode::Malformed,
        }
    }
}

/// Receives the messages of one direction.
///
/// Every method that waits may be cancelled and called again: what has arrived of a frame is kept.
#[derive(Debug)]
pub struct Reader<R, In> {
    frames: FramedRead<R, FrameCodec>,
    goodbye: bool,
    frame_bytes: usize,
    messages: PhantomData<fn() -> In>,
}

impl<R: AsyncRead + Unpin, In: ChannelMessage> Reader<R, In> {
    pub(super) fn new(stream: R) -> Self {
        let frames = FramedRead::with_capacity(stream, FrameCodec::new(In::CHANNEL), 1024);
        Self { frames, goodbye: false, frame_bytes: 0, messages: PhantomData }
    }

    /// Receives the next message that is not about the end of the connection. Pings are answered by the caller.
    ///
    /// # Errors
    /// The connection has ended, and this was the last call.
    pub async fn receive(&mut self) -> Result<In, Ended> {
        loop {
            let Some(frame) = self.receive_frame().await? else {
                return Err(if self.goodbye { Ended::Done } else { Ended::Lost(cut_off()) });
            };
            if self.goodbye {
                return Err(Violation::Unexpected.into());
            }
            let message: In = cbor::decode(&frame).map_err(Violation::Message)?;
            match message.link() {
                // The goodbye counts once the stream has ended as well.
                Some(LinkMessage::Goodbye) => self.goodbye = true,
                Some(LinkMessage::Error(code)) => return Err(Ended::Error(code)),
                Some(LinkMessage::Greeting(_)) => return Err(Violation::Unexpected.into()),
                Some(LinkMessage::Ping(_) | LinkMessage::Pong(_)) | None => return Ok(message),
            }
        }
    }

    /// Receives the greeting: at the dialling end, before anything else.
    ///
    /// # Errors
    /// Something else came first, or the connection has ended.
    pub async fn receive_greeting(&mut self) -> Result<(), Ended> {
        let Some(frame) = self.receive_frame().await? else {
            return Err(Ended::Lost(cut_off()));
        };
        let message: In = cbor::decode(&frame).map_err(Violation::Message)?;
        match message.link() {
            Some(LinkMessage::Greeting(PROTOCOL_VERSION)) => Ok(()),
            Some(LinkMessage::Error(code)) => Err(Ended::Error(code)),
            Some(LinkMessage::Greeting(version)) => Err(Violation::Version(version).into()),
            Some(_) | None => Err(Violation::Greeting.into()),
        }
    }

    /// Receives a frame without reading the item inside; nothing where the stream ended between two frames.
    ///
    /// # Errors
    /// The frame is too long or empty, or the stream has failed.
    pub async fn receive_frame(&mut self) -> Result<Option<BytesMut>, Ended> {
        match self.frames.next().await.transpose() {
            Ok(frame) => {
                self.frame_bytes = frame.as_ref().map_or(0, |frame| frame.len());
                Ok(frame)
            }
            Err(FrameError::Io(error)) => Err(Ended::Lost(error)),
            Err(FrameError::Truncated) => Err(Ended::Lost(cut_off())),
            Err(error @ (FrameError::TooLong { .. } | FrameError::Empty)) => {
                Err(Violation::Frame(error).into())
            }
        }
    }

    /// How long the item of the last frame was.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        self.frame_bytes
    }

    /// The stream; what was read beyond the last frame is dropped.
    #[must_use]
    pub fn into_inner(self) -> R {
        self.frames.into_inner()
    }
}

fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the stream ended without a goodbye")
}

#[cfg(test)]
mod tests {
    use antiphon_spec::message::{
        client_server::FromServer,
        common::{Greeting, Pong},
    };

    use super::*;

    async fn code(first: &FromServer) -> Option<ErrorCode> {
        let item = cbor::encode(first).unwrap();
        let stream = [&u32::try_from(item.len()).unwrap().to_be_bytes()[..], &item].concat();
        match Reader::<_, FromServer>::new(stream.as_slice()).receive_greeting().await {
            Ok(()) => None,
            Err(Ended::Violation(violation)) => Some(violation.code()),
            Err(ended) => panic!("{ended}"),
        }
    }

    #[tokio::test]
    async fn the_first_message_is_a_greeting_of_the_one_version() {
        assert_eq!(code(&FromServer::Greeting(Greeting { version: 1 })).await, None);
        for version in [0, 2, u64::MAX] {
            let greeting = FromServer::Greeting(Greeting { version });
            assert_eq!(code(&greeting).await, Some(ErrorCode::Malformed));
        }
        let pong = FromServer::Pong(Pong { number: 1 });
        assert_eq!(code(&pong).await, Some(ErrorCode::UnexpectedMessage));
    }
}
