//! Links between clients: reliable, in order, and closed by either end.
//!
//! A link is one TLS connection. Its dialler knows that it stands; its accepting end learns about it with the first
//! message. What was sent before an end closed still arrives; what arrives at a closed end is gone. The end that did
//! not close sees the end of the link behind the last message. A cut link loses any tail of what is on it, each way by
//! itself. Two links between the same two clients may stand at
//! once for a while, one dialled by each or an old one that drains, and nothing orders the one against the other.

use std::{collections::VecDeque, sync::Arc};

use antiphon_spec::message::client_client::PeerMessage;

use crate::cast::Who;

/// What one end of a link is to its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum End {
    /// Accepted; no message has arrived yet, and the machine has not heard of it.
    Unheard,
    /// The machine's link to this peer.
    Attached,
    /// Closed by this client.
    Closed,
}

/// Which end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    Dialler,
    Acceptor,
}

impl Side {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Dialler => Self::Acceptor,
            Self::Acceptor => Self::Dialler,
        }
    }
}

/// One link, with what is under way in each direction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Link {
    pub(crate) dialler: Who,
    pub(crate) acceptor: Who,
    dialler_end: End,
    acceptor_end: End,
    /// The dialler has proved another key than the one that the others know it by.
    pub(crate) has_other_key: bool,
    /// The network has broken the link.
    is_cut: bool,
    to_dialler: VecDeque<Arc<PeerMessage>>,
    to_acceptor: VecDeque<Arc<PeerMessage>>,
}

impl Link {
    pub(crate) fn new(dialler: Who, acceptor: Who) -> Self {
        Self {
            dialler,
            acceptor,
            dialler_end: End::Attached,
            acceptor_end: End::Unheard,
            has_other_key: false,
            is_cut: false,
            to_dialler: VecDeque::new(),
            to_acceptor: VecDeque::new(),
        }
    }

    /// The side of this client, if the link is one of its.
    pub(crate) fn side_of(&self, who: Who) -> Option<Side> {
        if who == self.dialler {
            Some(Side::Dialler)
        } else if who == self.acceptor {
            Some(Side::Acceptor)
        } else {
            None
        }
    }

    pub(crate) fn client(&self, side: Side) -> Who {
        match side {
            Side::Dialler => self.dialler,
            Side::Acceptor => self.acceptor,
        }
    }

    /// The client at the other end.
    pub(crate) fn peer(&self, side: Side) -> Who {
        self.client(side.other())
    }

    pub(crate) fn end(&self, side: Side) -> End {
        match side {
            Side::Dialler => self.dialler_end,
            Side::Acceptor => self.acceptor_end,
        }
    }

    fn end_mut(&mut self, side: Side) -> &mut End {
        match side {
            Side::Dialler => &mut self.dialler_end,
            Side::Acceptor => &mut self.acceptor_end,
        }
    }

    /// What is on its way to this side.
    pub(crate) fn towards(&self, side: Side) -> &VecDeque<Arc<PeerMessage>> {
        match side {
            Side::Dialler => &self.to_dialler,
            Side::Acceptor => &self.to_acceptor,
        }
    }

    fn towards_mut(&mut self, side: Side) -> &mut VecDeque<Arc<PeerMessage>> {
        match side {
            Side::Dialler => &mut self.to_dialler,
            Side::Acceptor => &mut self.to_acceptor,
        }
    }

    /// Sends from this side; a closed end at the other side swallows it, and so does a cut link.
    pub(crate) fn send(&mut self, side: Side, message: Arc<PeerMessage>) {
        if self.end(side.other()) != End::Closed && !self.is_cut {
            self.towards_mut(side.other()).push_back(message);
        }
    }

    /// Takes the next message for this side.
    pub(crate) fn receive(&mut self, side: Side) -> Option<Arc<PeerMessage>> {
        self.towards_mut(side).pop_front()
    }

    pub(crate) fn attach(&mut self, side: Side) {
        *self.end_mut(side) = End::Attached;
    }

    /// Closes this side: it reads no more, and what it has sent still arrives.
    pub(crate) fn close(&mut self, side: Side) {
        *self.end_mut(side) = End::Closed;
        self.towards_mut(side).clear();
    }

    /// Cuts the link. Each end still reads as much as happens to get through, and then sees the end of the link.
    pub(crate) fn cut(&mut self) {
        self.is_cut = true;
    }

    /// Loses what is on its way to this side, but for the first `count` messages.
    pub(crate) fn lose_after(&mut self, side: Side, count: usize) {
        self.towards_mut(side).truncate(count);
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Whether this side can see the end of the link now: behind the last message, or any time if it is cut.
    pub(crate) fn is_over_for(&self, side: Side) -> bool {
        match self.end(side) {
            End::Closed => false,
            _ if self.is_cut => true,
            End::Unheard => false,
            End::Attached => self.end(side.other()) == End::Closed && self.towards(side).is_empty(),
        }
    }

    /// Whether nobody will see anything of the link any more.
    pub(crate) fn is_gone(&self) -> bool {
        let unseen = |side: Side| match self.end(side) {
            End::Closed => true,
            End::Unheard => {
                let over = self.is_cut || self.end(side.other()) == End::Closed;
                over && self.towards(side).is_empty()
            }
            End::Attached => false,
        };
        unseen(Side::Dialler) && unseen(Side::Acceptor)
    }

    /// Whether nothing is under way, be it a message or the end.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.to_dialler.is_empty()
            && self.to_acceptor.is_empty()
            && self.dialler_end == End::Attached
            && self.acceptor_end == End::Attached
            && !self.is_cut
    }
}

#[cfg(test)]
mod tests {
    use antiphon_spec::{
        message::client_client::{InvitationBody, InvitationMessage, Reject},
        session::SessionId,
    };

    use super::*;

    fn message() -> Arc<PeerMessage> {
        let body = InvitationBody::Reject(Reject {});
        Arc::new(PeerMessage::Invitation(InvitationMessage { body, session: SessionId([0; 32]) }))
    }

    #[test]
    fn what_was_sent_before_an_end_closed_arrives_before_the_end() {
        let mut link = Link::new(Who(0), Who(1));
        link.attach(Side::Acceptor);
        link.send(Side::Dialler, message());
        link.send(Side::Acceptor, message());
        link.close(Side::Dialler);
        assert!(link.towards(Side::Dialler).is_empty(), "a closed end reads no more");
        assert!(!link.is_over_for(Side::Acceptor));
        assert!(link.receive(Side::Acceptor).is_some());
        assert!(link.is_over_for(Side::Acceptor) && !link.is_gone());
        link.send(Side::Acceptor, message());
        assert!(link.towards(Side::Dialler).is_empty(), "a closed end swallows what comes");
        link.close(Side::Acceptor);
        assert!(link.is_gone());
    }

    #[test]
    fn a_cut_link_lets_through_as_much_as_it_likes() {
        let mut link = Link::new(Who(0), Who(1));
        link.attach(Side::Acceptor);
        link.send(Side::Dialler, message());
        link.send(Side::Dialler, message());
        link.cut();
        assert!(link.is_over_for(Side::Acceptor) && link.is_over_for(Side::Dialler));
        assert!(link.receive(Side::Acceptor).is_some());
        link.send(Side::Acceptor, message());
        assert!(link.towards(Side::Dialler).is_empty());
        link.close(Side::Acceptor);
        assert!(!link.is_gone() && !link.is_at_rest());
        link.close(Side::Dialler);
        assert!(link.is_gone());
    }

    #[test]
    fn a_link_that_nobody_heard_of_ends_unseen() {
        let mut link = Link::new(Who(0), Who(1));
        link.close(Side::Dialler);
        assert!(!link.is_over_for(Side::Acceptor) && link.is_gone());
    }
}
