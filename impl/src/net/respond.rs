//! Who answers: the requests of one connection, one after the other or some at a time, and no more waiting than allowed.
//!
//! Carrying out the requests of a connection in their order costs little where each is short, and keeps the
//! requester's order: what was inserted before it was deleted is gone.

use std::{future::Future, time::Instant};

use antiphon_protocol::message::{ChannelMessage, DiallerMessage};
use antiphon_spec::{
    channel::{Phase, Question, Reception, Request},
    error_code::ErrorCode,
    message::{
        client_server::FromServer,
        common::{Refused, RequestId},
        location::FromDirectoryNode,
        registration::FromRegistrar,
        server_server::FromPeerServer,
    },
};
use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Semaphore, SemaphorePermit, mpsc},
};

use tracing::{Instrument as _, Span, info_span};

use super::{Allowance, Asks, Link, LinkEnd, Outbox, budget::Holding};
use crate::monitoring::metrics;

/// Messages of an accepting end that can refuse a request.
pub trait Refuses: ChannelMessage {
    /// Refuses a request.
    fn refused(id: RequestId, code: ErrorCode) -> Self;
}

macro_rules! refuses {
    ($($message:ident),*) => {$(
        impl Refuses for $message {
            fn refused(id: RequestId, code: ErrorCode) -> Self {
                Self::Refused(Refused { id, code })
            }
        }
    )*};
}
refuses!(FromRegistrar, FromServer, FromPeerServer, FromDirectoryNode);

/// Answers the requests of a connection until it ends; `table` is the channel's. Requests beyond `requests_max` open ones, or beyond the bytes that may wait, are refused with
/// `limit-reached`. Those that are open when the connection ends are still carried out. What is no request goes `aside`.
pub async fn respond<S, M, R, F, A>(
    link: Link<S, <M as DiallerMessage>::Answer, M>,
    table: fn(Phase, &M) -> Reception,
    (requests_max, allowance): (usize, impl Into<Allowance>),
    answer: R,
    aside: A,
) -> LinkEnd
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    M: Asks,
    <M as DiallerMessage>::Answer: Refuses,
    R: FnMut(M) -> F,
    F: Future<Output = Option<<M as DiallerMessage>::Answer>>,
    A: FnMut(M),
{
    respond_at_once(link, table, (requests_max, allowance), 1, answer, aside).await
}

/// As [`respond`], with so many requests being carried out at a time. `answer` is called in their order.
pub async fn respond_at_once<S, M, R, F, A>(
    mut link: Link<S, <M as DiallerMessage>::Answer, M>,
    table: fn(Phase, &M) -> Reception,
    (requests_max, allowance): (usize, impl Into<Allowance>),
    at_once: usize,
    mut answer: R,
    mut aside: A,
) -> LinkEnd
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    M: Asks,
    <M as DiallerMessage>::Answer: Refuses,
    R: FnMut(M) -> F,
    F: Future<Output = Option<<M as DiallerMessage>::Answer>>,
    A: FnMut(M),
{
    // A request is open until it is answered, so it holds a place longer than it stands in the queue.
    let places = Semaphore::new(requests_max);
    let held = allowance.into().open();
    let (queue, mut waiting) = mpsc::unbounded_channel();
    let outbox = link.outbox().clone();
    let carry_out = async {
        let mut running = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                Some((asked, answer, place, bytes)) = running.next() => {
                    if let Some(answer) = answer {
                        outbox.send(&answer);
                        count::<M>(asked, &answer);
                    }
                    drop(place);
                    held.give(bytes);
                }
                Some((request, asked, place, bytes)) = waiting.recv(), if running.len() < at_once => {
                    let span = span(&request);
                    let answered = span.in_scope(|| answer(request));
                    let carried_out = async move { (asked, answered.await, place, bytes) };
                    running.push(carried_out.instrument(span));
                }
                else => break,
            }
        }
    };
    let receive = async {
        // Dropped with this block, which ends the other one once the queue is empty.
        let queue = queue;
        loop {
            match link.next().await {
                Err(end) => return end,
                Ok(message) => match table(Phase::Greeted, &message) {
                    Reception::ProtocolError => link.outbox().close(Some(ErrorCode::UnexpectedMessage)),
                    Reception::Late => {}
                    Reception::Accepted => {
                        let bytes = link.message_bytes();
                        if let Some(message) = accept(message, bytes, (&places, &held), &queue, link.outbox())
                        {
                            aside(message);
                        }
                    }
                },
            }
        }
    };
    let (end, ()) = tokio::join!(receive, carry_out);
    link.linger().await;
    end
}

/// Where the log says that something belongs to a request.
pub(crate) fn span<M: Request>(request: &M) -> Span {
    match request.question() {
        Some((id, question)) => info_span!("request", id = id.0, kind = question.as_str()),
        None => Span::none(),
    }
}

/// Counts a request and its answer.
fn count<M: Asks>((question, since): (Question, Instant), answer: &<M as DiallerMessage>::Answer) {
    if let Some((_, answer)) = M::answer(answer) {
        metrics::answered(question, answer, since.elapsed());
    }
}

/// A request that waits to be carried out: what it is, since when, its place and its bytes.
type Waiting<'a, M> = (M, (Question, Instant), SemaphorePermit<'a>, usize);

/// Puts a request behind those that wait, or refuses it; gives back what is none.
fn accept<'a, M>(
    message: M,
    bytes: usize,
    (places, held): (&'a Semaphore, &Holding),
    queue: &mpsc::UnboundedSender<Waiting<'a, M>>,
    outbox: &Outbox<<M as DiallerMessage>::Answer>,
) -> Option<M>
where
    M: Asks,
    <M as DiallerMessage>::Answer: Refuses,
{
    let Some((id, question)) = message.question() else { return Some(message) };
    let asked = (question, Instant::now());
    match places.try_acquire() {
        Ok(place) if held.take(bytes) => {
            // Its other end lives as long as this one.
            let _ = queue.send((message, asked, place, bytes));
            return None;
        }
        Ok(_) => held.give(bytes),
        Err(_) => {}
    }
    let refused = <M as DiallerMessage>::Answer::refused(id, ErrorCode::LimitReached);
    outbox.send(&refused);
    count::<M>(asked, &refused);
    None
}
