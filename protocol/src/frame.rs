//! Frames: a 4-byte big-endian length, then one CBOR item of that many bytes (chapter *Wire*).
//!
//! The length is judged before anything is allocated for the frame. An empty frame holds no item and is refused.

use std::io;

use antiphon_spec::error_code::ErrorCode;
use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder, LengthDelimitedCodec};

use crate::{
    channel::Channel,
    mutant::{Mutant, active},
};

/// Bytes before the item of a frame.
pub const FRAME_HEAD_BYTES: usize = 4;

/// What the mutant without a cap still refuses, so that it harms nobody but the protocol.
const MUTANT_FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Why a stream of bytes is not a stream of frames.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The announced length is above the channel's cap.
    #[error("a frame is longer than the {max} bytes that the {channel} channel allows")]
    TooLong {
        /// The channel.
        channel: Channel,
        /// Its cap, in bytes.
        max: usize,
    },
    /// The announced length is 0.
    #[error("a frame is empty")]
    Empty,
    /// The stream ended inside a frame.
    #[error("the stream ended inside a frame")]
    Truncated,
    /// The stream failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
}

impl FrameError {
    /// What to tell the peer; nothing where the connection itself failed.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::TooLong { .. } | Self::Empty => Some(ErrorCode::FrameLength),
            Self::Truncated | Self::Io(_) => None,
        }
    }
}

/// Cuts a stream into frames and puts frames on a stream, within the cap of one channel.
#[derive(Clone, Debug)]
pub struct FrameCodec {
    channel: Channel,
    max: usize,
    inner: LengthDelimitedCodec,
}

impl FrameCodec {
    /// The codec of a channel.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        let max = if active(Mutant::FrameCapUnchecked) {
            MUTANT_FRAME_BYTES_MAX
        } else {
            channel.frame_bytes_max()
        };
        let inner = LengthDelimitedCodec::builder()
            .big_endian()
            .length_field_length(FRAME_HEAD_BYTES)
            .max_frame_length(max)
            .new_codec();
        Self { channel, max, inner }
    }
}

impl Decoder for FrameCodec {
    type Item = BytesMut;
    type Error = FrameError;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<BytesMut>, FrameError> {
        match self.inner.decode(source) {
            Ok(Some(frame)) if frame.is_empty() => Err(FrameError::Empty),
            Ok(frame) => Ok(frame),
            // The inner codec has one complaint that is not about the stream: the length.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(FrameError::TooLong { channel: self.channel, max: self.max })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn decode_eof(&mut self, source: &mut BytesMut) -> Result<Option<BytesMut>, FrameError> {
        match self.decode(source)? {
            None if !source.is_empty() => Err(FrameError::Truncated),
            frame => Ok(frame),
        }
    }
}

impl Encoder<Bytes> for FrameCodec {
    type Error = FrameError;

    fn encode(&mut self, frame: Bytes, target: &mut BytesMut) -> Result<(), FrameError> {
        if frame.is_empty() {
            return Err(FrameError::Empty);
        }
        if frame.len() > self.channel.frame_bytes_max() {
            return Err(FrameError::TooLong { channel: self.channel, max: self.max });
        }
        Ok(self.inner.encode(frame, target)?)
    }
}
