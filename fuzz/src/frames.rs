//! Frames (chapter *Wire*): a stream is cut into pieces at will, and read with the decoder of a channel.
//!
//! The input is a channel, the sizes of the pieces, and the stream.

use antiphon_protocol::{
    channel::Channel,
    frame::{FRAME_HEAD_BYTES, FrameCodec, FrameError},
};
use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder as _, Encoder as _};

/// How a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Behind a frame.
    Whole,
    /// Inside a frame.
    Truncated,
    /// With the head of a frame that holds nothing.
    Empty,
    /// With the head of a frame above the channel's cap.
    TooLong,
}

/// What a stream holds: its frames, and how it ends.
type Outcome = (Vec<Vec<u8>>, End);

/// Reads the stream in one piece, in single bytes and in the pieces that the input asks for.
pub fn play(data: &[u8]) {
    let [channel, sizes, stream @ ..] = data else { return };
    let channel = Channel::ALL[usize::from(*channel) % Channel::ALL.len()];
    let expected = expected(channel, stream);
    let (even, odd) = (usize::from(sizes >> 4) + 1, usize::from(sizes & 0xf) + 1);
    for sizes in [[stream.len() + 1; 2], [1, 1], [even, odd]] {
        assert_eq!(read(channel, stream, sizes), expected, "in pieces of {sizes:?} bytes");
    }
    let (frames, _) = expected;
    assert!(stream.starts_with(&write(channel, &frames)), "frames are written as they were read");
}

/// What is in the stream, by the definition of a frame.
fn expected(channel: Channel, mut stream: &[u8]) -> Outcome {
    let mut frames = Vec::new();
    loop {
        let Some((head, rest)) = stream.split_first_chunk::<FRAME_HEAD_BYTES>() else {
            return (frames, if stream.is_empty() { End::Whole } else { End::Truncated });
        };
        let length = usize::try_from(u32::from_be_bytes(*head)).unwrap_or(usize::MAX);
        if length > channel.frame_bytes_max() {
            return (frames, End::TooLong);
        }
        let Some((frame, rest)) = rest.split_at_checked(length) else { return (frames, End::Truncated) };
        if frame.is_empty() {
            return (frames, End::Empty);
        }
        frames.push(frame.to_vec());
        stream = rest;
    }
}

/// What the decoder makes of the stream when it comes in pieces of these two sizes in turn.
fn read(channel: Channel, mut stream: &[u8], sizes: [usize; 2]) -> Outcome {
    let mut codec = FrameCodec::new(channel);
    let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
    let room = 2 * (FRAME_HEAD_BYTES + channel.frame_bytes_max() + stream.len());
    for size in sizes.into_iter().cycle() {
        let (piece, rest) = stream.split_at(size.min(stream.len()));
        stream = rest;
        buffer.extend_from_slice(piece);
        loop {
            let at_end = stream.is_empty();
            let step = if at_end { codec.decode_eof(&mut buffer) } else { codec.decode(&mut buffer) };
            assert!(buffer.capacity() <= room, "no more is allocated than the largest frame needs");
            match step {
                Ok(Some(frame)) => frames.push(frame.to_vec()),
                Ok(None) if at_end => return (frames, End::Whole),
                Ok(None) => break,
                Err(FrameError::Truncated) => return (frames, End::Truncated),
                Err(FrameError::Empty) => return (frames, End::Empty),
                Err(FrameError::TooLong { .. }) => return (frames, End::TooLong),
                Err(FrameError::Io(error)) => panic!("the decoder does no I/O: {error}"),
            }
        }
    }
    unreachable!("a cycle has no end");
}

/// The frames as a stream.
fn write(channel: Channel, frames: &[Vec<u8>]) -> BytesMut {
    let mut stream = BytesMut::new();
    for frame in frames {
        let written = FrameCodec::new(channel).encode(Bytes::copy_from_slice(frame), &mut stream);
        written.expect("what was read can be written");
    }
    stream
}
