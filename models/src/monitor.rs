//! What the properties remember of the past, and what they found wrong with it.
//!
//! The monitor sees what passes between the machines and their callers, and nothing that is inside a machine. It
//! keeps as little as the properties need, because all it keeps tells states apart.

use std::sync::Arc;

use antiphon_spec::session::{Change, Epoch, EpochHash, EpochNumber, Grant, LocalNumber};

use crate::{cast::Who, crypto::hash_epoch, world::names};

/// A rule that the last step broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Violation {
    /// A second grant in one epoch.
    SecondGrant,
    /// Two epochs of one number.
    TwoEpochs,
    /// A change without its grant.
    ChangeWithoutGrant,
    /// A message outside its epoch, twice, out of order, or from somebody who is no member.
    WrongDelivery,
    /// A member went on without a message of the epoch.
    MessageMissing,
    /// A sender was told that somebody has a message who does not.
    FalseReceipt,
    /// An honest machine was told that it broke a rule.
    HonestFault,
    /// A member was given up although no link was lost.
    MemberGivenUp,
    /// A machine spoke to somebody to whom it had no link.
    NoSuchLink,
    /// A user was told twice what became of a message, or of one that was not under way.
    WrongOutcome,
    /// A session ended for a user who was not told what became of a message.
    NoOutcome,
    /// Somebody was admitted with a ticket that no member had signed.
    TicketUnsigned,
    /// Somebody was admitted with a ticket for another session or epoch.
    TicketElsewhere,
    /// Somebody was admitted with a ticket for somebody else, or for another key.
    TicketStolen,
    /// Somebody was admitted without the coordinator's grant to the ticket's issuer.
    TicketUngranted,
    /// Somebody was admitted with a ticket that was over.
    TicketExpired,
    /// An inviter passed on a grant that was not for it.
    GrantUnchecked,
    /// A member closed an epoch without its coordinator's grant for the change.
    CloseUngranted,
    /// A member took a commit that neither its coordinator nor a successor had signed for this epoch.
    CommitUnsigned,
    /// A member took a commit that did not count its own words.
    Miscounted,
    /// An invitee was asked into a session under somebody else's name for it.
    SessionForged,
    /// A newcomer followed a welcome that could not be one.
    WelcomeUnsound,
    /// A member went by its own parting, which it had not asked for.
    PartedUnasked,
    /// A coordinator ended a join by the word of somebody whom it did not concern.
    JoinMeddledWith,
}

/// Whom somebody may have lost who is told that an epoch began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// Nobody: each epoch is the only one of its number, and its coordinator ends it.
    Nobody,
    /// The coordinator: somebody may take over.
    Coordinator,
    /// Anybody: the session may fall into parts, and each part has a chain of its own.
    Anybody,
}

/// What happened in one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Record {
    number: EpochNumber,
    hash: EpochHash,
    grant: Option<Arc<Grant>>,
    /// Whether somebody has begun it, and not only given a grant in it.
    begun: bool,
}

/// How far the messages of one sender went in one epoch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Said {
    epoch: EpochNumber,
    /// Which of the epochs of this number, where the session has fallen into parts.
    chain: EpochHash,
    sender: Who,
    count: u64,
    /// An attacker says it, or somebody who died: nobody has to have it.
    is_free: bool,
    /// Who has heard how many of them, ascending.
    heard: Vec<(Who, u64)>,
}

/// Something that a user said, and of which not everything is known yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Open {
    sender: Who,
    local: LocalNumber,
    /// Of whom an outcome is missing; nobody yet, while it waits to be sent.
    waiting: Option<Vec<Who>>,
}

/// The past of a run, as far as the properties need it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Monitor {
    /// By the number of the epoch, and then by its hash.
    records: Vec<Record>,
    /// Only in models with messages.
    said: Vec<Said>,
    /// What users said, in that order, until they know what became of it.
    open: Vec<Open>,
    violations: u32,
}

impl Monitor {
    pub(crate) fn has(&self, violation: Violation) -> bool {
        self.violations & (1 << violation as u8) != 0
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.violations == 0
    }

    pub(crate) fn blame(&mut self, violation: Violation) {
        self.violations |= 1 << violation as u8;
    }

    pub(crate) fn blame_unless(&mut self, is_so: bool, violation: Violation) {
        if !is_so {
            self.blame(violation);
        }
    }

    fn record(&mut self, number: EpochNumber, hash: EpochHash) -> &mut Record {
        let at = self.records.partition_point(|record| (record.number, record.hash) < (number, hash));
        if self.records.get(at).is_none_or(|record| (record.number, record.hash) != (number, hash)) {
            self.records.insert(at, Record { number, hash, grant: None, begun: false });
        }
        // The lines above made sure that it is there.
        #[expect(clippy::indexing_slicing, reason = "the record was just put in its place")]
        let record = &mut self.records[at];
        record
    }

    /// A coordinator signed a grant.
    pub(crate) fn granted(&mut self, grant: Grant) {
        let record = self.record(grant.epoch, grant.chain);
        match &record.grant {
            Some(first) if **first != grant => self.blame(Violation::SecondGrant),
            Some(_) => {}
            None => record.grant = Some(Arc::new(grant)),
        }
    }

    /// A client was told that an epoch began; `before` is the one that it was a member of.
    pub(crate) fn began(&mut self, who: Who, before: Option<&Epoch>, epoch: &Epoch, lost: Lost) {
        self.record(epoch.number, hash_epoch(epoch)).begun = true;
        let same = self.records.iter().filter(|record| record.number == epoch.number && record.begun);
        if same.count() > 1 && lost != Lost::Anybody {
            self.blame(Violation::TwoEpochs);
        }
        if !self.follows_a_grant(epoch, lost) {
            self.blame(Violation::ChangeWithoutGrant);
        }
        if let Some(before) = before {
            if before.number.next() != epoch.number {
                self.blame(Violation::TwoEpochs);
            }
            self.left_behind(who, before);
        }
    }

    /// Whether the change that made this epoch is what the grant of the epoch before was given for, or one that needs
    /// none because the coordinator was lost.
    fn follows_a_grant(&self, epoch: &Epoch, lost: Lost) -> bool {
        let Some(before) = epoch.number.0.checked_sub(1).map(EpochNumber) else {
            return matches!(epoch.change, Change::Create(_));
        };
        if matches!(epoch.change, Change::TakeOver(_)) {
            return lost != Lost::Nobody;
        }
        let mut granted = self.records.iter().filter(|r| r.number == before && r.hash == epoch.previous);
        granted.next().and_then(|record| record.grant.as_ref()).is_some_and(|grant| {
            match (&epoch.change, &grant.change) {
                (Change::Void(newcomer), Change::Join(member)) => *newcomer == member.handle,
                (change, granted) => change == granted,
            }
        })
    }

    /// A member of `epoch` has gone on: it must have all that the others said in it.
    pub(crate) fn left_behind(&mut self, who: Who, epoch: &Epoch) {
        let chain = hash_epoch(epoch);
        let missing = self
            .said
            .iter()
            .filter(|said| said.chain == chain && said.sender != who && !said.is_free)
            .any(|said| said.heard_by(who) < said.count);
        if missing {
            self.blame(Violation::MessageMissing);
        }
    }

    fn said(&mut self, epoch: EpochNumber, sender: Who) -> Option<&mut Said> {
        self.said.iter_mut().find(|said| said.epoch == epoch && said.sender == sender)
    }

    /// A user says something that the machine takes.
    pub(crate) fn opened(&mut self, sender: Who, local: LocalNumber) {
        self.open.push(Open { sender, local, waiting: None });
    }

    /// A client was told to whom a message went, that one of them has it or will not, or that it went to nobody.
    pub(crate) fn outcome(&mut self, sender: Who, local: LocalNumber, outcome: &Outcome) {
        let place = self.open.iter().position(|open| (open.sender, open.local) == (sender, local));
        let fits = place.and_then(|place| self.open.get_mut(place)).is_some_and(|open| {
            match (outcome, &mut open.waiting) {
                (Outcome::Sent(to), waiting @ None) => {
                    *waiting = Some(to.clone());
                    true
                }
                (Outcome::Unsent, waiting @ None) => {
                    *waiting = Some(Vec::new());
                    true
                }
                (Outcome::Settled(by), Some(waiting)) => {
                    let before = waiting.len();
                    waiting.retain(|who| who != by);
                    waiting.len() < before
                }
                (Outcome::Sent(_) | Outcome::Unsent, Some(_)) | (Outcome::Settled(_), None) => false,
            }
        });
        if !fits {
            self.blame(Violation::WrongOutcome);
        }
        self.open.retain(|open| open.waiting.as_ref().is_none_or(|waiting| !waiting.is_empty()));
    }

    /// The session is over for a user, who was told so.
    pub(crate) fn ended(&mut self, who: Who) {
        if self.open.iter().any(|open| open.sender == who) {
            self.blame(Violation::NoOutcome);
        }
    }

    /// A client died: its user waits for nothing any more, and nobody has to have what it was sending.
    pub(crate) fn died(&mut self, who: Who) {
        self.open.retain(|open| open.sender != who);
        self.said.iter_mut().filter(|said| said.sender == who).for_each(|said| said.is_free = true);
    }

    /// Whether every user knows of every message what became of it.
    pub(crate) fn is_settled(&self) -> bool {
        self.open.is_empty()
    }

    /// A client was told that its message went out, while it was a member of `view`.
    pub(crate) fn sent(&mut self, who: Who, view: Option<&Epoch>, epoch: EpochNumber, number: u64) {
        let Some(chain) = view.filter(|view| view.number == epoch).map(hash_epoch) else {
            return self.blame(Violation::WrongDelivery);
        };
        let count = self.said(epoch, who).map_or(0, |said| said.count);
        if number != count + 1 {
            self.blame(Violation::WrongDelivery);
        }
        match self.said(epoch, who) {
            Some(said) => said.count = number,
            None => {
                self.said.push(Said {
                    epoch,
                    chain,
                    sender: who,
                    count: number,
                    is_free: false,
                    heard: Vec::new(),
                });
                self.said.sort();
            }
        }
    }

    /// How many messages a client has said in an epoch.
    pub(crate) fn count(&self, epoch: EpochNumber, sender: Who) -> u64 {
        let said = self.said.iter().find(|said| said.epoch == epoch && said.sender == sender);
        said.map_or(0, |said| said.count)
    }

    /// Somebody may say what it likes: the message that comes next is taken for said.
    pub(crate) fn may_say(&mut self, who: Who, view: Option<&Epoch>, epoch: EpochNumber, number: u64) {
        match self.said(epoch, who) {
            Some(said) => said.count = number.max(said.count),
            None => {
                let chain = view.map_or(EpochHash([0; 32]), hash_epoch);
                let is_free = true;
                self.said.push(Said { epoch, chain, sender: who, count: number, is_free, heard: Vec::new() });
                self.said.sort();
            }
        }
    }

    /// A client was given a message, while it was a member of `view`.
    pub(crate) fn delivered(
        &mut self,
        to: Who,
        view: Option<&Epoch>,
        from: Who,
        epoch: EpochNumber,
        number: u64,
    ) {
        let in_view = view.is_some_and(|view| view.number == epoch && names(view, from) && names(view, to));
        let chain = view.map(hash_epoch);
        let next = self.said(epoch, from).is_some_and(|said| {
            let is_here = said.is_free || Some(said.chain) == chain;
            let fits = is_here && number <= said.count && number == said.heard_by(to) + 1;
            said.hear(to, number);
            fits
        });
        if !in_view || !next {
            self.blame(Violation::WrongDelivery);
        }
    }

    /// A sender was told that `by` has its messages up to `number`.
    pub(crate) fn receipt(&mut self, sender: Who, by: Who, epoch: EpochNumber, number: u64) {
        if self.said(epoch, sender).is_none_or(|said| said.heard_by(by) < number) {
            self.blame(Violation::FalseReceipt);
        }
    }
}

/// What a user hears of a message.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// It was sent to these.
    Sent(Vec<Who>),
    /// One of them has it, or will not be known to.
    Settled(Who),
    /// It was sent to nobody.
    Unsent,
}

impl Said {
    fn heard_by(&self, who: Who) -> u64 {
        self.heard.iter().find(|(listener, _)| *listener == who).map_or(0, |(_, number)| *number)
    }

    fn hear(&mut self, who: Who, number: u64) {
        match self.heard.iter_mut().find(|(listener, _)| *listener == who) {
            Some((_, heard)) => *heard = number.max(*heard),
            None => {
                self.heard.push((who, number));
                self.heard.sort();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use antiphon_spec::{
        session::{Nonce, Origin, SessionId},
        time::Timestamp,
    };

    use super::*;
    use crate::cast::Cast;

    /// Three epochs: created by the first client, the second one joins, the second one leaves.
    fn chain() -> [Epoch; 3] {
        let cast = Cast::new(2);
        let [creator, newcomer] = [0, 1].map(|who| cast.member(Who(who)).expect("a member").clone());
        let origin = Origin { key: creator.key, nonce: Nonce([0; 16]) };
        let first = Epoch::first(SessionId([0; 32]), origin, creator);
        let change = Change::Join(newcomer.clone());
        let second = first.next(hash_epoch(&first), change).expect("a join");
        let third = second.next(hash_epoch(&second), Change::Leave(newcomer.handle)).expect("a leave");
        [first, second, third]
    }

    fn grant(of: &Epoch, change: &Change) -> Grant {
        Grant {
            chain: hash_epoch(of),
            epoch: of.number,
            change: change.clone(),
            holder: of.coordinator.clone(),
            session: of.session,
            not_after: Timestamp(0),
        }
    }

    #[test]
    fn granted_changes_are_fine_and_others_are_not() {
        let [first, second, third] = chain();
        let mut monitor = Monitor::default();
        monitor.began(Who(0), None, &first, Lost::Nobody);
        monitor.granted(grant(&first, &second.change));
        monitor.began(Who(0), Some(&first), &second, Lost::Nobody);
        monitor.began(Who(1), None, &second, Lost::Nobody);
        assert!(monitor.is_clean());
        monitor.began(Who(0), Some(&second), &third, Lost::Nobody);
        assert!(monitor.has(Violation::ChangeWithoutGrant));
    }

    #[test]
    fn a_second_grant_is_noticed_and_the_same_again_is_not() {
        let [first, second, third] = chain();
        let mut monitor = Monitor::default();
        monitor.granted(grant(&first, &second.change));
        monitor.granted(grant(&first, &second.change));
        assert!(monitor.is_clean());
        monitor.granted(grant(&first, &third.change));
        assert!(monitor.has(Violation::SecondGrant));
    }

    #[test]
    fn epochs_that_differ_or_are_left_out_are_noticed() {
        let [first, second, third] = chain();
        let mut monitor = Monitor::default();
        monitor.began(Who(0), Some(&first), &third, Lost::Nobody);
        assert!(monitor.has(Violation::TwoEpochs));
        let mut monitor = Monitor::default();
        monitor.began(Who(0), None, &second, Lost::Nobody);
        let other =
            Epoch { coordinator: Cast::new(2).member(Who(1)).expect("a member").handle.clone(), ..second };
        monitor.began(Who(1), None, &other, Lost::Nobody);
        assert!(monitor.has(Violation::TwoEpochs));
    }

    #[test]
    fn deliveries_are_held_against_what_was_said() {
        let [_, second, third] = chain();
        let said = || {
            let mut monitor = Monitor::default();
            monitor.sent(Who(0), Some(&second), second.number, 1);
            monitor.sent(Who(0), Some(&second), second.number, 2);
            monitor
        };
        let mut good = said();
        good.delivered(Who(1), Some(&second), Who(0), second.number, 1);
        good.delivered(Who(1), Some(&second), Who(0), second.number, 2);
        good.receipt(Who(0), Who(1), second.number, 2);
        good.left_behind(Who(1), &second);
        assert!(good.is_clean());
        good.delivered(Who(1), Some(&second), Who(0), second.number, 2);
        assert!(good.has(Violation::WrongDelivery), "twice");
        let mut early = said();
        early.delivered(Who(1), Some(&second), Who(0), second.number, 2);
        assert!(early.has(Violation::WrongDelivery), "out of order");
        let mut outside = said();
        outside.delivered(Who(1), Some(&third), Who(0), second.number, 1);
        assert!(outside.has(Violation::WrongDelivery), "outside its epoch");
        let mut forked = said();
        let other = Epoch { previous: EpochHash([7; 32]), ..second.clone() };
        forked.left_behind(Who(1), &other);
        assert!(forked.is_clean(), "said in another epoch of this number");
        forked.delivered(Who(1), Some(&other), Who(0), second.number, 1);
        assert!(forked.has(Violation::WrongDelivery), "outside its chain");
        let mut missing = said();
        missing.left_behind(Who(1), &second);
        assert!(missing.has(Violation::MessageMissing));
        let mut receipt = said();
        receipt.receipt(Who(0), Who(1), second.number, 1);
        assert!(receipt.has(Violation::FalseReceipt));
    }

    #[test]
    fn outcomes_come_once_for_each_member_and_before_the_end() {
        let (local, both) = (LocalNumber(7), Outcome::Sent(vec![Who(1), Who(2)]));
        let under_way = || {
            let mut monitor = Monitor::default();
            monitor.opened(Who(0), local);
            monitor.outcome(Who(0), local, &both);
            monitor.outcome(Who(0), local, &Outcome::Settled(Who(2)));
            assert!(monitor.is_clean() && !monitor.is_settled());
            monitor
        };
        let mut settled = under_way();
        settled.outcome(Who(0), local, &Outcome::Settled(Who(1)));
        settled.ended(Who(0));
        assert!(settled.is_clean() && settled.is_settled());
        let mut twice = under_way();
        twice.outcome(Who(0), local, &Outcome::Settled(Who(2)));
        assert!(twice.has(Violation::WrongOutcome));
        let mut again = under_way();
        again.outcome(Who(0), local, &Outcome::Unsent);
        assert!(again.has(Violation::WrongOutcome), "sent, and then not");
        let mut silent = under_way();
        silent.ended(Who(0));
        assert!(silent.has(Violation::NoOutcome));
        let mut dead = under_way();
        dead.died(Who(0));
        assert!(dead.is_settled());
    }
}
