//! A directory node: contact records with leases, for servers (chapter *Location service*).
//!
//! One node keeps all records. It believes a server about itself and nobody about others: what a record names is
//! compared with the certificate of the connection.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use antiphon_protocol::{
    connection::{Accepted, Acceptor},
    tls::{Clock, Port, SystemClock, now},
};
use antiphon_spec::{
    channel::receive_at_directory_node,
    error_code::ErrorCode,
    identity::{Identity, ObjectHandle, ServerName},
    message::{
        common::RequestId,
        location::{Deleted, Found, FromDirectoryNode, Inserted, Issued, ToDirectoryNode},
    },
};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info};

use crate::{
    config::DirectoryNodeConfig,
    credentials,
    mutant::{Mutant, active},
    net::{self, Link, Listener, Origin, Refuses as _, Serving, entropy, respond},
    start::StartError,
    store::{self, NodeStore, StoreError},
};

/// How often records whose lease has ended are forgotten; until then they are not told either.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// A running directory node. Dropping it stops it without a word to its peers.
#[derive(Debug)]
pub struct DirectoryNode {
    address: SocketAddr,
    serving: Serving,
    store: NodeStore,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    store: NodeStore,
    clock: Clock,
    lease: Duration,
    records_per_server: u64,
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
        let credentials = credentials::load_own(&config.certificate, &config.key, &trust, &whom, &clock);
        let credentials = credentials.map_err(unusable)?;
        let store = NodeStore::open(&config.database, &config.name).await?;
        let acceptor = Acceptor::new(Port::Location, credentials, trust, Arc::clone(&clock));
        let listener = Listener::bind(config.listen_address, acceptor)
            .await
            .map_err(|source| StartError::Listen { address: config.listen_address, source })?;
        let (address, serving) = (listener.address(), Serving::new(config.limits));
        let shared = Arc::new(Shared {
            store: store.clone(),
            clock,
            lease: Duration::from_secs(config.lease),
            records_per_server: config.records_per_server,
        });
        serving.tracker.spawn(sweep(Arc::clone(&shared), serving.shutdown.clone()));
        let connections = serving.clone();
        let accept = listener.serve(serving.clone(), move |accepted, origin| {
            serve(Arc::clone(&shared), connections.clone(), accepted, origin)
        });
        serving.tracker.spawn(accept);
        info!(name = %config.name, %address, "the directory node listens");
        Ok(Self { address, serving, store })
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
        self.store.close().await;
        info!("the directory node has stopped");
    }
}

impl Drop for DirectoryNode {
    fn drop(&mut self) {
        self.serving.shutdown.cancel();
    }
}

async fn sweep(shared: Arc<Shared>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(SWEEP_INTERVAL) => {}
        }
        match shared.store.sweep(now(&shared.clock)).await {
            Ok(0) => {}
            Ok(ended) => debug!(ended, "leases have ended"),
            Err(error) => error!(error = net::chain(&error), "ended leases cannot be swept"),
        }
    }
}

async fn serve(shared: Arc<Shared>, serving: Serving, accepted: Accepted<TcpStream>, origin: Origin) {
    let peer = accepted.peer().map(|peer| peer.identity().clone());
    let refusal = match (&peer, origin.is_full) {
        (Some(Identity::Server(_)), false) => None,
        (Some(Identity::Server(_)), true) => Some(ErrorCode::LimitReached),
        // The verifier takes nobody else on this port.
        (Some(Identity::DirectoryNode(_) | Identity::User(_)) | None, _) => {
            Some(ErrorCode::CertificateRefused)
        }
    };
    if let Some(code) = refusal {
        debug!(%code, "a peer was refused");
        let _ = accepted.refuse::<ToDirectoryNode>(code).await;
        return;
    }
    let (Some(Identity::Server(server)), Ok(connection)) = (peer, accepted.greet::<ToDirectoryNode>().await)
    else {
        return;
    };
    let limits = &serving.limits;
    let link = Link::accepted(connection, limits.outgoing_bytes, &serving.tracker, serving.shutdown.clone());
    let answer = |request| {
        let (shared, server) = (&shared, &server);
        async move { shared.answer(server, request).await }
    };
    let end = respond(link, receive_at_directory_node, limits.requests_per_connection, answer, drop).await;
    debug!(%server, ?end, "a connection has ended");
}

impl Shared {
    /// The answer to a request of `server`; none to what is no request.
    async fn answer(&self, server: &ServerName, request: ToDirectoryNode) -> Option<FromDirectoryNode> {
        let (id, answer) = match request {
            ToDirectoryNode::Issue(body) => (body.id, self.issue(body.id).await),
            ToDirectoryNode::Insert(body) => {
                let answer = if self.is_forbidden(server, &body.record.server) {
                    Ok(FromDirectoryNode::refused(body.id, ErrorCode::Forbidden))
                } else {
                    let (now, lease) = (now(&self.clock), self.lease);
                    let (store, records) = (&self.store, self.records_per_server);
                    let inserted = store.insert(body.handle, &body.record, now, now.after(lease), records);
                    inserted.await.map(|inserted| self.inserted(body.id, inserted))
                };
                (body.id, answer)
            }
            ToDirectoryNode::Delete(body) => {
                let answer = if self.is_forbidden(server, &body.record.server) {
                    Ok(FromDirectoryNode::refused(body.id, ErrorCode::Forbidden))
                } else {
                    let deleted = self.store.delete(body.handle, &body.record).await;
                    deleted.map(|()| FromDirectoryNode::Deleted(Deleted { id: body.id }))
                };
                (body.id, answer)
            }
            ToDirectoryNode::Find(body) => {
                let found = self.store.find(body.handle, now(&self.clock)).await;
                (body.id, found.map(|records| FromDirectoryNode::Found(Found { id: body.id, records })))
            }
            ToDirectoryNode::Ping(_)
            | ToDirectoryNode::Pong(_)
            | ToDirectoryNode::Goodbye(_)
            | ToDirectoryNode::Error(_) => return None,
        };
        Some(answer.unwrap_or_else(|error| {
            error!(error = net::chain(&error), "a request cannot be carried out");
            FromDirectoryNode::refused(id, ErrorCode::Internal)
        }))
    }

    #[expect(clippy::unused_self, reason = "the rule is the node's")]
    fn is_forbidden(&self, server: &ServerName, named: &ServerName) -> bool {
        server != named && !active(Mutant::ForeignRecordAccepted)
    }

    fn inserted(&self, id: RequestId, inserted: store::Inserted) -> FromDirectoryNode {
        match inserted {
            store::Inserted::Stands => {
                FromDirectoryNode::Inserted(Inserted { id, lease: self.lease.as_secs() })
            }
            store::Inserted::Older => FromDirectoryNode::refused(id, ErrorCode::EntryExists),
            store::Inserted::Full => FromDirectoryNode::refused(id, ErrorCode::LimitReached),
        }
    }

    async fn issue(&self, id: RequestId) -> Result<FromDirectoryNode, StoreError> {
        loop {
            let Ok(bytes) = entropy() else {
                error!("the system has no entropy to give");
                return Ok(FromDirectoryNode::refused(id, ErrorCode::Internal));
            };
            let handle = ObjectHandle(bytes);
            // Neither happens in the life of a universe; the rule holds all the same.
            if handle != ObjectHandle::SERVERS && self.store.issue(handle).await? {
                return Ok(FromDirectoryNode::Issued(Issued { id, handle }));
            }
        }
    }
}

#[cfg(test)]
mod tests;
