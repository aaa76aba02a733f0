//! How links go on: dialling again, and those that are dialled again by others (chapter *Links that go on*).

use antiphon_protocol::connection::Dialler;
use antiphon_spec::{
    error_code::ErrorCode,
    identity::{ContactAddress, Identity, KeyHash, Peer, UserHandle},
    link::Link as LinkMachine,
    message::{
        link::{Keep, LinkName, Resume},
        relay::{Called, TaggedUser},
    },
};
use bytes::Bytes;
use tokio::{io::DuplexStream, sync::mpsc};

use super::{
    Engine, Incoming, Input,
    account::Purpose,
    linking::{dial_address, may_be_relayed},
    links::{Link, Place},
};
use crate::client::{
    link::{LinkId, Offer, Resumption},
    registration::chain,
    server_link::Ask,
    stream::LinkStream,
};

/// What it takes to dial the peer of a link again.
struct Again {
    dialler: Dialler,
    handle: UserHandle,
    key: KeyHash,
    offers: mpsc::Sender<Offer>,
}

impl Engine {
    /// The machine of a link that the client has dialled. Nothing without random numbers.
    //= spec/text/links.md#keeping
    //# LINK-002: A client that sends `keep` MUST draw the 16 bytes of `link` afresh from a cryptographically secure source.
    pub(super) fn dialled_link(&mut self, place: &Place) -> Option<LinkMachine<Bytes>> {
        let patience = self.patience.filter(|_| !self.instants.are_sent_over(&place.0));
        let Some(patience) = patience else { return Some(LinkMachine::dialled(None)) };
        let link = LinkName(self.entropy()?);
        Some(LinkMachine::dialled(Some(Keep { link, patience })))
    }

    fn again(&self, id: LinkId) -> Option<Again> {
        let (place, up) = self.links.up(id)?;
        let dialler = self.me.as_ref()?.dialler.clone();
        Some(Again { dialler, handle: place.1.clone(), key: up.proved, offers: up.offers.clone() })
    }

    /// A link's connection is lost: its peer is to be dialled, as for a new link.
    //= spec/text/links.md#resuming
    //# LINK-009: A client that has dialled a kept link whose connection is lost MUST dial the peer again, in the way in which it dials for a new link, and again one second after an attempt that failed, until the link is resumed or its patience is over.
    pub(super) fn dial_again(&mut self, id: LinkId) {
        let Some(again) = self.again(id) else { return };
        if self.preferences.as_ref().is_some_and(|preferences| preferences.lists(&again.handle)) {
            if self.ask_server(Ask::Lookup(again.handle), Purpose::LinkAgain(id)).is_err() {
                fail(&again.offers);
            }
        } else {
            self.call_again(id);
        }
    }

    /// Asks for a relayed link in place of the connection.
    pub(super) fn call_again(&mut self, id: LinkId) {
        let Some((place, up)) = self.links.up(id) else { return };
        let user = place.1.clone();
        let called = match up.target {
            Some(target) => Called::Member(TaggedUser { relay: target.relay, handle: user }),
            None => Called::User(user),
        };
        let offers = up.offers.clone();
        if self.ask_server(Ask::Call(called), Purpose::CallAgain(id)).is_err() {
            fail(&offers);
        }
    }

    /// The local server was asked for the address, and told it or not.
    pub(super) fn address_told_again(&mut self, id: LinkId, address: Option<ContactAddress>) {
        let Some(address) = address else { return self.call_again(id) };
        let Some(Again { dialler, handle, key, offers }) = self.again(id) else { return };
        let inputs = self.inputs.clone();
        self.tasks.spawn(async move {
            let whom = Identity::User(handle);
            match dial_address(&dialler, address, &whom, Some(key)).await {
                // A link that is gone wants no connection, and an engine that is gone no link.
                Ok((_, connection)) => drop(offers.send(Offer::Dialled(Box::new(connection))).await),
                Err(error) if may_be_relayed(&error) => drop(inputs.send(Input::RelayAgain(id)).await),
                Err(error) => {
                    tracing::debug!(link = id.0, reason = %chain(&error), "a link can't go on yet");
                    fail(&offers);
                }
            }
        });
    }

    /// The local server was asked for a relayed link, and opened it or not.
    pub(super) fn relay_opened_again(&mut self, id: LinkId, stream: Option<DuplexStream>) {
        let Some(Again { dialler, handle, key, offers }) = self.again(id) else { return };
        let Some(stream) = stream else { return fail(&offers) };
        self.tasks.spawn(async move {
            let whom = Identity::User(handle);
            //= spec/text/links.md#resuming
            //# LINK-010: A client that dials again MUST refuse a peer that hasn't the handle and the key of the link.
            match dialler.dial_over(LinkStream::Relayed(stream), &whom, Some(key)).await {
                Ok((_, connection)) => drop(offers.send(Offer::Dialled(Box::new(connection))).await),
                Err(error) => {
                    tracing::debug!(link = id.0, reason = %chain(&error), "a link can't go on yet");
                    fail(&offers);
                }
            }
        });
    }

    /// Somebody opened a connection with `resume`. Whether it is the link's peer is for the link's machine to say.
    pub(super) fn resumed(&mut self, incoming: Incoming, peer: &Peer, resume: Resume) {
        let place = (resume.session, peer.handle.clone());
        let Some(Link::Up(up)) = self.links.get(&place) else {
            return self.refuse_incoming(incoming, ErrorCode::NoSuchSession);
        };
        let offers = up.offers.clone();
        let key = incoming.peer.key().key_hash();
        let Incoming { connection, permit, .. } = incoming;
        let resumption = Resumption { connection, resume, key, permit };
        match offers.try_send(Offer::Resume(Box::new(resumption))) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(offer) | mpsc::error::TrySendError::Closed(offer)) => {
                if let Offer::Resume(resumption) = offer {
                    let Resumption { connection, permit, .. } = *resumption;
                    self.refuse_link(connection, None, Some(ErrorCode::NoSuchSession), permit);
                }
            }
        }
    }
}

/// A link whose queue of offers is full has one to go on with.
fn fail(offers: &mpsc::Sender<Offer>) {
    let _ = offers.try_send(Offer::DialFailed);
}
