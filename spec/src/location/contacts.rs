//! The machine of one handle at one directory node: what is inserted, deleted and superseded.

use std::{collections::BTreeSet, time::Duration};

use super::{
    Above, Action, Answer, Asker, Entry, Event, Holder, Kept, ParentAnswer, Request, RequestNumber,
    Superseded, Terms, search::Search,
};
use crate::{
    error_code::ErrorCode,
    identity::{ObjectHandle, ServerName},
    limits::LOCATION_REQUESTS_MAX,
    machine::Machine,
    message::{
        location::{ContactRecord, ForwardingPointer, PointerNumber},
        server_server::LoginEpoch,
    },
    mutant::{Mutant, active},
    time::Timestamp,
};

/// What a node knows under one handle.
///
/// **Contract of the caller.** [`Kept`] is loaded from where [`Action::Persist`] put it. When persisting fails, the caller
/// refuses with `internal` whatever waits, carries out none of the actions behind it, and loads the state again. Each
/// request to the parent or to a child is followed by one event, also when nobody answers it. While
/// [`Contacts::is_idle`], the machine may be dropped and made anew.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Contacts {
    pub(super) kept: Kept,
    /// Under the well-known handle servers stand beside each other, whatever their epochs.
    pub(super) is_shared: bool,
    rising: Option<Rising>,
    waiting: Vec<Waiting>,
    /// The children that are being told to forget.
    telling: BTreeSet<ServerName>,
    pub(super) searches: Vec<Search>,
}

/// The one change that the parent is being asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Rising {
    Insert { epoch: LoginEpoch, number: PointerNumber, if_absent: bool, asked_at: Timestamp },
    Delete { number: PointerNumber },
}

/// A request that waits for the parent, or for children.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Waiting {
    Insert { number: RequestNumber, holder: Holder, epoch: LoginEpoch, if_absent: bool },
    Delete { number: RequestNumber },
    Supersede { number: RequestNumber },
}

/// What the parent has just said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Nothing,
    Confirmed,
    Failed,
}

impl Machine for Contacts {
    type Event = Event;
    type Action = Action;
    type Context<'a> = Terms;

    fn handle(&mut self, event: Event, terms: &Terms, out: &mut Vec<Action>) {
        let before = self.kept.clone();
        let (mut later, mut heard) = (Vec::new(), Heard::Nothing);
        match event {
            Event::Asked { number, by, request } => self.asked(number, by, request, *terms, &mut later),
            Event::ParentAnswered(answer) => heard = self.parent_answered(answer, &mut later),
            Event::ChildTold { node, epoch } => {
                self.telling.remove(&node);
                if self.kept.superseded.get(&node).is_some_and(|superseded| superseded.epoch == epoch) {
                    self.kept.superseded.remove(&node);
                }
            }
            Event::Searched { number, found } => self.searched(number, found, *terms, &mut later),
            Event::LeaseEnded => self.kept.entries.retain(|_, entry| terms.now < entry.lease_end),
        }
        self.settle(*terms, heard, &mut later);
        // One write an event, before anybody may hear of it (LOC-013).
        if self.kept != before {
            let at = if active(Mutant::InsertedBeforeDurable) { later.len() } else { 0 };
            later.insert(at, Action::Persist(self.kept.clone()));
        }
        out.append(&mut later);
    }
}

impl Contacts {
    /// What a node knows under a handle when it begins with what it has kept.
    #[must_use]
    pub fn new(handle: ObjectHandle, kept: Kept) -> Self {
        let is_shared = handle == ObjectHandle::SERVERS;
        let (waiting, searches) = (Vec::new(), Vec::new());
        Self { kept, is_shared, rising: None, waiting, telling: BTreeSet::new(), searches }
    }

    /// What is kept.
    #[must_use]
    pub const fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Whether nobody waits for an answer, here or elsewhere.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.rising.is_none()
            && self.waiting.is_empty()
            && self.telling.is_empty()
            && self.searches.is_empty()
    }

    fn asked(
        &mut self,
        number: RequestNumber,
        by: Asker,
        request: Request,
        terms: Terms,
        out: &mut Vec<Action>,
    ) {
        if self.waiting.len() + self.searches.len() >= LOCATION_REQUESTS_MAX {
            return refuse(number, ErrorCode::LimitReached, out);
        }
        match (request, by) {
            // Everybody speaks for itself alone (LOC-003, LOC-022).
            (Request::Insert { record, if_absent }, Asker::Server(name)) if is_own(&name, &record.server) => {
                self.insert_record(number, record, if_absent, terms, out);
            }
            (Request::Delete { record }, Asker::Server(name)) if is_own(&name, &record.server) => {
                self.delete_record(number, record);
            }
            (Request::InsertPointer { pointer, if_absent }, Asker::Child(name)) if name == pointer.node => {
                self.insert_pointer(number, pointer, if_absent, terms, out);
            }
            (Request::DeletePointer { number: pointer }, Asker::Child(name)) => {
                self.delete_pointer(number, name, pointer);
            }
            (Request::Supersede { epoch }, Asker::Parent) => self.supersede(number, epoch),
            (Request::Find { hops }, by) => {
                self.search(Search::new(number, by == Asker::Parent, hops), terms, out);
            }
            (
                Request::Insert { .. }
                | Request::Delete { .. }
                | Request::InsertPointer { .. }
                | Request::DeletePointer { .. }
                | Request::Supersede { .. },
                Asker::Server(_) | Asker::Child(_) | Asker::Parent,
            ) => refuse(number, ErrorCode::Forbidden, out),
        }
    }

    fn insert_record(
        &mut self,
        number: RequestNumber,
        record: ContactRecord,
        if_absent: bool,
        terms: Terms,
        out: &mut Vec<Action>,
    ) {
        let entry = Entry::of_record(&record, terms.now.after(terms.lease));
        let holder = Holder::Server(record.server);
        let is_older = self
            .kept
            .live(terms.now)
            .any(|(other, present)| (!self.is_shared || *other == holder) && entry.epoch < present.epoch);
        self.insert(number, holder, entry, is_older, if_absent, terms, out);
    }

    fn insert_pointer(
        &mut self,
        number: RequestNumber,
        pointer: ForwardingPointer,
        if_absent: bool,
        terms: Terms,
        out: &mut Vec<Action>,
    ) {
        let entry = Entry::of_pointer(&pointer, terms.now.after(terms.lease));
        let holder = Holder::Node(pointer.node);
        // A child's pointers follow each other by number (LOC-028); under the well-known handle the epoch goes down with
        // the server that had the greatest.
        let is_older = self.kept.live(terms.now).any(|(other, present)| {
            (!self.is_shared && entry.epoch < present.epoch)
                || (*other == holder && entry.number < present.number)
        });
        self.insert(number, holder, entry, is_older, if_absent, terms, out);
    }

    /// Takes an entry, if nothing bars it, and has it wait for the parent.
    #[expect(clippy::too_many_arguments, reason = "the two kinds of entries differ in little")]
    fn insert(
        &mut self,
        number: RequestNumber,
        holder: Holder,
        entry: Entry,
        is_older: bool,
        if_absent: bool,
        terms: Terms,
        out: &mut Vec<Action>,
    ) {
        let epoch = entry.epoch;
        let is_other = |(other, present): (&Holder, &Entry)| *other != holder || present.epoch != epoch;
        let is_taken = if_absent && self.kept.live(terms.now).any(is_other);
        if (is_older && !active(Mutant::OlderRecordAccepted))
            || (is_taken && !active(Mutant::PresenceIgnored))
        {
            return refuse(number, ErrorCode::EntryExists, out);
        }
        if !terms.has_room && !self.kept.entries.contains_key(&holder) {
            return refuse(number, ErrorCode::LimitReached, out);
        }
        self.kept.entries.insert(holder.clone(), entry);
        self.waiting.push(Waiting::Insert { number, holder, epoch, if_absent });
        if !active(Mutant::OlderRecordKept) {
            self.forget_older(epoch);
        }
    }

    /// Deletes just this record (`LOC-009`), and has the answer wait for the parent.
    fn delete_record(&mut self, number: RequestNumber, record: ContactRecord) {
        let holder = Holder::Server(record.server.clone());
        if self.kept.entries.get(&holder).is_some_and(|entry| entry.is_of(&record)) {
            self.kept.entries.remove(&holder);
        }
        self.waiting.push(Waiting::Delete { number });
    }

    /// Deletes a child's pointer, unless the child has asked for a later one since (`LOC-028`).
    fn delete_pointer(&mut self, number: RequestNumber, node: ServerName, pointer: PointerNumber) {
        let holder = Holder::Node(node);
        let is_later = |entry: &Entry| entry.number > pointer && !active(Mutant::PointerNumberUnchecked);
        if self.kept.entries.get(&holder).is_some_and(|entry| !is_later(entry)) {
            self.kept.entries.remove(&holder);
        }
        self.waiting.push(Waiting::Delete { number });
    }

    /// The parent has something newer, and has forgotten this node's pointer if that is older.
    fn supersede(&mut self, number: RequestNumber, epoch: LoginEpoch) {
        self.forget_older(epoch);
        let is_older = self.kept.above.is_some_and(|above| above.epoch < epoch);
        if is_older && !self.is_shared && self.rising.is_none() {
            self.kept.above = None;
        }
        self.waiting.push(Waiting::Supersede { number });
    }

    /// Forgets what is older than this epoch (`LOC-020`, `LOC-029`), and has the children whose pointers go do the same.
    fn forget_older(&mut self, epoch: LoginEpoch) {
        if self.is_shared {
            return;
        }
        let superseded = &mut self.kept.superseded;
        self.kept.entries.retain(|holder, entry| {
            let stays = entry.epoch >= epoch;
            if let (false, Holder::Node(node)) = (stays, holder)
                && !active(Mutant::SupersedeSkipped)
            {
                let (address, lease_end) = (entry.address, entry.lease_end);
                superseded.insert(node.clone(), Superseded { epoch, address, lease_end });
            }
            stays
        });
    }

    /// Tells the children that haven't been told, also those that a node before its restart hadn't.
    fn tell_superseded(&mut self, now: Timestamp, out: &mut Vec<Action>) {
        self.kept.superseded.retain(|_, superseded| now < superseded.lease_end);
        for (node, superseded) in &self.kept.superseded {
            if self.telling.insert(node.clone()) {
                let (node, Superseded { epoch, address, .. }) = (node.clone(), *superseded);
                out.push(Action::SupersedeBelow { node, address, epoch });
            }
        }
    }

    fn parent_answered(&mut self, answer: ParentAnswer, out: &mut Vec<Action>) -> Heard {
        match (self.rising.take(), answer) {
            (Some(Rising::Insert { number, asked_at, .. }), ParentAnswer::Inserted(lease)) => {
                if let Some(above) = self.kept.above.as_mut().filter(|above| above.number == number) {
                    above.lease_end = Some(asked_at.after(lease));
                }
                Heard::Confirmed
            }
            (Some(Rising::Insert { epoch, if_absent, .. }), ParentAnswer::Failed(ErrorCode::EntryExists))
                if if_absent || !self.is_shared =>
            {
                // What the parent has is newer, or was there first (LOC-032).
                self.kept.above = None;
                if if_absent {
                    let waiting = &self.waiting;
                    self.kept.entries.retain(|holder, _| !is_claimed(waiting, holder));
                } else {
                    self.forget_older(LoginEpoch(epoch.0.saturating_add(1)));
                }
                Heard::Nothing
            }
            (Some(Rising::Delete { number }), ParentAnswer::Deleted) => {
                if self.kept.above.is_some_and(|above| above.number == number) {
                    self.kept.above = None;
                }
                Heard::Nothing
            }
            (Some(Rising::Insert { .. }), ParentAnswer::Failed(code)) => {
                self.give_up(code, out);
                Heard::Failed
            }
            (Some(Rising::Insert { .. }), ParentAnswer::Deleted)
            | (Some(Rising::Delete { .. }), ParentAnswer::Inserted(_) | ParentAnswer::Failed(_)) => {
                self.give_up(ErrorCode::LocationUnreachable, out);
                Heard::Failed
            }
            // It was asked by a machine that is gone.
            (None, ParentAnswer::Inserted(_) | ParentAnswer::Deleted | ParentAnswer::Failed(_)) => {
                Heard::Nothing
            }
        }
    }

    /// Answers what waits for a parent that doesn't do its part (`LOC-031`). What is kept stays until its lease ends.
    fn give_up(&mut self, code: ErrorCode, out: &mut Vec<Action>) {
        let code = if code == ErrorCode::LimitReached { code } else { ErrorCode::LocationUnreachable };
        self.waiting.retain(|waiting| match waiting {
            Waiting::Insert { number, .. } => {
                refuse(*number, code, out);
                false
            }
            Waiting::Delete { number } => {
                out.push(Action::Answer { number: *number, answer: Answer::Deleted });
                false
            }
            Waiting::Supersede { .. } => true,
        });
    }

    /// Asks the parent for what is wanted now, and answers what needs to wait no longer.
    fn settle(&mut self, terms: Terms, heard: Heard, out: &mut Vec<Action>) {
        self.refuse_overtaken(out);
        self.tell_superseded(terms.now, out);
        if terms.has_parent {
            if self.rising.is_none() && heard != Heard::Failed {
                self.rise(terms, heard, out);
            }
        } else {
            self.kept.above = None;
        }
        let is_told_below = self.kept.superseded.is_empty();
        let is_clear = self.kept.above.is_none() || self.kept.greatest(terms.now).is_some();
        let waiting = std::mem::take(&mut self.waiting);
        for request in waiting {
            let (number, answer) = match &request {
                Waiting::Insert { number, holder, .. } => {
                    let lease = self.lease(holder, terms, heard).filter(|_| is_told_below);
                    (*number, lease.map(Answer::Inserted))
                }
                Waiting::Delete { number } => (*number, is_clear.then_some(Answer::Deleted)),
                Waiting::Supersede { number } => (*number, is_told_below.then_some(Answer::Superseded)),
            };
            match answer {
                Some(answer) => out.push(Action::Answer { number, answer }),
                None => self.waiting.push(request),
            }
        }
    }

    /// Refuses what waits for an entry that stands no more, or whose place a newer one of the same holder has taken.
    fn refuse_overtaken(&mut self, out: &mut Vec<Action>) {
        let entries = &self.kept.entries;
        self.waiting.retain(|waiting| match waiting {
            Waiting::Insert { number, holder, epoch, .. } => {
                let stands = entries.get(holder).is_some_and(|entry| entry.epoch == *epoch);
                if !stands {
                    refuse(*number, ErrorCode::EntryExists, out);
                }
                stands
            }
            Waiting::Delete { .. } | Waiting::Supersede { .. } => true,
        });
    }

    /// Asks the parent for a pointer, or to delete it.
    fn rise(&mut self, terms: Terms, heard: Heard, out: &mut Vec<Action>) {
        let Some(epoch) = self.kept.greatest(terms.now) else {
            return self.delete_above(terms, out);
        };
        let waits = |waiting: &Waiting| match waiting {
            Waiting::Insert { holder, .. } => self.pointer_end(holder, terms, heard).is_none(),
            Waiting::Delete { .. } | Waiting::Supersede { .. } => false,
        };
        if !self.waiting.iter().any(waits) || active(Mutant::PointerSkipped) {
            return;
        }
        let if_absent = self.kept.live(terms.now).all(|(holder, _)| is_claimed(&self.waiting, holder));
        let lease_end =
            self.kept.above.filter(|above| above.epoch >= epoch).and_then(|above| above.lease_end);
        let (number, asked_at) = (terms.number, terms.now);
        self.kept.above = Some(Above { epoch, number, asked_at, lease_end });
        self.rising = Some(Rising::Insert { epoch, number, if_absent, asked_at });
        let if_absent = if_absent && !active(Mutant::PresenceDecidedBelow);
        out.push(Action::InsertAbove { epoch, number, if_absent });
    }

    fn delete_above(&mut self, terms: Terms, out: &mut Vec<Action>) {
        let Some(above) = self.kept.above.as_mut() else { return };
        if above.is_over(terms.now) || active(Mutant::PointerLeft) {
            self.kept.above = None;
            return;
        }
        // From now on the parent may have none any more, whatever comes of this.
        above.lease_end = None;
        let number = above.number;
        self.rising = Some(Rising::Delete { number });
        out.push(Action::DeleteAbove { number });
    }

    /// When the parent's pointer that leads to this holder's entry ends, if it lasts: for half a lease, or for however
    /// long the parent has just said.
    fn pointer_end(&self, holder: &Holder, terms: Terms, heard: Heard) -> Option<Timestamp> {
        let epoch = self.kept.entries.get(holder)?.epoch;
        let above = self.kept.above.filter(|_| self.is_confirmed(epoch, terms))?;
        let least = match heard {
            Heard::Confirmed => Duration::from_secs(1),
            Heard::Nothing | Heard::Failed => (terms.lease / 2).max(Duration::from_secs(1)),
        };
        above.lease_end.filter(|end| terms.now.after(least) <= *end)
    }

    /// The lease of an entry, if the parent's pointer leads to it: it ends with the pointer's at the latest (`LOC-025`).
    fn lease(&mut self, holder: &Holder, terms: Terms, heard: Heard) -> Option<Duration> {
        let end = if terms.has_parent && !active(Mutant::PointerSkipped) {
            self.pointer_end(holder, terms, heard)?
        } else {
            terms.now.after(terms.lease)
        };
        let entry = self.kept.entries.get_mut(holder)?;
        if !active(Mutant::LeaseBeyondPointer) {
            entry.lease_end = entry.lease_end.min(end);
        }
        let seconds = entry.lease_end.0.saturating_sub(terms.now.0);
        (seconds > 0).then_some(Duration::from_secs(seconds))
    }

    /// Whether the parent is known to lead to what the node has of this epoch.
    pub(super) fn is_confirmed(&self, epoch: LoginEpoch, terms: Terms) -> bool {
        !terms.has_parent
            || self.kept.above.is_some_and(|above| {
                (self.is_shared || above.epoch >= epoch) && above.lease_end.is_some_and(|end| terms.now < end)
            })
    }
}

/// Whether an entry stands only for a request that wants to be first.
fn is_claimed(waiting: &[Waiting], holder: &Holder) -> bool {
    waiting.iter().any(|waiting| match waiting {
        Waiting::Insert { holder: by, if_absent, .. } => *if_absent && by == holder,
        Waiting::Delete { .. } | Waiting::Supersede { .. } => false,
    })
}

fn is_own(name: &ServerName, named: &ServerName) -> bool {
    name == named || active(Mutant::ForeignRecordAccepted)
}

pub(super) fn refuse(number: RequestNumber, code: ErrorCode, out: &mut Vec<Action>) {
    out.push(Action::Answer { number, answer: Answer::Refused(code) });
}
