//! The other nodes of the tree: the parent, as configured, and the children, where their pointers say that they are.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use antiphon_protocol::connection::Dialler;
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{ContactAddress, Identity, ObjectHandle, ServerName},
    location::process_of,
    message::{
        location::{
            ContactRecord, DeletePointer, Find, ForwardingPointer, FromDirectoryNode, InsertPointer,
            PointerNumber, Supersede, ToDirectoryNode,
        },
        server_server::LoginEpoch,
    },
};
use tracing::{debug, warn};

use crate::{
    config::DirectoryNodeAddress,
    net::{self, AskError, Requester, Serving},
};

/// Most children whose connections are kept; when there are more, all are made anew.
const CHILDREN_MAX: usize = 1_024;

/// Who is asked, and under which name this node is known.
#[derive(Debug)]
pub(super) struct Tree {
    name: ServerName,
    address: ContactAddress,
    dialler: Dialler,
    serving: Serving,
    parent: Vec<(ServerName, Requester<ToDirectoryNode>)>,
    children: Mutex<HashMap<(ServerName, ContactAddress), Requester<ToDirectoryNode>>>,
}

impl Tree {
    pub(super) fn new(
        (name, address): (ServerName, ContactAddress),
        dialler: Dialler,
        parent: Vec<DirectoryNodeAddress>,
        serving: Serving,
    ) -> Self {
        let processes = parent.into_iter();
        let parent = processes.map(|process| (process.name.clone(), requester(&dialler, process, &serving)));
        let (parent, children) = (parent.collect(), Mutex::new(HashMap::new()));
        Self { name, address, dialler, serving, parent, children }
    }

    pub(super) fn has_parent(&self) -> bool {
        !self.parent.is_empty()
    }

    pub(super) fn is_parent(&self, node: &ServerName) -> bool {
        self.parent.iter().any(|(parent, _)| parent == node)
    }

    /// What a pointer to this node says.
    pub(super) fn own(&self) -> (ServerName, ContactAddress) {
        (self.name.clone(), self.address)
    }

    fn parent(&self, handle: ObjectHandle) -> Result<Requester<ToDirectoryNode>, ErrorCode> {
        let at = process_of(handle, self.parent.len());
        let parent = self.parent.get(at).map(|(_, requester)| requester.clone());
        parent.ok_or(ErrorCode::LocationUnreachable)
    }

    fn child(&self, node: &ServerName, address: ContactAddress) -> Requester<ToDirectoryNode> {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (node.clone(), address);
        if !children.contains_key(&key) && children.len() >= CHILDREN_MAX {
            children.clear();
        }
        let child = || {
            let process = DirectoryNodeAddress { address, name: node.clone() };
            requester(&self.dialler, process, &self.serving)
        };
        children.entry(key).or_insert_with(child).clone()
    }

    pub(super) async fn insert_above(
        &self,
        handle: ObjectHandle,
        pointer: ForwardingPointer,
        if_absent: bool,
    ) -> Result<Duration, ErrorCode> {
        let ask = move |id| ToDirectoryNode::InsertPointer(InsertPointer { id, handle, pointer, if_absent });
        match self.parent(handle)?.ask_again(ask).await {
            Ok(FromDirectoryNode::PointerInserted(body)) => Ok(Duration::from_secs(body.lease)),
            other => Err(code(other)),
        }
    }

    pub(super) async fn delete_above(
        &self,
        handle: ObjectHandle,
        number: PointerNumber,
    ) -> Result<(), ErrorCode> {
        let ask = move |id| ToDirectoryNode::DeletePointer(DeletePointer { id, handle, number });
        match self.parent(handle)?.ask_again(ask).await {
            Ok(FromDirectoryNode::PointerDeleted(_)) => Ok(()),
            other => Err(code(other)),
        }
    }

    pub(super) async fn find_above(
        &self,
        handle: ObjectHandle,
        hops: u64,
    ) -> Result<Vec<ContactRecord>, ErrorCode> {
        debug!(%handle, hops, "the parent searches");
        find(&self.parent(handle)?, handle, hops).await
    }

    pub(super) async fn find_below(
        &self,
        node: &ServerName,
        address: ContactAddress,
        handle: ObjectHandle,
        hops: u64,
    ) -> Result<Vec<ContactRecord>, ErrorCode> {
        debug!(%handle, %node, hops, "a child searches");
        find(&self.child(node, address), handle, hops).await
    }

    pub(super) async fn supersede(
        &self,
        node: &ServerName,
        address: ContactAddress,
        handle: ObjectHandle,
        epoch: LoginEpoch,
    ) -> Result<(), AskError> {
        let ask = move |id| ToDirectoryNode::Supersede(Supersede { id, epoch, handle });
        self.child(node, address).ask_again(ask).await.map(drop)
    }
}

async fn find(
    node: &Requester<ToDirectoryNode>,
    handle: ObjectHandle,
    hops: u64,
) -> Result<Vec<ContactRecord>, ErrorCode> {
    match node.ask_again(move |id| ToDirectoryNode::Find(Find { id, hops, handle })).await {
        Ok(FromDirectoryNode::Found(body)) => Ok(body.records),
        other => Err(code(other)),
    }
}

/// Why a node hasn't done what it was asked for.
fn code(answer: Result<FromDirectoryNode, AskError>) -> ErrorCode {
    match answer {
        Err(AskError::Refused(code)) => code,
        Ok(_) | Err(AskError::Unreachable | AskError::Lost | AskError::Busy) => {
            ErrorCode::LocationUnreachable
        }
    }
}

/// Asks a process of a directory node.
pub(crate) fn requester(
    dialler: &Dialler,
    node: DirectoryNodeAddress,
    serving: &Serving,
) -> Requester<ToDirectoryNode> {
    let dialler = dialler.clone();
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
    Requester::start(dial, serving.clone())
}
