//! Connections: typed messages over a stream, and how a connection begins and ends (chapter *Wire*).
//!
//! The accepting end speaks first: a dialler is connected only once it has read the greeting, because in TLS 1.3 it
//! learns late that its certificate was refused. An end that is done says goodbye and closes TLS; an end that cannot go
//! on says why. A stream that just ends is a lost link, whoever cut it.

mod accept;
mod dial;
mod reader;
mod writer;

use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};

pub use accept::{AcceptError, Accepted, Acceptor};
pub use dial::{DialError, Dialler};
pub use reader::{Ended, Reader, Violation};
pub use writer::{SendError, Writer, encode_message};

use antiphon_spec::error_code::ErrorCode;
use bytes::Bytes;

use crate::message::{ChannelMessage, DiallerMessage};

/// One end of a connection over the stream `S`, which sends `Out` and receives `In`.
#[derive(Debug)]
pub struct Connection<S, Out, In> {
    reader: Reader<ReadHalf<S>, In>,
    writer: Writer<WriteHalf<S>, Out>,
}

/// The dialling end of a connection whose dialler sends `M`, over TLS.
pub type DiallingEnd<S, M> = Connection<tokio_rustls::TlsStream<S>, M, <M as DiallerMessage>::Answer>;

/// The accepting end of a connection whose dialler sends `M`, over TLS.
pub type AcceptingEnd<S, M> = Connection<tokio_rustls::TlsStream<S>, <M as DiallerMessage>::Answer, M>;

impl<S, Out, In> Connection<S, Out, In>
where
    S: AsyncRead + AsyncWrite + Unpin,
    Out: ChannelMessage,
    In: ChannelMessage,
{
    /// A connection over a stream on which nothing was said yet, not even a greeting.
    ///
    /// For tests and the conformance suite, which choose what to say; [`Dialler`] and [`Acceptor`] make the others.
    #[must_use]
    pub fn over(stream: S) -> Self {
        let (read_half, write_half) = tokio::io::split(stream);
        Self { reader: Reader::new(read_half), writer: Writer::new(write_half) }
    }

    /// Receives the next message; see [`Reader::receive`].
    ///
    /// # Errors
    /// The connection has ended.
    pub async fn receive(&mut self) -> Result<In, Ended> {
        self.reader.receive().await
    }

    /// Sends a message at once; see [`Writer::send`].
    ///
    /// # Errors
    /// The connection has failed, or the message is too long for the channel.
    pub async fn send(&mut self, message: &Out) -> Result<(), SendError> {
        self.writer.send(message).await
    }

    /// Sends a message that [`encode_message`] encoded; see [`Writer::send_encoded`].
    ///
    /// # Errors
    /// As for [`Connection::send`].
    pub async fn send_encoded(&mut self, item: Bytes) -> Result<(), SendError> {
        self.writer.send_encoded(item).await
    }

    /// Says goodbye and closes.
    ///
    /// # Errors
    /// The connection has failed.
    pub async fn goodbye(self) -> Result<(), SendError> {
        self.writer.goodbye().await
    }

    /// Says which rule the peer broke, or why this end cannot go on, and closes.
    ///
    /// # Errors
    /// The connection has failed.
    pub async fn close_with_error(self, code: ErrorCode) -> Result<(), SendError> {
        self.writer.close_with_error(code).await
    }

    /// The two directions, for two tasks.
    #[must_use]
    pub fn split(self) -> (Reader<ReadHalf<S>, In>, Writer<WriteHalf<S>, Out>) {
        (self.reader, self.writer)
    }

    /// The receiving direction.
    pub fn reader(&mut self) -> &mut Reader<ReadHalf<S>, In> {
        &mut self.reader
    }

    /// The sending direction.
    pub fn writer(&mut self) -> &mut Writer<WriteHalf<S>, Out> {
        &mut self.writer
    }
}

#[cfg(test)]
mod tests;
