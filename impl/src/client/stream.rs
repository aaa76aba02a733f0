//! What a link runs over: a connection to the peer's address, or bytes that the servers pass on. TLS knows no difference.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use serde::Serialize;
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    net::TcpStream,
};

/// How a link reaches the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// The two clients are connected.
    Direct,
    /// The two local servers pass on what is sealed.
    Relayed,
}

/// The bytes under a link.
#[derive(Debug)]
pub(super) enum LinkStream {
    /// To the peer's address.
    Direct(TcpStream),
    /// Through the servers.
    Relayed(DuplexStream),
}

impl LinkStream {
    pub(super) fn way(&self) -> Way {
        match self {
            Self::Direct(_) => Way::Direct,
            Self::Relayed(_) => Way::Relayed,
        }
    }
}

impl AsyncRead for LinkStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Direct(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Relayed(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for LinkStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Direct(stream) => Pin::new(stream).poll_write(context, buffer),
            Self::Relayed(stream) => Pin::new(stream).poll_write(context, buffer),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Direct(stream) => Pin::new(stream).poll_flush(context),
            Self::Relayed(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Direct(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Relayed(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
