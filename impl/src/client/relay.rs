//! Relayed links at the client: many streams of bytes over the one connection to the local server (chapter *Relayed
//! links*).
//!
//! Each link has two tasks, one for each direction, between the connection and a stream inside the process over which
//! TLS runs. What is on its way is bounded by the link's window in both directions; the connection's task waits for
//! none of them.

use std::{collections::HashMap, sync::Arc};

use antiphon_spec::{
    error_code::ErrorCode,
    limits::{RELAY_DATA_BYTES_MAX, RELAY_LINKS_MAX, RELAY_WINDOW_BYTES, REQUEST_DEADLINE},
    message::{
        client_server::ToServer,
        relay::{
            Called, CreditBytes, LinkNumber, RelayBytes, RelayClose, RelayCredit, RelayData, RelayOpen,
            RelayOpened,
        },
    },
    relay::{Numbers, Window},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf, duplex, split},
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::Instant,
};

use super::server_link::Token;
use crate::mutant::{Mutant, active};

/// Bytes that wait inside the process for TLS to take them, or to be sent.
const STREAM_BYTES: usize = 32 * 1024;

/// Most messages of links that wait for the connection; a link with more waits. One of each link of a full session goes
/// out with one write.
const OUTGOING_MAX: usize = 32;

/// So many bytes are taken off a link before the peer is given room again: each credit costs as many writes, through
/// both servers, as a message does.
const CREDIT_BYTES: usize = RELAY_WINDOW_BYTES / 2;

/// The relayed links of one connection.
#[derive(Debug)]
pub(super) struct RelayedLinks {
    numbers: Numbers,
    links: HashMap<LinkNumber, Link>,
    to_server: mpsc::Sender<ToServer>,
    /// The directions of all links; they end with the connection.
    tasks: JoinSet<()>,
}

#[derive(Debug)]
enum Link {
    /// The server was asked for it.
    Calling { token: Token, deadline: Instant },
    /// It carries bytes.
    Open(Open),
}

#[derive(Debug)]
struct Open {
    /// What came, on its way to TLS: a window at most.
    came: mpsc::UnboundedSender<RelayBytes>,
    /// What the peer may still send; restored by what was taken.
    expected: Window,
    /// What was sent and not taken yet, as the connection has seen it.
    sent: Window,
    /// What may still be sent.
    room: Arc<Semaphore>,
}

impl RelayedLinks {
    /// No links yet; what they have to say comes out of the receiver.
    pub(super) fn new() -> (Self, mpsc::Receiver<ToServer>) {
        let (to_server, outgoing) = mpsc::channel(OUTGOING_MAX);
        let numbers = Numbers::dialling();
        (Self { numbers, links: HashMap::new(), to_server, tasks: JoinSet::new() }, outgoing)
    }

    /// Calls somebody.
    pub(super) fn call(&mut self, token: Token, called: Called) -> ToServer {
        let link = self.numbers.next_own();
        let deadline = Instant::now() + REQUEST_DEADLINE;
        self.links.insert(link, Link::Calling { token, deadline });
        ToServer::RelayOpen(RelayOpen { link, called })
    }

    /// When the first call has waited for too long.
    pub(super) fn due(&self) -> Option<Instant> {
        let deadline = |link: &Link| match link {
            Link::Calling { deadline, .. } => Some(*deadline),
            Link::Open(_) => None,
        };
        self.links.values().filter_map(deadline).min()
    }

    /// Gives up a call that has waited for too long: whose it was, and what the server is to hear.
    pub(super) fn give_up(&mut self) -> Option<(Token, ToServer)> {
        let now = Instant::now();
        let (link, token) = self.links.iter().find_map(|(link, state)| match state {
            Link::Calling { token, deadline } if *deadline <= now => Some((*link, *token)),
            Link::Calling { .. } | Link::Open(_) => None,
        })?;
        self.links.remove(&link);
        Some((token, ToServer::RelayClose(RelayClose { link })))
    }

    /// Somebody calls: the answer, and the stream of a link that is taken.
    ///
    /// # Errors
    /// The number is not one of the server's.
    pub(super) fn incoming(
        &mut self,
        link: LinkNumber,
    ) -> Result<(ToServer, Option<DuplexStream>), ErrorCode> {
        self.numbers.open(link)?;
        if self.links.len() >= RELAY_LINKS_MAX {
            return Ok((ToServer::RelayClose(RelayClose { link }), None));
        }
        let stream = self.open(link);
        Ok((ToServer::RelayOpened(RelayOpened { link }), Some(stream)))
    }

    /// A call was answered: whose it was, and the stream.
    ///
    /// # Errors
    /// Nobody called.
    pub(super) fn opened(&mut self, link: LinkNumber) -> Result<Option<(Token, DuplexStream)>, ErrorCode> {
        match self.links.get(&link) {
            Some(Link::Calling { token, .. }) => {
                let token = *token;
                Ok(Some((token, self.open(link))))
            }
            Some(Link::Open(_)) => Err(ErrorCode::UnexpectedMessage),
            None => self.late(link).map(|()| None),
        }
    }

    /// Bytes came.
    ///
    /// # Errors
    /// They are more than may come, or the link is not open.
    pub(super) fn data(&mut self, link: LinkNumber, bytes: RelayBytes) -> Result<(), ErrorCode> {
        match self.links.get_mut(&link) {
            Some(Link::Open(open)) => {
                if !open.expected.spend(bytes.count()) {
                    return Err(ErrorCode::LimitReached);
                }
                // A direction that has ended takes no more; its close is on its way.
                let _ = open.came.send(bytes);
                Ok(())
            }
            Some(Link::Calling { .. }) => Err(ErrorCode::UnexpectedMessage),
            None => self.late(link),
        }
    }

    /// Credit came.
    ///
    /// # Errors
    /// It is for more than is on its way, or the link is not open.
    pub(super) fn credit(&mut self, link: LinkNumber, bytes: CreditBytes) -> Result<(), ErrorCode> {
        match self.links.get_mut(&link) {
            Some(Link::Open(open)) => {
                if !open.sent.restore(bytes.count()) {
                    return Err(ErrorCode::LimitReached);
                }
                open.room.add_permits(bytes.count());
                Ok(())
            }
            Some(Link::Calling { .. }) => Err(ErrorCode::UnexpectedMessage),
            None => self.late(link),
        }
    }

    /// A link was refused or is over: whose call it was, if it was one.
    ///
    /// # Errors
    /// There never was such a link.
    pub(super) fn closed(&mut self, link: LinkNumber) -> Result<Option<Token>, ErrorCode> {
        match self.links.remove(&link) {
            Some(Link::Calling { token, .. }) => Ok(Some(token)),
            Some(Link::Open(_)) => Ok(None),
            None => self.late(link).map(|()| None),
        }
    }

    /// Whether a message of a link's tasks is to go out; counts what it means.
    pub(super) fn goes_out(&mut self, message: &ToServer) -> bool {
        match message {
            ToServer::RelayClose(close) => self.links.remove(&close.link).is_some(),
            ToServer::RelayCredit(credit) => match self.links.get_mut(&credit.link) {
                Some(Link::Open(open)) => open.expected.restore(credit.bytes.count()),
                Some(Link::Calling { .. }) | None => false,
            },
            ToServer::RelayData(data) => match self.links.get_mut(&data.link) {
                Some(Link::Open(open)) => {
                    open.sent.spend(data.bytes.count()) || active(Mutant::RelayWindowIgnored)
                }
                Some(Link::Calling { .. }) | None => false,
            },
            ToServer::Login(_)
            | ToServer::SetPreferences(_)
            | ToServer::Lookup(_)
            | ToServer::Logout(_)
            | ToServer::RelayExpect(_)
            | ToServer::RelayForget(_)
            | ToServer::RelayOpen(_)
            | ToServer::RelayOpened(_)
            | ToServer::Ping(_)
            | ToServer::Pong(_)
            | ToServer::Goodbye(_)
            | ToServer::Error(_) => true,
        }
    }

    fn late(&self, link: LinkNumber) -> Result<(), ErrorCode> {
        if self.numbers.was_opened(link) { Ok(()) } else { Err(ErrorCode::UnexpectedMessage) }
    }

    fn open(&mut self, link: LinkNumber) -> DuplexStream {
        let (outside, inside) = duplex(STREAM_BYTES);
        let (reader, writer) = split(inside);
        let room = Arc::new(Semaphore::new(RELAY_WINDOW_BYTES));
        let (came, coming) = mpsc::unbounded_channel();
        self.tasks.spawn(outgoing(link, reader, Arc::clone(&room), self.to_server.clone()));
        self.tasks.spawn(incoming(link, writer, coming, self.to_server.clone()));
        while self.tasks.try_join_next().is_some() {}
        self.links.insert(
            link,
            Link::Open(Open { came, expected: Window::default(), sent: Window::default(), room }),
        );
        outside
    }
}

/// From TLS to the server, as far as there is room; a stream that ends closes the link.
//= spec/text/relay.md#bytes
//# RELAY-018: A client MUST NOT send more bytes on a link than the window has room for.
async fn outgoing(
    link: LinkNumber,
    mut reader: ReadHalf<DuplexStream>,
    room: Arc<Semaphore>,
    to_server: mpsc::Sender<ToServer>,
) {
    let mut buffer = vec![0; RELAY_DATA_BYTES_MAX];
    loop {
        if active(Mutant::RelayWindowIgnored) {
            room.add_permits(RELAY_DATA_BYTES_MAX);
        }
        let Ok(first) = room.acquire().await else { return };
        first.forget();
        let more = room.forget_permits(RELAY_DATA_BYTES_MAX - 1);
        let read = match buffer.get_mut(..=more) {
            Some(buffer) => reader.read(buffer).await.unwrap_or(0),
            None => 0,
        };
        room.add_permits((more + 1).saturating_sub(read));
        let bytes = buffer.get(..read).unwrap_or_default().to_vec();
        // Nothing read is the end.
        let Ok(bytes) = RelayBytes::try_from(bytes) else { break };
        if to_server.send(ToServer::RelayData(RelayData { link, bytes })).await.is_err() {
            return;
        }
    }
    // Without a connection the link is over anyway.
    let _ = to_server.send(ToServer::RelayClose(RelayClose { link })).await;
}

/// From the server to TLS; what TLS has room for makes room for more.
//= spec/text/relay.md#bytes
//# RELAY-035: A client MAY let the bytes that it has taken off a link gather, up to half the window, before it sends `relay-credit` for them.
async fn incoming(
    link: LinkNumber,
    mut writer: WriteHalf<DuplexStream>,
    mut coming: mpsc::UnboundedReceiver<RelayBytes>,
    to_server: mpsc::Sender<ToServer>,
) {
    let mut taken = 0;
    while let Some(bytes) = coming.recv().await {
        if writer.write_all(bytes.as_slice()).await.is_err() {
            return;
        }
        taken += bytes.count();
        if taken < CREDIT_BYTES {
            continue;
        }
        // No more than a window is on its way, so this is a number that credit may have.
        let credit = CreditBytes::try_from(std::mem::take(&mut taken));
        if let Ok(bytes) = credit
            && to_server.send(ToServer::RelayCredit(RelayCredit { link, bytes })).await.is_err()
        {
            return;
        }
    }
    // The other direction ends when TLS has seen the end of this one.
    let _ = writer.shutdown().await;
}
