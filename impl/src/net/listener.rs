//! A listening port: so many connections at once and no more, so many of one peer, until it is told to stop.

use std::{
    collections::HashMap,
    future::Future,
    hash::Hash,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use antiphon_protocol::{
    certificate::VerifiedPeer,
    connection::{AcceptError, Accepted, Acceptor},
};
use antiphon_spec::{
    identity::{Identity, ServerName},
    rate::Class,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument as _, debug, info_span, warn};

use super::{Allowance, Asker, Budget, Handshakes, Rates, rates::network};
use crate::{
    config::Limits,
    monitoring::metrics::{self, Handshake},
    mutant::{Mutant, active},
};

/// How long to wait when the system has no more sockets to give.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// So many connections are ended before any handshake before everybody else gets a turn.
const ENDED_IN_A_ROW_MAX: usize = 4;

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
    /// Cancelled when this process takes in no new users any more.
    pub draining: CancellationToken,
    budget: Arc<Budget>,
    connections: Arc<AtomicU64>,
    /// Whose connections were accepted, at each port for itself.
    peers: Arc<Mutex<Vec<Arc<Counts<Identity>>>>>,
}

impl Serving {
    /// For one process.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let budget = Arc::new(Budget::new(limits.waiting_bytes));
        let (tracker, shutdown, draining) =
            (TaskTracker::new(), CancellationToken::new(), CancellationToken::new());
        Self {
            limits,
            tracker,
            shutdown,
            draining,
            budget,
            connections: Arc::default(),
            peers: Arc::default(),
        }
    }

    /// The servers and directory nodes that are connected, and how often.
    pub(crate) fn connected_servers(&self) -> Vec<(ServerName, usize)> {
        let ports = self.peers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let name = |(peer, count)| match peer {
            Identity::Server(name) | Identity::DirectoryNode(name) => Some((name, count)),
            Identity::User(_) => None,
        };
        ports.iter().flat_map(|port| port.all()).filter_map(name).collect()
    }

    /// The same connections' limits and memory, and tasks that end at another time.
    #[must_use]
    pub(crate) fn beside(&self) -> Self {
        Self { tracker: TaskTracker::new(), shutdown: CancellationToken::new(), ..self.clone() }
    }

    /// How many bytes wait, for peers to read and to be carried out.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.budget.held()
    }

    /// What may wait for one connection.
    pub(crate) fn allowance(&self) -> Allowance {
        Allowance::of(&self.budget, self.limits.outgoing_bytes)
    }
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// The peer's address.
    pub(crate) address: IpAddr,
    /// The peer has as many connections as it may have already.
    pub(crate) is_full: bool,
    /// The connection's number in this process, from 1: in the log, every line of it has it.
    pub(crate) number: u64,
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

    /// Accepts until the process goes down, from each address as often as the rates allow. `handle` gets each connection whose handshake is over.
    pub(crate) async fn serve<H, F>(self, serving: Serving, handle: H)
    where
        H: Fn(Accepted<TcpStream>, Origin) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let connections = Arc::new(Semaphore::new(serving.limits.connections));
        let (peers, addresses) = (Arc::new(Counts::default()), Arc::new(Counts::default()));
        serving.peers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&peers));
        // Where the operator allows few connections, strangers do not get all of them.
        let handshakes_max =
            (serving.limits.connections / HANDSHAKES_SHARE).clamp(1, serving.limits.handshakes);
        let mut handshakes: Handshakes<Option<(Accepted<TcpStream>, IpAddr, _)>> =
            Handshakes::new(handshakes_max);
        // Each port counts for itself.
        let rates = Rates::new(&serving.limits);
        let port = self.acceptor.port();
        let mut ended_in_a_row = 0_usize;
        loop {
            // Who knocks without a pause gets turned away without one; what else this thread has to do goes first.
            if ended_in_a_row == ENDED_IN_A_ROW_MAX {
                ended_in_a_row = 0;
                tokio::task::yield_now().await;
            }
            let next = async {
                let permit = Arc::clone(&connections).acquire_owned().await.ok();
                (permit, self.socket.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                biased;
                () = serving.shutdown.cancelled() => return,
                known = handshakes.next() => {
                    if let Some((accepted, address, places)) = known {
                        let peer = accepted.peer().map(VerifiedPeer::identity);
                        let counted = peer.map(|peer| peers.count(peer.clone()));
                        let is_full =
                            counted.as_ref().is_some_and(|counted| counted.number > serving.limits.connections_per_peer);
                        let number = serving.connections.fetch_add(1, Ordering::Relaxed) + 1;
                        let handled = handle(accepted, Origin { address, is_full, number });
                        let there = metrics::connection(port);
                        let handling = async move {
                            handled.await;
                            drop((counted, places, there));
                        };
                        serving.tracker.spawn(handling.instrument(info_span!("connection", number)));
                    }
                    continue;
                }
                next = next => next,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let from = network(peer.ip());
                    // LIM-013: before anything is kept of it.
                    if !rates.allow(&Asker::Address(from), Class::Connect) {
                        debug!(address = %peer.ip(), "an address connects too often");
                        metrics::handshake(port, Handshake::TooOften);
                        ended_in_a_row += 1;
                        continue;
                    }
                    let address = addresses.count(from);
                    if address.number > serving.limits.connections_per_address
                        && !active(Mutant::AddressesUncounted)
                    {
                        debug!(address = %peer.ip(), "an address has too many connections");
                        metrics::handshake(port, Handshake::TooMany);
                        ended_in_a_row += 1;
                        continue;
                    }
                    let (acceptor, places) = (self.acceptor.clone(), (address, permit));
                    let crowded_out = handshakes.begin(from, async move {
                        Some((shake(stream, &acceptor).await?, peer.ip(), places))
                    });
                    (0..crowded_out).for_each(|_| metrics::handshake(port, Handshake::CrowdedOut));
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
    let (outcome, accepted) = match acceptor.accept(stream).await {
        Ok(accepted) => (Handshake::Done, Some(accepted)),
        Err(AcceptError::CertificateRefused(refused)) => {
            debug!(%refused, "a peer was refused");
            (Handshake::Refused, None)
        }
        Err(error) => {
            debug!(error = super::chain(&error), "a handshake failed");
            (Handshake::Failed, None)
        }
    };
    metrics::handshake(acceptor.port(), outcome);
    accepted
}

/// How many connections each peer or address has.
#[derive(Debug)]
struct Counts<K>(Mutex<HashMap<K, usize>>);

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// One connection, until it is dropped.
struct Counted<K: Eq + Hash> {
    counts: Arc<Counts<K>>,
    key: K,
    number: usize,
}

impl<K: Clone + Eq + Hash> Counts<K> {
    fn all(&self) -> Vec<(K, usize)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(key, number)| (key.clone(), *number)).collect()
    }

    fn count(self: &Arc<Self>, key: K) -> Counted<K> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = counts.entry(key.clone()).or_insert(0);
        *number += 1;
        Counted { number: *number, counts: Arc::clone(self), key }
    }
}

impl<K: Eq + Hash> Drop for Counted<K> {
    fn drop(&mut self) {
        let mut counts = self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = counts.get_mut(&self.key) {
            *number -= 1;
            if *number == 0 {
                counts.remove(&self.key);
            }
        }
    }
}
