//! Accepting links: TLS with another user, the greeting, and the first message, which decides what the link is for.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use antiphon_protocol::{
    connection::{Accepted, Acceptor, Ended},
    message::ChannelMessage as _,
};
use antiphon_spec::{
    error_code::ErrorCode, limits::GREETING_DEADLINE, message::client_client::ClientMessage,
};
use tokio::{
    io::DuplexStream,
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::{
    engine::{Incoming, Input},
    link::{First, LinkConnection, first, refuse},
    settings::{HALF_OPEN_LIFETIME, HALF_OPEN_MAX, HANDSHAKES_MAX},
    stream::{LinkStream, Way},
};
use crate::net::Handshakes;

/// Takes links until it is dropped. Strangers have a place for their handshake alone, and lose it to newer ones; users
/// who have proved who they are have one of [`HALF_OPEN_MAX`] until their first message, or are refused.
pub(super) async fn run(
    listener: Arc<TcpListener>,
    acceptor: Acceptor,
    mut relayed: mpsc::Receiver<DuplexStream>,
    inputs: mpsc::Sender<Input>,
) {
    let half_open = Arc::new(Semaphore::new(HALF_OPEN_MAX));
    let mut handshakes = Handshakes::new(HANDSHAKES_MAX);
    let mut tasks = JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        let accepted = tokio::select! {
            biased;
            known = handshakes.next() => {
                if let Some((accepted, permit)) = known {
                    tasks.spawn(take(accepted, inputs.clone(), permit));
                }
                continue;
            }
            Some(stream) = relayed.recv() => {
                let stream = LinkStream::Relayed(stream);
                // All that the server passes on come from it.
                handshakes.begin(IpAddr::V4(Ipv4Addr::UNSPECIFIED), shake(stream, acceptor.clone(), Arc::clone(&half_open)));
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                let _ = stream.set_nodelay(true);
                let stream = LinkStream::Direct(stream);
                handshakes.begin(from.ip(), shake(stream, acceptor.clone(), Arc::clone(&half_open)));
            }
            Err(error) => {
                // Out of file descriptors, or the dialler is gone already: neither is a reason to stop listening.
                tracing::warn!(%error, "a link could not be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

/// A link whose dialler has proved who it is.
struct Known {
    way: Way,
    accepted: Accepted<LinkStream>,
}

/// Finds out who opens a link, and gives it a place.
async fn shake(
    stream: LinkStream,
    acceptor: Acceptor,
    half_open: Arc<Semaphore>,
) -> Option<(Known, OwnedSemaphorePermit)> {
    let way = stream.way();
    let accepted = match acceptor.accept(stream).await {
        Ok(accepted) => accepted,
        Err(error) => {
            tracing::debug!(%error, "a link was not taken");
            return None;
        }
    };
    match half_open.try_acquire_owned() {
        Ok(permit) => Some((Known { way, accepted }, permit)),
        Err(_) => {
            tracing::debug!("too many links wait for their first message");
            let _ = accepted.refuse::<ClientMessage>(ErrorCode::LimitReached).await;
            None
        }
    }
}

async fn take(known: Known, inputs: mpsc::Sender<Input>, permit: OwnedSemaphorePermit) {
    let Known { way, accepted } = known;
    let Some(peer) = accepted.peer().cloned() else { return };
    let mut connection = match accepted.greet::<ClientMessage>().await {
        Ok(connection) => connection,
        Err(error) => return tracing::debug!(%error, "a link was not greeted"),
    };
    match first_message(&mut connection).await {
        Ok(message) => {
            let incoming = Box::new(Incoming { peer, way, connection, message, permit });
            // Without an engine the link ends here, and so does everything else.
            let _ = inputs.send(Input::Accepted(incoming)).await;
        }
        Err(code) => refuse(connection, None, code).await,
    }
}

/// The first message that is more than a sign of life; an error is the code to close with.
//= spec/text/wire.md#greeting
//# WIRE-044: An accepting end MUST close with `deadline` when the dialler's first message hasn't come 10 seconds after the greeting.
async fn first_message(connection: &mut LinkConnection) -> Result<First, Option<ErrorCode>> {
    let greeted = Instant::now();
    let mut deadline = greeted + GREETING_DEADLINE;
    loop {
        let received = timeout_at(deadline, connection.receive()).await;
        // A ping counts as a first message, but does not keep a place for ever.
        deadline = greeted + HALF_OPEN_LIFETIME;
        let message = match received {
            Err(_) => return Err(Some(ErrorCode::Deadline)),
            Ok(Ok(message)) => message,
            Ok(Err(Ended::Violation(violation))) => return Err(Some(violation.code())),
            Ok(Err(Ended::Done | Ended::Error(_) | Ended::Lost(_))) => return Err(None),
        };
        if let ClientMessage::Ping(ping) = &message {
            let pong = ClientMessage::pong(ping.number);
            timeout_at(deadline, connection.send(&pong)).await.map_err(|_| None)?.map_err(|_| None)?;
        }
        if let Some(message) = first(message).map_err(Some)? {
            return Ok(message);
        }
    }
}
