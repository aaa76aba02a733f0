//! Acknowledgements that wait until what they acknowledge was shown: what a sender was told is delivered, the user has,
//! even if the client is killed in between. Nothing else that a session says waits for the user.

use std::collections::VecDeque;

use antiphon_spec::message::client_client::{PeerMessage, SessionBody};
use bytes::Bytes;

use super::{Engine, links::Place};

/// Encoded acknowledgements in the order of their messages. A sender says no more than a window without one, and those
/// of a link go with it: so there are never more than links and windows allow.
#[derive(Debug, Default)]
pub(super) struct Acknowledgements(VecDeque<Held>);

#[derive(Debug)]
struct Held {
    /// How many events have to be shown first.
    after: u64,
    place: Place,
    frame: Bytes,
}

impl Acknowledgements {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn hold(&mut self, after: u64, place: Place, frame: Bytes) {
        self.0.push_back(Held { after, place, frame });
    }

    /// A link is gone, and a later one to the same peer knows nothing of what was said on it.
    pub(super) fn forget(&mut self, place: &Place) {
        self.0.retain(|held| held.place != *place);
    }

    fn take(&mut self, shown: u64) -> Option<Held> {
        self.0.pop_front_if(|held| held.after <= shown)
    }
}

impl Engine {
    /// Whether a message acknowledges something that was not shown yet.
    //= spec/text/sessions.md#messages
    //# SESS-111: A member MUST answer a chat message that it has delivered with a `received` of its number, in the epoch of the message.
    pub(super) fn must_be_shown_first(&self, message: &PeerMessage) -> bool {
        let PeerMessage::Session(message) = message else { return false };
        let waits = self.told > self.shown.count() || !self.acknowledgements.is_empty();
        waits && matches!(message.body, SessionBody::Received(_))
    }

    /// Sends what waited for events that were shown by now.
    pub(super) fn acknowledge_shown(&mut self) {
        let shown = self.shown.count();
        while let Some(held) = self.acknowledgements.take(shown) {
            let (session, peer) = held.place;
            let mut events = VecDeque::new();
            self.queue(session, &[peer], &held.frame, &mut events);
            for event in events {
                self.step(session, event);
            }
        }
    }
}
