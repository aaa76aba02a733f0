//! How many relayed links each user has: no more than the limit.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use antiphon_spec::{identity::UserHandle, limits::RELAY_LINKS_MAX};

/// The counts of all users that have links.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(Arc<Mutex<HashMap<UserHandle, usize>>>);

impl Places {
    /// A place for one more link of a user, if one is left.
    pub(super) fn take(&self, user: &UserHandle) -> Option<Place> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(user.clone()).or_default();
        if *count >= RELAY_LINKS_MAX {
            return None;
        }
        *count += 1;
        Some(Place { places: self.clone(), user: user.clone() })
    }
}

/// One link of one user.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    user: UserHandle,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.user);
            }
        }
    }
}
