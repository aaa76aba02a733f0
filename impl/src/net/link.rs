//! One connection while it lives: its messages one after the other, signs of life, deadlines, and its end.

use std::time::Duration;

use antiphon_protocol::{
    connection::{Connection, Ended, Reader},
    message::{ChannelMessage, LinkMessage},
};
use antiphon_spec::{
    error_code::ErrorCode,
    limits::{GREETING_DEADLINE, KEEP_ALIVE_INTERVAL},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadHalf},
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Allowance, Outbox, rates::Pace};
use crate::monitoring::metrics;

/// How long an end that has closed goes on reading, so that what it said last is not lost on the way.
const LINGER: Duration = Duration::from_secs(2);

/// Why nothing more comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkEnd {
    /// The peer is done.
    Done,
    /// The peer cannot go on.
    PeerError(ErrorCode),
    /// The stream ended or failed without a word.
    Lost,
    /// The peer broke a rule of the wire, and was told which.
    Violation(ErrorCode),
    /// The dialler said nothing after the greeting.
    FirstMessageDeadline,
    /// The peer gave no sign of life.
    Silent,
    /// This end has closed.
    Closed,
    /// This process goes down.
    ShuttingDown,
}

/// A greeted connection. Pings are answered and pongs are taken here; everything else goes to the caller.
#[derive(Debug)]
pub struct Link<S, Out, In> {
    reader: Reader<ReadHalf<S>, In>,
    outbox: Outbox<Out>,
    shutdown: CancellationToken,
    /// When the peer has to have said something.
    deadline: Instant,
    patience: Patience,
    pings: u64,
    /// How fast it is read, if not as fast as it comes.
    pace: Option<Pace>,
    /// A message has come for which the pace wasn't kept yet.
    owes: bool,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// The first message of a dialler.
    FirstMessage,
    /// Anything.
    SignOfLife,
    /// The answer to a ping.
    Pong,
}

impl<S, Out, In> Link<S, Out, In>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    Out: ChannelMessage,
    In: ChannelMessage,
{
    /// The link at the end that accepted, which waits for a first message (`WIRE-044`).
    pub fn accepted(
        connection: Connection<S, Out, In>,
        outgoing: impl Into<Allowance>,
        tracker: &TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        let (deadline, patience) = (Instant::now() + GREETING_DEADLINE, Patience::FirstMessage);
        let (reader, writer) = connection.split();
        let outbox = Outbox::start(writer, outgoing.into(), tracker);
        Self { reader, outbox, shutdown, deadline, patience, pings: 0, pace: None, owes: false }
    }

    /// The link at the end that dialled.
    pub fn dialled(
        connection: Connection<S, Out, In>,
        outgoing: impl Into<Allowance>,
        tracker: &TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        let mut link = Self::accepted(connection, outgoing, tracker, shutdown);
        link.heard();
        link
    }

    /// The link, read no faster than this.
    #[must_use]
    pub(crate) fn paced(mut self, pace: Pace) -> Self {
        self.pace = Some(pace);
        self
    }

    /// The bytes of the last message.
    pub(super) fn message_bytes(&self) -> usize {
        self.reader.frame_bytes()
    }

    /// The sending direction.
    #[must_use]
    pub fn outbox(&self) -> &Outbox<Out> {
        &self.outbox
    }

    /// Receives the next message. May be cancelled and called again.
    ///
    /// # Errors
    /// The connection has ended, and the peer was told why if this end ended it: only [`Link::linger`] is left.
    pub async fn next(&mut self) -> Result<In, LinkEnd> {
        self.receive().await.inspect_err(|end| metrics::ended(In::CHANNEL, *end))
    }

    async fn receive(&mut self) -> Result<In, LinkEnd> {
        loop {
            let receiving = async {
                // The message before is paid for now and not when it came: so this call can be cancelled.
                if let Some(pace) = self.pace.as_ref().filter(|_| self.owes) {
                    pace.keep(self.reader.frame_bytes()).await;
                    self.owes = false;
                }
                timeout_at(self.deadline, self.reader.receive()).await
            };
            let received = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => {
                    self.outbox.close(Some(ErrorCode::ShuttingDown));
                    return Err(LinkEnd::ShuttingDown);
                }
                () = self.outbox.closing() => return Err(LinkEnd::Closed),
                received = receiving => received,
            };
            let Ok(received) = received else {
                self.deadline_passed()?;
                continue;
            };
            let message = received.map_err(|ended| self.ended(&ended))?;
            self.heard();
            self.owes = true;
            match message.link() {
                Some(LinkMessage::Ping(number)) => self.outbox.send(&Out::pong(number)),
                Some(LinkMessage::Pong(_)) => {}
                // The reader keeps these from coming this far.
                Some(LinkMessage::Greeting(_) | LinkMessage::Goodbye | LinkMessage::Error(_)) => {}
                None => return Ok(message),
            }
        }
    }

    /// Lets the last words reach the peer: what still comes is read and ignored until the stream ends, for a moment.
    pub async fn linger(mut self) {
        self.outbox.hang_up();
        let until = Instant::now() + LINGER;
        let drain = async {
            self.outbox.written().await;
            while let Ok(Some(_)) = self.reader.receive_frame().await {}
        };
        let _ = timeout_at(until, drain).await;
    }

    fn heard(&mut self) {
        self.deadline = Instant::now() + KEEP_ALIVE_INTERVAL;
        self.patience = Patience::SignOfLife;
    }

    fn deadline_passed(&mut self) -> Result<(), LinkEnd> {
        match self.patience {
            Patience::FirstMessage => {
                self.outbox.close(Some(ErrorCode::Deadline));
                Err(LinkEnd::FirstMessageDeadline)
            }
            Patience::SignOfLife => {
                self.pings += 1;
                self.outbox.send(&Out::ping(self.pings));
                self.deadline = Instant::now() + KEEP_ALIVE_INTERVAL;
                self.patience = Patience::Pong;
                Ok(())
            }
            Patience::Pong => {
                self.outbox.close(Some(ErrorCode::Deadline));
                Err(LinkEnd::Silent)
            }
        }
    }

    fn ended(&self, ended: &Ended) -> LinkEnd {
        match ended {
            Ended::Done => {
                self.outbox.close(None);
                LinkEnd::Done
            }
            Ended::Error(code) => LinkEnd::PeerError(*code),
            Ended::Lost(_) => LinkEnd::Lost,
            Ended::Violation(violation) => {
                self.outbox.close(Some(violation.code()));
                LinkEnd::Violation(violation.code())
            }
        }
    }
}
