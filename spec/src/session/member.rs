//! A member of a session: what it knows, and who handles what it hears (chapter *Sessions*, section *Epochs*).
//!
//! Every message names an epoch. One for the member's own epoch is handled, one for the next is held until that epoch
//! begins, one for an epoch that is over is late, and one from further ahead cannot be.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    admission::{Admission, judge_ticket},
    chat::Chat,
    closing::Closing,
    commitment::Commitment,
    coordinator::Coordinator,
    epoch::{Change, Epoch, EpochHash, Member},
    event::{Action, EndReason, Event, Notice, Timer},
    inviter::Invitation,
    machine::{Next, Work},
    succession::Succession,
};
use crate::{
    error_code::ErrorCode,
    identity::{Peer, UserHandle},
    limits::{HELD_PER_PEER_MAX, HELD_TICKETS_MAX, LOST_MEMBER_DEADLINE, LOST_MEMBER_DEADLINE_OF_LESSER},
    message::client_client::{
        Admitted, Close, HandOverAnswer, InvitationBody, PeerMessage, RequestNumber, SessionBody,
        SessionMessage, TokenRequest,
    },
    mutant::{Mutant, active},
    signed::Signed,
    sites::{Location, reached},
};

/// What a member keeps about its session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Membership {
    pub(super) me: Member,
    /// The epoch that holds.
    pub epoch: Arc<Epoch>,
    /// Its hash.
    pub hash: EpochHash,
    pub(super) invitations: BTreeMap<UserHandle, Invitation>,
    /// Own requests that no epoch has settled.
    pub(super) requests: BTreeMap<RequestNumber, Change>,
    pub(super) last_request: RequestNumber,
    /// The last request that the coordinator of this epoch was told.
    pub(super) told_request: RequestNumber,
    pub(super) leaving: bool,
    pub(super) admission: Option<Admission>,
    pub(super) closing: Option<Closing>,
    pub(super) held: Vec<(Peer, SessionMessage)>,
    pub(super) lost: BTreeSet<UserHandle>,
    pub(super) chat: Chat,
    pub(super) coordinator: Option<Coordinator>,
    /// What this epoch began by; shown to those who missed it.
    pub(super) commitment: Option<Signed<Commitment>>,
    /// Who has lost the coordinator of this epoch.
    pub(super) succession: Succession,
}

impl Membership {
    pub(super) fn new(me: Member, epoch: Arc<Epoch>, hash: EpochHash) -> Self {
        let coordinator = (epoch.coordinator == me.handle).then(Coordinator::default);
        Self {
            me,
            epoch,
            hash,
            invitations: BTreeMap::new(),
            requests: BTreeMap::new(),
            last_request: RequestNumber(0),
            told_request: RequestNumber(0),
            leaving: false,
            admission: None,
            closing: None,
            held: Vec::new(),
            lost: BTreeSet::new(),
            chat: Chat::default(),
            coordinator,
            commitment: None,
            succession: Succession::default(),
        }
    }

    /// Whether nothing that this member began waits for somebody else: no request, no invitation, no epoch closing,
    /// no message held, no coordinator lost, and, at a coordinator, no token out.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.is_at_rest_without(|_| false)
    }

    /// As [`Self::is_at_rest`], whatever these peers have said too early or have not acknowledged: they may never mend it.
    #[must_use]
    pub fn is_at_rest_without(&self, unreliable: impl Fn(&UserHandle) -> bool) -> bool {
        self.invitations.is_empty()
            && self.requests.is_empty()
            && self.admission.is_none()
            && self.closing.is_none()
            && self.held.iter().all(|(from, _)| unreliable(&from.handle))
            && !self.has_lost_coordinator()
            && self.chat.is_at_rest_without(unreliable)
            && self.coordinator.as_ref().is_none_or(Coordinator::is_at_rest)
    }

    pub(super) fn handle(&mut self, event: Event, work: &mut Work<'_, '_>) -> Next {
        match event {
            Event::Invite { invitee } => {
                self.invite(invitee, work);
                Next::Stay
            }
            Event::Say { local, media_type, content } => {
                self.say(local, media_type, content, work);
                Next::Stay
            }
            Event::Leave => self.leave(work),
            Event::LinkUp { peer } => {
                self.link_up(peer, work);
                Next::Stay
            }
            Event::LinkFailed { peer } => {
                self.invitee_unreachable(&peer, work);
                Next::Stay
            }
            Event::LinkLost { peer } => self.link_lost(&peer, work),
            Event::Received { from, message } => self.read(from, message, work),
            Event::TimerFired(timer) => self.timer_fired(timer, work),
            Event::Accept | Event::Refuse => {
                work.tell(Notice::NotPossible(ErrorCode::UnexpectedMessage));
                Next::Stay
            }
        }
    }

    // --- what is said to whom ---

    pub(super) fn message(&self, body: SessionBody) -> SessionMessage {
        SessionMessage { body, chain: self.hash, epoch: self.epoch.number, session: self.epoch.session }
    }

    /// Says something to one peer, be it this client itself.
    #[track_caller]
    pub(super) fn send(&self, to: &UserHandle, body: SessionBody, work: &mut Work<'_, '_>) {
        reached(Location::caller());
        let message = self.message(body);
        if *to == self.me.handle {
            work.to_self.push_back(message);
        } else if !self.lost.contains(to) {
            work.push(Action::Send { to: vec![to.clone()], message: PeerMessage::Session(message) });
        }
    }

    #[track_caller]
    pub(super) fn send_to_coordinator(&self, body: SessionBody, work: &mut Work<'_, '_>) {
        reached(Location::caller());
        self.send(&self.epoch.coordinator.clone(), body, work);
    }

    /// The other members whose links stand.
    pub(super) fn others(&self) -> impl Iterator<Item = &UserHandle> {
        self.epoch.handles().filter(|handle| **handle != self.me.handle && !self.lost.contains(*handle))
    }

    // --- requests for the token ---

    pub(super) fn request_token(&mut self, change: Change, work: &mut Work<'_, '_>) -> RequestNumber {
        self.last_request = RequestNumber(self.last_request.0.saturating_add(1));
        self.requests.insert(self.last_request, change);
        self.tell_requests(work);
        self.last_request
    }

    /// Tells the coordinator what it has not been told; once the epoch closes, that waits for the next one, because
    /// the coordinator may be there already.
    pub(super) fn tell_requests(&mut self, work: &mut Work<'_, '_>) {
        if !self.may_speak() {
            return;
        }
        for (&number, change) in self.requests.iter().filter(|(number, _)| **number > self.told_request) {
            let request = TokenRequest { change: change.clone(), number };
            self.send_to_coordinator(SessionBody::TokenRequest(request), work);
        }
        self.told_request = self.last_request;
    }

    pub(super) fn leave(&mut self, work: &mut Work<'_, '_>) -> Next {
        if self.leaving {
            return Next::Stay;
        }
        self.leaving = true;
        self.withdraw_invitations(work);
        if active(Mutant::LeaveWithoutToken) {
            let others: Vec<_> = self.others().cloned().collect();
            others.iter().for_each(|peer| work.disconnect(peer, None));
            return Next::End(EndReason::Left);
        }
        self.request_token(Change::Leave(self.me.handle.clone()), work);
        if self.has_lost_coordinator() { self.follow_successor(work) } else { Next::Stay }
    }

    // --- what is heard ---

    fn read(&mut self, from: Peer, message: PeerMessage, work: &mut Work<'_, '_>) -> Next {
        match message {
            PeerMessage::Invitation(message) => match message.body {
                InvitationBody::Join(join) => self.invitee_joins(&from, &join, work),
                InvitationBody::Reject(_) => self.invitee_rejects(&from, work),
                InvitationBody::Invite(_) | InvitationBody::Cancel(_) | InvitationBody::Welcome(_) => {
                    self.fault(&from.handle, ErrorCode::UnexpectedMessage, work)
                }
            },
            PeerMessage::Session(message) => self.read_session(from, message, work),
        }
    }

    pub(super) fn read_session(
        &mut self,
        from: Peer,
        message: SessionMessage,
        work: &mut Work<'_, '_>,
    ) -> Next {
        if message.session != self.epoch.session {
            return self.fault(&from.handle, ErrorCode::NoSuchSession, work);
        }
        let is_ticket = matches!(message.body, SessionBody::Admit(_));
        let is_newcomer = self.has_admitted(&from.handle);
        if self.epoch.member(&from.handle).is_none() && !is_ticket && !is_newcomer {
            return self.fault(&from.handle, ErrorCode::Forbidden, work);
        }
        if message.epoch == self.epoch.number.next() {
            if active(Mutant::HandOverUnordered)
                && let SessionBody::Close(Close { change: Change::HandOver(to), .. }) = message.body
            {
                self.epoch = Epoch { coordinator: to, ..(*self.epoch).clone() }.into();
                return Next::Stay;
            }
            return self.hold(from, message, is_ticket, work);
        }
        if message.epoch > self.epoch.number {
            return self.fault(&from.handle, ErrorCode::EpochImpossible, work);
        }
        if message.epoch < self.epoch.number {
            return self.read_late(&from, message, work);
        }
        if message.chain != self.hash && !active(Mutant::ChainUnchecked) {
            return self.fault(&from.handle, ErrorCode::Fork, work);
        }
        self.read_current(&from, message.body, work)
    }

    /// The sender is in the epoch that is about to begin here too.
    fn hold(
        &mut self,
        from: Peer,
        message: SessionMessage,
        is_ticket: bool,
        work: &mut Work<'_, '_>,
    ) -> Next {
        if active(Mutant::EarlyMessageDropped) {
            return Next::Stay;
        }
        if !may_hold(&self.held, &from, is_ticket) {
            return self.fault(&from.handle, ErrorCode::LimitReached, work);
        }
        self.held.push((from, message));
        Next::Stay
    }

    /// The sender's epoch is over here. Acknowledgements still count, an old ticket is refused, the rest is ignored.
    fn read_late(&mut self, from: &Peer, message: SessionMessage, work: &mut Work<'_, '_>) -> Next {
        //= spec/text/sessions.md#order-of-checks
        //# SESS-195: A member MUST close with `fork` when a message other than `admit` for the epoch before its own carries another hash than the one that its own epoch's record gives for the epoch before.
        let is_of_last = message.epoch.next() == self.epoch.number;
        let compares = is_of_last && !matches!(message.body, SessionBody::Admit(_));
        if compares && message.chain != self.epoch.previous && !active(Mutant::ForkOfLastEpochUnseen) {
            return self.fault(&from.handle, ErrorCode::Fork, work);
        }
        match message.body {
            SessionBody::Received(received) => self.acknowledged(from, message.epoch, received, work),
            SessionBody::Admit(admit) if active(Mutant::TicketEpochUnchecked) => {
                self.admit(from, &admit, work)
            }
            SessionBody::Admit(_) => self.fault(&from.handle, ErrorCode::TicketEpoch, work),
            SessionBody::Message(said) if active(Mutant::MessageEpochUnchecked) => {
                self.hear(from, said, work)
            }
            SessionBody::Follow(_) => self.followed_late(from, message.epoch, work),
            SessionBody::Message(said) if self.was_left_out(&from.handle, message.epoch, said.number) => {
                self.fault(&from.handle, ErrorCode::Fork, work)
            }
            SessionBody::TokenRequest(_)
            | SessionBody::TokenRefused(_)
            | SessionBody::TokenGrant(_)
            | SessionBody::TokenReturn(_)
            | SessionBody::Admitted(_)
            | SessionBody::Complete(_)
            | SessionBody::HandOver(_)
            | SessionBody::HandOverAnswer(_)
            | SessionBody::Close(_)
            | SessionBody::Closed(_)
            | SessionBody::Commit(_)
            | SessionBody::Message(_) => {
                work.push(Action::Late { from: from.handle.clone() });
                Next::Stay
            }
        }
    }

    fn read_current(&mut self, from: &Peer, body: SessionBody, work: &mut Work<'_, '_>) -> Next {
        match body {
            SessionBody::Admit(admit) => self.admit(from, &admit, work),
            SessionBody::Complete(_) => self.completed(from, work),
            SessionBody::TokenRequest(request) => self.token_requested(from, request, work),
            SessionBody::TokenReturn(_) => self.token_returned(from, work),
            SessionBody::HandOverAnswer(answer) => self.hand_over_answered(from, answer, work),
            SessionBody::Closed(closed) => self.member_closed(from, closed, work),
            SessionBody::TokenGrant(grant) => match self.check_coordinator(from) {
                Ok(()) => self.token_granted(&grant, work),
                Err(code) => self.fault(&from.handle, code, work),
            },
            SessionBody::TokenRefused(refused) => match self.check_coordinator(from) {
                Ok(()) => {
                    self.token_refused(refused, work);
                    Next::Stay
                }
                Err(code) => self.fault(&from.handle, code, work),
            },
            SessionBody::HandOver(_) => match self.check_coordinator(from) {
                Ok(()) => {
                    let answer = HandOverAnswer { accepted: !self.leaving };
                    self.send_to_coordinator(SessionBody::HandOverAnswer(answer), work);
                    Next::Stay
                }
                Err(code) => self.fault(&from.handle, code, work),
            },
            SessionBody::Close(close) => match self.check_coordinator(from) {
                Ok(()) => self.close(from, close, work),
                Err(code) => self.fault(&from.handle, code, work),
            },
            SessionBody::Commit(commit) if self.has_lost_coordinator() => self.shown(from, &commit, work),
            SessionBody::Commit(commit) => match self.check_coordinator(from) {
                Ok(()) => self.commit(from, commit, work),
                Err(code) if self.coordinator.is_some() => self.fault(&from.handle, code, work),
                Err(_) => self.shown_early(from, commit, work),
            },
            SessionBody::Follow(follow) => self.followed(from, follow, work),
            SessionBody::Message(said) => self.hear(from, said, work),
            SessionBody::Received(received) => self.acknowledged(from, self.epoch.number, received, work),
            SessionBody::Admitted(Admitted {}) => self.member_admitted(from, work),
        }
    }

    /// Some orders are the coordinator's alone.
    fn check_coordinator(&self, from: &Peer) -> Result<(), ErrorCode> {
        if from.handle == self.epoch.coordinator || active(Mutant::CoordinatorUnchecked) {
            Ok(())
        } else {
            Err(ErrorCode::Forbidden)
        }
    }

    /// A newcomer shows its ticket.
    fn admit(
        &mut self,
        from: &Peer,
        admit: &crate::message::client_client::Admit,
        work: &mut Work<'_, '_>,
    ) -> Next {
        if self.epoch.member(&from.handle).is_some() || self.admission.is_some() {
            return self.fault(&from.handle, ErrorCode::AlreadyMember, work);
        }
        if self.closing.is_some() || self.has_lost_coordinator() {
            // The epoch closes without this newcomer, so its ticket is for an epoch that is over.
            return self.fault(&from.handle, ErrorCode::TicketEpoch, work);
        }
        match judge_ticket(&admit.ticket, from, &self.epoch, self.hash, work.context) {
            Ok(admission) => {
                self.admission = Some(admission);
                self.send(&from.handle, SessionBody::Admitted(Admitted {}), work);
                if self.coordinator.is_none() {
                    self.send_to_coordinator(SessionBody::Admitted(Admitted {}), work);
                }
                Next::Stay
            }
            Err(code) => self.fault(&from.handle, code, work),
        }
    }

    // --- what is lost ---

    /// A peer broke a rule: its link closes with the code, and counts as lost from here on.
    #[track_caller]
    pub(super) fn fault(&mut self, peer: &UserHandle, code: ErrorCode, work: &mut Work<'_, '_>) -> Next {
        reached(Location::caller());
        if *peer == self.me.handle {
            // What a client says to itself is right by construction; a wrong variant of it ends here.
            return Next::End(EndReason::JoinFailed);
        }
        if code == ErrorCode::Fork && self.epoch.member(peer).is_some() {
            work.tell(Notice::ForkNoticed(peer.clone()));
        }
        work.disconnect(peer, Some(code));
        self.link_lost(peer, work)
    }

    fn link_lost(&mut self, peer: &UserHandle, work: &mut Work<'_, '_>) -> Next {
        self.held.retain(|(from, _)| from.handle != *peer);
        self.succession.forget(peer);
        self.invitee_unreachable(peer, work);
        if self.has_admitted(peer) {
            return self.newcomer_unlinked(peer, work);
        }
        if self.epoch.member(peer).is_none() || !self.lost.insert(peer.clone()) {
            return Next::Stay;
        }
        let let_go = self.is_let_go_by(peer);
        if !let_go && !self.lets_go(peer) {
            work.tell(Notice::MemberLost(peer.clone()));
        }
        self.forget_unacknowledged(peer, work);
        if self.coordinator.is_some() {
            return self.member_lost(peer, work);
        }
        if !let_go && *peer != self.epoch.coordinator {
            self.wait_for_removal(peer, work);
        }
        if self.has_lost_coordinator() {
            self.follow_successor(work)
        } else {
            self.begin_epoch_if_flushed(work)
        }
    }

    pub(super) fn has_admitted(&self, peer: &UserHandle) -> bool {
        self.admission.as_ref().is_some_and(|admission| admission.newcomer().handle == *peer)
    }

    /// The link to somebody who does not come, or is lost on the way in, is closed: nothing more is sent there.
    pub(super) fn newcomer_unlinked(&mut self, peer: &UserHandle, work: &mut Work<'_, '_>) -> Next {
        if !self.has_admitted(peer) {
            return Next::Stay;
        }
        self.lost.insert(peer.clone());
        if self.has_lost_coordinator() {
            return self.follow_successor(work);
        }
        self.newcomer_lost(peer, work)
    }

    #[track_caller]
    pub(super) fn wait_for_removal(&self, peer: &UserHandle, work: &mut Work<'_, '_>) {
        reached(Location::caller());
        //= spec/text/sessions.md#lost-links
        //# SESS-120: A member whose link to another member than the coordinator is lost MUST end the session, and close its links, if no coordinator has removed that member 60 seconds after the loss, or 150 seconds if the member's own handle is the lesser of the two, or, where that is later, so long after the last epoch that began with another coordinator, unless the coordinator itself is lost meanwhile.
        let waits_longer =
            self.me.handle < *peer && *peer != self.epoch.coordinator && !active(Mutant::BothGiveUp);
        let after = if waits_longer { LOST_MEMBER_DEADLINE_OF_LESSER } else { LOST_MEMBER_DEADLINE };
        work.push(Action::Arm { timer: Timer::Lost(peer.clone()), after });
    }

    /// The session cannot go on here.
    #[track_caller]
    pub(super) fn give_up(&mut self, reason: EndReason, work: &mut Work<'_, '_>) -> Next {
        reached(Location::caller());
        self.withdraw_invitations(work);
        let others: Vec<_> = self.others().cloned().collect();
        others.iter().for_each(|peer| work.disconnect(peer, None));
        self.drop_newcomers(work);
        Next::End(reason)
    }

    fn timer_fired(&mut self, timer: Timer, work: &mut Work<'_, '_>) -> Next {
        match timer {
            Timer::Invitation(invitee) => {
                self.invitation_expired(&invitee, work);
                Next::Stay
            }
            Timer::Lease => self.lease_ended(work),
            Timer::Close => self.close_overdue(work),
            Timer::Flush => self.flush_overdue(work),
            Timer::Acknowledgement => self.acknowledgement_overdue(work),
            Timer::Lost(peer) if self.has_lost_coordinator() => {
                if peer == self.epoch.coordinator {
                    self.succession_overdue(work)
                } else {
                    self.wait_for_removal(&peer, work);
                    Next::Stay
                }
            }
            Timer::Lost(peer) if self.lost.contains(&peer) && self.coordinator.is_none() => {
                self.give_up(EndReason::MemberLost, work)
            }
            Timer::Lost(_) | Timer::Answer | Timer::Join | Timer::Linger => Next::Stay,
        }
    }
}

/// Whether one more message of the next epoch may be held.
pub(super) fn may_hold(held: &[(Peer, SessionMessage)], from: &Peer, is_ticket: bool) -> bool {
    let is_admit = |held: &SessionMessage| matches!(held.body, SessionBody::Admit(_));
    let tickets = held.iter().filter(|(_, held)| is_admit(held)).count();
    let from_peer = held.iter().filter(|(peer, _)| peer == from).count();
    let has_ticket = held.iter().any(|(peer, held)| peer == from && is_admit(held));
    let one_more = tickets >= HELD_TICKETS_MAX || has_ticket;
    from_peer < HELD_PER_PEER_MAX && !(is_ticket && one_more && !active(Mutant::TicketsHoarded))
}
