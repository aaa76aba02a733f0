//! The location channel's tables.

use super::{Phase, Reception};
use crate::message::location::{FromDirectoryNode, ToDirectoryNode};

/// What the directory node does with a message of the dialling end.
#[must_use]
pub fn receive_at_directory_node(state: Phase, message: &ToDirectoryNode) -> Reception {
    match message {
        ToDirectoryNode::Issue(_)
        | ToDirectoryNode::Insert(_)
        | ToDirectoryNode::Delete(_)
        | ToDirectoryNode::Find(_)
        | ToDirectoryNode::InsertPointer(_)
        | ToDirectoryNode::DeletePointer(_)
        | ToDirectoryNode::Supersede(_)
        | ToDirectoryNode::Ping(_)
        | ToDirectoryNode::Pong(_)
        | ToDirectoryNode::Goodbye(_)
        | ToDirectoryNode::Error(_) => state.once_greeted(),
    }
}

/// What the dialling end does with a message of the directory node. That an answer has an open request is checked apart
/// ([`super::Question::is_answered_by`]).
#[must_use]
pub fn receive_from_directory_node(state: Phase, message: &FromDirectoryNode) -> Reception {
    match message {
        FromDirectoryNode::Greeting(_) => state.greeting(),
        FromDirectoryNode::Error(_) => state.refusal(),
        FromDirectoryNode::Issued(_)
        | FromDirectoryNode::Inserted(_)
        | FromDirectoryNode::Deleted(_)
        | FromDirectoryNode::Found(_)
        | FromDirectoryNode::PointerInserted(_)
        | FromDirectoryNode::PointerDeleted(_)
        | FromDirectoryNode::Superseded(_)
        | FromDirectoryNode::Refused(_)
        | FromDirectoryNode::Ping(_)
        | FromDirectoryNode::Pong(_)
        | FromDirectoryNode::Goodbye(_) => state.once_greeted(),
    }
}
