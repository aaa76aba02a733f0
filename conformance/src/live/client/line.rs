//! One end of a connection with the client under test, played by the suite: typed messages, and expectations of them.
//!
//! Nothing here waits for something not to come. What has to come is waited for with patience; signs of life are
//! answered on the way.

use std::time::Duration;

use antiphon_protocol::{
    cbor,
    certificate::VerifiedPeer,
    channel::Channel,
    connection::Connection,
    key::PublicKey,
    message::{ChannelMessage, LinkMessage},
    signed::verify,
};
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{Peer, UserHandle},
    message::{
        client_client::{
            ClientMessage, Commit, InvitationBody, InvitationMessage, PeerMessage, SessionBody,
            SessionMessage,
        },
        link::Keep,
    },
    session::{Epoch, SessionId},
};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::TlsStream;

use super::chain::{commitment, in_epoch};
use crate::{case::Failure, process::PATIENCE};

/// One end of a connection.
pub(super) struct Line<Out, In> {
    connection: Connection<TlsStream<TcpStream>, Out, In>,
    /// Who is at the other end, as the certificate proves it; nobody where it proves no user.
    pub(super) peer: Option<Peer>,
    key: Option<PublicKey>,
    /// What a client that has dialled a link offers beside all else that it says.
    offer: Option<Keep>,
}

/// A link with another client, from whichever end.
pub(super) type Link = Line<ClientMessage, ClientMessage>;

impl<Out: ChannelMessage, In: ChannelMessage> Line<Out, In> {
    pub(super) fn new(
        connection: Connection<TlsStream<TcpStream>, Out, In>,
        verified: Option<&VerifiedPeer>,
    ) -> Self {
        let peer = verified.and_then(VerifiedPeer::peer);
        Self { connection, peer, key: verified.map(|verified| verified.key().clone()), offer: None }
    }

    /// The key that the client has proved here.
    pub(super) fn client_key(&self) -> Result<PublicKey, Failure> {
        self.key.clone().ok_or_else(|| Failure::harness("nobody has proved a key on this connection"))
    }

    /// Over a stream on which nothing was said yet.
    pub(super) fn over(stream: impl Into<TlsStream<TcpStream>>) -> Self {
        Self::new(Connection::over(stream.into()), None)
    }

    pub(super) async fn send(&mut self, message: &Out) -> Result<(), Failure> {
        self.connection.send(message).await.map_err(ended)
    }

    /// Sends a frame around whatever bytes.
    pub(super) async fn send_frame(&mut self, item: &[u8]) -> Result<(), Failure> {
        self.connection.writer().send_unchecked_frame(item).await.map_err(ended)
    }

    /// Sends bytes without a frame around them.
    pub(super) async fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.connection.writer().send_unchecked_bytes(bytes).await.map_err(ended)
    }

    /// The next message of whatever kind; none where TLS was closed properly.
    pub(super) async fn read(&mut self) -> Result<Option<In>, Failure> {
        let frame = loop {
            let frame = timeout(PATIENCE, self.connection.reader().receive_frame()).await;
            let frame = frame
                .map_err(|_| Failure::unexpected("a message, or the end of the connection", "neither"))?;
            let Some(frame) = frame.map_err(ended)? else { return Ok(None) };
            match offer::<In>(&frame) {
                // The client asks once at most (LINK-001).
                Some(_) if self.offer.is_some() => {
                    return Err(Failure::unexpected("no second keep", hex::encode(&frame)));
                }
                Some(keep) => self.offer = Some(keep),
                None => break frame,
            }
        };
        let decoded = cbor::decode(&frame);
        decoded.map(Some).map_err(|error| {
            Failure::unexpected("a message of the grammar", format!("{error}: {}", hex::encode(&frame)))
        })
    }

    /// The next message that is more than a sign of life.
    pub(super) async fn next(&mut self) -> Result<In, Failure> {
        loop {
            let message =
                self.read().await?.ok_or_else(|| Failure::unexpected("a message", "the connection ended"))?;
            match message.link() {
                Some(LinkMessage::Ping(number)) => self.send(&Out::pong(number)).await?,
                Some(LinkMessage::Pong(_)) => {}
                Some(LinkMessage::Error(_) | LinkMessage::Goodbye | LinkMessage::Greeting(_)) => {
                    return Err(Failure::unexpected("a message of the channel", shown(&message)));
                }
                None => return Ok(message),
            }
        }
    }

    /// The connection stands for so long, and there is no word on it but signs of life.
    pub(super) async fn stays_quiet_for(&mut self, time: Duration) -> Result<(), Failure> {
        let until = Instant::now() + time;
        while let Ok(frame) = timeout_at(until, self.connection.reader().receive_frame()).await {
            let frame = frame.map_err(ended)?;
            let frame = frame.ok_or_else(|| Failure::unexpected("silence", "the connection ended"))?;
            let message: In = cbor::decode(&frame)
                .map_err(|error| Failure::unexpected("a message of the grammar", error))?;
            match message.link() {
                Some(LinkMessage::Ping(number)) => self.send(&Out::pong(number)).await?,
                Some(LinkMessage::Pong(_)) => {}
                _ if offer::<In>(&frame).is_some() => {}
                _ => return Err(Failure::unexpected("silence", shown(&message))),
            }
        }
        Ok(())
    }

    /// The client answers a ping; it has read all that came before.
    pub(super) async fn alive(&mut self) -> Result<(), Failure> {
        const NUMBER: u64 = 0x0102_0304_0506;
        self.send(&Out::ping(NUMBER)).await?;
        match self.read().await? {
            Some(message) if message == In::pong(NUMBER) => Ok(()),
            other => Err(Failure::unexpected("a pong of the ping's number", shown(&other))),
        }
    }

    /// The client's next word is `error` with this code, its last one; then it closes TLS.
    pub(super) async fn refused(self, code: ErrorCode) -> Result<(), Failure> {
        self.last_word(&In::error(code)).await
    }

    /// The client's next word is `goodbye`, its last one; then it closes TLS.
    pub(super) async fn left(self) -> Result<(), Failure> {
        self.last_word(&In::goodbye()).await
    }

    /// The connection ends with an `error`, a `goodbye`, an alert, or without a word; nothing of the channel comes.
    pub(super) async fn gone(self) -> Result<(), Failure> {
        self.gone_within(PATIENCE).await
    }

    /// ..after so long at most.
    pub(super) async fn gone_within(mut self, patience: Duration) -> Result<(), Failure> {
        loop {
            let frame = timeout(patience, self.connection.reader().receive_frame()).await;
            let frame = frame.map_err(|_| Failure::unexpected("the end of the connection", "it goes on"))?;
            let Ok(Some(frame)) = frame else { return Ok(()) };
            let message: In = cbor::decode(&frame)
                .map_err(|error| Failure::unexpected("a message of the grammar", error))?;
            if message.link().is_none() && offer::<In>(&frame).is_none() {
                return Err(Failure::unexpected("the end of the connection", shown(&message)));
            }
        }
    }

    /// The connection ends, and not one message comes before.
    pub(super) async fn ends_silently(mut self) -> Result<(), Failure> {
        let frame = timeout(PATIENCE, self.connection.reader().receive_frame()).await;
        match frame.map_err(|_| Failure::unexpected("the end of the connection", "it goes on"))? {
            Ok(Some(frame)) => Err(Failure::unexpected("the end without a word", hex::encode(&frame))),
            Ok(None) | Err(_) => Ok(()),
        }
    }

    async fn last_word(mut self, word: &In) -> Result<(), Failure> {
        let last = loop {
            match self.read().await? {
                Some(message)
                    if matches!(message.link(), Some(LinkMessage::Ping(_) | LinkMessage::Pong(_))) => {}
                other => break other,
            }
        };
        if last.as_ref() != Some(word) {
            return Err(Failure::unexpected(shown(word), shown(&last)));
        }
        match self.read().await? {
            None => Ok(()),
            Some(message) => Err(Failure::unexpected("close_notify after the last word", shown(&message))),
        }
    }

    /// Says goodbye and closes this direction; the client ends the connection without a word but `goodbye`.
    pub(super) async fn goodbye_ends_it(self) -> Result<(), Failure> {
        let (mut reader, writer) = self.connection.split();
        writer.goodbye().await.map_err(ended)?;
        loop {
            let frame = timeout(PATIENCE, reader.receive_frame()).await;
            let frame = frame.map_err(|_| Failure::unexpected("the end of the connection", "it goes on"))?;
            let Ok(Some(frame)) = frame else { return Ok(()) };
            let message: In = cbor::decode(&frame)
                .map_err(|error| Failure::unexpected("a message of the grammar", error))?;
            if message != In::goodbye() {
                return Err(Failure::unexpected("the end, or goodbye", shown(&message)));
            }
        }
    }

    /// Says goodbye and closes.
    pub(super) async fn goodbye(self) -> Result<(), Failure> {
        self.connection.goodbye().await.map_err(ended)
    }

    /// Says that this end cannot go on, and closes.
    pub(super) async fn fail(self, code: ErrorCode) -> Result<(), Failure> {
        self.connection.close_with_error(code).await.map_err(ended)
    }
}

impl Link {
    /// What the client, which has dialled, offers.
    pub(super) async fn offered(&mut self) -> Result<Keep, Failure> {
        self.alive().await?;
        self.offer.ok_or_else(|| Failure::unexpected("keep", "no offer to keep the link"))
    }

    /// Says a step of an invitation.
    pub(super) async fn invitation(
        &mut self,
        session: SessionId,
        body: InvitationBody,
    ) -> Result<(), Failure> {
        self.send(&ClientMessage::Invitation(InvitationMessage { body, session })).await
    }

    /// Says something in an epoch.
    pub(super) async fn say(&mut self, epoch: &Epoch, body: SessionBody) -> Result<(), Failure> {
        self.say_as_is(in_epoch(epoch, body)).await
    }

    pub(super) async fn say_as_is(&mut self, message: SessionMessage) -> Result<(), Failure> {
        self.send(&ClientMessage::from(PeerMessage::Session(message))).await
    }

    /// The next word is a step of an invitation to this session.
    pub(super) async fn invited(&mut self, session: SessionId) -> Result<InvitationBody, Failure> {
        match self.next().await? {
            ClientMessage::Invitation(message) if message.session == session => Ok(message.body),
            other => Err(Failure::unexpected("a step of the invitation", shown(&other))),
        }
    }

    /// The next word is a session message in this epoch, with its number and its hash.
    pub(super) async fn heard(&mut self, epoch: &Epoch) -> Result<SessionBody, Failure> {
        match self.next().await? {
            ClientMessage::Session(message) => {
                let expected = in_epoch(epoch, message.body.clone());
                if message == expected {
                    return Ok(message.body);
                }
                Err(Failure::unexpected(
                    format!("a message of epoch {} with its hash", epoch.number.0),
                    shown(&message),
                ))
            }
            other => Err(Failure::unexpected("a session message", shown(&other))),
        }
    }

    /// The next word is exactly this, in this epoch.
    pub(super) async fn hears(&mut self, epoch: &Epoch, body: SessionBody) -> Result<(), Failure> {
        let got = self.heard(epoch).await?;
        if got == body { Ok(()) } else { Err(Failure::unexpected(shown(&body), shown(&got))) }
    }

    /// The next word is the peer's commit, signed by it, to just this epoch with these counts.
    pub(super) async fn hears_commit(
        &mut self,
        epoch: &Epoch,
        after: &Epoch,
        sent: &[(&UserHandle, u64)],
    ) -> Result<(), Failure> {
        let expected = commitment(after, sent);
        match self.heard(epoch).await? {
            SessionBody::Commit(Commit { commitment }) => {
                let got = verify(&commitment, &self.client_key()?)
                    .map_err(|_| Failure::unexpected("a commitment signed by the peer", "another"))?;
                if got == expected { Ok(()) } else { Err(Failure::unexpected(shown(&expected), shown(&got))) }
            }
            other => Err(Failure::unexpected("commit", shown(&other))),
        }
    }

    /// The next word is exactly this step of an invitation.
    pub(super) async fn hears_step(
        &mut self,
        session: SessionId,
        body: InvitationBody,
    ) -> Result<(), Failure> {
        let got = self.invited(session).await?;
        if got == body { Ok(()) } else { Err(Failure::unexpected(shown(&body), shown(&got))) }
    }
}

/// A client that has dialled may offer at any time to keep the link; no case but those of kept links cares.
fn offer<In: ChannelMessage>(frame: &[u8]) -> Option<Keep> {
    match (In::CHANNEL, cbor::decode(frame)) {
        (Channel::ClientClient, Ok(ClientMessage::Keep(keep))) => Some(keep),
        _ => None,
    }
}

pub(super) fn shown(value: &impl std::fmt::Debug) -> String {
    const SHOWN_MAX: usize = 600;
    let text = format!("{value:?}");
    if text.chars().count() <= SHOWN_MAX {
        text
    } else {
        text.chars().take(SHOWN_MAX).chain(" ..".chars()).collect()
    }
}

fn ended(error: impl std::error::Error + 'static) -> Failure {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    Failure::unexpected("a connection that stands", text)
}
