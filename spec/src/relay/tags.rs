//! The tags that a user's client expects callers to name.

use std::collections::BTreeSet;

use crate::{limits::RELAY_TAGS_MAX, session::RelayTag};

/// A bounded set of tags.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tags(BTreeSet<RelayTag>);

impl Tags {
    /// The client expects this tag; `false` if it expects as many as it may.
    #[must_use]
    pub fn expect(&mut self, tag: RelayTag) -> bool {
        if self.0.len() >= RELAY_TAGS_MAX && !self.0.contains(&tag) {
            return false;
        }
        self.0.insert(tag);
        true
    }

    /// The client does not expect this tag any more.
    pub fn forget(&mut self, tag: RelayTag) {
        self.0.remove(&tag);
    }

    /// Whether the client expects this tag.
    #[must_use]
    pub fn has(&self, tag: RelayTag) -> bool {
        self.0.contains(&tag)
    }
}
