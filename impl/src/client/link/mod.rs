//! One client-to-client link: its two directions, signs of life, and the ways in which it ends (chapters *Wire* and
//! *Sessions*, section *Links*).
//!
//! A link is one task that reads and writes at the same time, so that two clients with full windows never wait for
//! each other. The engine talks to it through a bounded queue and is told what came, and when the link is over. When its
//! connection is lost and the link is kept, the engine is asked to dial again, or hands over what the peer dials
//! (chapter *Links that go on*).

mod keeper;

use antiphon_protocol::{
    connection::{DiallingEnd, Ended, Reader, SendError, Writer},
    message::ChannelMessage as _,
};
use antiphon_spec::{
    error_code::ErrorCode,
    identity::KeyHash,
    limits::KEEP_ALIVE_INTERVAL,
    link::{Event, Heard as OnLink, Link},
    message::{
        client_client::{ClientMessage, InstantMessage, PeerMessage},
        link::Resume,
    },
    session::SessionId,
};
use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf},
    sync::{
        OwnedSemaphorePermit,
        mpsc::{self, error::TryRecvError},
    },
    task::JoinSet,
    time::{sleep_until, timeout},
};
use tokio_rustls::TlsStream;

use self::keeper::{Fate, Keeper};

use super::{engine::Input, registration::chain, settings::CLOSING_DEADLINE, stream::LinkStream};

/// An open link. Both ends send the same messages, so both have this type.
pub(super) type LinkConnection = DiallingEnd<LinkStream, ClientMessage>;

/// Names a link for as long as the client runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LinkId(pub(super) u64);

/// What the engine gives a link to do.
#[derive(Clone, Debug)]
pub(super) enum Outgoing {
    /// An encoded message.
    Frame(Bytes),
    /// The last thing: a `goodbye`, or an `error` with this code.
    Close(Option<ErrorCode>),
}

/// A connection for a link that has lost its own, or seems to have.
#[derive(Debug)]
pub(super) enum Offer {
    /// This end has dialled again.
    Dialled(Box<LinkConnection>),
    /// It has dialled in vain.
    DialFailed,
    /// The peer has, and says which link it means.
    Resume(Box<Resumption>),
}

/// A connection that somebody opened with `resume`.
#[derive(Debug)]
pub(super) struct Resumption {
    pub(super) connection: LinkConnection,
    pub(super) resume: Resume,
    /// The key that the peer has proved.
    pub(super) key: KeyHash,
    /// The connection's place among those that nobody has claimed.
    pub(super) permit: OwnedSemaphorePermit,
}

/// A link to be served.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) id: LinkId,
    /// What the link is for; names it in a `resume`.
    pub(super) session: SessionId,
    pub(super) connection: LinkConnection,
    pub(super) link: Link<Bytes>,
    /// What the engine says.
    pub(super) outgoing: mpsc::Receiver<Outgoing>,
    /// New connections.
    pub(super) offers: mpsc::Receiver<Offer>,
    pub(super) inputs: mpsc::Sender<Input>,
    /// The link's place among those that the client may have; free again when everything is over.
    pub(super) slot: OwnedSemaphorePermit,
}

type LinkReader = Reader<ReadHalf<TlsStream<LinkStream>>, ClientMessage>;
type LinkWriter = Writer<WriteHalf<TlsStream<LinkStream>>, ClientMessage>;

/// The connection under a link, and what was read of it and not told yet.
struct Current {
    reader: LinkReader,
    writer: LinkWriter,
    unread: Option<ClientMessage>,
}

impl Current {
    fn new(connection: LinkConnection) -> Self {
        let (reader, writer) = connection.split();
        Self { reader, writer, unread: None }
    }
}

/// What a link waited for.
enum Next {
    /// Its connection is over.
    Ended(End),
    /// There is a connection for it.
    Offered(Offer),
    /// A timer.
    Due(Event<Bytes>),
}

/// Serves a link until it ends; tells the engine of its end unless the engine asked for it.
pub(super) async fn serve(served: Served) {
    let Served { id, session, connection, link, mut outgoing, mut offers, inputs, slot } = served;
    let keeper = Keeper::new(session, link);
    let mut current = Some(Current::new(connection));
    // Those who would have gone on with the link, and hear that they can't; at most as many as the client has places.
    let mut refusals = JoinSet::new();
    let end = loop {
        let next = tokio::select! {
            next = converse(id, current.as_mut(), &mut outgoing, &keeper, &inputs) => next,
            Some(offer) = offers.recv() => Next::Offered(offer),
            event = due(&keeper) => Next::Due(event),
        };
        match next {
            Next::Ended(end) => match end.of_connection() {
                None => break end,
                Some(closed) => {
                    keeper.connection_ended(closed);
                    if keeper.fate().is_some() {
                        break end;
                    }
                    tracing::debug!(link = id.0, reason = %end, "a link has lost its connection");
                    current = None;
                }
            },
            Next::Offered(offer) => {
                while refusals.try_join_next().is_some() {}
                if let Some(connection) = take_offer(offer, &keeper, &mut refusals) {
                    current = Some(Current::new(connection));
                }
            }
            Next::Due(event) => keeper.fire(event),
        }
        if let Some(fate) = keeper.fate() {
            break fate.into();
        }
        // Without an engine nobody dials, and the link ends with its patience.
        if keeper.takes_dial() && inputs.send(Input::LinkDown(id)).await.is_err() {
            break End::Asked(None);
        }
    };
    if !matches!(end, End::Asked(_)) {
        tracing::debug!(link = id.0, reason = %end, "a link ended");
        // Without an engine nobody is left to be told.
        let closed = matches!(end, End::Peer(Ended::Done | Ended::Error(_)));
        let _ = inputs.send(Input::LinkEnded { id, closed }).await;
    }
    if let Some(Current { mut reader, writer, .. }) = current {
        let farewell = async {
            match end {
                End::Asked(fault) => part(&mut reader, last_word(writer, fault)).await,
                End::Fault(code) => part(&mut reader, last_word(writer, Some(code))).await,
                End::Peer(Ended::Violation(violation)) => {
                    part(&mut reader, last_word(writer, Some(violation.code()))).await;
                }
                End::Peer(Ended::Done) => drop(writer.goodbye().await),
                End::Peer(Ended::Error(_) | Ended::Lost(_)) => drop(writer.close().await),
                End::Failed(_) | End::Silent | End::Lost => {}
            }
        };
        let _ = timeout(CLOSING_DEADLINE, farewell).await;
    }
    drop(slot);
}

/// Reads and writes at the same time; without a connection takes what the engine says.
async fn converse(
    id: LinkId,
    current: Option<&mut Current>,
    outgoing: &mut mpsc::Receiver<Outgoing>,
    keeper: &Keeper,
    inputs: &mpsc::Sender<Input>,
) -> Next {
    Next::Ended(match current {
        Some(Current { reader, writer, unread }) => tokio::select! {
            end = read(reader, unread, id, inputs, keeper) => end,
            end = write(writer, outgoing, keeper) => end,
        },
        None => loop {
            match outgoing.recv().await {
                Some(Outgoing::Frame(frame)) => drop(keeper.handle(Event::Say(frame))),
                Some(Outgoing::Close(fault)) => break End::Asked(fault),
                None => break End::Asked(None),
            }
            if let Some(fate) = keeper.fate() {
                break fate.into();
            }
        },
    })
}

/// Waits for the machine's next timer.
async fn due(keeper: &Keeper) -> Event<Bytes> {
    match keeper.due() {
        Some((at, event)) => {
            sleep_until(at).await;
            event
        }
        None => std::future::pending().await,
    }
}

/// The connection of an offer, if the link goes on with it.
fn take_offer(offer: Offer, keeper: &Keeper, refusals: &mut JoinSet<()>) -> Option<LinkConnection> {
    match offer {
        Offer::Dialled(connection) => {
            keeper.handle(Event::Dialled);
            Some(*connection)
        }
        Offer::DialFailed => {
            keeper.handle(Event::DialFailed);
            None
        }
        Offer::Resume(resumption) => {
            let Resumption { connection, resume, key, permit } = *resumption;
            let Resume { link, attempt, received, session: _ } = resume;
            let verdict = keeper.handle(Event::Resume { link, attempt, key, received });
            if verdict.adopt {
                return Some(connection);
            }
            refusals.spawn(async move {
                refuse(connection, None, verdict.refuse).await;
                drop(permit);
            });
            None
        }
    }
}

/// Says the last word on a link that no session serves.
pub(super) async fn refuse(connection: LinkConnection, frame: Option<Bytes>, fault: Option<ErrorCode>) {
    let (mut reader, mut writer) = connection.split();
    let saying = async {
        if let Some(frame) = frame {
            writer.send_encoded(frame).await?;
        }
        last_word(writer, fault).await
    };
    let _ = timeout(CLOSING_DEADLINE, part(&mut reader, saying)).await;
}

/// Says the last word, and reads on until the peer has closed as well: it may still be sending, and a connection that
/// is dropped with unread bytes takes the last word with it. Nothing depends on whether the peer hears it.
async fn part<R: AsyncRead + Unpin>(
    reader: &mut Reader<R, ClientMessage>,
    saying: impl Future<Output = Result<(), SendError>>,
) {
    let draining = async { while let Ok(Some(_)) = reader.receive_frame().await {} };
    let _ = tokio::join!(saying, draining);
}

/// Why a link ends, or its connection.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("this end closes it")]
    Asked(Option<ErrorCode>),
    #[error("the peer broke a rule: {0}")]
    Fault(ErrorCode),
    #[error("{}", chain(.0))]
    Peer(Ended),
    #[error("{}", chain(.0))]
    Failed(SendError),
    #[error("the peer shows no life")]
    Silent,
    #[error("it is lost")]
    Lost,
}

impl End {
    /// Whether it is the end of a connection alone, and then whether the peer said so.
    fn of_connection(&self) -> Option<bool> {
        match self {
            Self::Peer(Ended::Done | Ended::Error(_)) => Some(true),
            Self::Peer(Ended::Lost(_)) | Self::Failed(_) | Self::Silent => Some(false),
            Self::Asked(_) | Self::Fault(_) | Self::Peer(Ended::Violation(_)) | Self::Lost => None,
        }
    }
}

impl From<Fate> for End {
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::Fault(code) => Self::Fault(code),
            Fate::Lost => Self::Lost,
        }
    }
}

async fn last_word<W: AsyncWrite + Unpin>(
    writer: Writer<W, ClientMessage>,
    fault: Option<ErrorCode>,
) -> Result<(), SendError> {
    match fault {
        None => writer.goodbye().await,
        Some(code) => writer.close_with_error(code).await,
    }
}

async fn read(
    reader: &mut LinkReader,
    unread: &mut Option<ClientMessage>,
    id: LinkId,
    inputs: &mpsc::Sender<Input>,
    keeper: &Keeper,
) -> End {
    let mut asked = false;
    loop {
        if unread.is_none() {
            match timeout(KEEP_ALIVE_INTERVAL, reader.receive()).await {
                Ok(Ok(message)) => *unread = Some(message),
                Ok(Err(ended)) => return End::Peer(ended),
                Err(_) if asked => return End::Silent,
                Err(_) => {
                    asked = true;
                    keeper.sign(&ClientMessage::ping(0));
                    continue;
                }
            }
        }
        asked = false;
        // A message is counted and told in one step, or neither.
        let Ok(room) = inputs.reserve().await else { return End::Asked(None) };
        let Some(message) = unread.take() else { continue };
        let heard = match &message {
            ClientMessage::Ping(ping) => {
                keeper.sign(&ClientMessage::pong(ping.number));
                continue;
            }
            ClientMessage::Greeting(_)
            | ClientMessage::Pong(_)
            | ClientMessage::Goodbye(_)
            | ClientMessage::Error(_) => continue,
            ClientMessage::Keep(keep) => OnLink::Keep(*keep),
            ClientMessage::Kept(kept) => OnLink::Kept(kept.patience),
            ClientMessage::Have(have) => OnLink::Have(have.received),
            ClientMessage::Resumed(resumed) => OnLink::Resumed(resumed.received),
            ClientMessage::Resume(_) => OnLink::Resume,
            ClientMessage::Invitation(_)
            | ClientMessage::Session(_)
            | ClientMessage::Instant(_)
            | ClientMessage::InstantReceived(_) => OnLink::Message,
        };
        if keeper.hear(heard).deliver
            && let Some(message) = for_engine(message)
        {
            room.send(Input::LinkMessage(id, message));
        }
        if let Some(fate) = keeper.fate() {
            return fate.into();
        }
    }
}

/// What comes over a link and is not the link's own business.
#[derive(Clone, Debug)]
pub(super) enum Heard {
    /// For a session's machine.
    Peer(PeerMessage),
    /// For an instant message's.
    Instant(InstantMessage),
}

/// The message, if it is one for a machine.
fn for_engine(message: ClientMessage) -> Option<Heard> {
    match message {
        ClientMessage::Invitation(message) => Some(Heard::Peer(PeerMessage::Invitation(message))),
        ClientMessage::Session(message) => Some(Heard::Peer(PeerMessage::Session(message))),
        ClientMessage::Instant(message) => Some(Heard::Instant(InstantMessage::Instant(message))),
        ClientMessage::InstantReceived(message) => Some(Heard::Instant(InstantMessage::Received(message))),
        ClientMessage::Keep(_)
        | ClientMessage::Kept(_)
        | ClientMessage::Have(_)
        | ClientMessage::Resume(_)
        | ClientMessage::Resumed(_)
        | ClientMessage::Greeting(_)
        | ClientMessage::Ping(_)
        | ClientMessage::Pong(_)
        | ClientMessage::Goodbye(_)
        | ClientMessage::Error(_) => None,
    }
}

/// What opens a link, or resumes it; nothing for a sign of life, and an error for what can't be first.
//= spec/text/links.md#keeping
//# LINK-004: A client MUST close with `unexpected-message` when `keep` comes a second time, before the first counted message or at the client that has dialled, and when `kept` comes without a `keep` that has no answer yet.
pub(super) fn first(message: ClientMessage) -> Result<Option<First>, ErrorCode> {
    match message {
        ClientMessage::Resume(resume) => Ok(Some(First::Resume(resume))),
        ClientMessage::Keep(_)
        | ClientMessage::Kept(_)
        | ClientMessage::Have(_)
        | ClientMessage::Resumed(_) => Err(ErrorCode::UnexpectedMessage),
        ClientMessage::Invitation(_)
        | ClientMessage::Session(_)
        | ClientMessage::Instant(_)
        | ClientMessage::InstantReceived(_)
        | ClientMessage::Greeting(_)
        | ClientMessage::Ping(_)
        | ClientMessage::Pong(_)
        | ClientMessage::Goodbye(_)
        | ClientMessage::Error(_) => Ok(for_engine(message).map(First::Message)),
    }
}

/// The first message of a connection.
#[derive(Clone, Debug)]
pub(super) enum First {
    /// Of a new link.
    Message(Heard),
    /// Of a link that goes on.
    Resume(Resume),
}

/// Writes what waits together, then flushes; ends when the engine asks for it.
async fn write(writer: &mut LinkWriter, outgoing: &mut mpsc::Receiver<Outgoing>, keeper: &Keeper) -> End {
    loop {
        let closing = loop {
            match outgoing.try_recv() {
                Ok(Outgoing::Frame(frame)) => drop(keeper.handle(Event::Say(frame))),
                Ok(Outgoing::Close(fault)) => break Some(fault),
                Err(TryRecvError::Disconnected) => break Some(None),
                Err(TryRecvError::Empty) => break None,
            }
            if let Err(error) = write_waiting(writer, keeper).await {
                return End::Failed(error);
            }
        };
        let written = async {
            write_waiting(writer, keeper).await?;
            writer.flush().await
        };
        if let Err(error) = written.await {
            return End::Failed(error);
        }
        if let Some(fault) = closing {
            return End::Asked(fault);
        }
        if let Some(fate) = keeper.fate() {
            return fate.into();
        }
        let next = tokio::select! {
            next = outgoing.recv() => next.unwrap_or(Outgoing::Close(None)),
            () = keeper.more.notified() => continue,
        };
        match next {
            Outgoing::Frame(frame) => drop(keeper.handle(Event::Say(frame))),
            Outgoing::Close(fault) => return End::Asked(fault),
        }
    }
}

async fn write_waiting(writer: &mut LinkWriter, keeper: &Keeper) -> Result<(), SendError> {
    // What is fed has been written as far as the connection knows; what isn't stays for the next connection.
    while let Some(frame) = keeper.next() {
        writer.feed_encoded(frame).await?;
        keeper.written();
    }
    Ok(())
}
