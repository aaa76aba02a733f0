//! A directory node: contact records with leases, for servers, and forwarding pointers, for the nodes below (chapter
//! *Location service*).
//!
//! It believes whoever asks about itself and about nobody else: who that is, the certificate of the connection says. What
//! it does is the machine's; here are connections, tasks and the store around it.

mod handles;
mod keeper;
mod tree;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, atomic::AtomicU64},
    time::Duration,
};

use antiphon_protocol::{
    connection::{Accepted, Acceptor, Dialler},
    tls::{Clock, Current, Port, SystemClock},
};
use antiphon_spec::{
    channel::receive_at_directory_node,
    error_code::ErrorCode,
    identity::{ContactAddress, Identity, ObjectHandle},
    location::{Answer, Asker, Request},
    message::{
        common::RequestId,
        location::{
            Deleted, Found, FromDirectoryNode, Inserted, Issued, PointerDeleted, PointerInserted, Superseded,
            ToDirectoryNode,
        },
    },
};
use futures::future::BoxFuture;
use tokio::{net::TcpStream, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info};

pub(crate) use self::tree::requester;
use self::{handles::Handles, keeper::Keeper, tree::Tree};
use crate::{
    config::DirectoryNodeConfig,
    credentials,
    monitoring::{self, Obstacle, Watched, metrics},
    net::{self, Link, Listener, Origin, Refuses as _, Serving, entropy, respond_at_once},
    renewal::Files,
    start::StartError,
    store::{NodeStore, StoreError},
};

/// How often records whose lease has ended are forgotten; until then they are not told either.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// How long the store has to answer whoever asks whether the node is ready.
const STORE_PATIENCE: Duration = Duration::from_secs(3);

/// A running directory node. Dropping it stops it without a word to its peers.
#[derive(Debug)]
pub struct DirectoryNode {
    address: SocketAddr,
    serving: Serving,
    asking: Serving,
    store: NodeStore,
    handles: Arc<Handles>,
}

/// What an operator's tools see of a directory node.
#[derive(Debug)]
struct WatchedNode {
    store: NodeStore,
    serving: Serving,
    handles: Arc<Handles>,
}

impl Watched for WatchedNode {
    fn sample(&self) {
        metrics::waiting_bytes(self.serving.waiting_bytes());
        metrics::busy_handles(self.handles.busy());
    }

    fn obstacles(&self) -> BoxFuture<'_, Vec<Obstacle>> {
        Box::pin(async {
            let has_store = matches!(timeout(STORE_PATIENCE, self.store.check()).await, Ok(Ok(())));
            let store = (!has_store).then_some(Obstacle::Store);
            [store, monitoring::going_down(&self.serving)].into_iter().flatten().collect()
        })
    }
}

impl DirectoryNode {
    /// Opens the store and listens.
    ///
    /// # Errors
    /// A file of the configuration cannot be used, or the address cannot be listened on.
    pub async fn start(config: DirectoryNodeConfig) -> Result<Self, StartError> {
        let unusable = |error| StartError::credentials(&config.files(), error);
        let trust = credentials::load_trust(&config.root).map_err(unusable)?;
        let clock: Clock = Arc::new(SystemClock);
        let whom = Identity::DirectoryNode(config.name.clone());
        let own = Files::new([config.certificate.clone(), config.key.clone()]);
        let load_own = {
            let (certificate, key) = (config.certificate.clone(), config.key.clone());
            let (trust, clock) = (Arc::clone(&trust), Arc::clone(&clock));
            move || credentials::load_own(&certificate, &key, &trust, &whom, &clock)
        };
        let credentials = Current::from(load_own().map_err(unusable)?);
        let store = NodeStore::open(&config.database, &config.name).await?;
        let dialler = Dialler::renewing(credentials.clone(), Arc::clone(&trust), Arc::clone(&clock));
        let acceptor = Acceptor::new(Port::Location, credentials.clone(), trust, Arc::clone(&clock));
        let listener = Listener::bind(config.listen_address, acceptor)
            .await
            .map_err(|source| StartError::Listen { address: config.listen_address, source })?;
        let address = listener.address();
        let advertised = match config.advertised_address {
            Some(advertised) => advertised,
            None if address.ip().is_unspecified() && !config.parent.is_empty() => {
                return Err(StartError::NoAddress(address));
            }
            None => ContactAddress(address),
        };
        let (serving, asking) = (Serving::new(config.limits.clone()), Serving::new(config.limits));
        let replace = move |renewed| credentials.replace(renewed);
        serving.tracker.spawn(own.watch(load_own, replace, serving.shutdown.clone()));
        let own = (config.name.clone(), advertised);
        let shared = Arc::new(Handles {
            clock,
            lease: Duration::from_secs(config.lease),
            records_per_server: config.records_per_server,
            tree: Tree::new(own, dialler, config.parent, asking.clone()),
            asking: asking.clone(),
            tasks: Mutex::new(HashMap::new()),
            pointers: AtomicU64::new(Handles::first_pointer(store.starts())),
            keeper: Keeper::start(store.clone()),
            store: store.clone(),
        });
        serving.tracker.spawn(sweep(Arc::clone(&shared), serving.shutdown.clone()));
        let connections = serving.clone();
        let handles = Arc::clone(&shared);
        let accept = listener.serve(serving.clone(), move |accepted, origin| {
            serve(Arc::clone(&shared), connections.clone(), accepted, origin)
        });
        serving.tracker.spawn(accept);
        info!(name = %config.name, %address, "the directory node listens");
        Ok(Self { address, serving, asking, store, handles })
    }

    /// What an operator's tools see of it.
    pub(crate) fn watched(&self) -> impl Watched + use<> {
        let handles = Arc::clone(&self.handles);
        WatchedNode { store: self.store.clone(), serving: self.serving.clone(), handles }
    }

    /// Where it listens, with the port that was bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells all peers, lets open requests be carried out, and stops.
    pub async fn shutdown(self) {
        self.serving.shutdown.cancel();
        self.serving.tracker.close();
        self.serving.tracker.wait().await;
        self.asking.shutdown.cancel();
        self.asking.tracker.close();
        self.asking.tracker.wait().await;
        self.store.close().await;
        info!("the directory node has stopped");
    }
}

impl Drop for DirectoryNode {
    fn drop(&mut self) {
        self.serving.shutdown.cancel();
        self.asking.shutdown.cancel();
    }
}

async fn sweep(shared: Arc<Handles>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(SWEEP_INTERVAL) => {}
        }
        match shared.sweep().await {
            Ok(0) => {}
            Ok(ended) => {
                debug!(ended, "leases have ended");
                metrics::leases_ended(ended);
            }
            Err(error) => error!(error = net::chain(&error), "ended leases cannot be swept"),
        }
    }
}

async fn serve(shared: Arc<Handles>, serving: Serving, accepted: Accepted<TcpStream>, origin: Origin) {
    let peer = accepted.peer().map(|peer| peer.identity().clone());
    let asker = match (peer, origin.is_full) {
        (Some(Identity::Server(server)), false) => Ok(Asker::Server(server)),
        (Some(Identity::DirectoryNode(node)), false) if shared.tree.is_parent(&node) => Ok(Asker::Parent),
        (Some(Identity::DirectoryNode(node)), false) => Ok(Asker::Child(node)),
        (Some(Identity::Server(_) | Identity::DirectoryNode(_)), true) => Err(ErrorCode::LimitReached),
        // The verifier takes nobody else on this port.
        (Some(Identity::User(_)) | None, _) => Err(ErrorCode::CertificateRefused),
    };
    let asker = match asker {
        Ok(asker) => asker,
        Err(code) => {
            debug!(%code, "a peer was refused");
            let _ = accepted.refuse::<ToDirectoryNode>(code).await;
            return;
        }
    };
    let Ok(connection) = accepted.greet::<ToDirectoryNode>().await else { return };
    let limits = &serving.limits;
    let link = Link::accepted(connection, serving.allowance(), &serving.tracker, serving.shutdown.clone());
    let answer = |request| answer(&shared, &asker, request);
    let requests = limits.requests_per_connection;
    let end = respond_at_once(
        link,
        receive_at_directory_node,
        (requests, serving.allowance()),
        requests,
        answer,
        drop,
    )
    .await;
    debug!(?asker, ?end, "a connection has ended");
}

/// The answer to a request; none to what is no request. What is asked about one handle is taken in the order of the calls.
fn answer(
    shared: &Arc<Handles>,
    asker: &Asker,
    request: ToDirectoryNode,
) -> impl Future<Output = Option<FromDirectoryNode>> + use<> {
    let asked = |id, handle, request| (id, Some(shared.ask(handle, asker.clone(), request)));
    let is_server = matches!(asker, Asker::Server(_));
    let is_pointer = matches!(request, ToDirectoryNode::InsertPointer(_) | ToDirectoryNode::DeletePointer(_));
    let (id, waiting) = match request {
        ToDirectoryNode::Issue(body) => (body.id, None),
        ToDirectoryNode::Insert(body) => {
            asked(body.id, body.handle, Request::Insert { record: body.record, if_absent: body.if_absent })
        }
        ToDirectoryNode::Delete(body) => asked(body.id, body.handle, Request::Delete { record: body.record }),
        ToDirectoryNode::Find(body) => asked(body.id, body.handle, Request::Find { hops: body.hops }),
        ToDirectoryNode::InsertPointer(body) => {
            let request = Request::InsertPointer { pointer: body.pointer, if_absent: body.if_absent };
            asked(body.id, body.handle, request)
        }
        ToDirectoryNode::DeletePointer(body) => {
            asked(body.id, body.handle, Request::DeletePointer { number: body.number })
        }
        ToDirectoryNode::Supersede(body) => {
            asked(body.id, body.handle, Request::Supersede { epoch: body.epoch })
        }
        ToDirectoryNode::Ping(_)
        | ToDirectoryNode::Pong(_)
        | ToDirectoryNode::Goodbye(_)
        | ToDirectoryNode::Error(_) => return futures::future::Either::Left(std::future::ready(None)),
    };
    let shared = Arc::clone(shared);
    futures::future::Either::Right(async move {
        Some(match waiting {
            None if is_server => issue(&shared, id).await,
            None => FromDirectoryNode::refused(id, ErrorCode::Forbidden),
            // Without a word the task has ended for want of its store.
            Some(waiting) => match waiting.await {
                Ok(answer) => message(id, is_pointer, answer),
                Err(_) => FromDirectoryNode::refused(id, ErrorCode::Internal),
            },
        })
    })
}

/// An answer of the machine as it travels.
fn message(id: RequestId, is_pointer: bool, answer: Answer) -> FromDirectoryNode {
    match (answer, is_pointer) {
        (Answer::Inserted(lease), false) => {
            FromDirectoryNode::Inserted(Inserted { id, lease: lease.as_secs() })
        }
        (Answer::Inserted(lease), true) => {
            FromDirectoryNode::PointerInserted(PointerInserted { id, lease: lease.as_secs() })
        }
        (Answer::Deleted, false) => FromDirectoryNode::Deleted(Deleted { id }),
        (Answer::Deleted, true) => FromDirectoryNode::PointerDeleted(PointerDeleted { id }),
        (Answer::Found(records), _) => FromDirectoryNode::Found(Found { id, records }),
        (Answer::Superseded, _) => FromDirectoryNode::Superseded(Superseded { id }),
        (Answer::Refused(code), _) => FromDirectoryNode::refused(id, code),
    }
}

async fn issue(shared: &Handles, id: RequestId) -> FromDirectoryNode {
    match fresh(&shared.store).await {
        Ok(Some(handle)) => FromDirectoryNode::Issued(Issued { id, handle }),
        Ok(None) => {
            error!("the system has no entropy to give");
            FromDirectoryNode::refused(id, ErrorCode::Internal)
        }
        Err(failure) => {
            error!(error = net::chain(&failure), "a handle cannot be issued");
            FromDirectoryNode::refused(id, ErrorCode::Internal)
        }
    }
}

/// A handle that nobody was given before; none without entropy.
async fn fresh(store: &NodeStore) -> Result<Option<ObjectHandle>, StoreError> {
    loop {
        let Ok(bytes) = entropy() else { return Ok(None) };
        let handle = ObjectHandle(bytes);
        // Neither happens in the life of a universe; the rule holds all the same.
        if handle != ObjectHandle::SERVERS && store.issue(handle).await? {
            return Ok(Some(handle));
        }
    }
}

#[cfg(test)]
mod tests;
