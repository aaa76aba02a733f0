//! Nodes, servers and searches, and what is on its way between them.
//!
//! Nodes are the machines of `antiphon_spec::location`, driven as `antiphon` drives them: what isn't persisted is gone when
//! a node dies. Requests and answers overtake each other freely. A breach is noted where it happens.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use antiphon_spec::{
    error_code::ErrorCode,
    location::{Answer, Asker, Contacts, Kept, Request, RequestNumber},
    message::{location::PointerNumber, server_server::LoginEpoch},
    time::Timestamp,
};

use super::Bounds;

/// A lease.
pub(super) const LEASE: Duration = antiphon_spec::limits::LOCATION_LEASE;

/// What no state may have seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Breach {
    /// A search found nothing, though there was something to be found from its beginning to its end.
    NotFound,
    /// A search found what was older than an insertion that had been answered before it began.
    OlderFound,
    /// A search found a record whose lease was over.
    EndedFound,
    /// A search left the node that has the record itself.
    FarAsked,
    /// An insertion was answered that wasn't durable.
    NotDurable,
    /// Two servers were each told to be the first.
    TwoFirst,
    /// Something was refused for want of a node, and all nodes could be reached.
    Unreachable,
    /// A record was deleted by somebody else, or by a request about another one.
    DeletedByOther,
}

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum From {
    /// A server.
    Server(u8),
    /// Somebody whose search begins at a node.
    Searcher(u8),
    /// A node.
    Node(u8),
    /// Nobody who still waits.
    Nobody,
}

/// What the asker does with the answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Purpose {
    Own,
    Above,
    Below(LoginEpoch),
    Search(RequestNumber),
}

/// A request and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Call {
    pub(super) from: From,
    pub(super) to: u8,
    pub(super) purpose: Purpose,
    pub(super) by: Asker,
    pub(super) request: Request,
    pub(super) stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Stage {
    /// On its way to the node.
    Asked,
    /// The node has it, under this number.
    Taken(RequestNumber),
    /// On its way back.
    Answered(Answer),
}

/// A directory node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub(super) contacts: Contacts,
    pub(super) durable: Kept,
    /// The number of its next pointer.
    pub(super) number: PointerNumber,
}

/// A server and its record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Server {
    pub(super) epoch: Option<LoginEpoch>,
    pub(super) phase: Phase,
    /// The lease of the record ends then, as the server was told.
    pub(super) lease_end: Timestamp,
    /// Half of the lease is over.
    pub(super) is_due: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    #[default]
    Away,
    Inserting,
    /// The record stands, as far as the server knows.
    Standing,
    /// The last insertion failed; the next half of a lease is another chance.
    Failed,
    Deleting,
}

/// A search of which the answer is to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Searching {
    /// Whether there has been something to be found all the time.
    pub(super) must_find: bool,
    /// Nothing older than this may be found.
    pub(super) at_least: LoginEpoch,
    /// Something was lost or has died since it began.
    pub(super) is_troubled: bool,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LocationState {
    pub(super) nodes: Vec<Node>,
    pub(super) servers: Vec<Server>,
    pub(super) searching: BTreeMap<u8, Searching>,
    pub(super) calls: Vec<Call>,
    /// The greatest epoch that was asked for.
    pub(super) last: LoginEpoch,
    /// The epochs whose record was told to be deleted.
    pub(super) deleted: BTreeSet<LoginEpoch>,
    /// When each record was inserted last.
    pub(super) inserted: BTreeMap<(u8, LoginEpoch), Timestamp>,
    pub(super) now: Timestamp,
    /// Halves of a lease that have passed since anything was lost or died, or was inserted or deleted; at most three.
    pub(super) calm: u8,
    /// Whether anything has been lost or has died.
    pub(super) is_troubled: bool,
    /// A child couldn't be told what is over: until then it may tell it.
    pub(super) excused_until: Timestamp,
    pub(super) left: Bounds,
    pub(super) breaches: BTreeSet<Breach>,
    /// What has been seen that is to be seen.
    pub(super) seen: BTreeSet<Seen>,
}

/// What some run has to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Seen {
    /// A search found something at another leaf.
    FarAway,
    /// A search followed two pointers of one node, because what it looked for had moved.
    LookedAgain,
    /// An insertion was refused for something newer, or something that was there.
    Refused,
}

impl Node {
    /// Whether there is something to forget.
    pub(super) fn has_ended(&self, now: Timestamp) -> bool {
        let kept = self.contacts.kept();
        self.contacts.is_idle()
            && (kept.entries.values().any(|entry| entry.lease_end <= now)
                || kept.above.is_some_and(|above| above.asked_at.after(LEASE) <= now))
    }
}

impl LocationState {
    pub(super) fn stir(&mut self) {
        self.calm = 0;
    }

    pub(super) fn trouble(&mut self) {
        self.stir();
        self.is_troubled = true;
        for searching in self.searching.values_mut() {
            searching.is_troubled = true;
        }
    }

    pub(super) fn breach(&mut self, breach: Breach) {
        self.breaches.insert(breach);
    }

    /// Nothing is on its way, and nobody has to renew, or to forget what has ended.
    pub(super) fn is_quiet(&self) -> bool {
        self.calls.is_empty()
            && self.servers.iter().all(|server| !server.is_due)
            && !self.nodes.iter().any(|node| node.has_ended(self.now))
    }

    /// The record that has to be found now, if there is one: it was said to stand, its lease lasts, and nothing that
    /// came later has gone again. Servers stand for themselves each.
    pub(super) fn standing(&self) -> Option<LoginEpoch> {
        let stands = |server: &&Server| server.phase == Phase::Standing && self.now < server.lease_end;
        let greatest = self.servers.iter().filter(stands).filter_map(|server| server.epoch).max()?;
        let is_over = |epoch: &LoginEpoch| *epoch > greatest;
        (self.left.object != super::Object::User || !self.deleted.iter().any(is_over)).then_some(greatest)
    }

    /// A moment passes: whoever searches while there is nothing to be found need find nothing.
    pub(super) fn look(&mut self) {
        if self.standing().is_none() {
            for searching in self.searching.values_mut() {
                searching.must_find = false;
            }
        }
    }

    /// Whether the pointers are those to what there is, and lead to it: as far up as the root, and nothing else.
    pub(super) fn is_exact(&self) -> bool {
        (0..).zip(&self.nodes).all(|(number, node): (u8, _)| {
            let live = node.contacts.kept().live(self.now).map(|(_, entry)| entry.epoch).max();
            let parent = self.left.parents.get(usize::from(number)).copied().flatten();
            let Some(parent) = parent.and_then(|parent| self.nodes.get(usize::from(parent))) else {
                return true;
            };
            let name = super::node_name(number);
            let pointer = parent
                .contacts
                .kept()
                .live(self.now)
                .find(|(holder, _)| **holder == antiphon_spec::location::Holder::Node(name.clone()))
                .map(|(_, entry)| entry.epoch);
            if self.left.object == super::Object::Servers {
                pointer.is_some() == live.is_some()
            } else {
                pointer == live
            }
        })
    }
}

pub(super) fn is_failure(answer: &Answer) -> bool {
    *answer == Answer::Refused(ErrorCode::LocationUnreachable)
}
