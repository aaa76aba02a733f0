//! The network: links with latency that break at each end in its own time, and partitions.
//!
//! A link is one TLS connection: what is sent arrives in order, or the link breaks. Links are those of the models
//! ([`Link`]); here each message has a time at which it arrives.

use std::{collections::BTreeMap, sync::Arc};

use antiphon_spec::message::client_client::PeerMessage;

use super::{clock::Instant, decision::Set};
use crate::{
    cast::Who,
    link::{Link, Side},
};

/// Names a link in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LinkId(u32);

/// A link, and when the last thing on it arrives at each side.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) link: Link,
    last: [Instant; 2],
}

fn place(side: Side) -> usize {
    match side {
        Side::Dialler => 0,
        Side::Acceptor => 1,
    }
}

impl Wire {
    /// When something arrives at this side that is to be there at a time, but not before what was sent earlier.
    pub(crate) fn arrival(&mut self, side: Side, at: Instant) -> Instant {
        let Some(last) = self.last.get_mut(place(side)) else { return at };
        *last = at.max(*last);
        *last
    }
}

#[derive(Debug, Default)]
pub(crate) struct Network {
    wires: BTreeMap<LinkId, Wire>,
    count: u32,
    split: Option<Set>,
}

impl Network {
    /// Whether there is a way between two.
    pub(crate) fn reaches(&self, from: Who, to: Who) -> bool {
        self.split.is_none_or(|set| set.has(from) == set.has(to))
    }

    pub(crate) fn split(&mut self, set: Option<Set>) {
        self.split = set;
    }

    pub(crate) fn is_split(&self) -> bool {
        self.split.is_some()
    }

    pub(crate) fn open(&mut self, dialler: Who, acceptor: Who) -> LinkId {
        let id = LinkId(self.count);
        self.count = self.count.wrapping_add(1);
        self.wires.insert(id, Wire { link: Link::new(dialler, acceptor), last: [Instant::default(); 2] });
        id
    }

    pub(crate) fn link(&self, id: LinkId) -> Option<&Link> {
        self.wires.get(&id).map(|wire| &wire.link)
    }

    pub(crate) fn wire(&mut self, id: LinkId) -> Option<&mut Wire> {
        self.wires.get_mut(&id)
    }

    pub(crate) fn receive(&mut self, id: LinkId, side: Side) -> Option<Arc<PeerMessage>> {
        self.wire(id)?.link.receive(side)
    }

    /// Forgets a link of which nobody will see anything any more.
    pub(crate) fn forget_if_gone(&mut self, id: LinkId) {
        if self.link(id).is_some_and(Link::is_gone) {
            self.wires.remove(&id);
        }
    }

    pub(crate) fn links(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        self.wires.iter().map(|(id, wire)| (*id, &wire.link))
    }
}
