//! The server's way to the location service: requests to the one directory node, with answers as values.

use std::time::Duration;

use antiphon_protocol::connection::Dialler;
use antiphon_spec::{
    identity::{Identity, ObjectHandle},
    limits::LOCATION_LEASE,
    message::location::{ContactRecord, Delete, Find, FromDirectoryNode, Insert, Issue, ToDirectoryNode},
};
use tracing::warn;

use crate::{
    config::DirectoryNodeAddress,
    net::{self, AskError, Requester, Serving},
};

/// The shortest lease (`LOC-006`).
const LEASE_MIN: Duration = Duration::from_secs(1);

/// Asks the directory node.
#[derive(Clone, Debug)]
pub(crate) struct Location(Requester<ToDirectoryNode>);

impl Location {
    pub(crate) fn start(dialler: Dialler, node: DirectoryNodeAddress, serving: Serving) -> Self {
        let dial = move || {
            let (dialler, node) = (dialler.clone(), node.clone());
            async move {
                let whom = Identity::DirectoryNode(node.name.clone());
                match dialler.dial(node.address, &whom, None).await {
                    Ok((_, connection)) => Some(connection),
                    Err(error) => {
                        warn!(
                            node = %node.name, address = %node.address, error = net::chain(&error),
                            "the directory node cannot be reached"
                        );
                        None
                    }
                }
            }
        };
        Self(Requester::start(dial, serving))
    }

    /// A fresh object handle.
    pub(crate) async fn issue(&self) -> Result<ObjectHandle, AskError> {
        let FromDirectoryNode::Issued(body) =
            self.0.ask_again(|id| ToDirectoryNode::Issue(Issue { id })).await?
        else {
            return Err(AskError::Lost);
        };
        Ok(body.handle)
    }

    /// Inserts or renews a record; returns its lease.
    pub(crate) async fn insert(
        &self,
        handle: ObjectHandle,
        record: ContactRecord,
    ) -> Result<Duration, AskError> {
        let ask = move |id| ToDirectoryNode::Insert(Insert { id, handle, record });
        let FromDirectoryNode::Inserted(body) = self.0.ask_again(ask).await? else {
            return Err(AskError::Lost);
        };
        // LOC-006 bounds a lease; beyond the bounds it would have this server ask without a pause, or never again.
        Ok(Duration::from_secs(body.lease).clamp(LEASE_MIN, LOCATION_LEASE))
    }

    /// Deletes a record.
    pub(crate) async fn delete(&self, handle: ObjectHandle, record: ContactRecord) -> Result<(), AskError> {
        let ask = move |id| ToDirectoryNode::Delete(Delete { id, handle, record });
        self.0.ask_again(ask).await.map(drop)
    }

    /// The records of an object, the greatest epoch first.
    pub(crate) async fn find(&self, handle: ObjectHandle) -> Result<Vec<ContactRecord>, AskError> {
        let FromDirectoryNode::Found(body) =
            self.0.ask_again(move |id| ToDirectoryNode::Find(Find { id, handle })).await?
        else {
            return Err(AskError::Lost);
        };
        Ok(body.records)
    }
}
