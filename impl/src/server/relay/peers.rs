//! Connections to other servers for relayed links: one to each, apart from the one for requests, so that bytes do not
//! hold up what servers ask each other.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use antiphon_protocol::connection::DiallingEnd;
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{ContactAddress, ServerName},
    limits::KEEP_ALIVE_INTERVAL,
    message::server_server::{FromPeerServer, ToPeerServer},
};
use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use tokio::{net::TcpStream, time::timeout};
use tracing::debug;

use super::{Came, Outlet, RelayEnd};
use crate::{
    net::{Link, Serving},
    server::peers::Peers,
};

/// Most servers to which links lead at once; each was vouched for by the root.
const PEERS_MAX: usize = 4_096;

/// How long a connection without a link is kept.
const IDLE: Duration = Duration::from_secs(4 * KEEP_ALIVE_INTERVAL.as_secs());

/// A connection that is being made, or was.
type Way = Shared<BoxFuture<'static, Option<Arc<RelayEnd>>>>;

/// The ways to other servers.
#[derive(Clone, Debug)]
pub(super) struct RelayPeers {
    ways: Arc<Mutex<HashMap<ServerName, Way>>>,
    peers: Peers,
    serving: Serving,
}

impl RelayPeers {
    pub(super) fn new(peers: Peers, serving: Serving) -> Self {
        Self { ways: Arc::default(), peers, serving }
    }

    /// The connection to a server; none if it cannot be reached.
    pub(super) async fn to(&self, name: &ServerName, address: ContactAddress) -> Option<Arc<RelayEnd>> {
        let way = {
            let mut ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
            let is_usable = |way: &Way| match way.peek() {
                None => true,
                Some(Some(end)) => !end.is_over(),
                Some(None) => false,
            };
            match ways.get(name).filter(|way| is_usable(way)) {
                Some(way) => way.clone(),
                None => {
                    ways.retain(|_, way| is_usable(way));
                    if ways.len() >= PEERS_MAX {
                        return None;
                    }
                    let way = self.open(name.clone(), address);
                    ways.insert(name.clone(), way.clone());
                    way
                }
            }
        };
        way.await
    }

    fn open(&self, name: ServerName, address: ContactAddress) -> Way {
        let (peers, serving) = (self.peers.clone(), self.serving.clone());
        async move {
            let connection = peers.open(&name, address).await?;
            Some(serve(connection, &serving))
        }
        .boxed()
        .shared()
    }
}

fn serve(connection: DiallingEnd<TcpStream, ToPeerServer>, serving: &Serving) -> Arc<RelayEnd> {
    let (tracker, shutdown) = (&serving.tracker, serving.shutdown.clone());
    let mut link = Link::dialled(connection, serving.allowance(), tracker, shutdown);
    let end = RelayEnd::new(Outlet::DialledPeer(link.outbox().clone()));
    let served = Arc::clone(&end);
    tracker.spawn(async move {
        loop {
            let message = match timeout(IDLE, link.next()).await {
                Err(_) if served.is_used() => continue,
                Err(_) => break link.outbox().close(None),
                Ok(Err(ended)) => break debug!(?ended, "a connection for relayed links has ended"),
                Ok(Ok(message)) => message,
            };
            if let Err(code) = receive(&served, message) {
                link.outbox().close(Some(code));
            }
        }
        served.over();
        link.linger().await;
    });
    end
}

fn receive(end: &RelayEnd, message: FromPeerServer) -> Result<(), ErrorCode> {
    match message {
        FromPeerServer::RelayOpened(body) => end.came(body.link, Came::Opened),
        FromPeerServer::RelayData(body) => end.came(body.link, Came::Data(body.bytes)),
        FromPeerServer::RelayCredit(body) => end.came(body.link, Came::Credit(body.bytes)),
        FromPeerServer::RelayClose(body) => end.came(body.link, Came::Closed),
        // Nothing was asked on this connection.
        FromPeerServer::Greeting(_)
        | FromPeerServer::CheckedOut(_)
        | FromPeerServer::Stored(_)
        | FromPeerServer::Renewed(_)
        | FromPeerServer::CheckedIn(_)
        | FromPeerServer::ReplaceDone(_)
        | FromPeerServer::Resolved(_)
        | FromPeerServer::Refused(_)
        | FromPeerServer::Ping(_)
        | FromPeerServer::Pong(_)
        | FromPeerServer::Goodbye(_)
        | FromPeerServer::Error(_) => Err(ErrorCode::UnexpectedMessage),
    }
}
