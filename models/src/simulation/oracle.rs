//! The oracle of a run: what holds after every step, seen from outside the machines.
//!
//! It knows epochs by their hash, so that two chains of one session are two. What a machine tells its user and what it
//! signs is held against what others were told and signed; nothing here works out what a machine should do.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use antiphon_spec::{
    error_code::ErrorCode,
    message::client_client::Content,
    session::{Change, Commitment, EndReason, Epoch, EpochHash, EpochNumber, Grant, LocalNumber},
};

use super::{client::Client, profile::Faults};
use crate::{cast::Who, crypto::hash_epoch, words, world::names};

/// A rule, with the requirements that it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Property {
    SecondGrant,
    TwoEpochs,
    ChangeWithoutGrant,
    WrongDelivery,
    FalseReceipt,
    Outcomes,
    HonestFault,
    MemberGivenUp,
    NoSuchLink,
    Bounds,
    Ended,
    Quiescence,
    Unfinished,
    Views,
    Coordinator,
    Mesh,
    MessageMissing,
}

impl Property {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::SecondGrant => "SESS-051: one grant of a coordinator in an epoch",
            Self::TwoEpochs => "SESS-013: one epoch follows another, and members who are linked agree on it",
            Self::ChangeWithoutGrant => "SESS-082, SESS-084: no change without its grant",
            Self::WrongDelivery => {
                "SESS-108, SESS-112: a message is delivered in its epoch, once, in order, from a member"
            }
            Self::FalseReceipt => "SESS-111: who acknowledges a message has it",
            Self::Outcomes => {
                "SESS-171, SESS-173: a sender hears of each message and member once what became of it"
            }
            Self::HonestFault => "SESS-017, SESS-025: no honest machine is blamed",
            Self::MemberGivenUp => "SESS-099: no member is given up while all links hold",
            Self::NoSuchLink => "SESS-005: nobody speaks where there is no link",
            Self::Bounds => "SESS-114: messages under way, messages that wait and timers are bounded",
            Self::Ended => "what has ended says and does nothing more",
            Self::Quiescence => "when faults have stopped, all comes to rest in time",
            Self::Unfinished => {
                "SESS-041, SESS-076, SESS-097: at rest every invitation, join and leave has ended"
            }
            Self::Views => "SESS-090: at rest all who are linked hold one view, and are who it names",
            Self::Coordinator => {
                "SESS-056, SESS-103: at rest the coordinator is there, and the token is home"
            }
            Self::Mesh => "SESS-064, SESS-094, SESS-095: at rest the links are a full mesh of the members",
            Self::MessageMissing => "SESS-092: a message reaches every member that stays with its sender",
        }
    }
}

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Breach {
    pub(crate) property: Property,
    pub(crate) detail: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.property.text(), self.detail)
    }
}

/// What is known of one epoch.
#[derive(Debug)]
struct Facts {
    epoch: Arc<Epoch>,
    /// Who was told that it began, and with which machine.
    holders: BTreeMap<Who, u32>,
    /// What each member said in it, in that order.
    said: BTreeMap<Who, Vec<LocalNumber>>,
    /// How many messages a listener had from a speaker.
    heard: BTreeMap<(Who, Who), u64>,
}

#[derive(Debug)]
pub(crate) struct Oracle {
    faults: Faults,
    epochs: BTreeMap<EpochHash, Facts>,
    /// By the epoch that they were given in, and who signed them.
    grants: BTreeMap<(EpochHash, Who), Grant>,
    /// By the epoch that they end, and who signed them.
    commitments: BTreeMap<(EpochHash, Who), Commitment>,
    /// By the epoch before: the epoch that follows.
    successors: BTreeMap<EpochHash, BTreeSet<EpochHash>>,
    /// The epochs of each client's machine.
    chains: BTreeMap<Who, BTreeMap<EpochNumber, EpochHash>>,
    /// What users said and do not know the end of, each with those of whom an outcome is missing; with nobody yet, while
    /// it waits to be sent.
    open: BTreeMap<Who, BTreeMap<LocalNumber, Option<BTreeSet<Who>>>>,
    /// What users were told of as failed, and for whom.
    failed: BTreeSet<(LocalNumber, Who)>,
    breach: Option<Breach>,
}

impl Oracle {
    pub(crate) fn new(faults: Faults) -> Self {
        Self {
            faults,
            epochs: BTreeMap::new(),
            grants: BTreeMap::new(),
            commitments: BTreeMap::new(),
            successors: BTreeMap::new(),
            chains: BTreeMap::new(),
            open: BTreeMap::new(),
            failed: BTreeSet::new(),
            breach: None,
        }
    }

    pub(crate) fn breach(&self) -> Option<&Breach> {
        self.breach.as_ref()
    }

    pub(crate) fn into_breach(self) -> Option<Breach> {
        self.breach
    }

    /// A rule is broken; the first one counts.
    pub(crate) fn blame(&mut self, property: Property, detail: String) {
        self.breach.get_or_insert(Breach { property, detail });
    }

    // --- epochs ---

    /// A client signed a grant. It may do so in the very step in which it begins the epoch, before it says so.
    pub(crate) fn granted(&mut self, by: Who, grant: Grant) {
        match self.grants.get(&(grant.chain, by)) {
            Some(first) if *first != grant => {
                let detail = format!(
                    "{by} grants {} after {}",
                    words::change(&grant.change),
                    words::change(&first.change)
                );
                self.blame(Property::SecondGrant, detail);
            }
            Some(_) => {}
            None => {
                self.grants.insert((grant.chain, by), grant);
            }
        }
    }

    /// A client signed how an epoch ends.
    pub(crate) fn committed(&mut self, by: Who, commitment: Commitment) {
        match self.commitments.get(&(commitment.chain, by)) {
            Some(first) if *first != commitment => {
                let [now, before] = [&commitment, first].map(|commitment| words::change(&commitment.change));
                self.blame(Property::TwoEpochs, format!("{by} ends an epoch by {now} after {before}"));
            }
            Some(_) => {}
            None => {
                self.commitments.insert((commitment.chain, by), commitment);
            }
        }
    }

    /// A client was told that an epoch began; `before` is the one that it was a member of.
    pub(crate) fn began(&mut self, who: Who, stay: u32, before: Option<&Epoch>, epoch: &Arc<Epoch>) {
        let hash = hash_epoch(epoch);
        if !self.epochs.contains_key(&hash) {
            self.first_to_begin(who, hash, epoch);
        }
        let chain = self.chains.entry(who).or_default();
        match before {
            None => chain.clear(),
            Some(before) if chain.get(&before.number) == Some(&epoch.previous) => {}
            Some(_) => self.blame(Property::TwoEpochs, format!("{who} leaves its chain")),
        }
        self.chains.entry(who).or_default().insert(epoch.number, hash);
        if !names(epoch, who) {
            self.blame(Property::Views, format!("{who} begins an epoch without itself"));
        }
        if let Some(facts) = self.epochs.get_mut(&hash) {
            facts.holders.insert(who, stay);
        }
    }

    fn first_to_begin(&mut self, who: Who, hash: EpochHash, epoch: &Arc<Epoch>) {
        let siblings = self.successors.entry(epoch.previous).or_default();
        siblings.insert(hash);
        let is_first = matches!(epoch.change, Change::Create(_));
        // Parts that do not reach each other go on by themselves, each by the word of somebody else.
        if siblings.len() > 1 && !is_first && self.faults == Faults::None {
            self.blame(Property::TwoEpochs, format!("two epochs {} follow one", epoch.number.0));
        }
        let follows = self.epochs.get(&epoch.previous).is_some_and(|before| {
            let grant = self.grants.get(&(epoch.previous, Who::of(&before.epoch.coordinator)));
            let (signer, is_granted) = match &epoch.change {
                Change::TakeOver(successor) => (Who::of(successor), self.faults != Faults::None),
                Change::Create(_)
                | Change::Join(_)
                | Change::Leave(_)
                | Change::Remove(_)
                | Change::HandOver(_)
                | Change::Void(_) => (
                    Who::of(&before.epoch.coordinator),
                    grant.is_some_and(|grant| covers(grant, &epoch.change)),
                ),
            };
            let commitment = self.commitments.get(&(epoch.previous, signer));
            let is_committed = commitment.is_some_and(|commitment| commitment.hash == hash);
            before.epoch.number.next() == epoch.number && is_granted && is_committed
        });
        if !follows && !is_first {
            let detail = format!("{who} begins epoch {} by {}", epoch.number.0, words::change(&epoch.change));
            self.blame(Property::ChangeWithoutGrant, detail);
        }
        let facts = Facts {
            epoch: Arc::clone(epoch),
            holders: BTreeMap::new(),
            said: BTreeMap::new(),
            heard: BTreeMap::new(),
        };
        self.epochs.insert(hash, facts);
    }

    // --- messages ---

    fn facts(&mut self, who: Who, number: EpochNumber) -> Option<&mut Facts> {
        let hash = self.chains.get(&who)?.get(&number)?;
        self.epochs.get_mut(hash)
    }

    /// A user says something, which names itself to whom it is delivered.
    pub(crate) fn said(&mut self, who: Who, local: LocalNumber) {
        self.open.entry(who).or_default().insert(local, None);
    }

    /// The machine did not take what a user said.
    pub(crate) fn unsaid(&mut self, who: Who, local: LocalNumber) {
        if self.open.entry(who).or_default().remove(&local) != Some(None) {
            self.blame(Property::Outcomes, format!("{who} has sent #{} and cannot", local.0));
        }
    }

    /// A client was told that its message went out to these.
    pub(crate) fn sent(
        &mut self,
        who: Who,
        (epoch, number): (EpochNumber, u64),
        local: LocalNumber,
        to: BTreeSet<Who>,
    ) {
        let open = self.open.entry(who).or_default();
        let is_next =
            open.iter().find(|(_, waiting)| waiting.is_none()).map(|(first, _)| *first) == Some(local);
        if to.is_empty() {
            open.remove(&local);
        } else {
            open.insert(local, Some(to));
        }
        let fits = self.facts(who, epoch).is_some_and(|facts| {
            let all = facts.said.entry(who).or_default();
            all.push(local);
            all.len() as u64 == number
        });
        if !is_next || !fits {
            let detail = format!("{who} sends #{} as message {number} of epoch {}", local.0, epoch.0);
            self.blame(Property::WrongDelivery, detail);
        }
    }

    /// A user was told that a member has what it said, or failed.
    pub(crate) fn settled(&mut self, who: Who, local: LocalNumber, by: Who) {
        let open = self.open.entry(who).or_default();
        let waiting = open.get_mut(&local).and_then(Option::as_mut);
        let fits = waiting.is_some_and(|waiting| waiting.remove(&by));
        if open.get(&local).is_some_and(|waiting| waiting.as_ref().is_some_and(BTreeSet::is_empty)) {
            open.remove(&local);
        }
        if !fits {
            self.blame(Property::Outcomes, format!("{who} hears of #{} and {by} and should not", local.0));
        }
    }

    /// A user was told that a member may never get what it said.
    pub(crate) fn failed(&mut self, who: Who, local: LocalNumber, to: Who) {
        self.failed.insert((local, to));
        self.settled(who, local, to);
    }

    /// A user was told that nobody was sent what it said.
    pub(crate) fn unsent(&mut self, who: Who, local: LocalNumber) {
        if self.open.entry(who).or_default().remove(&local) != Some(None) {
            self.blame(
                Property::Outcomes,
                format!("{who} has sent #{} and is told that it has not", local.0),
            );
        }
    }

    /// A client died; its user waits for nothing any more.
    pub(crate) fn died(&mut self, who: Who) {
        self.open.remove(&who);
    }

    /// Whether a user does not know what became of something.
    pub(crate) fn is_open(&self, who: Who) -> bool {
        self.open.get(&who).is_some_and(|open| !open.is_empty())
    }

    /// A client was given a message, while it was a member of `view`.
    pub(crate) fn delivered(
        &mut self,
        to: Who,
        view: Option<&Epoch>,
        from: Who,
        (epoch, number): (EpochNumber, u64),
        content: &Content,
    ) {
        let in_view = view.is_some_and(|view| view.number == epoch && names(view, from) && names(view, to));
        let fits = self.facts(to, epoch).is_some_and(|facts| {
            let index = usize::try_from(number).unwrap_or(0).checked_sub(1);
            let said = facts.said.get(&from).and_then(|said| said.get(index?));
            let heard = facts.heard.entry((to, from)).or_default();
            *heard += 1;
            *heard == number && said.is_some_and(|said| *content.0 == said.0.to_be_bytes())
        });
        if !in_view || !fits {
            let detail = format!("{to} is given message {number} of epoch {} from {from}", epoch.0);
            self.blame(Property::WrongDelivery, detail);
        }
    }

    /// A sender was told that `by` has its message.
    pub(crate) fn receipt(
        &mut self,
        sender: Who,
        by: Who,
        (epoch, number): (EpochNumber, u64),
        local: LocalNumber,
    ) {
        let is_true = self.facts(sender, epoch).is_some_and(|facts| {
            let index = usize::try_from(number).unwrap_or(0).checked_sub(1);
            let said = facts.said.get(&sender).and_then(|said| said.get(index?));
            let heard = facts.heard.get(&(by, sender)).copied().unwrap_or(0);
            heard >= number && said == Some(&local)
        });
        if !is_true {
            let detail = format!("{by} has not got message {number} of epoch {} from {sender}", epoch.0);
            self.blame(Property::FalseReceipt, detail);
        }
    }

    /// What was said in epochs that both held, with machines that both still have, has been heard, or the speaker knows
    /// that it may not have been.
    pub(crate) fn check_heard(&mut self, speaker: (Who, u32), listener: (Who, u32)) {
        let missing = self.epochs.values().find(|facts| {
            let held = |(who, stay)| facts.holders.get(&who) == Some(&stay);
            let said = facts.said.get(&speaker.0).map_or(&[][..], Vec::as_slice);
            let heard = facts.heard.get(&(listener.0, speaker.0)).copied().unwrap_or(0);
            let mut unheard = said.iter().skip(usize::try_from(heard).unwrap_or(usize::MAX));
            held(speaker) && held(listener) && unheard.any(|said| !self.failed.contains(&(*said, listener.0)))
        });
        if let Some(facts) = missing {
            let number = facts.epoch.number.0;
            let detail = format!("{} has not got all that {} said in epoch {number}", listener.0, speaker.0);
            self.blame(Property::MessageMissing, detail);
        }
    }

    // --- what only faults excuse ---

    /// An end closed a link with an error code; `is_heard` says whether the other end, which lives, will read it.
    pub(crate) fn closed_with(&mut self, who: Who, peer: Who, code: ErrorCode, is_heard: bool) {
        let is_excused = match self.faults {
            Faults::None => false,
            Faults::Deaths => may_follow_a_death(code),
            Faults::Any => may_follow_a_death(code) || may_follow_a_fault(code),
        };
        if is_heard && !is_excused {
            self.blame(Property::HonestFault, format!("{who} closes the link to {peer} with {code}"));
        }
    }

    /// A member takes another for lost, of which `is_there` says whether it is still one.
    pub(crate) fn given_up(&mut self, who: Who, lost: Who, is_there: bool) {
        let is_excused = match self.faults {
            Faults::None => false,
            Faults::Deaths => !is_there,
            Faults::Any => true,
        };
        if !is_excused {
            self.blame(Property::MemberGivenUp, format!("{who} takes {lost} for lost"));
        }
    }

    pub(crate) fn ended(&mut self, who: Who, reason: EndReason) {
        if self.is_open(who) {
            self.blame(
                Property::Outcomes,
                format!("{who} ends, and its user does not know what became of a message"),
            );
        }
        match reason {
            EndReason::Left | EndReason::InvitationOver | EndReason::JoinFailed => {}
            EndReason::MemberLost => {
                if self.faults != Faults::Any {
                    self.blame(Property::MemberGivenUp, format!("{who} ends: {reason:?}"));
                }
            }
        }
    }

    /// What a client keeps stays within what its machine promises.
    pub(crate) fn check_bounds(&mut self, who: Who, client: Option<&Client>) {
        let Some(client) = client else { return };
        let timers = client.timers.len();
        // Three of its own, and one for each invitation and each lost member.
        let most = 3 + antiphon_spec::limits::INVITATIONS_MAX + antiphon_spec::limits::SESSION_MEMBERS_MAX;
        if timers > most {
            self.blame(Property::Bounds, format!("{who} runs {timers} timers"));
        }
    }
}

/// Whether this is what the grant was given for.
fn covers(grant: &Grant, change: &Change) -> bool {
    match (change, &grant.change) {
        (Change::Void(newcomer), Change::Join(member)) => *newcomer == member.handle,
        (change, granted) => change == granted,
    }
}

/// Whether an honest machine may close with this code because a client has died, or a dial has failed.
fn may_follow_a_death(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NoSuchSession
            | ErrorCode::AlreadyMember
            | ErrorCode::TicketEpoch
            // A newcomer that was welcomed to an epoch of which only the dead knew.
            | ErrorCode::Fork
    )
}

/// Whether an honest machine may close with this code because of lost links and delays.
fn may_follow_a_fault(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::Deadline
            // Who has not noticed yet that its coordinator is lost falls behind by more than an epoch.
            | ErrorCode::EpochImpossible
    )
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
    fn chain() -> [Arc<Epoch>; 3] {
        let cast = Cast::new(2);
        let [creator, newcomer] = [0, 1].map(|who| cast.member(Who(who)).expect("a member").clone());
        let origin = Origin { key: creator.key, nonce: Nonce([0; 16]) };
        let first = Epoch::first(SessionId([0; 32]), origin, creator);
        let second = first.next(hash_epoch(&first), Change::Join(newcomer.clone())).expect("a join");
        let third = second.next(hash_epoch(&second), Change::Leave(newcomer.handle)).expect("a leave");
        [first.into(), second.into(), third.into()]
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

    fn commitment(of: &Epoch, next: &Epoch) -> Commitment {
        Commitment {
            hash: hash_epoch(next),
            sent: Vec::new(),
            chain: hash_epoch(of),
            epoch: of.number,
            change: next.change.clone(),
            session: of.session,
        }
    }

    fn joined() -> (Oracle, [Arc<Epoch>; 3]) {
        let [first, second, third] = chain();
        let mut oracle = Oracle::new(Faults::None);
        oracle.began(Who(0), 1, None, &first);
        oracle.granted(Who(0), grant(&first, &second.change));
        oracle.committed(Who(0), commitment(&first, &second));
        oracle.began(Who(0), 1, Some(&first), &second);
        oracle.began(Who(1), 1, None, &second);
        assert_eq!(oracle.breach(), None);
        (oracle, [first, second, third])
    }

    #[track_caller]
    fn breaks(oracle: &Oracle, property: Property) {
        assert_eq!(oracle.breach().map(|breach| breach.property), Some(property));
    }

    fn content(number: u64) -> Content {
        Content(number.to_be_bytes().into())
    }

    #[test]
    fn a_change_needs_its_grant_and_an_epoch_one_follower() {
        let (mut oracle, [_, second, third]) = joined();
        oracle.began(Who(0), 1, Some(&second), &third);
        breaks(&oracle, Property::ChangeWithoutGrant);
        let (mut oracle, [_, second, third]) = joined();
        oracle.granted(Who(0), grant(&second, &third.change));
        oracle.began(Who(0), 1, Some(&second), &third);
        breaks(&oracle, Property::ChangeWithoutGrant);
        let (mut oracle, [first, second, _]) = joined();
        let other = Epoch { change: Change::Void(first.coordinator.clone()), ..(*second).clone() };
        oracle.began(Who(1), 2, None, &other.into());
        breaks(&oracle, Property::TwoEpochs);
    }

    #[test]
    fn a_coordinator_grants_once_and_nobody_else_in_its_place() {
        let (mut oracle, [first, second, third]) = joined();
        oracle.granted(Who(0), grant(&first, &second.change));
        assert_eq!(oracle.breach(), None);
        oracle.granted(Who(0), grant(&first, &third.change));
        breaks(&oracle, Property::SecondGrant);
        let (mut oracle, [_, second, third]) = joined();
        oracle.granted(Who(1), grant(&second, &third.change));
        oracle.began(Who(0), 1, Some(&second), &third);
        breaks(&oracle, Property::ChangeWithoutGrant);
    }

    #[test]
    fn deliveries_are_held_against_what_was_said() {
        let said = || {
            let (mut oracle, [_, second, _]) = joined();
            for (number, word) in [(1, 7), (2, 8)] {
                oracle.said(Who(0), LocalNumber(word));
                oracle.sent(Who(0), (second.number, number), LocalNumber(word), BTreeSet::from([Who(1)]));
            }
            (oracle, second)
        };
        let deliver = |oracle: &mut Oracle, view: &Epoch, number, word| {
            oracle.delivered(Who(1), Some(view), Who(0), (EpochNumber(1), number), &content(word));
        };
        let (mut oracle, view) = said();
        deliver(&mut oracle, &view, 1, 7);
        oracle.receipt(Who(0), Who(1), (view.number, 1), LocalNumber(7));
        oracle.check_heard((Who(0), 1), (Who(1), 2));
        assert_eq!(oracle.breach(), None);
        oracle.check_heard((Who(0), 1), (Who(1), 1));
        breaks(&oracle, Property::MessageMissing);
        for (number, word) in [(1, 7), (2, 7), (3, 9)] {
            let (mut oracle, view) = said();
            deliver(&mut oracle, &view, 1, 7);
            deliver(&mut oracle, &view, number, word);
            breaks(&oracle, Property::WrongDelivery);
        }
        let (mut oracle, view) = said();
        deliver(&mut oracle, &view, 2, 8);
        breaks(&oracle, Property::WrongDelivery);
        let (mut oracle, view) = said();
        oracle.receipt(Who(0), Who(1), (view.number, 1), LocalNumber(7));
        breaks(&oracle, Property::FalseReceipt);
    }

    #[test]
    fn outcomes_come_once_for_each_member_and_before_the_end() {
        let local = LocalNumber(7);
        let under_way = || {
            let (mut oracle, [_, second, _]) = joined();
            oracle.said(Who(0), local);
            oracle.sent(Who(0), (second.number, 1), local, BTreeSet::from([Who(1), Who(2)]));
            oracle.settled(Who(0), local, Who(2));
            assert_eq!(oracle.breach(), None);
            oracle
        };
        let mut settled = under_way();
        settled.settled(Who(0), local, Who(1));
        settled.ended(Who(0), EndReason::Left);
        assert_eq!(settled.breach(), None);
        let wrongs: [fn(&mut Oracle); 4] = [
            |oracle| oracle.settled(Who(0), LocalNumber(7), Who(2)),
            |oracle| oracle.unsent(Who(0), LocalNumber(7)),
            |oracle| oracle.unsaid(Who(0), LocalNumber(7)),
            |oracle| oracle.ended(Who(0), EndReason::Left),
        ];
        for wrong in wrongs {
            let mut oracle = under_way();
            wrong(&mut oracle);
            breaks(&oracle, Property::Outcomes);
        }
    }

    #[test]
    fn faults_excuse_some_codes_and_no_forgery() {
        for (faults, code, is_blamed) in [
            (Faults::None, ErrorCode::NoSuchSession, true),
            (Faults::Deaths, ErrorCode::NoSuchSession, false),
            (Faults::Deaths, ErrorCode::Deadline, true),
            (Faults::Any, ErrorCode::Deadline, false),
            (Faults::Any, ErrorCode::GrantRefused, true),
        ] {
            let mut oracle = Oracle::new(faults);
            oracle.closed_with(Who(0), Who(1), code, true);
            assert_eq!(oracle.breach().is_some(), is_blamed, "{code}");
        }
    }

    #[test]
    fn every_requirement_that_a_property_names_is_in_the_text() {
        let text = include_str!("../../../spec/text/sessions.md");
        let named = [
            Property::SecondGrant,
            Property::TwoEpochs,
            Property::ChangeWithoutGrant,
            Property::WrongDelivery,
            Property::FalseReceipt,
            Property::Outcomes,
            Property::HonestFault,
            Property::MemberGivenUp,
            Property::NoSuchLink,
            Property::Bounds,
            Property::Unfinished,
            Property::Views,
            Property::Coordinator,
            Property::Mesh,
            Property::MessageMissing,
        ];
        for property in named {
            let ids = property.text().split([':', ',', ' ']).filter(|word| word.starts_with("SESS-"));
            assert!(ids.clone().count() > 0, "{property:?}");
            for id in ids {
                assert!(text.contains(&format!("\n{id}: ")), "{id}");
            }
        }
    }
}
