//! What happens to a handle at a node, and what the node does.

use std::time::Duration;

use super::Kept;
use crate::{
    error_code::ErrorCode,
    identity::{ContactAddress, ServerName},
    message::{
        location::{ContactRecord, ForwardingPointer, PointerNumber},
        server_server::LoginEpoch,
    },
    time::Timestamp,
};

/// A request that waits for its answer, as the caller numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestNumber(pub u64);

/// Who asks, as the certificate of the connection proves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asker {
    /// A server.
    Server(ServerName),
    /// A directory node that isn't the parent.
    Child(ServerName),
    /// The parent, as the node is configured.
    Parent,
}

/// A request under the handle.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Request {
    /// Insert or renew a contact record.
    Insert {
        /// The record.
        record: ContactRecord,
        /// Only if there is nothing of anybody else.
        if_absent: bool,
    },
    /// Delete a contact record.
    Delete {
        /// The record.
        record: ContactRecord,
    },
    /// Insert or renew a forwarding pointer.
    InsertPointer {
        /// The pointer.
        pointer: ForwardingPointer,
        /// Only if there is nothing of anybody else.
        if_absent: bool,
    },
    /// Delete a forwarding pointer.
    DeletePointer {
        /// The greatest number that it may have.
        number: PointerNumber,
    },
    /// Search.
    Find {
        /// How many nodes have passed the search on.
        hops: u64,
    },
    /// Forget what is older than this.
    Supersede {
        /// The epoch that has come in its place.
        epoch: LoginEpoch,
    },
}

/// What the parent said to the one change that it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParentAnswer {
    /// It has the pointer, for this lease from when it was asked.
    Inserted(Duration),
    /// It hasn't got the pointer.
    Deleted,
    /// It refused, or can't be reached.
    Failed(ErrorCode),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Somebody asks.
    Asked {
        /// The request.
        number: RequestNumber,
        /// Who asks.
        by: Asker,
        /// For what.
        request: Request,
    },
    /// The parent has answered the one change, or won't.
    ParentAnswered(ParentAnswer),
    /// A child has answered `supersede`, or won't.
    ChildTold {
        /// The child.
        node: ServerName,
        /// The epoch that it was told.
        epoch: LoginEpoch,
    },
    /// A child or the parent has answered a search, or won't.
    Searched {
        /// The search.
        number: RequestNumber,
        /// What came of it.
        found: Result<Vec<ContactRecord>, ErrorCode>,
    },
    /// The lease of an entry may have ended.
    LeaseEnded,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Make this durable, and only then go on.
    Persist(Kept),
    /// Answer a request.
    Answer {
        /// The request.
        number: RequestNumber,
        /// The answer.
        answer: Answer,
    },
    /// Ask the parent to insert this node's pointer: its address and name are the caller's to add.
    InsertAbove {
        /// The epoch of the pointer.
        epoch: LoginEpoch,
        /// Its number.
        number: PointerNumber,
        /// Only if the parent has nothing of anybody else.
        if_absent: bool,
    },
    /// Ask the parent to delete this node's pointer.
    DeleteAbove {
        /// Its number.
        number: PointerNumber,
    },
    /// Tell a child to forget what is older.
    SupersedeBelow {
        /// The child.
        node: ServerName,
        /// Where it can be reached.
        address: ContactAddress,
        /// The epoch that has come in its place.
        epoch: LoginEpoch,
    },
    /// Have a child search.
    FindBelow {
        /// For this search.
        number: RequestNumber,
        /// The child.
        node: ServerName,
        /// Where it can be reached.
        address: ContactAddress,
        /// How many nodes have passed the search on.
        hops: u64,
    },
    /// Have the parent search.
    FindAbove {
        /// For this search.
        number: RequestNumber,
        /// How many nodes have passed the search on.
        hops: u64,
    },
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// The record or the pointer stands for this lease.
    Inserted(Duration),
    /// It doesn't.
    Deleted,
    /// These records were found.
    Found(Vec<ContactRecord>),
    /// What is older is forgotten.
    Superseded,
    /// Nothing of it.
    Refused(ErrorCode),
}

/// What comes with every event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The time at which the event is handled.
    pub now: Timestamp,
    /// For how long the node lends a record or a pointer; at most [`LOCATION_LEASE`](crate::limits::LOCATION_LEASE).
    pub lease: Duration,
    /// Whether the node has a parent.
    pub has_parent: bool,
    /// Whether whoever asks may have one more entry at the node.
    pub has_room: bool,
    /// A number that is greater than all that the node was given before, restarts included.
    pub number: PointerNumber,
}
