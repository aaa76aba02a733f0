//! Messages (chapter *Wire*): bytes are read as a message of one direction of one channel.
//!
//! The input is the direction, and the bytes of one frame.

use antiphon_protocol::{
    cbor::{check, decode, diagnostic, encode},
    message::{ChannelMessage, LinkMessage},
};
use antiphon_spec::message::{
    client_client::ClientMessage,
    client_server::{FromServer, ToServer},
    location::{FromDirectoryNode, ToDirectoryNode},
    registration::{FromRegistrar, ToRegistrar},
    server_server::{FromPeerServer, ToPeerServer},
};

/// Most characters that the notation needs for a byte, with its brackets and marks.
const NOTATION_PER_BYTE_MAX: usize = 64;

/// A direction: its channel, which end sends, and how its messages are read.
type Direction = (&'static str, &'static str, fn(&[u8]));

/// The directions in the order in which an input numbers them.
pub(crate) const DIRECTIONS: [Direction; 10] = [
    ("registration", "from-dialler", read::<ToRegistrar>),
    ("registration", "from-acceptor", read::<FromRegistrar>),
    ("client-server", "from-dialler", read::<ToServer>),
    ("client-server", "from-acceptor", read::<FromServer>),
    ("server-server", "from-dialler", read::<ToPeerServer>),
    ("server-server", "from-acceptor", read::<FromPeerServer>),
    ("location", "from-dialler", read::<ToDirectoryNode>),
    ("location", "from-acceptor", read::<FromDirectoryNode>),
    ("client-client", "from-dialler", read::<ClientMessage>),
    ("client-client", "from-acceptor", read::<ClientMessage>),
];

/// Reads the bytes as a message, and shows them.
pub fn play(data: &[u8]) {
    let [direction, bytes @ ..] = data else { return };
    let (_, _, read) = DIRECTIONS[usize::from(*direction) % DIRECTIONS.len()];
    read(bytes);
    let shown = diagnostic(bytes);
    assert!(
        shown.len() <= NOTATION_PER_BYTE_MAX * (bytes.len() + 1),
        "the notation is as long as its subject"
    );
}

fn read<M: ChannelMessage>(bytes: &[u8]) {
    let form = check(bytes);
    match decode::<M>(bytes) {
        Ok(message) => {
            assert_eq!(form, Ok(()), "only the deterministic form is accepted");
            assert_eq!(encode(&message).as_deref(), Ok(bytes), "a message has one encoding");
            if let Some(link) = message.link() {
                assert!(made_again(link).is_none_or(|made: M| made == message), "{link:?}");
            }
        }
        Err(error) => {
            assert!(error.offset <= bytes.len(), "a fault is inside the bytes: {error}");
            assert!(form.is_ok() || form == Err(error), "the form is judged before anything else");
        }
    }
}

/// A message of the link, made from what it says; a greeting is made at one end alone.
fn made_again<M: ChannelMessage>(link: LinkMessage) -> Option<M> {
    match link {
        LinkMessage::Greeting(_) => None,
        LinkMessage::Ping(number) => Some(M::ping(number)),
        LinkMessage::Pong(number) => Some(M::pong(number)),
        LinkMessage::Goodbye => Some(M::goodbye()),
        LinkMessage::Error(code) => Some(M::error(code)),
    }
}
