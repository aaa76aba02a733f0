//! A listening port: so many connections at once and no more, so many of one peer, until it is told to stop.

use std::{
    collections::HashMap,
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use antiphon_protocol::{
    certificate::VerifiedPeer,
    connection::{AcceptError, Accepted, Acceptor},
};
use antiphon_spec::identity::Identity;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, warn};

use super::Handshakes;
use crate::config::Limits;

/// How long to wait when the system has no more sockets to give.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// Most handshakes under way at one port; one more ends the oldest. Connections that say nothing cannot use up what a
/// process may open, which often is 1024 files.
const HANDSHAKES_MAX: usize = 256;

/// The part of a port's connections that may be handshakes: one in so many.
const HANDSHAKES_SHARE: usize = 4;

/// What all connections of a process share: its limits, its tasks, and the word that it goes down.
#[derive(Clone, Debug)]
pub struct Serving {
    /// What peers may use.
    pub limits: Limits,
    /// The tasks of connections.
    pub tracker: TaskTracker,
    /// Cancelled when this process goes down.
    pub shutdown: CancellationToken,
}

impl Serving {
    /// For one process.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, tracker: TaskTracker::new(), shutdown: CancellationToken::new() }
    }
}

/// A bound port that does not accept yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    acceptor: Acceptor,
}

impl Listener {
    /// Binds; port 0 takes any free port.
    ///
    /// # Errors
    /// The address is in use or not one of this machine's.
    pub async fn bind(address: SocketAddr, acceptor: Acceptor) -> std::io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address, acceptor })
    }

    /// The address with the port that was bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts until the process goes down. `handle` gets each connection whose handshake is over, and whether its
    /// peer has as many connections as it may have already.
    pub async fn serve<H, F>(self, serving: Serving, handle: H)
    where
        H: Fn(Accepted<TcpStream>, bool) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let connections = Arc::new(Semaphore::new(serving.limits.connections));
        let peers = Arc::new(Peers::default());
        // Where the operator allows few connections, strangers do not get all of them.
        let handshakes_max = (serving.limits.connections / HANDSHAKES_SHARE).clamp(1, HANDSHAKES_MAX);
        let mut handshakes: Handshakes<Option<(Accepted<TcpStream>, _)>> = Handshakes::new(handshakes_max);
        loop {
            let next = async {
                let permit = Arc::clone(&connections).acquire_owned().await.ok();
                (permit, self.socket.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                biased;
                () = serving.shutdown.cancelled() => return,
                known = handshakes.next() => {
                    if let Some((accepted, permit)) = known {
                        let counted = accepted.peer().map(|peer| peers.count(peer));
                        let is_full =
                            counted.as_ref().is_some_and(|counted| counted.number > serving.limits.connections_per_peer);
                        let handled = handle(accepted, is_full);
                        serving.tracker.spawn(async move {
                            handled.await;
                            drop((counted, permit));
                        });
                    }
                    continue;
                }
                next = next => next,
            };
            match accepted {
                Ok((stream, _)) => {
                    let acceptor = self.acceptor.clone();
                    handshakes.begin(async move { Some((shake(stream, &acceptor).await?, permit)) });
                }
                Err(error) => {
                    warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(EXHAUSTED_PAUSE).await;
                }
            }
        }
    }
}

async fn shake(stream: TcpStream, acceptor: &Acceptor) -> Option<Accepted<TcpStream>> {
    // Without it small answers wait for the peer's acknowledgement of the ones before.
    let _ = stream.set_nodelay(true);
    match acceptor.accept(stream).await {
        Ok(accepted) => return Some(accepted),
        Err(AcceptError::CertificateRefused(refused)) => debug!(%refused, "a peer was refused"),
        Err(error) => debug!(error = super::chain(&error), "a handshake failed"),
    }
    None
}

/// How many connections each peer has.
#[derive(Debug, Default)]
struct Peers(Mutex<HashMap<Identity, usize>>);

/// One connection of a peer, until it is dropped.
struct Counted {
    peers: Arc<Peers>,
    peer: Identity,
    number: usize,
}

impl Peers {
    fn count(self: &Arc<Self>, peer: &VerifiedPeer) -> Counted {
        let peer = peer.identity().clone();
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = counts.entry(peer.clone()).or_insert(0);
        *number += 1;
        Counted { number: *number, peers: Arc::clone(self), peer }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.peers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = counts.get_mut(&self.peer) {
            *number -= 1;
            if *number == 0 {
                counts.remove(&self.peer);
            }
        }
    }
}
