//! Who may send to whom: a user's messaging preferences, and the one function that applies them.
//!
//! The local server applies them before it tells an address or lets a relayed link through, and the client again when an
//! invitation arrives
//! (chapter *Messaging preferences*).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{identity::UserHandle, limits::PREFERENCE_LIST_MAX};

/// What happens to those who stand on neither list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// They may.
    Allow,
    /// They may not.
    Deny,
}

/// A user's messaging preferences: allow list, deny list, and a default for all others.
///
/// The sets are bounded and ordered by their type; a list with a repeated or misplaced handle does not decode.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preferences {
    /// Who may not.
    pub deny: HandleSet,
    /// Who may.
    pub allow: HandleSet,
    /// Everyone else.
    pub default: Verdict,
}

impl Default for Preferences {
    /// A new account's: everybody may invite. An invitation is always put to the user.
    fn default() -> Self {
        Self { deny: HandleSet::default(), allow: HandleSet::default(), default: Verdict::Allow }
    }
}

impl Preferences {
    /// Does the allow list name `asker`, and the deny list not? To those alone is the address told.
    #[must_use]
    pub fn lists(&self, asker: &UserHandle) -> bool {
        self.allow.0.contains(asker) && !self.deny.0.contains(asker)
    }

    /// May `asker` make contact and send an invitation? The deny list goes before the allow list.
    #[must_use]
    pub fn judge(&self, asker: &UserHandle) -> Verdict {
        if self.deny.0.contains(asker) {
            Verdict::Deny
        } else if self.allow.0.contains(asker) {
            Verdict::Allow
        } else {
            self.default
        }
    }
}

/// A set of handles with at most [`PREFERENCE_LIST_MAX`] members; an ascending array on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<UserHandle>")]
pub struct HandleSet(BTreeSet<UserHandle>);

/// Why a list of handles is not a set of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum InvalidHandleSet {
    /// Too many handles.
    #[error("a list holds at most {PREFERENCE_LIST_MAX} handles")]
    TooLong,
    /// Not strictly ascending.
    #[error("the handles of a list ascend and do not repeat")]
    Order,
}

impl TryFrom<Vec<UserHandle>> for HandleSet {
    type Error = InvalidHandleSet;

    fn try_from(handles: Vec<UserHandle>) -> Result<Self, Self::Error> {
        if handles.len() > PREFERENCE_LIST_MAX {
            return Err(InvalidHandleSet::TooLong);
        }
        if !handles.is_sorted_by(|a, b| a < b) {
            return Err(InvalidHandleSet::Order);
        }
        Ok(Self(handles.into_iter().collect()))
    }
}

impl HandleSet {
    /// Adds a handle; `false` if the set is full.
    #[must_use]
    pub fn insert(&mut self, handle: UserHandle) -> bool {
        if self.0.len() >= PREFERENCE_LIST_MAX && !self.0.contains(&handle) {
            return false;
        }
        self.0.insert(handle);
        true
    }

    /// Takes a handle out.
    pub fn remove(&mut self, handle: &UserHandle) {
        self.0.remove(handle);
    }

    /// The handles, ascending.
    pub fn iter(&self) -> impl Iterator<Item = &UserHandle> {
        self.0.iter()
    }
}
