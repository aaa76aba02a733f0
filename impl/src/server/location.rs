//! The server's way to the location service: requests to the directory node of its region, with answers as values.

use std::{sync::Arc, time::Duration};

use antiphon_protocol::connection::Dialler;
use antiphon_spec::{
    identity::{ObjectHandle, ServerName},
    limits::LOCATION_LEASE,
    location::process_of,
    message::location::{ContactRecord, Delete, Find, FromDirectoryNode, Insert, Issue, ToDirectoryNode},
};

use crate::{
    config::DirectoryNodeAddress,
    directory::requester,
    net::{AskError, Requester, Serving},
};

/// The shortest lease (`LOC-006`).
const LEASE_MIN: Duration = Duration::from_secs(1);

/// Asks the directory node, which several processes may serve.
#[derive(Clone, Debug)]
pub(crate) struct Location(Arc<[(ServerName, Requester<ToDirectoryNode>)]>);

impl Location {
    pub(crate) fn start(dialler: &Dialler, node: Vec<DirectoryNodeAddress>, serving: &Serving) -> Self {
        let process =
            |process: DirectoryNodeAddress| (process.name.clone(), requester(dialler, process, serving));
        Self(node.into_iter().map(process).collect())
    }

    /// The process that has a handle (`LOC-041`).
    fn process(&self, handle: ObjectHandle) -> Result<&Requester<ToDirectoryNode>, AskError> {
        let process = self.0.get(process_of(handle, self.0.len()));
        process.map(|(_, requester)| requester).ok_or(AskError::Unreachable)
    }

    /// The processes to which there is a connection.
    pub(crate) fn connected(&self) -> Vec<ServerName> {
        let connected = self.0.iter().filter(|(_, requester)| requester.is_connected());
        connected.map(|(name, _)| name.clone()).collect()
    }

    /// A fresh object handle.
    pub(crate) async fn issue(&self) -> Result<ObjectHandle, AskError> {
        let FromDirectoryNode::Issued(body) = self
            .0
            .first()
            .ok_or(AskError::Unreachable)?
            .1
            .ask_again(|id| ToDirectoryNode::Issue(Issue { id }))
            .await?
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
        let ask = move |id| ToDirectoryNode::Insert(Insert { id, handle, record, if_absent: false });
        let FromDirectoryNode::Inserted(body) = self.process(handle)?.ask_again(ask).await? else {
            return Err(AskError::Lost);
        };
        // LOC-006 bounds a lease; beyond the bounds it would have this server ask without a pause, or never again.
        Ok(Duration::from_secs(body.lease).clamp(LEASE_MIN, LOCATION_LEASE))
    }

    /// Deletes a record.
    pub(crate) async fn delete(&self, handle: ObjectHandle, record: ContactRecord) -> Result<(), AskError> {
        let ask = move |id| ToDirectoryNode::Delete(Delete { id, handle, record });
        self.process(handle)?.ask_again(ask).await.map(drop)
    }

    /// The records of an object, the greatest epoch first.
    pub(crate) async fn find(&self, handle: ObjectHandle) -> Result<Vec<ContactRecord>, AskError> {
        let FromDirectoryNode::Found(body) = self
            .process(handle)?
            .ask_again(move |id| ToDirectoryNode::Find(Find { id, hops: 0, handle }))
            .await?
        else {
            return Err(AskError::Lost);
        };
        Ok(body.records)
    }
}
