//! The sending direction of a connection.
//!
//! A message for many peers is encoded once, with [`encode_message`], and its bytes are shared. What waits together is
//! written together: feed, feed, flush.

use std::{io, marker::PhantomData};

use antiphon_spec::error_code::ErrorCode;
use bytes::Bytes;
use futures::SinkExt as _;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio_util::codec::FramedWrite;

use crate::{
    cbor::{self, EncodeError},
    channel::Channel,
    frame::{FrameCodec, FrameError},
    message::ChannelMessage,
};

/// Why a message was not sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The message has no encoding; the fault is at this end.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The message is too long for its channel; the fault is at this end.
    #[error("the message has {length} bytes, the {channel} channel allows {}", channel.frame_bytes_max())]
    TooLong {
        /// The channel.
        channel: Channel,
        /// Bytes of the encoded message.
        length: usize,
    },
    /// The stream has failed.
    #[error("the link was lost")]
    Lost(#[source] io::Error),
}

impl From<FrameError> for SendError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Io(error) => Self::Lost(error),
            other @ (FrameError::TooLong { .. } | FrameError::Empty | FrameError::Truncated) => {
                Self::Lost(io::Error::new(io::ErrorKind::InvalidInput, other))
            }
        }
    }
}

/// The encoding of a message, to be sent to any number of peers.
///
/// # Errors
/// The message has no encoding, or is too long for its channel.
pub fn encode_message<M: ChannelMessage>(message: &M) -> Result<Bytes, SendError> {
    let item = cbor::encode(message)?;
    if item.len() > M::CHANNEL.frame_bytes_max() {
        return Err(SendError::TooLong { channel: M::CHANNEL, length: item.len() });
    }
    Ok(item.into())
}

/// Sends the messages of one direction.
///
/// A cancelled call may have sent a part of a frame: drop the connection then, or do not cancel.
#[derive(Debug)]
pub struct Writer<W, Out> {
    frames: FramedWrite<W, FrameCodec>,
    messages: PhantomData<fn(Out)>,
}

impl<W: AsyncWrite + Unpin, Out: ChannelMessage> Writer<W, Out> {
    pub(super) fn new(stream: W) -> Self {
        Self { frames: FramedWrite::new(stream, FrameCodec::new(Out::CHANNEL)), messages: PhantomData }
    }

    /// Sends a message at once.
    ///
    /// # Errors
    /// The message cannot be encoded, is too long, or the stream has failed.
    pub async fn send(&mut self, message: &Out) -> Result<(), SendError> {
        self.send_encoded(encode_message(message)?).await
    }

    /// Sends an encoded message at once.
    ///
    /// # Errors
    /// The stream has failed, or the item is longer than the channel allows.
    pub async fn send_encoded(&mut self, item: Bytes) -> Result<(), SendError> {
        Ok(self.frames.send(item).await?)
    }

    /// Queues an encoded message behind those that wait for [`Writer::flush`], and writes when many wait.
    ///
    /// # Errors
    /// As for [`Writer::send_encoded`].
    pub async fn feed_encoded(&mut self, item: Bytes) -> Result<(), SendError> {
        Ok(self.frames.feed(item).await?)
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// The stream has failed.
    pub async fn flush(&mut self) -> Result<(), SendError> {
        Ok(self.frames.flush().await?)
    }

    /// Says goodbye and closes.
    ///
    /// # Errors
    /// The stream has failed.
    pub async fn goodbye(mut self) -> Result<(), SendError> {
        self.send(&Out::goodbye()).await?;
        self.close().await
    }

    /// Says which rule the peer broke, or why this end cannot go on, and closes.
    ///
    /// # Errors
    /// The stream has failed.
    pub async fn close_with_error(mut self, code: ErrorCode) -> Result<(), SendError> {
        self.send(&Out::error(code)).await?;
        self.close().await
    }

    /// Closes this direction of the stream, over TLS with `close_notify`, and says nothing.
    ///
    /// # Errors
    /// The stream has failed.
    pub async fn close(mut self) -> Result<(), SendError> {
        self.flush().await?;
        self.frames.get_mut().shutdown().await.map_err(SendError::Lost)
    }

    /// Writes bytes as they are, without a frame around them: for tests and the conformance suite.
    ///
    /// # Errors
    /// The stream has failed.
    pub async fn send_unchecked_bytes(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.flush().await?;
        let stream = self.frames.get_mut();
        stream.write_all(bytes).await.map_err(SendError::Lost)?;
        stream.flush().await.map_err(SendError::Lost)
    }

    /// Writes a frame around whatever item, of whatever length: for tests and the conformance suite.
    ///
    /// # Errors
    /// The stream has failed, or the length has no four bytes.
    pub async fn send_unchecked_frame(&mut self, item: &[u8]) -> Result<(), SendError> {
        let length = u32::try_from(item.len())
            .map_err(|_| SendError::TooLong { channel: Out::CHANNEL, length: item.len() })?;
        self.send_unchecked_bytes(&[&length.to_be_bytes(), item].concat()).await
    }

    /// The stream.
    #[must_use]
    pub fn into_inner(self) -> W {
        self.frames.into_inner()
    }
}
