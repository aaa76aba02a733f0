//! The directory node that the suite plays: it keeps records in memory, tells what it was asked, and lets a case answer
//! in its place.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use antiphon_protocol::tls::Port;
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{ContactAddress, Identity, ObjectHandle, ServerName},
    message::{
        common::{Refused, RequestId},
        location::{ContactRecord, Deleted, Found, FromDirectoryNode, Inserted, Issued, ToDirectoryNode},
    },
};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use super::{
    Done,
    asked::{Asked, Listening, Watched},
    handle_bytes,
};
use crate::{
    case::Failure,
    live::{self, pki::Pki},
    process::PATIENCE,
};

/// The lease that is given unless a case says otherwise; long, so that nothing is renewed meanwhile.
const LEASE: u64 = 300;

/// The directory node; a clone is the same one.
#[derive(Clone)]
pub(in crate::live) struct Node(Arc<Inner>);

struct Inner {
    name: ServerName,
    listening: Listening,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    lease: Option<u64>,
    records: BTreeMap<ObjectHandle, Vec<ContactRecord>>,
    leases: BTreeMap<ObjectHandle, u64>,
    log: BTreeMap<ObjectHandle, Vec<ToDirectoryNode>>,
    issued: BTreeSet<ObjectHandle>,
    /// Who answers in the node's place, for a handle or, without one, for `issue`.
    holds: BTreeMap<Option<ObjectHandle>, mpsc::UnboundedSender<Held>>,
    /// With what is refused, in the same way.
    refusals: BTreeMap<Option<ObjectHandle>, ErrorCode>,
}

/// A request to the node that waits for a case to answer it.
pub(in crate::live::server) struct Held {
    asked: Asked<ToDirectoryNode>,
    node: Node,
}

/// The requests that a case answers; what is still open when this ends, and all later ones, the node answers.
pub(in crate::live::server) struct Holding {
    key: Option<ObjectHandle>,
    waiting: mpsc::UnboundedReceiver<Held>,
    node: Node,
}

/// While this lives, the node refuses what is asked under a handle, or each `issue`.
pub(in crate::live::server) struct Refusing {
    key: Option<ObjectHandle>,
    node: Node,
}

impl Node {
    pub(super) async fn start(pki: &Pki, name: ServerName, lease: Option<u64>) -> Result<Self, Failure> {
        let credentials = pki.credentials(&Identity::DirectoryNode(name.clone()))?;
        let acceptor = pki.acceptor(Port::Location, credentials);
        let port = live::bind().await?;
        let state = Mutex::new(State { lease, ..State::default() });
        let (changed, _) = watch::channel(());
        Ok(Self(Arc::new_cyclic(|inner| {
            // Not a strong reference: the node ends with the last case that has it.
            let inner = Weak::clone(inner);
            let asked = move |asked| {
                if let Some(inner) = inner.upgrade() {
                    Self(inner).asked(asked);
                }
            };
            Inner { name, listening: Listening::start(port, acceptor, Arc::new(asked)), state, changed }
        })))
    }

    pub(super) fn name(&self) -> &ServerName {
        &self.0.name
    }

    pub(super) fn address(&self) -> ContactAddress {
        self.0.listening.address()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves again, with every record that there was.
    pub(in crate::live::server) fn come_up(&self) {
        self.0.listening.come_up();
    }

    /// Cuts every connection, and whoever connects.
    pub(in crate::live::server) fn go_down(&self) {
        self.0.listening.go_down();
    }

    fn asked(&self, asked: Asked<ToDirectoryNode>) {
        let key = match asked.request() {
            ToDirectoryNode::Insert(body) => Some(body.handle),
            ToDirectoryNode::Delete(body) => Some(body.handle),
            ToDirectoryNode::Find(body) => Some(body.handle),
            ToDirectoryNode::InsertPointer(body) => Some(body.handle),
            ToDirectoryNode::DeletePointer(body) => Some(body.handle),
            ToDirectoryNode::Supersede(body) => Some(body.handle),
            ToDirectoryNode::Issue(_)
            | ToDirectoryNode::Ping(_)
            | ToDirectoryNode::Pong(_)
            | ToDirectoryNode::Goodbye(_)
            | ToDirectoryNode::Error(_) => None,
        };
        let (hold, refusal) = {
            let mut state = self.state();
            if let Some(handle) = key {
                state.log.entry(handle).or_default().push(asked.request().clone());
            }
            (state.holds.get(&key).cloned(), state.refusals.get(&key).copied())
        };
        let held = Held { asked, node: self.clone() };
        if let Some(code) = refusal {
            return held.refuse(code);
        }
        let free = match hold {
            Some(hold) => hold.send(held).err().map(|error| error.0),
            None => Some(held),
        };
        if let Some(held) = free {
            held.carry_out();
        }
    }

    fn carry_out(&self, request: &ToDirectoryNode) -> Option<FromDirectoryNode> {
        let mut state = self.state();
        let answer = match request.clone() {
            ToDirectoryNode::Issue(body) => {
                let handle = ObjectHandle(handle_bytes().ok()?);
                state.issued.insert(handle);
                FromDirectoryNode::Issued(Issued { id: body.id, handle })
            }
            ToDirectoryNode::Insert(body) => {
                let lease = state.leases.get(&body.handle).copied().or(state.lease).unwrap_or(LEASE);
                state.insert(body.handle, body.record);
                FromDirectoryNode::Inserted(Inserted { id: body.id, lease })
            }
            ToDirectoryNode::Delete(body) => {
                state.records.entry(body.handle).or_default().retain(|record| *record != body.record);
                FromDirectoryNode::Deleted(Deleted { id: body.id })
            }
            ToDirectoryNode::Find(body) => {
                let records = state.records.get(&body.handle).cloned().unwrap_or_default();
                FromDirectoryNode::Found(Found { id: body.id, records })
            }
            // This node is nobody's parent or child.
            ToDirectoryNode::InsertPointer(_)
            | ToDirectoryNode::DeletePointer(_)
            | ToDirectoryNode::Supersede(_)
            | ToDirectoryNode::Ping(_)
            | ToDirectoryNode::Pong(_)
            | ToDirectoryNode::Goodbye(_)
            | ToDirectoryNode::Error(_) => return None,
        };
        drop(state);
        self.0.changed.send_replace(());
        Some(answer)
    }

    /// Lets a case answer what is asked under a handle from now on.
    pub(in crate::live::server) fn hold(&self, handle: ObjectHandle) -> Holding {
        self.holding(Some(handle))
    }

    /// Lets a case answer each `issue` from now on.
    pub(in crate::live::server) fn hold_issues(&self) -> Holding {
        self.holding(None)
    }

    fn holding(&self, key: Option<ObjectHandle>) -> Holding {
        let (sender, waiting) = mpsc::unbounded_channel();
        self.state().holds.insert(key, sender);
        Holding { key, waiting, node: self.clone() }
    }

    /// Refuses what is asked under a handle from now on, as a node that has failed.
    pub(in crate::live::server) fn refuse(&self, handle: ObjectHandle) -> Refusing {
        self.refusing(Some(handle))
    }

    /// Refuses each `issue` from now on.
    pub(in crate::live::server) fn refuse_issues(&self) -> Refusing {
        self.refusing(None)
    }

    fn refusing(&self, key: Option<ObjectHandle>) -> Refusing {
        self.state().refusals.insert(key, ErrorCode::Internal);
        Refusing { key, node: self.clone() }
    }

    /// The lease that records under a handle get from now on, in seconds.
    pub(in crate::live::server) fn lease(&self, handle: ObjectHandle, seconds: u64) {
        self.state().leases.insert(handle, seconds);
    }

    /// Puts a record where it is not for the server under test to put it.
    pub(in crate::live::server) fn put(&self, handle: ObjectHandle, record: ContactRecord) {
        self.state().insert(handle, record);
    }

    /// Takes a server's record away.
    pub(super) fn remove(&self, handle: ObjectHandle, server: &ServerName) {
        self.state().records.entry(handle).or_default().retain(|record| record.server != *server);
    }

    /// The records under a handle, the greatest epoch first.
    pub(in crate::live::server) fn records(&self, handle: ObjectHandle) -> Vec<ContactRecord> {
        self.state().records.get(&handle).cloned().unwrap_or_default()
    }

    /// What was asked under a handle so far.
    pub(in crate::live) fn log(&self, handle: ObjectHandle) -> Vec<ToDirectoryNode> {
        self.state().log.get(&handle).cloned().unwrap_or_default()
    }

    /// Whether this node has issued a handle.
    pub(in crate::live::server) fn has_issued(&self, handle: ObjectHandle) -> bool {
        self.state().issued.contains(&handle)
    }

    /// Waits until a server has a record under a handle.
    pub(in crate::live::server) async fn inserted(&self, handle: ObjectHandle, server: &ServerName) -> Done {
        let mut changes = self.0.changed.subscribe();
        let there = changes.wait_for(|()| self.records(handle).iter().any(|record| record.server == *server));
        match timeout(PATIENCE, there).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Failure::unexpected(format!("a record of {server}"), "none")),
        }
    }
}

impl State {
    fn insert(&mut self, handle: ObjectHandle, record: ContactRecord) {
        let records = self.records.entry(handle).or_default();
        records.retain(|other| other.server != record.server);
        records.push(record);
        records.sort_by(|a, b| b.epoch.cmp(&a.epoch).then_with(|| a.server.cmp(&b.server)));
    }
}

impl Held {
    pub(in crate::live::server) fn request(&self) -> &ToDirectoryNode {
        self.asked.request()
    }

    /// Lets the node answer.
    pub(in crate::live::server) fn carry_out(self) {
        if let Some(answer) = self.node.carry_out(self.asked.request()) {
            self.asked.say(answer);
        }
    }

    fn refuse(self, code: ErrorCode) {
        self.asked.say(FromDirectoryNode::Refused(Refused { id: self.asked.id(), code }));
    }

    /// Answers a request that nobody made.
    pub(in crate::live::server) fn answer_to_nothing(self) -> Watched {
        self.asked.say(FromDirectoryNode::Deleted(Deleted { id: RequestId(self.asked.id().0 ^ 1 << 60) }));
        self.asked.watch()
    }

    /// Answers with what answers another kind of request.
    pub(in crate::live::server) fn answer_of_another_kind(self) -> Watched {
        let handle = ObjectHandle(*b"no such question");
        self.asked.say(FromDirectoryNode::Issued(Issued { id: self.asked.id(), handle }));
        self.asked.watch()
    }
}

impl Holding {
    /// The next request.
    pub(in crate::live::server) async fn next(&mut self) -> Result<Held, Failure> {
        match timeout(PATIENCE, self.waiting.recv()).await {
            Ok(Some(held)) => Ok(held),
            Ok(None) | Err(_) => Err(Failure::unexpected("a request to the directory node", "none")),
        }
    }
}

impl Drop for Refusing {
    fn drop(&mut self) {
        self.node.state().refusals.remove(&self.key);
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.node.state().holds.remove(&self.key);
        self.waiting.close();
        while let Ok(held) = self.waiting.try_recv() {
            held.carry_out();
        }
    }
}
