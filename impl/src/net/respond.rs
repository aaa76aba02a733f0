//! Who answers: the requests of one connection, one after the other or some at a time, and no more waiting than allowed.
//!
//! Carrying out the requests of a connection in their order costs little where each is short, and keeps the
//! requester's order: what was inserted before it was deleted is gone.

use std::future::Future;

use antiphon_protocol::message::{ChannelMessage, DiallerMessage};
use antiphon_spec::{
    channel::{Phase, Reception},
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

use super::{Allowance, Asks, Link, LinkEnd, Outbox, budget::Holding};

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
                Some((answer, place, bytes)) = running.next() => {
                    if let Some(answer) = answer {
                        outbox.send(&answer);
                    }
                    drop(place);
                    held.give(bytes);
                }
                Some((request, place, bytes)) = waiting.recv(), if running.len() < at_once => {
                    let answered = answer(request);
                    running.push(async move { (answered.await, place, bytes) });
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

/// Puts a request behind those that wait, or refuses it; gives back what is none.
fn accept<'a, M>(
    message: M,
    bytes: usize,
    (places, held): (&'a Semaphore, &Holding),
    queue: &mpsc::UnboundedSender<(M, SemaphorePermit<'a>, usize)>,
    outbox: &Outbox<<M as DiallerMessage>::Answer>,
) -> Option<M>
where
    M: Asks,
    <M as DiallerMessage>::Answer: Refuses,
{
    match (message.question(), places.try_acquire()) {
        (Some(_), Ok(place)) if held.take(bytes) => {
            // Its other end lives as long as this one.
            let _ = queue.send((message, place, bytes));
            None
        }
        (Some((id, _)), Ok(_)) => {
            held.give(bytes);
            outbox.send(&<M as DiallerMessage>::Answer::refused(id, ErrorCode::LimitReached));
            None
        }
        (Some((id, _)), Err(_)) => {
            outbox.send(&<M as DiallerMessage>::Answer::refused(id, ErrorCode::LimitReached));
            None
        }
        (None, _) => Some(message),
    }
}
