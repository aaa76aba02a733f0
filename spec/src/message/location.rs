//! The location channel: servers insert, delete and look up contact records at a directory node, and nodes forwarding
//! pointers at each other.

use serde::{Deserialize, Serialize};

use super::{
    common::{Error, Goodbye, Greeting, Ping, Pong, Refused, RequestId},
    server_server::LoginEpoch,
};
use crate::identity::{ContactAddress, ObjectHandle, ServerName};

/// From the server, or from a directory node that is the parent or a child.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToDirectoryNode {
    /// Asks for a fresh object handle.
    Issue(Issue),
    /// Inserts or renews a contact record.
    Insert(Insert),
    /// Deletes a contact record.
    Delete(Delete),
    /// Asks for the contact records of a handle.
    Find(Find),
    /// Inserts or renews a forwarding pointer; from a child.
    InsertPointer(InsertPointer),
    /// Deletes a forwarding pointer; from a child.
    DeletePointer(DeletePointer),
    /// Says that something newer is elsewhere; from the parent.
    Supersede(Supersede),
    /// A sign of life is wanted.
    Ping(Ping),
    /// A sign of life.
    Pong(Pong),
    /// The server is done.
    Goodbye(Goodbye),
    /// The server cannot go on.
    Error(Error),
}

/// From the directory node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FromDirectoryNode {
    /// The connection stands.
    Greeting(Greeting),
    /// A fresh object handle.
    Issued(Issued),
    /// The record stands.
    Inserted(Inserted),
    /// The record is gone.
    Deleted(Deleted),
    /// The records, possibly none.
    Found(Found),
    /// The forwarding pointer stands.
    PointerInserted(PointerInserted),
    /// The forwarding pointer is gone.
    PointerDeleted(PointerDeleted),
    /// What was older is forgotten.
    Superseded(Superseded),
    /// The request is not granted.
    Refused(Refused),
    /// A sign of life is wanted.
    Ping(Ping),
    /// A sign of life.
    Pong(Pong),
    /// The node is done.
    Goodbye(Goodbye),
    /// The node cannot go on.
    Error(Error),
}

/// One contact record: an object can be reached at a server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContactRecord {
    /// The login epoch of a user, the boot number of a server.
    pub epoch: LoginEpoch,
    /// The server, which alone may insert and delete the record.
    pub server: ServerName,
    /// Where that server accepts authenticated connections.
    pub address: ContactAddress,
}

/// Counts a directory node's forwarding pointers at its parent: a later one has a greater number, whatever the handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PointerNumber(pub u64);

/// Says that a child of a directory node has an object's contact records, or pointers to them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardingPointer {
    /// The child, which alone may insert and delete the pointer.
    pub node: ServerName,
    /// The greatest epoch of what the child has.
    pub epoch: LoginEpoch,
    /// Which of the child's pointers it is.
    pub number: PointerNumber,
    /// Where the child accepts connections.
    pub address: ContactAddress,
}

/// Asks for an object handle that nobody was given before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issue {
    /// The request.
    pub id: RequestId,
}

/// The fresh object handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issued {
    /// The request.
    pub id: RequestId,
    /// The handle.
    pub handle: ObjectHandle,
}

/// Inserts a record for a lease, or renews it. A greater epoch of the same server replaces a lower one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Insert {
    /// The request.
    pub id: RequestId,
    /// The object.
    pub handle: ObjectHandle,
    /// Where it can be reached; `server` is the dialling server.
    pub record: ContactRecord,
    /// Only if nobody else has a record.
    #[serde(rename = "if-absent")]
    pub if_absent: bool,
}

/// The record stands until its lease ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inserted {
    /// The request.
    pub id: RequestId,
    /// The lease, in seconds.
    pub lease: u64,
}

/// Deletes just this record; another record of the same object stays.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// The request.
    pub id: RequestId,
    /// The object.
    pub handle: ObjectHandle,
    /// The record; `server` is the dialling server.
    pub record: ContactRecord,
}

/// The record is gone; also the answer when it did not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deleted {
    /// The request.
    pub id: RequestId,
}

/// Asks for the records of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Find {
    /// The request.
    pub id: RequestId,
    /// How many nodes have passed the search on; 0 from a server.
    pub hops: u64,
    /// The object.
    pub handle: ObjectHandle,
}

/// The records of an object, the greatest epoch first; none if it cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// The request.
    pub id: RequestId,
    /// The records.
    pub records: Vec<ContactRecord>,
}

/// Inserts a forwarding pointer for a lease, or renews it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InsertPointer {
    /// The request.
    pub id: RequestId,
    /// The object.
    pub handle: ObjectHandle,
    /// To whom it leads; `node` is the dialling node.
    pub pointer: ForwardingPointer,
    /// Only if nobody else has anything of the object.
    #[serde(rename = "if-absent")]
    pub if_absent: bool,
}

/// The pointer stands until its lease ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PointerInserted {
    /// The request.
    pub id: RequestId,
    /// The lease, in seconds.
    pub lease: u64,
}

/// Deletes the dialling node's pointer, unless it is a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeletePointer {
    /// The request.
    pub id: RequestId,
    /// The object.
    pub handle: ObjectHandle,
    /// The number of the last pointer that was asked for.
    pub number: PointerNumber,
}

/// The pointer is gone; also the answer when it did not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PointerDeleted {
    /// The request.
    pub id: RequestId,
}

/// Has a child forget what is older than something elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Supersede {
    /// The request.
    pub id: RequestId,
    /// What has a lower epoch is over.
    pub epoch: LoginEpoch,
    /// The object.
    pub handle: ObjectHandle,
}

/// What was older is forgotten, here and below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Superseded {
    /// The request.
    pub id: RequestId,
}
