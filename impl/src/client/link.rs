//! One client-to-client link: its two directions, signs of life, and the ways in which it ends (chapters *Wire* and
//! *Sessions*, section *Links*).
//!
//! A link is one task that reads and writes at the same time, so that two clients with full windows never wait for
//! each other. The engine talks to it through a bounded queue and is told what came, and when the link is over.

use antiphon_protocol::{
    connection::{DiallingEnd, Ended, Reader, SendError, Writer},
    message::ChannelMessage as _,
};
use antiphon_spec::{
    error_code::ErrorCode,
    limits::KEEP_ALIVE_INTERVAL,
    message::client_client::{ClientMessage, InstantMessage, PeerMessage},
};
use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OwnedSemaphorePermit, mpsc},
    time::timeout,
};

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

/// Serves a link until it ends; tells the engine of its end unless the engine asked for it.
///
/// `slot` is the link's place among those that the client may have; it is free again when everything is over.
pub(super) async fn serve(
    id: LinkId,
    connection: LinkConnection,
    queue: (mpsc::Sender<Outgoing>, mpsc::Receiver<Outgoing>),
    inputs: mpsc::Sender<Input>,
    slot: OwnedSemaphorePermit,
) {
    let (signs, mut outgoing) = queue;
    let (mut reader, mut writer) = connection.split();
    let end = tokio::select! {
        end = read(&mut reader, id, &inputs, &signs) => end,
        end = write(&mut writer, &mut outgoing) => end,
    };
    if !matches!(end, End::Asked(_)) {
        tracing::debug!(link = id.0, reason = %end, "a link ended");
        // Without an engine nobody is left to be told.
        let closed = matches!(end, End::Peer(Ended::Done | Ended::Error(_)));
        let _ = inputs.send(Input::LinkEnded { id, closed }).await;
    }
    let farewell = async {
        match end {
            End::Asked(fault) => part(&mut reader, last_word(writer, fault)).await,
            End::Peer(Ended::Violation(violation)) => {
                part(&mut reader, last_word(writer, Some(violation.code()))).await;
            }
            End::Peer(Ended::Done) => drop(writer.goodbye().await),
            End::Peer(Ended::Error(_) | Ended::Lost(_)) => drop(writer.close().await),
            End::Failed(_) | End::Silent => {}
        }
    };
    let _ = timeout(CLOSING_DEADLINE, farewell).await;
    drop(slot);
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

/// Why a link ends.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("this end closes it")]
    Asked(Option<ErrorCode>),
    #[error("{}", chain(.0))]
    Peer(Ended),
    #[error("{}", chain(.0))]
    Failed(SendError),
    #[error("the peer shows no life")]
    Silent,
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

async fn read<R: AsyncRead + Unpin>(
    reader: &mut Reader<R, ClientMessage>,
    id: LinkId,
    inputs: &mpsc::Sender<Input>,
    signs: &mpsc::Sender<Outgoing>,
) -> End {
    let mut asked = false;
    loop {
        let message = match timeout(KEEP_ALIVE_INTERVAL, reader.receive()).await {
            Ok(Ok(message)) => message,
            Ok(Err(ended)) => return End::Peer(ended),
            Err(_) if asked => return End::Silent,
            Err(_) => {
                asked = true;
                send_sign(signs, &ClientMessage::ping(0));
                continue;
            }
        };
        asked = false;
        if let ClientMessage::Ping(ping) = &message {
            send_sign(signs, &ClientMessage::pong(ping.number));
        }
        if let Some(message) = for_engine(message)
            && inputs.send(Input::LinkMessage(id, message)).await.is_err()
        {
            return End::Asked(None);
        }
    }
}

/// A sign of life does not wait for room: where so much waits, the peer takes nothing anyway.
fn send_sign(signs: &mpsc::Sender<Outgoing>, message: &ClientMessage) {
    if let Ok(frame) = antiphon_protocol::connection::encode_message(message) {
        let _ = signs.try_send(Outgoing::Frame(frame));
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
pub(super) fn for_engine(message: ClientMessage) -> Option<Heard> {
    match message {
        ClientMessage::Invitation(message) => Some(Heard::Peer(PeerMessage::Invitation(message))),
        ClientMessage::Session(message) => Some(Heard::Peer(PeerMessage::Session(message))),
        ClientMessage::Instant(message) => Some(Heard::Instant(InstantMessage::Instant(message))),
        ClientMessage::InstantReceived(message) => Some(Heard::Instant(InstantMessage::Received(message))),
        ClientMessage::Greeting(_)
        | ClientMessage::Ping(_)
        | ClientMessage::Pong(_)
        | ClientMessage::Goodbye(_)
        | ClientMessage::Error(_) => None,
    }
}

/// Writes what waits together, then flushes; ends when the engine asks for it.
async fn write<W: AsyncWrite + Unpin>(
    writer: &mut Writer<W, ClientMessage>,
    outgoing: &mut mpsc::Receiver<Outgoing>,
) -> End {
    while let Some(first) = outgoing.recv().await {
        let mut next = Some(first);
        while let Some(item) = next {
            let fed = match item {
                Outgoing::Frame(frame) => writer.feed_encoded(frame).await,
                Outgoing::Close(fault) => return End::Asked(fault),
            };
            if let Err(error) = fed {
                return End::Failed(error);
            }
            next = outgoing.try_recv().ok();
        }
        if let Err(error) = writer.flush().await {
            return End::Failed(error);
        }
    }
    End::Asked(None)
}
