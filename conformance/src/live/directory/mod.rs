//! Cases with a directory node under test: the suite plays the servers, the nodes above and below, and those who may
//! not ask.
//!
//! Most cases share one node, so each has servers and object handles of its own. A case that waits for a lease to end,
//! or kills the node, has one of its own.

mod below;
mod handles;
mod peers;
mod records;
mod stage;
mod tree;

pub(super) use self::stage::Shared;
use super::LiveCase;
use crate::case::{LiveTest, Role};

/// The cases of this folder.
pub(super) fn cases() -> impl Iterator<Item = LiveCase> {
    [handles::CASES, records::CASES, peers::CASES, tree::CASES, below::CASES].into_iter().flatten().copied()
}

/// The case of a directory node.
const fn case(
    id: &'static str,
    requirements: &'static [&'static str],
    twin: Option<&'static str>,
    about: &'static str,
    test: LiveTest,
) -> LiveCase {
    LiveCase { id, role: Role::DirectoryNode, requirements, twin, about, test }
}
