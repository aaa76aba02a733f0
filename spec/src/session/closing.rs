//! How a member lets one epoch go and begins the next: close, flush, commit (chapter *Sessions*, section *Closing an
//! epoch*).

use std::{collections::BTreeSet, sync::Arc};

use super::{
    admission::{covers, open_commitment, open_grant},
    commitment::Commitment,
    coordinator::Coordinator,
    epoch::{Change, Epoch, EpochHash, Member},
    event::{Action, Notice, Timer},
    inviter::Invitation,
    machine::{Next, Work},
    member::Membership,
};
use crate::{
    error_code::ErrorCode,
    identity::{Peer, UserHandle},
    limits::FLUSH_DEADLINE,
    message::client_client::{
        Cancel, Close, Closed, Commit, InvitationBody, RequestNumber, SentCount, SessionBody,
    },
    mutant::{Mutant, active},
    signed::Signed,
};

/// The epoch is closing: this member says nothing more in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Closing {
    /// Whose grant closes the epoch.
    pub(super) holder: UserHandle,
    /// The epoch that follows, and its hash.
    pub(super) next: Arc<Epoch>,
    pub(super) hash: EpochHash,
    /// Once the coordinator, or its successor, has committed.
    pub(super) committed: Option<Committed>,
}

/// The word that ends the epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Committed {
    pub(super) signed: Signed<Commitment>,
    /// What has to arrive before the next epoch begins.
    pub(super) sent: Vec<SentCount>,
    /// It has not arrived by now, and a timer runs.
    pub(super) is_awaited: bool,
}

impl Committed {
    pub(super) fn to(signed: &Signed<Commitment>, sent: Vec<SentCount>) -> Self {
        Self { signed: signed.clone(), sent, is_awaited: false }
    }
}

impl Membership {
    /// The coordinator closes the epoch.
    pub(super) fn close(&mut self, from: &Peer, close: Close, work: &mut Work<'_, '_>) -> Next {
        if self.closing.is_some() {
            return self.fault(&from.handle, ErrorCode::GrantRefused, work);
        }
        let grant = open_grant(&close.grant, &self.epoch, self.hash, work.context);
        let holder = match grant {
            Ok(grant) if covers(&grant, &close.change, &self.epoch.coordinator) => grant.holder,
            _ if active(Mutant::CloseGrantUnchecked) => self.epoch.coordinator.clone(),
            _ => return self.fault(&from.handle, ErrorCode::GrantRefused, work),
        };
        if !self.agrees(&close.change) {
            return self.fault(&from.handle, ErrorCode::GrantRefused, work);
        }
        let Ok(next) = self.epoch.next(self.hash, close.change) else {
            return self.fault(&from.handle, ErrorCode::GrantRefused, work);
        };
        let hash = work.context.crypto.hash_epoch(&next);
        self.closing = Some(Closing { holder, next: next.into(), hash, committed: None });
        self.send_to_coordinator(SessionBody::Closed(Closed { sent: self.chat.sent() }), work);
        Next::Stay
    }

    /// Whether the end of the link to this peer is part of the own leave: whoever has begun the epoch without this
    /// member closes its link, and need not wait until this member has begun it too.
    pub(super) fn is_let_go_by(&self, peer: &UserHandle) -> bool {
        self.closing.as_ref().is_some_and(|closing| {
            let leaves = closing.next.member(&self.me.handle).is_none();
            leaves && (*peer != self.epoch.coordinator || closing.committed.is_some())
        })
    }

    /// Whether the epoch closes for the leave of this peer, which may be gone as soon as it has begun the next one.
    pub(super) fn lets_go(&self, peer: &UserHandle) -> bool {
        self.closing.as_ref().is_some_and(|closing| closing.next.member(peer).is_none())
    }

    /// What nobody can grant over this member's head: a newcomer that it has not admitted, its own leave.
    pub(super) fn agrees(&self, change: &Change) -> bool {
        match change {
            Change::Join(newcomer) => {
                active(Mutant::CompleteEarly)
                    || self.admission.as_ref().is_some_and(|admission| admission.newcomer() == newcomer)
            }
            Change::Leave(who) => {
                *who != self.me.handle || self.leaving || active(Mutant::OwnPartingUnchecked)
            }
            Change::Remove(who) => *who != self.me.handle || active(Mutant::OwnPartingUnchecked),
            Change::Create(_) => false,
            Change::HandOver(_) | Change::Void(_) | Change::TakeOver(_) => true,
        }
    }

    /// Whether the word that ends this epoch is here.
    pub(super) fn is_committed(&self) -> bool {
        self.closing.as_ref().is_some_and(|closing| closing.committed.is_some())
    }

    /// The coordinator has heard from all members: the next epoch begins once everything has arrived.
    pub(super) fn commit(&mut self, from: &Peer, commit: Commit, work: &mut Work<'_, '_>) -> Next {
        if self.closing.is_none() || self.is_committed() {
            return self.fault(&from.handle, ErrorCode::UnexpectedMessage, work);
        }
        let signer = &self.epoch.coordinator;
        let opened = open_commitment(&commit.commitment, signer, &self.epoch, self.hash, work.context);
        let change = |closing: &Closing| closing.next.change.clone();
        let commitment = match opened {
            Ok(commitment) if self.closing.as_ref().map(change).as_ref() == Some(&commitment.change) => {
                commitment
            }
            Ok(_) => return self.fault(&from.handle, ErrorCode::CommitRefused, work),
            Err(code) => return self.fault(&from.handle, code, work),
        };
        // Whoever is told a smaller number begins the next epoch without this member's last words, for good.
        let own = SentCount { count: self.chat.sent(), member: self.me.handle.clone() };
        let counted = commitment.sent.contains(&own) || active(Mutant::OwnCountUnchecked);
        let Some(closing) =
            self.closing.as_mut().filter(|closing| closing.hash == commitment.hash && counted)
        else {
            return self.fault(&from.handle, ErrorCode::Fork, work);
        };
        closing.committed = Some(Committed::to(&commit.commitment, commitment.sent));
        self.show_followers(&commit, work);
        self.begin_epoch_when_flushed(work)
    }

    /// Begins the committed epoch now, or in some time: whoever was counted for more than it sends holds up nobody.
    pub(super) fn begin_epoch_when_flushed(&mut self, work: &mut Work<'_, '_>) -> Next {
        let next = self.begin_epoch_if_flushed(work);
        if matches!(next, Next::Stay)
            && let Some(committed) = self.closing.as_mut().and_then(|closing| closing.committed.as_mut())
        {
            committed.is_awaited = true;
            work.push(Action::Arm { timer: Timer::Flush, after: FLUSH_DEADLINE });
        }
        next
    }

    /// Those whose words have not come are lost.
    pub(super) fn flush_overdue(&mut self, work: &mut Work<'_, '_>) -> Next {
        if active(Mutant::FlushAwaitedForever) {
            return Next::Stay;
        }
        let missing: Vec<UserHandle> = self.missing().cloned().collect();
        for member in missing {
            let next = self.fault(&member, ErrorCode::Deadline, work);
            if !matches!(next, Next::Stay) {
                return next;
            }
        }
        Next::Stay
    }

    /// The members of which not everything has come that the epoch ends with.
    fn missing(&self) -> impl Iterator<Item = &UserHandle> {
        let committed = self.closing.as_ref().and_then(|closing| closing.committed.as_ref());
        let sent = committed.map(|committed| committed.sent.as_slice()).unwrap_or_default();
        let has_come = |sent: &&SentCount| {
            sent.member == self.me.handle
                || self.lost.contains(&sent.member)
                || self.chat.received_from(&sent.member) >= sent.count
        };
        sent.iter().filter(move |sent| !has_come(sent)).map(|sent| &sent.member)
    }

    /// Begins the committed epoch, if every message of the old one is here.
    pub(super) fn begin_epoch_if_flushed(&mut self, work: &mut Work<'_, '_>) -> Next {
        let flushed = self.missing().next().is_none() || active(Mutant::FlushSkipped);
        if !self.is_committed() || !flushed {
            return Next::Stay;
        }
        match self.closing.take() {
            Some(closing) => self.begin_epoch(closing, work),
            None => Next::Stay,
        }
    }

    fn begin_epoch(&mut self, closing: Closing, work: &mut Work<'_, '_>) -> Next {
        if closing.committed.as_ref().is_some_and(|committed| committed.is_awaited) {
            work.push(Action::Disarm(Timer::Flush));
        }
        let old = std::mem::replace(&mut self.epoch, closing.next);
        self.hash = closing.hash;
        if self.epoch.member(&self.me.handle).is_none() {
            let peers: BTreeSet<UserHandle> = old
                .handles()
                .filter(|peer| **peer != self.me.handle && !self.lost.contains(*peer))
                .cloned()
                .collect();
            self.drop_newcomers(work);
            return Next::Linger(peers);
        }
        work.tell(Notice::EpochBegan(Arc::clone(&self.epoch)));
        let committed = closing.committed.as_ref();
        if !committed.is_none_or(|committed| committed.sent.iter().any(|sent| sent.member == self.me.handle))
        {
            self.fail_uncounted(old.number, work);
        }
        let (commitment, counted) =
            closing.committed.map(|committed| (committed.signed, committed.sent)).unzip();
        self.commitment = commitment;
        self.succession = std::mem::take(&mut self.succession).of_next_epoch();
        self.chat.begin_epoch(counted.unwrap_or_default());
        self.settle(&closing.holder, &old.coordinator, work);
        self.change_coordinator(&old.coordinator, work);
        self.say_what_waited(work);
        if self.has_lost_coordinator() {
            let next = self.follow_successor(work);
            if !matches!(next, Next::Stay) {
                return next;
            }
        }
        let early = std::mem::take(&mut self.held);
        for (from, message) in early {
            let next = self.read_session(from, message, work);
            if !matches!(next, Next::Stay) {
                return next;
            }
        }
        self.order_next_change(work)
    }

    /// Settles what the change was for: the holder's request, the invitation, the newcomer's link.
    fn settle(&mut self, holder: &UserHandle, old: &UserHandle, work: &mut Work<'_, '_>) {
        let mine = *holder == self.me.handle;
        match self.epoch.change.clone() {
            Change::Join(newcomer) => {
                if mine {
                    self.invitations.remove(&newcomer.handle);
                    self.requests.retain(|_, change| *change != Change::Join(newcomer.clone()));
                }
                self.admission = None;
                if self.lost.contains(&newcomer.handle) {
                    work.tell(Notice::MemberLost(newcomer.handle.clone()));
                    self.wait_for_removal(&newcomer.handle, work);
                }
            }
            Change::Void(newcomer) => self.settle_void(&newcomer, mine, work),
            Change::Leave(who) | Change::Remove(who) => {
                self.revoke_admission(work);
                self.let_go(&who, work);
            }
            Change::TakeOver(_) => {
                // Whatever the lost coordinator had granted is void.
                let granted = self.invitations.keys().find(|invitee| self.awaits_commit_of(invitee)).cloned();
                if let Some(newcomer) = granted {
                    self.settle_void(&newcomer, true, work);
                }
                self.revoke_admission(work);
                self.let_go(old, work);
                self.wait_for_removals(work);
            }
            Change::HandOver(_) => {
                self.revoke_admission(work);
                self.wait_for_removals(work);
            }
            Change::Create(_) => self.revoke_admission(work),
        }
    }

    /// Somebody is no member any more.
    fn let_go(&mut self, who: &UserHandle, work: &mut Work<'_, '_>) {
        work.push(Action::Disarm(Timer::Lost(who.clone())));
        // Where that link is gone already, the one who left may be back with a ticket on another.
        if !self.lost.remove(who) {
            work.disconnect(who, None);
            self.held.retain(|(from, _)| from.handle != *who);
        }
        self.forget_unacknowledged(who, work);
        if let Some(coordinator) = &mut self.coordinator {
            coordinator.forget_requests(who);
        }
    }

    /// An admission is good for one epoch. Where the epoch closed for something else, because a coordinator gave a second
    /// grant, the newcomer has come in vain.
    fn revoke_admission(&mut self, work: &mut Work<'_, '_>) {
        let Some(admission) = self.admission.take() else { return };
        let newcomer = &admission.newcomer().handle;
        // Where that link is gone already, the newcomer may be back with a ticket on another.
        if !self.lost.remove(newcomer) {
            self.held.retain(|(from, _)| from.handle != *newcomer);
            work.disconnect(newcomer, None);
            self.invitee_unreachable(newcomer, work);
        }
    }

    fn settle_void(&mut self, newcomer: &UserHandle, mine: bool, work: &mut Work<'_, '_>) {
        let admitted = self.admission.take().is_some();
        let linked = admitted && !self.lost.remove(newcomer);
        if !mine {
            if linked {
                work.disconnect(newcomer, None);
            }
            return;
        }
        let is_void =
            |change: &Change| matches!(change, Change::Join(Member { handle, .. }) if handle == newcomer);
        self.requests.retain(|_, change| !is_void(change));
        if let Some(Invitation::Commit(_) | Invitation::Token(..)) = self.invitations.remove(newcomer) {
            work.invitation(self.epoch.session, newcomer, InvitationBody::Cancel(Cancel {}));
            work.disconnect(newcomer, None);
            let code = ErrorCode::Deadline;
            work.tell(Notice::InvitationFailed { invitee: newcomer.clone(), code });
        }
    }

    /// A new coordinator knows nothing of the requests that its predecessor queued.
    fn change_coordinator(&mut self, old: &UserHandle, work: &mut Work<'_, '_>) {
        if self.epoch.coordinator != *old {
            let mine = self.epoch.coordinator == self.me.handle;
            self.coordinator = mine.then(Coordinator::default);
            if !active(Mutant::RequestNotResent) {
                self.told_request = RequestNumber(0);
            }
        } else if let Some(coordinator) = &mut self.coordinator {
            coordinator.begin_epoch();
        }
        self.tell_requests(work);
    }
}
