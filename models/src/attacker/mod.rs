//! An active attacker after Dolev and Yao, in the place of one or two clients.
//!
//! The attacker holds the keys of its own users and signs as them, as nobody else. On a link that one of its users is
//! an end of it sends whatever can be made of what it knows ([`messages`]), as often as its budget allows; it dials
//! whom it likes, answers or does not, and hangs up. Nothing of a session is secret from it: the records of the epochs,
//! handles and keys are given to it for nothing. What it has to have seen are tickets and grants that others signed.
//!
//! What it sends arrives at once. It chooses when to send, so a message that waits on a link shows nothing that one that is
//! sent later does not; for the same reason it reads at once whatever is sent to it.

pub(crate) mod messages;
pub(crate) mod oracle;
pub(crate) mod properties;
pub(crate) mod script;

use std::sync::Arc;

use antiphon_spec::{
    error_code::ErrorCode,
    message::client_client::{InvitationBody, PeerMessage, SessionBody, TokenRequest},
    session::{Commitment, Grant, Ticket},
    signed::Signed,
};

use crate::{cast::Who, crypto};

/// What an attacker is at the beginning of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Start {
    /// An outsider that was invited once and let its lease run out: it has a ticket and a grant of an epoch that is over.
    Refused,
    /// A former member that left.
    Left,
    /// A former member that hung up and was removed.
    Removed,
    /// A member that does not coordinate and does not hold the token.
    Member,
    /// A member that holds the token for its accomplice, the next client.
    Holder,
    /// A member that holds the token for somebody honest who has accepted its invitation.
    Inviter,
    /// A newcomer that has been welcomed and has shown its ticket to nobody.
    Newcomer,
    /// A member whose accomplice, the next client, has been welcomed by somebody honest and has shown its ticket to nobody.
    Guest,
    /// The coordinator.
    Coordinator,
}

/// The attacker of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attack {
    /// Its users, by their places among the clients.
    pub users: &'static [u8],
    /// Where they stand when the model begins.
    pub start: Start,
    /// How many messages it sends, ends of links included.
    pub sends: u8,
    /// The codes with which honest clients refuse it, each of which some path must reach.
    pub refusals: &'static [ErrorCode],
}

impl Attack {
    /// Whether the attacker has no business in the session, nor anybody who wants it in.
    pub(crate) fn is_outside(&self) -> bool {
        matches!(self.start, Start::Refused | Start::Left | Start::Removed)
    }

    /// Whether the attacker can say enough for an honest coordinator to let its user or accomplice in.
    pub(crate) fn may_be_let_in(&self) -> bool {
        let needed = match self.start {
            // Two tickets shown, and the newcomer's last word.
            Start::Newcomer => 3,
            // Besides, the attacker itself has to admit its accomplice.
            Start::Holder => 4,
            Start::Member => 5,
            Start::Refused
            | Start::Left
            | Start::Removed
            | Start::Inviter
            | Start::Guest
            | Start::Coordinator => u8::MAX,
        };
        self.sends >= needed
    }

    /// Whether the attacker coordinates from the beginning.
    pub(crate) fn coordinates(&self) -> bool {
        self.start == Start::Coordinator
    }

    pub(crate) fn owns(&self, who: Who) -> bool {
        self.users.contains(&who.0)
    }
}

/// Which link a message of the attacker goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// The one that stands.
    Standing,
    /// A new one, on which it is the first message.
    Fresh,
    /// A new one, for which the user has another key, certified for the same handle.
    OtherKey,
}

/// What an attacker can do next, and what others signed that it has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Attacker {
    /// Clients that are its, by their bits.
    pub(crate) corrupt: u8,
    /// One of them has coordinated an epoch that an honest client was in.
    pub(crate) coordinates: bool,
    /// One of them coordinates an epoch that an honest client has begun.
    pub(crate) leads: bool,
    /// Messages that it may still send.
    pub(crate) sends: u8,
    /// Tickets that others signed, in the order of their bytes.
    pub(crate) tickets: Vec<Signed<Ticket>>,
    /// Grants that others signed, in the order of their bytes.
    pub(crate) grants: Vec<Signed<Grant>>,
    /// Commitments that others signed, in the order of their bytes.
    pub(crate) commitments: Vec<Signed<Commitment>>,
    /// What it was asked as coordinator and has not answered yet.
    pub(crate) asked: Vec<(Who, TokenRequest)>,
}

impl Attacker {
    pub(crate) fn has(&self, who: Who) -> bool {
        self.corrupt & who.bit() != 0
    }

    /// Whether nothing is promised about where things end up: whoever coordinates can do what it likes.
    pub(crate) fn has_power(&self) -> bool {
        self.coordinates || self.leads
    }

    /// Keeps what is worth keeping of a message from `from`.
    pub(crate) fn learn(&mut self, from: Who, message: &PeerMessage) {
        match message {
            PeerMessage::Invitation(message) => match &message.body {
                InvitationBody::Welcome(welcome) => self.learn_ticket(&welcome.ticket),
                InvitationBody::Invite(_)
                | InvitationBody::Join(_)
                | InvitationBody::Reject(_)
                | InvitationBody::Cancel(_) => {}
            },
            PeerMessage::Session(message) => match &message.body {
                SessionBody::Admit(admit) => self.learn_ticket(&admit.ticket),
                SessionBody::TokenGrant(granted) => insert(&mut self.grants, &granted.grant),
                SessionBody::Close(close) => insert(&mut self.grants, &close.grant),
                SessionBody::TokenRequest(request) => {
                    let request = (from, request.clone());
                    if !self.asked.contains(&request) {
                        self.asked.push(request);
                    }
                }
                SessionBody::Commit(commit) => insert(&mut self.commitments, &commit.commitment),
                SessionBody::TokenRefused(_)
                | SessionBody::TokenReturn(_)
                | SessionBody::Admitted(_)
                | SessionBody::Complete(_)
                | SessionBody::HandOver(_)
                | SessionBody::HandOverAnswer(_)
                | SessionBody::Closed(_)
                | SessionBody::Follow(_)
                | SessionBody::Message(_)
                | SessionBody::Received(_) => {}
            },
        }
    }

    fn learn_ticket(&mut self, ticket: &Signed<Ticket>) {
        insert(&mut self.tickets, ticket);
        if let Ok((_, claims)) = crypto::open(ticket) {
            insert(&mut self.grants, &claims.grant);
        }
    }
}

fn insert<T>(known: &mut Vec<Signed<T>>, signed: &Signed<T>) {
    if let Err(at) = known.binary_search_by(|other| other.as_bytes().cmp(signed.as_bytes())) {
        known.insert(at, signed.clone());
    }
}

/// A message of the attacker, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shot {
    pub(crate) way: Way,
    pub(crate) message: Arc<PeerMessage>,
}
