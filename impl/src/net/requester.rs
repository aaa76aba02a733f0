//! Who asks: one connection to one peer, made when it is needed, over which any number of requests wait for answers.
//!
//! A request that finds no connection waits for one to be dialled; after failures that takes a while, so that a peer
//! that comes back is not overrun. A connection that nobody uses is closed.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use antiphon_protocol::{connection::DiallingEnd, message::DiallerMessage};
use antiphon_spec::{
    channel::{Answer, Question, Request},
    error_code::ErrorCode,
    limits::{KEEP_ALIVE_INTERVAL, REQUEST_DEADLINE},
    message::common::RequestId,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::{Instant, sleep, sleep_until},
};
use tracing::{debug, warn};

use super::{Backoff, Link, LinkEnd, Serving, entropy};
use crate::{
    monitoring::metrics,
    mutant::{Mutant, active},
};

/// Most requests that wait for a connection.
const WAITING_MAX: usize = 1_024;

/// Most requests that are open on a connection: as many as the peer may be expected to take.
const OPEN_MAX: usize = 32;

/// How long a requester waits for an answer of its own: a login needs three, within the client's own patience.
const PATIENCE: Duration = Duration::from_secs(REQUEST_DEADLINE.as_secs() / 4);

/// How long a connection without a request is kept.
const IDLE: Duration = Duration::from_secs(4 * KEEP_ALIVE_INTERVAL.as_secs());

/// The first wait after a failed dialling.
const BACKOFF_BASE: Duration = Duration::from_millis(50);

/// The longest wait after a failed dialling; shorter than [`PATIENCE`], so that each request sees an attempt.
const BACKOFF_CAP: Duration = Duration::from_secs(2);

/// Messages of a dialling end that asks.
pub trait Asks: DiallerMessage + Request<Answer = <Self as DiallerMessage>::Answer> {}
impl<M: DiallerMessage + Request<Answer = <M as DiallerMessage>::Answer>> Asks for M {}

/// The message that answers a request.
type AnswerOf<M> = <M as DiallerMessage>::Answer;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// There is no connection, or none in time. The peer has not seen the request, or has not answered it.
    #[error("the peer cannot be reached")]
    Unreachable,
    /// The connection ended before the answer. The peer may have carried the request out.
    #[error("the connection ended before the answer")]
    Lost,
    /// Too many requests wait already.
    #[error("too many requests wait")]
    Busy,
    /// The peer refused.
    #[error("the peer refused: {0}")]
    Refused(ErrorCode),
}

/// Asks one peer; a clone asks over the same connection.
#[derive(Debug)]
pub struct Requester<M: Asks> {
    commands: mpsc::Sender<Command<M>>,
    is_connected: Arc<AtomicBool>,
}

impl<M: Asks> Clone for Requester<M> {
    fn clone(&self) -> Self {
        Self { commands: self.commands.clone(), is_connected: Arc::clone(&self.is_connected) }
    }
}

struct Command<M: Asks> {
    make: Box<dyn FnOnce(RequestId) -> M + Send>,
    answer: oneshot::Sender<Result<AnswerOf<M>, AskError>>,
}

impl<M: Asks> Requester<M> {
    /// Starts the task that owns the connection; `dial` opens one. It ends with the last clone of the requester, or
    /// when the process goes down.
    pub fn start<D, F>(dial: D, serving: Serving) -> Self
    where
        D: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Option<DiallingEnd<TcpStream, M>>> + Send + 'static,
    {
        let (commands, waiting) = mpsc::channel(WAITING_MAX);
        let is_connected = Arc::<AtomicBool>::default();
        serving.tracker.clone().spawn(run(dial, waiting, serving, Arc::clone(&is_connected)));
        Self { commands, is_connected }
    }

    /// Whether there is a connection now.
    pub(crate) fn is_connected(&self) -> bool {
        self.is_connected.load(Ordering::Relaxed)
    }

    /// Asks once. The answer is one of the right kind, or a refusal as an error.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn ask(
        &self,
        make: impl FnOnce(RequestId) -> M + Send + 'static,
    ) -> Result<AnswerOf<M>, AskError> {
        let (sender, answer) = oneshot::channel();
        let command = Command { make: Box::new(make), answer: sender };
        self.commands.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => AskError::Busy,
            mpsc::error::TrySendError::Closed(_) => AskError::Unreachable,
        })?;
        match tokio::time::timeout(PATIENCE, answer).await {
            Err(_) | Ok(Err(_)) => Err(AskError::Unreachable),
            Ok(Ok(answer)) => answer,
        }
    }

    /// Asks, and asks again if the connection was lost: for requests that may be carried out twice.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn ask_again(
        &self,
        make: impl FnOnce(RequestId) -> M + Clone + Send + 'static,
    ) -> Result<AnswerOf<M>, AskError> {
        match self.ask(make.clone()).await {
            Err(AskError::Lost) => self.ask(make).await,
            other => other,
        }
    }
}

async fn run<M, D, F>(
    dial: D,
    mut waiting: mpsc::Receiver<Command<M>>,
    serving: Serving,
    is_connected: Arc<AtomicBool>,
) where
    M: Asks,
    D: Fn() -> F + Send + Sync,
    F: Future<Output = Option<DiallingEnd<TcpStream, M>>> + Send,
{
    let mut backoff = Backoff::new(BACKOFF_BASE, BACKOFF_CAP);
    let mut not_before = Instant::now();
    loop {
        let first = tokio::select! {
            biased;
            () = serving.shutdown.cancelled() => return,
            first = waiting.recv() => first,
        };
        let Some(first) = first else { return };
        if first.answer.is_closed() {
            continue;
        }
        let dialled = async {
            sleep_until(not_before).await;
            dial().await
        };
        let dialled = tokio::select! {
            biased;
            () = serving.shutdown.cancelled() => return,
            dialled = dialled => dialled,
        };
        metrics::dialled(M::CHANNEL, dialled.is_some());
        match dialled {
            Some(connection) => {
                backoff.succeeded();
                let _there = metrics::dialled_link(M::CHANNEL);
                let link = Link::dialled(
                    connection,
                    serving.allowance(),
                    &serving.tracker,
                    serving.shutdown.clone(),
                );
                is_connected.store(true, Ordering::Relaxed);
                Conversation { link, open: BTreeMap::new(), next: 0 }.run(first, &mut waiting).await;
                is_connected.store(false, Ordering::Relaxed);
            }
            None => {
                // Without entropy nobody else could be asked for patience either.
                not_before = Instant::now() + backoff.after_failure(entropy().unwrap_or([0; 8]));
                let _ = first.answer.send(Err(AskError::Unreachable));
                while let Ok(command) = waiting.try_recv() {
                    let _ = command.answer.send(Err(AskError::Unreachable));
                }
            }
        }
    }
}

/// What is open on one connection.
struct Conversation<S, M: Asks> {
    link: Link<S, M, AnswerOf<M>>,
    open: BTreeMap<RequestId, Open<M>>,
    next: u64,
}

struct Open<M: Asks> {
    question: Question,
    since: Instant,
    answer: oneshot::Sender<Result<AnswerOf<M>, AskError>>,
}

impl<S, M> Conversation<S, M>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    M: Asks,
{
    async fn run(mut self, first: Command<M>, waiting: &mut mpsc::Receiver<Command<M>>) {
        self.ask(first);
        loop {
            // The oldest request is the one with the lowest ID.
            let oldest = self.open.values().next().map(|open| open.since);
            let deadline = oldest.map_or_else(|| Instant::now() + IDLE, |since| since + REQUEST_DEADLINE);
            tokio::select! {
                biased;
                received = self.link.next() => match received {
                    Ok(message) => self.answered(message),
                    Err(end) => {
                        if end != LinkEnd::Done && end != LinkEnd::ShuttingDown {
                            debug!(?end, "a connection has ended");
                        }
                        break;
                    }
                },
                command = waiting.recv(), if self.open.len() < OPEN_MAX => match command {
                    Some(command) => self.ask(command),
                    None => break self.link.outbox().close(None),
                },
                () = sleep_until(deadline) => {
                    let code = oldest.map(|_| ErrorCode::Deadline);
                    break self.link.outbox().close(code);
                }
            }
        }
        for open in self.open.into_values() {
            metrics::asked(open.question, None, open.since.elapsed());
            let _ = open.answer.send(Err(AskError::Lost));
        }
        // The next connection does not wait for this one's last words.
        tokio::spawn(self.link.linger());
    }

    fn ask(&mut self, command: Command<M>) {
        if command.answer.is_closed() {
            return;
        }
        self.next += 1;
        let message = (command.make)(RequestId(self.next));
        let Some((id, question)) = message.question() else {
            warn!("what is no request cannot be asked");
            return;
        };
        self.link.outbox().send(&message);
        self.open.insert(id, Open { question, since: Instant::now(), answer: command.answer });
    }

    fn answered(&mut self, message: AnswerOf<M>) {
        let found = M::answer(&message).and_then(|(id, answer)| Some((answer, self.open.remove(&id)?)));
        match found {
            Some((answer, open)) if open.question.is_answered_by(answer) => {
                metrics::asked(open.question, Some(answer), open.since.elapsed());
                let result = match answer {
                    Answer::Granted(_) => Ok(message),
                    Answer::Refused(code) => Err(AskError::Refused(code)),
                };
                let _ = open.answer.send(result);
            }
            Some(_) | None if active(Mutant::AnswerToNothingIgnored) => {}
            // WIRE-061: no open request, or one of another kind.
            Some(_) | None => self.link.outbox().close(Some(ErrorCode::UnexpectedMessage)),
        }
    }
}

/// Waits out the time for which a peer that is down is not asked: for loops that try until they succeed.
pub(crate) async fn pause(backoff: &mut Backoff) {
    sleep(backoff.after_failure(entropy().unwrap_or([0; 8]))).await;
}
