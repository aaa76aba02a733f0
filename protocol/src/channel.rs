//! The five channels: what each is called in ALPN, and how long its frames may be (chapter *Wire*).

use std::fmt;

use antiphon_spec::limits;

/// A kind of connection. ALPN names it, so no end can mistake one for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// A client without a certificate asks a server for an account.
    Registration,
    /// A user's client and its local server.
    ClientServer,
    /// Two servers.
    ServerServer,
    /// Two users' clients.
    ClientClient,
    /// A server and a directory node of the location service.
    Location,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 5] =
        [Self::Registration, Self::ClientServer, Self::ServerServer, Self::ClientClient, Self::Location];

    /// What the text calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::ClientServer => "client-to-server",
            Self::ServerServer => "server-to-server",
            Self::ClientClient => "client-to-client",
            Self::Location => "location",
        }
    }

    /// The protocol name in the ALPN extension (RFC 7301).
    #[must_use]
    pub const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Registration => b"antiphon-reg/1",
            Self::ClientServer => b"antiphon-c2s/1",
            Self::ServerServer => b"antiphon-s2s/1",
            Self::ClientClient => b"antiphon-c2c/1",
            Self::Location => b"antiphon-loc/1",
        }
    }

    /// The channel with this protocol name.
    #[must_use]
    pub fn from_alpn(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.alpn() == name)
    }

    /// Most bytes in the CBOR item of one frame.
    #[must_use]
    pub const fn frame_bytes_max(self) -> usize {
        match self {
            Self::Registration => limits::FRAME_BYTES_MAX_REGISTRATION,
            Self::ClientServer => limits::FRAME_BYTES_MAX_CLIENT_SERVER,
            Self::ServerServer | Self::Location => limits::FRAME_BYTES_MAX_SERVER,
            Self::ClientClient => limits::FRAME_BYTES_MAX_CLIENT_CLIENT,
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
