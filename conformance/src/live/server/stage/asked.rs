//! The accepting end of the suite: a connection whose requests wait until a case answers them, in any order or not at all.

use std::sync::{Arc, Mutex, PoisonError};

use antiphon_protocol::{
    connection::{AcceptingEnd, Acceptor, Ended},
    message::{AcceptorMessage, ChannelMessage as _, DiallerMessage, LinkMessage},
};
use antiphon_spec::{error_code::ErrorCode, identity::ContactAddress, message::common::RequestId};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Done, LONG_PATIENCE};
use crate::{case::Failure, process::PATIENCE};

/// Messages of a dialling end, some of which ask.
pub(in crate::live) trait Asks:
    DiallerMessage + antiphon_spec::channel::Request<Answer = <Self as DiallerMessage>::Answer>
{
}
impl<M> Asks for M where
    M: DiallerMessage + antiphon_spec::channel::Request<Answer = <M as DiallerMessage>::Answer>
{
}

/// What the writer of a connection is to do.
enum Order<A> {
    Send(A),
    Goodbye,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Not,
    Done,
    Error(ErrorCode),
    Lost,
}

/// A request, and the connection on which its answer is awaited.
pub(in crate::live) struct Asked<M: Asks> {
    request: M,
    id: RequestId,
    link: LinkHandle<M>,
}

struct LinkHandle<M: Asks> {
    orders: mpsc::UnboundedSender<Order<<M as DiallerMessage>::Answer>>,
    cut: CancellationToken,
    ended: watch::Receiver<End>,
}

impl<M: Asks> Clone for LinkHandle<M> {
    fn clone(&self) -> Self {
        Self { orders: self.orders.clone(), cut: self.cut.clone(), ended: self.ended.clone() }
    }
}

/// A connection whose end is awaited.
pub(in crate::live::server) struct Watched(watch::Receiver<End>);

impl Watched {
    /// Waits until the peer has closed with this code.
    pub(in crate::live::server) async fn closed_with(mut self, code: ErrorCode) -> Done {
        let ended = timeout(PATIENCE, self.0.wait_for(|end| *end != End::Not)).await;
        match ended {
            Ok(Ok(end)) if *end == End::Error(code) => Ok(()),
            Ok(Ok(end)) => Err(Failure::unexpected(format!("an error with {code}"), format!("{:?}", *end))),
            Ok(Err(_)) | Err(_) => Err(Failure::unexpected(format!("an error with {code}"), "nothing")),
        }
    }
}

impl<M: Asks> Asked<M> {
    pub(in crate::live) fn request(&self) -> &M {
        &self.request
    }

    pub(in crate::live) fn id(&self) -> RequestId {
        self.id
    }

    /// Answers, or says whatever else.
    pub(in crate::live) fn say(&self, message: <M as DiallerMessage>::Answer) {
        // If the connection has ended, the case sees that elsewhere.
        let _ = self.link.orders.send(Order::Send(message));
    }

    pub(super) fn say_goodbye(&self) {
        let _ = self.link.orders.send(Order::Goodbye);
    }

    pub(super) fn watch(self) -> Watched {
        Watched(self.link.ended)
    }

    /// Ends the connection without a word.
    pub(in crate::live::server) fn cut(self) {
        self.link.cut.cancel();
    }

    /// Waits until the peer has ended the connection, in whatever way, for longer than a request may stay open.
    pub(in crate::live::server) async fn ended(mut self) -> Done {
        match timeout(LONG_PATIENCE, self.link.ended.wait_for(|end| *end != End::Not)).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Failure::unexpected("the end of the connection", "nothing")),
        }
    }
}

/// A port. While it is down it stays this suite's, so that nobody else gets its number, and whoever connects is cut off.
pub(in crate::live) struct Listening {
    address: ContactAddress,
    /// Of the connections since it came up; none while it is down.
    up: Arc<Mutex<Option<DropGuard>>>,
    _stop: DropGuard,
}

impl Listening {
    /// Serves a port; what is asked goes to `asked`.
    pub(in crate::live) fn start<M: Asks>(
        (listener, address): (TcpListener, ContactAddress),
        acceptor: Acceptor,
        asked: Arc<dyn Fn(Asked<M>) + Send + Sync>,
    ) -> Self
    where
        <M as DiallerMessage>::Answer: AcceptorMessage,
    {
        let (stop, up) = (CancellationToken::new(), Arc::new(Mutex::new(None)));
        let (until, now_up) = (stop.clone(), Arc::clone(&up));
        tokio::spawn(async move {
            let accept = async {
                while let Ok((stream, _)) = listener.accept().await {
                    let Some(cut) = connection_of(&now_up) else { continue };
                    let (acceptor, asked, until) = (acceptor.clone(), Arc::clone(&asked), until.clone());
                    tokio::spawn(async move {
                        tokio::select! {
                            () = cut.cancelled() => {}
                            () = until.cancelled() => {}
                            () = serve(acceptor, stream, asked, &cut) => {}
                        }
                    });
                }
            };
            tokio::select! {
                () = until.cancelled() => {}
                () = accept => {}
            }
        });
        let listening = Self { address, up, _stop: stop.drop_guard() };
        listening.come_up();
        listening
    }

    pub(in crate::live) fn address(&self) -> ContactAddress {
        self.address
    }

    pub(super) fn come_up(&self) {
        *self.up.lock().unwrap_or_else(PoisonError::into_inner) = Some(CancellationToken::new().drop_guard());
    }

    /// Cuts every connection, and those that come.
    pub(in crate::live) fn go_down(&self) {
        drop(self.up.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// What cuts a new connection, unless the port is down.
fn connection_of(up: &Mutex<Option<DropGuard>>) -> Option<CancellationToken> {
    let up = up.lock().unwrap_or_else(PoisonError::into_inner);
    up.as_ref().map(|guard| guard.token().child_token())
}

async fn serve<M: Asks>(
    acceptor: Acceptor,
    stream: TcpStream,
    asked: Arc<dyn Fn(Asked<M>) + Send + Sync>,
    cut: &CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    let Ok(accepted) = acceptor.accept(stream).await else { return };
    let Ok(connection) = accepted.greet::<M>().await else { return };
    converse(connection, asked, cut).await;
}

/// Reads requests and pings, and carries orders out, until the connection ends.
async fn converse<M: Asks>(
    connection: AcceptingEnd<TcpStream, M>,
    asked: Arc<dyn Fn(Asked<M>) + Send + Sync>,
    cut: &CancellationToken,
) {
    let (mut reader, mut writer) = connection.split();
    let (orders, mut waiting) = mpsc::unbounded_channel();
    let (end, ended) = watch::channel(End::Not);
    let link = LinkHandle::<M> { orders: orders.clone(), cut: cut.clone(), ended };
    let write = async move {
        while let Some(order) = waiting.recv().await {
            match order {
                Order::Send(message) => {
                    if writer.send(&message).await.is_err() {
                        break;
                    }
                }
                Order::Goodbye => {
                    let _ = writer.goodbye().await;
                    break;
                }
            }
        }
        // What was sent last may still be on its way; the reader sees the end.
        std::future::pending::<()>().await;
    };
    let read = async {
        loop {
            match reader.receive().await {
                Ok(message) => match (message.link(), message.question()) {
                    (Some(LinkMessage::Ping(number)), _) => {
                        let _ = orders.send(Order::Send(<M as DiallerMessage>::Answer::pong(number)));
                    }
                    (_, Some((id, _))) => asked(Asked { request: message, id, link: link.clone() }),
                    // What is no request, as the messages of relayed links, has no ID that an answer would need.
                    (_, None) if message.link().is_none() => {
                        asked(Asked { request: message, id: RequestId(0), link: link.clone() });
                    }
                    (_, None) => {}
                },
                Err(Ended::Done) => return End::Done,
                Err(Ended::Error(code)) => return End::Error(code),
                Err(Ended::Lost(_) | Ended::Violation(_)) => return End::Lost,
            }
        }
    };
    let how = tokio::select! {
        () = write => End::Lost,
        how = read => how,
    };
    end.send_replace(how);
}
