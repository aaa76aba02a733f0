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
    /// The head of a frame has been taken from the stream, and not all of its item is there.
    inside: bool,
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
        Self { channel, max, inner, inside: false }
    }
}

impl Decoder for FrameCodec {
    type Item = BytesMut;
    type Error = FrameError;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<BytesMut>, FrameError> {
        let before = source.len();
        let decoded = self.inner.decode(source);
        self.inside = match &decoded {
            Ok(None) => self.inside || source.len() < before,
            Ok(Some(_)) | Err(_) => false,
        };
        match decoded {
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
            None if self.inside || !source.is_empty() => Err(FrameError::Truncated),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that comes in pieces, and how it ends: the frames, or the fault behind so many of them.
    #[track_caller]
    fn check(pieces: &[&[u8]], frames: &[&[u8]], fault: Option<&str>) {
        let mut codec = FrameCodec::new(Channel::Registration);
        let (mut buffer, mut found, mut failed) = (BytesMut::new(), Vec::new(), None);
        for piece in pieces {
            buffer.extend_from_slice(piece);
            while failed.is_none() {
                match codec.decode(&mut buffer) {
                    Ok(Some(frame)) => found.push(frame.to_vec()),
                    Ok(None) => break,
                    Err(error) => failed = Some(error.to_string()),
                }
            }
        }
        if failed.is_none() {
            failed = codec.decode_eof(&mut buffer).err().map(|error| error.to_string());
        }
        assert_eq!((found, failed.as_deref()), (frames.iter().map(|frame| frame.to_vec()).collect(), fault));
    }

    #[test]
    fn frames_come_out_of_a_stream_however_it_comes() {
        check(&[], &[], None);
        check(&[b"\0\0\0\x01a\0\0\0\x02bc"], &[b"a", b"bc"], None);
        check(&[b"\0\0", b"\0\x01", b"a", b"\0\0\0\x02b", b"c"], &[b"a", b"bc"], None);
    }

    #[test]
    fn an_end_inside_a_frame_is_no_end_behind_one() {
        let inside = Some("the stream ended inside a frame");
        for pieces in
            [&[b"\0".as_slice()] as &[&[u8]], &[b"\0\0\0\x01"], &[b"\0\0\0\x02a"], &[b"\0\0\0\x02", b"a"]]
        {
            check(pieces, &[], inside);
        }
        check(&[b"\0\0\0\x01a\0\0\0\x01"], &[b"a"], inside);
    }

    #[test]
    fn the_length_is_judged_by_the_head_alone() {
        let cap = u32::try_from(Channel::Registration.frame_bytes_max()).unwrap();
        let too_long = "a frame is longer than the 8192 bytes that the registration channel allows";
        check(&[&cap.to_be_bytes()], &[], Some("the stream ended inside a frame"));
        check(&[&(cap + 1).to_be_bytes()], &[], Some(too_long));
        check(&[b"\xff\xff\xff\xff"], &[], Some(too_long));
        check(&[b"\0\0\0\x01a\0\0\0\0"], &[b"a"], Some("a frame is empty"));
    }

    #[test]
    fn nothing_is_written_that_could_not_be_read() {
        let cap = Channel::ClientClient.frame_bytes_max();
        for (length, taken) in [(0, false), (1, true), (cap, true), (cap + 1, false)] {
            let mut target = BytesMut::new();
            let written = FrameCodec::new(Channel::ClientClient).encode(vec![7; length].into(), &mut target);
            assert_eq!((written.is_ok(), target.is_empty()), (taken, !taken), "{length} bytes");
        }
    }
}
