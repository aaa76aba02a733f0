//! What members do without their coordinator: they follow the lowest handle that is still there, which takes over
//! (chapter *Sessions*, section *Succession*).
//!
//! A member that has lost the coordinator says nothing more in the epoch but whom it follows. Whoever hears that from
//! one in the epoch before its own shows it how that epoch ended. So when a successor has heard its own name from
//! everybody with whom it has a link, nobody among them is, or will be, in an epoch that it doesn't know of.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    admission::open_last_word,
    closing::{Closing, Committed},
    commitment::Commitment,
    epoch::{Change, EpochNumber},
    event::{Action, EndReason, Notice},
    machine::{Next, Work},
    member::Membership,
};
use crate::{
    error_code::ErrorCode,
    identity::{Peer, UserHandle},
    message::client_client::{Commit, Follow, PeerMessage, SentCount, SessionBody, SessionMessage},
    mutant::{Mutant, active},
    signed::Signed,
    sites::{Location, reached},
};

/// Who has lost the coordinator of an epoch, and whom each of them follows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Succession {
    /// What each has said last.
    followers: BTreeMap<UserHandle, Follow>,
    /// What this client has said last.
    following: Option<Follow>,
    /// How the epoch ended for somebody else, as this client has shown the one that it follows.
    shown: Option<Commit>,
    /// Who has shown how the epoch ended, and so need not say whom it follows.
    shown_by: BTreeSet<UserHandle>,
    /// Who had lost the coordinator of the epoch before, and may still be held up there.
    behind: BTreeSet<UserHandle>,
    /// So many turns this client has followed the same member; where that is another, turns at which nobody was late.
    turns: u8,
}

impl Succession {
    /// Notes what somebody said. It is a fault to say the same again, to count anew, or to stay after all.
    ///
    /// # Errors
    /// `unexpected-message`.
    pub(super) fn note(&mut self, from: &UserHandle, follow: Follow) -> Result<(), ErrorCode> {
        let is_news = self
            .followers
            .get(from)
            .is_none_or(|last| *last != follow && last.sent == follow.sent && last.leaving <= follow.leaving);
        if !is_news {
            return Err(ErrorCode::UnexpectedMessage);
        }
        self.followers.insert(from.clone(), follow);
        Ok(())
    }

    /// What is known in the epoch after the one that this was about.
    pub(super) fn of_next_epoch(self) -> Self {
        Self { behind: self.followers.into_keys().collect(), ..Self::default() }
    }

    pub(super) fn forget(&mut self, peer: &UserHandle) {
        self.followers.remove(peer);
        self.behind.remove(peer);
        self.shown_by.remove(peer);
    }

    /// Those who have said whom they follow.
    pub(super) fn followers(&self) -> impl Iterator<Item = &UserHandle> {
        self.followers.keys()
    }

    /// The lowest handle of those who are there and do not leave.
    ///
    /// One that leaves may be let go already by members that it does not hear from any more.
    pub(super) fn successor<'h>(
        &self,
        there: impl Iterator<Item = &'h UserHandle>,
        leaving: Option<&UserHandle>,
    ) -> Option<&'h UserHandle> {
        let leaves = |handle: &UserHandle| {
            leaving == Some(handle) || self.followers.get(handle).is_some_and(|follow| follow.leaving)
        };
        there.into_iter().find(|handle| !leaves(handle) || active(Mutant::SuccessorLeaves))
    }

    /// What this client has to tell about whom it follows, if it has not yet.
    pub(super) fn follow(&mut self, sent: u64, leaving: bool, successor: UserHandle) -> Option<Follow> {
        let follow = Follow { sent, leaving, successor };
        let news = self.following.as_ref() != Some(&follow);
        if news {
            self.turns = 0;
        }
        self.following = Some(follow.clone());
        news.then_some(follow)
    }

    /// Whether this client has said to follow this one.
    pub(super) fn is_following(&self, successor: &UserHandle) -> bool {
        self.following() == Some(successor)
    }

    /// Whom this client has said to follow.
    pub(super) fn following(&self) -> Option<&UserHandle> {
        self.following.as_ref().map(|follow| &follow.successor)
    }

    /// What this client was shown by others than the one that it follows.
    pub(super) fn shown(&self) -> Option<Commit> {
        self.shown.clone()
    }

    /// Notes what somebody else than the one that this client follows has shown, and says to whom to pass it on: the
    /// first is enough, because all that can be shown of one epoch's end is one thing.
    pub(super) fn show_first(&mut self, commit: &Commit, from: &Peer) -> Option<UserHandle> {
        let successor = self.following().filter(|to| **to != from.handle).cloned()?;
        let first = self.shown.is_none();
        self.shown.get_or_insert_with(|| commit.clone());
        first.then_some(successor)
    }

    /// Whether this one has said whom it follows, or shown how the epoch ended, or cannot have yet.
    fn has_told(&self, peer: &UserHandle) -> bool {
        let is_held_up = self.is_held_up(peer) && !active(Mutant::HeldUpGivenUp);
        self.followers.contains_key(peer) || self.shown_by.contains(peer) || is_held_up
    }

    /// Whether this one has said in the epoch before whom it follows there, and not in this one.
    fn is_held_up(&self, peer: &UserHandle) -> bool {
        self.behind.contains(peer) && !self.followers.contains_key(peer)
    }

    fn follows(&self, peer: &UserHandle, successor: &UserHandle) -> bool {
        self.followers.get(peer).is_some_and(|follow| follow.successor == *successor)
    }
}

impl Membership {
    /// Whether the coordinator of this epoch is lost to this member.
    pub(super) fn has_lost_coordinator(&self) -> bool {
        self.lost.contains(&self.epoch.coordinator)
    }

    /// Whether this member may say anything in this epoch but how it ends.
    pub(super) fn may_speak(&self) -> bool {
        let closing = self.closing.is_some() && !active(Mutant::SaidAfterClosed);
        !closing && !self.has_lost_coordinator()
    }

    /// The member that is to take over, as far as this one can see.
    fn successor(&self) -> Option<UserHandle> {
        let there = self.epoch.handles().filter(|handle| !self.lost.contains(*handle));
        let leaving = self.leaving.then_some(&self.me.handle);
        self.succession.successor(there, leaving).cloned()
    }

    /// So many members have lower handles, without the coordinator.
    fn place_of(&self, member: &UserHandle) -> usize {
        self.epoch.handles().filter(|other| *other < member && **other != self.epoch.coordinator).count()
    }

    /// Those who may know more about how this epoch ends: the other members, and a newcomer that all have admitted.
    fn witnesses(&self) -> impl Iterator<Item = &UserHandle> {
        let newcomer = self.admission.as_ref().map(|admission| &admission.newcomer().handle);
        let newcomer = newcomer.filter(|newcomer| !self.lost.contains(*newcomer));
        self.others().chain(newcomer.filter(|_| !active(Mutant::NewcomerUnheard)))
    }

    /// The coordinator is lost, and now perhaps somebody else: who follows whom?
    pub(super) fn follow_successor(&mut self, work: &mut Work<'_, '_>) -> Next {
        if self.is_committed() {
            // How this epoch ends is known, and the loss is a matter of the next one.
            return self.begin_epoch_if_flushed(work);
        }
        let Some(successor) = self.successor() else {
            // Everybody who is left wants to leave, and so nobody has to wait for anybody.
            return self.give_up(EndReason::Left, work);
        };
        if self.succession.following.is_none() {
            self.wait_for_removal(&self.epoch.coordinator.clone(), work);
        }
        if let Some(follow) = self.succession.follow(self.chat.sent(), self.leaving, successor) {
            let to: Vec<UserHandle> = self.witnesses().cloned().collect();
            if !to.is_empty() {
                let message = PeerMessage::Session(self.message(SessionBody::Follow(follow)));
                work.push(Action::Send { to, message });
            }
            if let Some(commit) = self.succession.shown.take() {
                let number = self.epoch.number;
                let next = self.show_again(&commit, work);
                // What this member cannot agree to keeps nobody from taking over.
                if !matches!(next, Next::Stay) || self.epoch.number != number || self.is_committed() {
                    return next;
                }
            }
        }
        self.take_over_if_followed(work)
    }

    /// What this member was shown while it followed somebody who is lost now is for the next one to judge.
    fn show_again(&mut self, commit: &Commit, work: &mut Work<'_, '_>) -> Next {
        let me = Peer { handle: self.me.handle.clone(), key: self.me.key };
        self.shown(&me, commit, work)
    }

    /// The first epoch of a newcomer, in which it has lost these members already.
    pub(super) fn begin_joined(
        &mut self,
        commitment: Signed<Commitment>,
        lost: BTreeSet<UserHandle>,
        work: &mut Work<'_, '_>,
    ) -> Next {
        self.commitment = Some(commitment);
        for member in &lost {
            work.tell(Notice::MemberLost(member.clone()));
        }
        self.lost = lost;
        self.wait_for_removals(work);
        if self.has_lost_coordinator() { self.follow_successor(work) } else { Next::Stay }
    }

    /// Somebody has lost the coordinator.
    pub(super) fn followed(&mut self, from: &Peer, follow: Follow, work: &mut Work<'_, '_>) -> Next {
        let noted = if self.coordinator.is_some() || from.handle == self.epoch.coordinator {
            Err(ErrorCode::UnexpectedMessage)
        } else {
            self.succession.note(&from.handle, follow)
        };
        if let Err(code) = noted {
            return self.fault(&from.handle, code, work);
        }
        if let Some(committed) = self.closing.as_ref().and_then(|closing| closing.committed.as_ref()) {
            let message = self.message(SessionBody::Commit(Commit { commitment: committed.signed.clone() }));
            self.show(&from.handle, message, work);
            return Next::Stay;
        }
        if self.has_lost_coordinator() { self.follow_successor(work) } else { Next::Stay }
    }

    /// Somebody has lost the coordinator of an epoch that is over here.
    pub(super) fn followed_late(&mut self, from: &Peer, epoch: EpochNumber, work: &mut Work<'_, '_>) -> Next {
        match &self.commitment {
            Some(commitment) if epoch.next() == self.epoch.number && !active(Mutant::CommitNotShown) => {
                self.succession.behind.insert(from.handle.clone());
                let message = SessionMessage {
                    body: SessionBody::Commit(Commit { commitment: commitment.clone() }),
                    chain: self.epoch.previous,
                    epoch,
                    session: self.epoch.session,
                };
                self.show(&from.handle, message, work);
            }
            Some(_) | None => work.push(Action::Late { from: from.handle.clone() }),
        }
        Next::Stay
    }

    #[track_caller]
    fn show(&self, to: &UserHandle, message: SessionMessage, work: &mut Work<'_, '_>) {
        reached(Location::caller());
        if !self.lost.contains(to) {
            work.push(Action::Send { to: vec![to.clone()], message: PeerMessage::Session(message) });
        }
    }

    /// Shows how this epoch ends to those who had lost the coordinator before they could hear it. Whoever has passed it on
    /// to this member is among them: it waits for this member's word.
    pub(super) fn show_followers(&self, commit: &Commit, work: &mut Work<'_, '_>) {
        if active(Mutant::CommitNotShown) {
            return;
        }
        for follower in self.succession.followers() {
            self.show(follower, self.message(SessionBody::Commit(commit.clone())), work);
        }
    }

    /// Takes over once everybody who is there follows this member, in this epoch.
    fn take_over_if_followed(&mut self, work: &mut Work<'_, '_>) -> Next {
        let me = &self.me.handle;
        let follows = |other| self.succession.follows(other, me) || active(Mutant::TakenOverUnfollowed);
        if !self.succession.is_following(me) || !self.witnesses().all(follows) {
            return Next::Stay;
        }
        let change = Change::TakeOver(me.clone());
        // The one that is lost coordinated, and this one is a member, so it can follow.
        let Ok(next) = self.epoch.next(self.hash, change.clone()) else { return Next::Stay };
        let hash = work.context.crypto.hash_epoch(&next);
        let mut sent: BTreeMap<UserHandle, u64> = BTreeMap::from([(me.clone(), self.chat.sent())]);
        for other in self.others() {
            let count = self.succession.followers.get(other).map_or(0, |follow| follow.sent);
            sent.insert(other.clone(), count);
        }
        let sent: Vec<_> = sent.into_iter().map(|(member, count)| SentCount { count, member }).collect();
        let commitment = self.commitment_to(hash, change, sent.clone());
        let signed = work.context.crypto.sign_commitment(&commitment);
        // A newcomer hears from it that its join came to nothing.
        let to: Vec<UserHandle> = self.witnesses().cloned().collect();
        if !to.is_empty() {
            let commit = Commit { commitment: signed.clone() };
            let message = PeerMessage::Session(self.message(SessionBody::Commit(commit)));
            work.push(Action::Send { to, message });
        }
        let committed = Some(Committed::to(&signed, sent));
        self.closing = Some(Closing { holder: self.me.handle.clone(), next: next.into(), hash, committed });
        self.begin_epoch_when_flushed(work)
    }

    pub(super) fn commitment_to(
        &self,
        hash: super::epoch::EpochHash,
        change: Change,
        sent: Vec<SentCount>,
    ) -> Commitment {
        let (chain, epoch, session) = (self.hash, self.epoch.number, self.epoch.session);
        Commitment { hash, sent, chain, epoch, change, session }
    }

    /// The coordinator is lost, and a member shows how the epoch ends: by the coordinator's last word, or a successor's.
    ///
    /// A member that has said whom it follows ends the epoch as that one does, and lets it know what it was shown.
    pub(super) fn shown(&mut self, from: &Peer, commit: &Commit, work: &mut Work<'_, '_>) -> Next {
        if self.is_committed() {
            work.push(Action::Late { from: from.handle.clone() });
            return Next::Stay;
        }
        let opened = open_last_word(&commit.commitment, &self.epoch, self.hash, work.context);
        let (commitment, successor) = match opened {
            Ok(opened) => opened,
            Err(code) => return self.fault(&from.handle, code, work),
        };
        let takes_over = successor.as_ref() == Some(&from.handle);
        if takes_over && !self.succession.is_following(&from.handle) && !active(Mutant::SuccessorUnchecked) {
            return self.fault(&from.handle, ErrorCode::Forbidden, work);
        }
        let closing = match self.judge_last_word(commit, commitment, takes_over, work) {
            Ok(closing) => closing,
            Err(code) if takes_over => return self.fault(&from.handle, code, work),
            Err(_) => {
                // Who shows another's word can't know what this member said or agreed to.
                work.push(Action::Late { from: from.handle.clone() });
                return Next::Stay;
            }
        };
        self.succession.shown_by.insert(from.handle.clone());
        let me = &self.me.handle;
        let own_way = self.succession.is_following(me) || active(Mutant::SuccessorPassedOver);
        if own_way || self.succession.is_following(&from.handle) {
            return self.accept_shown(commit, closing, work);
        }
        if let Some(successor) = self.succession.show_first(commit, from) {
            let message = self.message(SessionBody::Commit(commit.clone()));
            self.show(&successor, message, work);
        }
        Next::Stay
    }

    /// A member that has lost the coordinator follows this one, which has not lost it (yet), and shows it how the epoch
    /// ends: the coordinator's own word is on its way, or this one will be needed.
    pub(super) fn shown_early(&mut self, from: &Peer, commit: Commit, work: &mut Work<'_, '_>) -> Next {
        if self.is_committed() {
            work.push(Action::Late { from: from.handle.clone() });
            return Next::Stay;
        }
        match open_last_word(&commit.commitment, &self.epoch, self.hash, work.context) {
            Ok((_, None)) => {
                self.succession.shown.get_or_insert(commit);
                Next::Stay
            }
            Ok((_, Some(_))) => self.fault(&from.handle, ErrorCode::Forbidden, work),
            Err(code) => self.fault(&from.handle, code, work),
        }
    }

    fn accept_shown(&mut self, commit: &Commit, closing: Closing, work: &mut Work<'_, '_>) -> Next {
        self.closing = Some(closing);
        if self.succession.is_following(&self.me.handle) {
            self.show_followers(commit, work);
        }
        self.begin_epoch_when_flushed(work)
    }

    /// Holds the word that ends the epoch against what this member knows of it.
    ///
    /// # Errors
    /// The code with which the link to its signer closes.
    fn judge_last_word(
        &self,
        commit: &Commit,
        commitment: Commitment,
        takes_over: bool,
        work: &Work<'_, '_>,
    ) -> Result<Closing, ErrorCode> {
        let refused = ErrorCode::CommitRefused;
        if !self.agrees(&commitment.change) {
            return Err(refused);
        }
        let next = self.epoch.next(self.hash, commitment.change.clone()).map_err(|_| refused)?;
        let hash = work.context.crypto.hash_epoch(&next);
        let mut own = commitment.sent.iter().filter(|sent| sent.member == self.me.handle);
        // One whom the signer had lost is not counted, but nobody is counted short.
        let counted = own
            .next()
            .map_or(!takes_over, |sent| sent.count == self.chat.sent() || active(Mutant::OwnCountUnchecked));
        if hash != commitment.hash || !counted {
            return Err(ErrorCode::Fork);
        }
        let holder = self.holder_of(&commitment.change);
        let committed = Some(Committed::to(&commit.commitment, commitment.sent));
        Ok(Closing { holder, next: next.into(), hash, committed })
    }

    /// Who has to settle a change whose grant this member need not have seen: only its own part matters to it.
    fn holder_of(&self, change: &Change) -> UserHandle {
        let mine = match change {
            Change::Join(newcomer) => self.awaits_commit_of(&newcomer.handle),
            Change::Void(newcomer) => self.awaits_commit_of(newcomer),
            Change::Create(_)
            | Change::Leave(_)
            | Change::Remove(_)
            | Change::HandOver(_)
            | Change::TakeOver(_) => false,
        };
        if mine { self.me.handle.clone() } else { self.epoch.coordinator.clone() }
    }

    /// The session has been without a coordinator for one turn more: whoever holds the others up is given up.
    ///
    /// Who waits for whom ends at the lowest handle. So that nobody gives up somebody who is held up in turn, each has the
    /// more patience the further it, or the one that it follows, stands from there.
    pub(super) fn succession_overdue(&mut self, work: &mut Work<'_, '_>) -> Next {
        self.wait_for_removal(&self.epoch.coordinator.clone(), work);
        let Some(followed) = self.succession.following().cloned().filter(|_| !self.is_committed()) else {
            // Only messages are awaited, which have a deadline of their own.
            return Next::Stay;
        };
        let takes_over = followed == self.me.handle;
        let equal = active(Mutant::PatienceOfEqualLength);
        let place = if equal { 0 } else { 2 * self.place_of(&followed) };
        self.succession.turns = self.succession.turns.saturating_add(1);
        let turns = usize::from(self.succession.turns);
        let held_up = |witness: &UserHandle| if self.succession.is_held_up(witness) { 2 } else { 0 };
        let is_late = |witness: &&UserHandle| {
            let has_had_time = takes_over && turns > place + held_up(witness);
            !self.succession.has_told(witness)
                || (has_had_time && !self.succession.follows(witness, &followed))
        };
        let mut late: Vec<UserHandle> = self.witnesses().filter(is_late).cloned().collect();
        let longest = self.witnesses().map(held_up).max().unwrap_or_default();
        if !takes_over && !late.is_empty() {
            self.succession.turns = 0;
        } else if !takes_over && turns > place + longest + 1 {
            late.push(followed);
        }
        let number = self.epoch.number;
        for member in late {
            // Meanwhile this member may have taken over, or know how the epoch ends.
            if self.epoch.number == number && !self.is_committed() {
                let next = self.fault(&member, ErrorCode::Deadline, work);
                if !matches!(next, Next::Stay) {
                    return next;
                }
            }
        }
        Next::Stay
    }

    /// Starts again to wait for the removal of those who are lost: a new coordinator needs its time.
    pub(super) fn wait_for_removals(&self, work: &mut Work<'_, '_>) {
        if self.epoch.coordinator == self.me.handle {
            return;
        }
        let lost = self.epoch.handles().filter(|member| self.lost.contains(*member));
        for member in lost.filter(|member| **member != self.epoch.coordinator) {
            self.wait_for_removal(member, work);
        }
    }
}
