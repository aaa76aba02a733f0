//! The links of all sessions: at most one for each session and peer, in whichever state it is.

use std::{collections::BTreeMap, sync::Arc};

use antiphon_spec::{
    error_code::ErrorCode,
    identity::{KeyHash, Peer, UserHandle},
    session::{SessionId, Target},
};
use bytes::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::AbortHandle,
};

use crate::client::{
    link::{LinkId, Offer, Outgoing},
    server_link::Token,
    settings::LINKS_MAX,
};

/// Between whom a link is, from this client's side.
pub(super) type Place = (SessionId, UserHandle);

/// How far a link is.
#[derive(Debug)]
pub(super) enum Link {
    /// The local server is asked for the address, or for a relayed link.
    Asking(Token),
    /// The peer is dialled.
    Dialling(LinkId, AbortHandle),
    /// The link stands.
    Up(Up),
}

/// A link that stands.
#[derive(Debug)]
pub(super) struct Up {
    pub(super) id: LinkId,
    /// The peer, as the session knows it.
    pub(super) peer: Peer,
    /// The key that the peer proved.
    pub(super) proved: KeyHash,
    /// Which member it is to be, where it is one: for a relayed link, if the peer is to be dialled again.
    pub(super) target: Option<Target>,
    pub(super) queue: mpsc::Sender<Outgoing>,
    /// New connections for it.
    pub(super) offers: mpsc::Sender<Offer>,
    pub(super) task: AbortHandle,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queued {
    /// It waits for the peer.
    Yes,
    /// There is no link, or it is ending.
    NoLink,
    /// Too much waits for the peer.
    Overflow,
}

/// All links.
#[derive(Debug)]
pub(super) struct Links {
    places: BTreeMap<Place, Link>,
    names: BTreeMap<LinkId, Place>,
    last: u64,
    slots: Arc<Semaphore>,
}

impl Links {
    pub(super) fn new() -> Self {
        Self {
            places: BTreeMap::new(),
            names: BTreeMap::new(),
            last: 0,
            slots: Arc::new(Semaphore::new(LINKS_MAX)),
        }
    }

    /// A name for a link to come.
    pub(super) fn next_id(&mut self) -> LinkId {
        self.last += 1;
        LinkId(self.last)
    }

    /// A place among the links that the client may have, if one is left.
    pub(super) fn take_slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).try_acquire_owned().ok()
    }

    /// Whether a link that is begun now would find room.
    pub(super) fn has_room(&self) -> bool {
        self.slots.available_permits() > 0 && self.places.len() < LINKS_MAX
    }

    pub(super) fn get(&self, place: &Place) -> Option<&Link> {
        self.places.get(place)
    }

    /// The place and the peer of a link that stands.
    pub(super) fn by_id(&self, id: LinkId) -> Option<(Place, Peer)> {
        let place = self.names.get(&id)?;
        match self.places.get(place)? {
            Link::Up(up) => Some((place.clone(), up.peer.clone())),
            Link::Asking(_) | Link::Dialling(..) => None,
        }
    }

    /// A link that stands.
    pub(super) fn up(&self, id: LinkId) -> Option<(&Place, &Up)> {
        let (place, link) = self.places.get_key_value(self.names.get(&id)?)?;
        match link {
            Link::Up(up) => Some((place, up)),
            Link::Asking(_) | Link::Dialling(..) => None,
        }
    }

    /// Puts a link, or its beginning, in its place.
    pub(super) fn put(&mut self, place: Place, link: Link) {
        if let Link::Up(up) = &link {
            self.names.insert(up.id, place.clone());
        }
        self.places.insert(place, link);
    }

    /// Takes a link out without a word to it.
    pub(super) fn take(&mut self, place: &Place) -> Option<Link> {
        let link = self.places.remove(place)?;
        if let Link::Up(up) = &link {
            self.names.remove(&up.id);
        }
        Some(link)
    }

    /// Closes a link after what was sent on it; nothing is heard of it again. Returns the key that it had proved.
    pub(super) fn close(&mut self, place: &Place, fault: Option<ErrorCode>) -> Option<KeyHash> {
        match self.take(place)? {
            Link::Asking(_) => None,
            Link::Dialling(_, task) => {
                task.abort();
                None
            }
            Link::Up(up) => {
                if let Err(mpsc::error::TrySendError::Full(_)) = up.queue.try_send(Outgoing::Close(fault)) {
                    // A peer that takes nothing hears no last word either.
                    up.task.abort();
                }
                Some(up.proved)
            }
        }
    }

    /// Puts an encoded message in the queue of a link.
    pub(super) fn send(&self, place: &Place, frame: Bytes) -> Queued {
        match self.places.get(place) {
            Some(Link::Up(up)) => match up.queue.try_send(Outgoing::Frame(frame)) {
                Ok(()) => Queued::Yes,
                Err(mpsc::error::TrySendError::Full(_)) => Queued::Overflow,
                Err(mpsc::error::TrySendError::Closed(_)) => Queued::NoLink,
            },
            Some(Link::Asking(_) | Link::Dialling(..)) | None => Queued::NoLink,
        }
    }

    /// The places of a session.
    pub(super) fn of_session(&self, session: SessionId) -> Vec<Place> {
        self.places.keys().filter(|(of, _)| *of == session).cloned().collect()
    }
}
