//! What a client is started with, and every bound that is the client's own.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use antiphon_spec::{
    identity::{ContactAddress, ServerName},
    media_type::MediaTypes,
    message::link::Patience,
};
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use super::Passphrase;

/// Most sessions and invitations of others at once; LIM-002 asks for 32 at least. Each costs a machine and its links.
pub(super) const SESSIONS_MAX: usize = 128;

/// Most invitations of one user that wait for an answer: one user cannot fill the table.
pub(super) const INVITATIONS_PER_INVITER_MAX: usize = 32;

/// Most instant messages that the user has under way; each costs a link.
pub(super) const INSTANTS_MAX: usize = 32;

/// Most of them to one receiver.
pub(super) const INSTANTS_PER_RECEIVER_MAX: usize = 4;

/// Most links that sessions hold. A full session takes 31; file descriptors are what this bounds.
pub(super) const LINKS_MAX: usize = 512;

/// Most keys of peers that a client keeps: those of its links, and as many again of members whose links have ended.
pub(super) const KEYS_MAX: usize = 2 * LINKS_MAX;

/// Most handshakes under way with those who open links; one more ends the oldest.
pub(super) const HANDSHAKES_MAX: usize = 64;

/// Most links that nobody has claimed: before the first message, and while they close.
pub(super) const HALF_OPEN_MAX: usize = 64;

/// How long a link may show nothing but signs of life before its first message.
pub(super) const HALF_OPEN_LIFETIME: Duration = Duration::from_secs(120);

/// Most frames that wait for one peer. They are shared with the queues of the other members; 256 is a full window
/// of messages and of acknowledgements, with room for a coordinator's orders.
pub(super) const LINK_QUEUE_MAX: usize = 256;

/// Most new connections that wait to be taken by one link.
pub(super) const OFFERS_MAX: usize = 4;

/// Most inputs that wait for the engine; whoever brings one more waits.
pub(super) const INPUTS_MAX: usize = 1024;

/// Most commands that wait for the engine.
pub(super) const COMMANDS_MAX: usize = 64;

/// Most events that wait for whoever reads them; then the client stands still.
pub(super) const EVENTS_MAX: usize = 1024;

/// Most requests that wait for the connection to the local server: each link may ask twice, and each session once.
pub(super) const SERVER_QUEUE_MAX: usize = 2 * LINKS_MAX + SESSIONS_MAX;

/// How long a peer that is dialled may take before the servers are asked to relay: half of what a newcomer has for all.
pub(super) const DIRECT_PATIENCE: Duration = Duration::from_secs(4);

/// Most relayed links that wait for the listener.
pub(super) const RELAYED_QUEUE_MAX: usize = 64;

/// How long an end that has said its last word waits for the other end to close.
pub(super) const CLOSING_DEADLINE: Duration = Duration::from_secs(2);

/// How long `quit` waits for sessions to let the user go and for the server to log the user out.
pub(super) const QUIT_DEADLINE: Duration = Duration::from_secs(10);

/// How long the client waits between two attempts to renew its certificate: nothing depends on an hour of its life.
pub(super) const RENEWAL_INTERVAL: Duration = Duration::from_secs(3600);

/// The longest first wait before the client logs in again; it doubles with every attempt.
pub(super) const RECONNECT_BASE: Duration = Duration::from_secs(1);

/// The longest wait before the client logs in again.
pub(super) const RECONNECT_CAP: Duration = Duration::from_secs(60);

/// A server: its name, and where it listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerAddress {
    /// The name that its certificate has to carry.
    pub name: ServerName,
    /// Host and port, such as `server.example:7001` or `127.0.0.1:7001`.
    pub address: String,
}

/// A text is not a server and its address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not NAME=HOST:PORT, such as home1.example=127.0.0.1:7001")]
pub struct InvalidServerAddress(String);

impl FromStr for ServerAddress {
    type Err = InvalidServerAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidServerAddress(text.to_owned());
        let (name, address) = text.split_once('=').ok_or_else(invalid)?;
        let name = name.parse().map_err(|_| invalid())?;
        let (host, port) = address.rsplit_once(':').ok_or_else(invalid)?;
        let port: u16 = port.parse().map_err(|_| invalid())?;
        if host.is_empty() || port == 0 {
            return Err(invalid());
        }
        Ok(Self { name, address: address.to_owned() })
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.address)
    }
}

impl ServerAddress {
    /// The address to dial: the first that the host's name stands for.
    ///
    /// # Errors
    /// The name stands for none.
    pub(super) async fn resolve(&self) -> std::io::Result<ContactAddress> {
        let mut addresses = tokio::net::lookup_host(&self.address).await?;
        let none = || std::io::Error::new(std::io::ErrorKind::NotFound, "the host has no address");
        addresses.next().map(ContactAddress).ok_or_else(none)
    }
}

/// What a client is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The identity folder, which is made if it is not there.
    pub identity: PathBuf,
    /// The passphrase that the key in the identity folder is under, and that a key which is made is put under.
    pub passphrase: Option<Passphrase>,
    /// The root to trust; without one, the root that the identity folder holds.
    pub root: Option<CertificateDer<'static>>,
    /// Where to log in; without one, what the identity folder says.
    pub server: Option<ServerAddress>,
    /// Where to register; without one, what the identity folder says.
    pub registration: Option<ServerAddress>,
    /// Where to accept links; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The address to give to others, if it is not the one that is listened on.
    pub advertise: Option<ContactAddress>,
    /// The media types, besides plain text, that whoever runs the client can show; without any, what the identity folder
    /// says.
    pub media_types: Option<MediaTypes>,
    /// For how long a link may be without a connection before its peer is lost; without it none is kept.
    pub patience: Option<Patience>,
}

impl Settings {
    /// Settings for an identity folder that holds the rest, listening on the loopback interface.
    #[must_use]
    pub fn new(identity: impl Into<PathBuf>) -> Self {
        Self {
            identity: identity.into(),
            passphrase: None,
            root: None,
            server: None,
            registration: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            advertise: None,
            media_types: None,
            patience: Some(Patience::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ServerAddress;

    #[test]
    fn a_server_address_is_a_name_and_where_it_listens() {
        let parsed: ServerAddress = "home1.example=127.0.0.1:7001".parse().unwrap();
        assert_eq!(parsed.name.as_str(), "home1.example");
        assert_eq!(parsed.address, "127.0.0.1:7001");
        assert_eq!(parsed.to_string(), "home1.example=127.0.0.1:7001");
        assert!("home1.example=[::1]:7001".parse::<ServerAddress>().is_ok());
        for wrong in ["", "home1.example", "=127.0.0.1:1", "HOME=a:1", "a=b", "a=:1", "a=b:0", "a=b:65536"] {
            let error = wrong.parse::<ServerAddress>().unwrap_err().to_string();
            assert!(error.contains("NAME=HOST:PORT"), "{error}");
        }
    }
}
