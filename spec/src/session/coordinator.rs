//! The coordinator's part of a member: one grant an epoch, requests in the order in which they came, and the closing
//! of every epoch (chapter *Sessions*, sections *Grant*, *Closing an epoch*, *Hand-over*).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    epoch::{Change, ImpossibleChange},
    event::{Action, EndReason, Timer},
    grant::Grant,
    machine::{Next, Work},
    member::Membership,
};
use crate::{
    error_code::ErrorCode,
    identity::{Peer, UserHandle},
    limits::{CLOSE_DEADLINE, GRANT_LEASE, REQUESTS_PER_MEMBER_MAX},
    message::client_client::{
        Close, Closed, Commit, HandOver, HandOverAnswer, PeerMessage, RequestNumber, SentCount, SessionBody,
        TokenGrant, TokenRefused, TokenRequest,
    },
    mutant::{Mutant, active},
    signed::Signed,
    sites::{Location, reached},
};

/// What the coordinator keeps beside its own membership.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Coordinator {
    /// Requests that wait for the token, oldest first.
    queue: VecDeque<Queued>,
    phase: Phase,
    /// The request that is being served, until the epoch that it closes is over.
    serving: Option<(UserHandle, RequestNumber)>,
    /// Members that will not coordinate, in this epoch.
    declined: BTreeSet<UserHandle>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Queued {
    from: UserHandle,
    number: RequestNumber,
    change: Change,
}

/// Where the token is, named by what the coordinator waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
enum Phase {
    /// For a request: the token is home.
    #[default]
    Request,
    /// For this member's answer to the offer of the coordinator's part.
    Answer { to: UserHandle, request: Queued },
    /// For the newcomer to complete and every member to have admitted it, or for the holder to return the token.
    Newcomer { grant: Grant, signed: Signed<Grant>, admitted: BTreeSet<UserHandle>, is_complete: bool },
    /// For members to close the epoch.
    Closed { change: Change, waiting: BTreeSet<UserHandle>, sent: BTreeMap<UserHandle, u64> },
    /// For the epoch to begin here too: it is committed.
    Begin,
}

impl Coordinator {
    pub(super) fn is_at_rest(&self) -> bool {
        self.queue.is_empty() && self.phase == Phase::Request
    }

    pub(super) fn begin_epoch(&mut self) {
        self.phase = Phase::Request;
        self.serving = None;
        self.declined.clear();
    }

    /// Drops the requests of one that is no member any more, or is lost: a change in its name cannot follow.
    pub(super) fn forget_requests(&mut self, member: &UserHandle) {
        if active(Mutant::RequestsKept) {
            return;
        }
        self.queue.retain(|queued| queued.from != *member);
    }

    #[cfg(feature = "sites")]
    pub(super) const fn stage(&self) -> super::Stage {
        match self.phase {
            Phase::Request => super::Stage::TokenHome,
            Phase::Answer { .. } => super::Stage::Offering,
            Phase::Newcomer { .. } => super::Stage::TokenOut,
            Phase::Closed { .. } => super::Stage::Collecting,
            Phase::Begin => super::Stage::Committed,
        }
    }

    fn may_grant(&self) -> bool {
        match self.phase {
            Phase::Request => true,
            Phase::Newcomer { .. } => active(Mutant::GrantedTwice),
            Phase::Answer { .. } | Phase::Closed { .. } | Phase::Begin => false,
        }
    }

    fn knows(&self, from: &UserHandle, number: RequestNumber) -> bool {
        self.queue.iter().any(|request| request.from == *from && request.number == number)
            || self.serving.as_ref().is_some_and(|(holder, served)| holder == from && *served == number)
    }
}

impl Membership {
    pub(super) fn token_requested(
        &mut self,
        from: &Peer,
        request: TokenRequest,
        work: &mut Work<'_, '_>,
    ) -> Next {
        let own = match &request.change {
            Change::Join(_) => true,
            Change::Leave(who) => *who == from.handle,
            Change::Create(_)
            | Change::Remove(_)
            | Change::HandOver(_)
            | Change::Void(_)
            | Change::TakeOver(_) => false,
        };
        // A newcomer that has been admitted may speak, but it asks for nothing before it is a member.
        let from_member = self.epoch.member(&from.handle).is_some();
        let Some(coordinator) = self.coordinator.as_mut().filter(|_| own && from_member) else {
            return self.fault(&from.handle, ErrorCode::Forbidden, work);
        };
        if coordinator.knows(&from.handle, request.number) {
            work.push(Action::Late { from: from.handle.clone() });
            return Next::Stay;
        }
        let queued = coordinator.queue.iter().filter(|queued| queued.from == from.handle).count();
        if queued >= REQUESTS_PER_MEMBER_MAX {
            self.refuse(&from.handle, request.number, ErrorCode::LimitReached, work);
            return Next::Stay;
        }
        let TokenRequest { change, number } = request;
        coordinator.queue.push_back(Queued { from: from.handle.clone(), number, change });
        self.order_next_change(work)
    }

    #[track_caller]
    fn refuse(&self, to: &UserHandle, number: RequestNumber, code: ErrorCode, work: &mut Work<'_, '_>) {
        reached(Location::caller());
        self.send(to, SessionBody::TokenRefused(TokenRefused { code, number }), work);
    }

    /// Takes up the next change, if the token is home: first the removal of a lost member, then the oldest request.
    pub(super) fn order_next_change(&mut self, work: &mut Work<'_, '_>) -> Next {
        loop {
            let Some(coordinator) = &mut self.coordinator else { return Next::Stay };
            if !coordinator.may_grant() || self.closing.is_some() {
                return Next::Stay;
            }
            if let Some(gone) = self.lost.iter().find(|peer| self.epoch.member(peer).is_some()).cloned() {
                let change = Change::Remove(gone);
                return self.grant_and_close(change, self.me.handle.clone(), work);
            }
            let next = coordinator.queue.pop_front();
            coordinator.serving = next.as_ref().map(|request| (request.from.clone(), request.number));
            let Some(request) = next else { return Next::Stay };
            match &request.change {
                Change::Join(_) => match self.epoch.next(self.hash, request.change.clone()) {
                    Err(error) if !tolerated(error) => {
                        self.refuse(&request.from, request.number, refusal(error), work);
                    }
                    Ok(_) | Err(_) => {
                        self.grant_join(request, work);
                        return Next::Stay;
                    }
                },
                Change::Leave(who) if *who == self.me.handle => {
                    if self.epoch.members.len() == 1 {
                        self.drop_newcomers(work);
                        return Next::Linger(BTreeSet::new());
                    }
                    if let Some(next) = self.offer_part(request, work) {
                        return next;
                    }
                }
                Change::Leave(who) => {
                    let (change, holder) = (request.change.clone(), who.clone());
                    return self.grant_and_close(change, holder, work);
                }
                // Requests for anything else never reach the queue.
                Change::Create(_)
                | Change::Remove(_)
                | Change::HandOver(_)
                | Change::Void(_)
                | Change::TakeOver(_) => {}
            }
        }
    }

    fn sign_grant(&self, change: Change, holder: UserHandle, work: &Work<'_, '_>) -> (Grant, Signed<Grant>) {
        let grant = Grant {
            chain: self.hash,
            epoch: self.epoch.number,
            change,
            holder,
            session: self.epoch.session,
            not_after: work.context.now.after(GRANT_LEASE),
        };
        let signed = work.context.crypto.sign_grant(&grant);
        (grant, signed)
    }

    fn grant_join(&mut self, request: Queued, work: &mut Work<'_, '_>) {
        let Queued { from, number, change } = request;
        let (grant, signed) = self.sign_grant(change, from.clone(), work);
        work.push(Action::Arm { timer: Timer::Lease, after: GRANT_LEASE });
        self.send(&from, SessionBody::TokenGrant(TokenGrant { grant: signed.clone(), number }), work);
        self.enter(Phase::Newcomer { grant, signed, admitted: BTreeSet::new(), is_complete: false });
    }

    fn grant_and_close(&mut self, change: Change, holder: UserHandle, work: &mut Work<'_, '_>) -> Next {
        let (_, signed) = self.sign_grant(change.clone(), holder, work);
        self.begin_closing(signed, change, work)
    }

    fn enter(&mut self, phase: Phase) {
        if let Some(coordinator) = &mut self.coordinator {
            coordinator.phase = phase;
        }
    }

    fn phase(&self) -> Option<&Phase> {
        self.coordinator.as_ref().map(|coordinator| &coordinator.phase)
    }

    // --- hand-over ---

    /// Offers the coordinator's part to the lowest handle that has not declined. Where all have, whoever said no is
    /// leaving too, and the own leave waits behind the requests in the queue. With none there, those who have declined
    /// had only been too slow, and are asked again.
    fn offer_part(&mut self, request: Queued, work: &mut Work<'_, '_>) -> Option<Next> {
        let coordinator = self.coordinator.as_mut()?;
        let me = &self.me.handle;
        let others = || self.epoch.handles().filter(|other| *other != me);
        if coordinator.queue.is_empty() && others().all(|other| coordinator.declined.contains(other)) {
            coordinator.declined.clear();
        }
        let candidate = others().find(|other| !coordinator.declined.contains(*other));
        let Some(to) = candidate.cloned() else {
            coordinator.queue.push_back(request);
            return None;
        };
        self.send(&to, SessionBody::HandOver(HandOver {}), work);
        if active(Mutant::HandOverUnanswered) {
            let others: Vec<_> = self.others().cloned().collect();
            others.iter().for_each(|peer| work.disconnect(peer, None));
            return Some(Next::End(EndReason::Left));
        }
        work.push(Action::Arm { timer: Timer::Lease, after: GRANT_LEASE });
        self.enter(Phase::Answer { to, request });
        Some(Next::Stay)
    }

    pub(super) fn hand_over_answered(
        &mut self,
        from: &Peer,
        answer: HandOverAnswer,
        work: &mut Work<'_, '_>,
    ) -> Next {
        // An answer after its deadline was taken for a no, and by then somebody else may be asked.
        if !matches!(self.phase(), Some(Phase::Answer { to, .. }) if *to == from.handle) {
            return self.unexpected_at_coordinator(from, work);
        }
        if !answer.accepted {
            return self.part_declined(work);
        }
        self.grant_and_close(Change::HandOver(from.handle.clone()), from.handle.clone(), work)
    }

    /// The one who was asked will not, cannot or does not answer: the leave waits behind what is queued.
    fn part_declined(&mut self, work: &mut Work<'_, '_>) -> Next {
        work.push(Action::Disarm(Timer::Lease));
        if let Some(coordinator) = &mut self.coordinator
            && let Phase::Answer { to, request } = std::mem::take(&mut coordinator.phase)
        {
            coordinator.declined.insert(to);
            coordinator.queue.push_back(request);
        }
        self.order_next_change(work)
    }

    // --- the end of a join ---

    pub(super) fn completed(&mut self, from: &Peer, work: &mut Work<'_, '_>) -> Next {
        let admitted = self.admission.as_ref().map(|admission| admission.newcomer());
        let Some(newcomer) =
            admitted.filter(|newcomer| newcomer.handle == from.handle || active(Mutant::CompleteUnchecked))
        else {
            return self.fault(&from.handle, ErrorCode::UnexpectedMessage, work);
        };
        let join = Change::Join(newcomer.clone());
        match self.coordinator.as_mut().map(|coordinator| &mut coordinator.phase) {
            Some(Phase::Newcomer { grant, is_complete, .. }) if grant.change == join && !*is_complete => {
                *is_complete = true;
                self.close_if_all_admitted(work)
            }
            _ => self.unexpected_at_coordinator(from, work),
        }
    }

    /// A member has admitted the newcomer: there is one in an epoch at most, so nobody has to say which.
    pub(super) fn member_admitted(&mut self, from: &Peer, work: &mut Work<'_, '_>) -> Next {
        let is_member = self.epoch.member(&from.handle).is_some();
        match self.coordinator.as_mut().map(|coordinator| &mut coordinator.phase) {
            Some(Phase::Newcomer { admitted, .. }) if is_member => {
                admitted.insert(from.handle.clone());
                self.close_if_all_admitted(work)
            }
            _ => self.unexpected_at_coordinator(from, work),
        }
    }

    /// Ends a join that nobody can refuse any more. The newcomer alone could say so too early, and whoever had not admitted
    /// it would have to take the coordinator for a liar.
    fn close_if_all_admitted(&mut self, work: &mut Work<'_, '_>) -> Next {
        let Some(Phase::Newcomer { grant, signed, admitted, is_complete }) = self.phase() else {
            return Next::Stay;
        };
        let all = self.others().all(|other| admitted.contains(other)) || active(Mutant::CompletedAlone);
        if !*is_complete || !all {
            return Next::Stay;
        }
        let (signed, change) = (signed.clone(), grant.change.clone());
        self.begin_closing(signed, change, work)
    }

    pub(super) fn token_returned(&mut self, from: &Peer, work: &mut Work<'_, '_>) -> Next {
        match self.phase() {
            Some(Phase::Newcomer { grant, .. })
                if grant.holder == from.handle || active(Mutant::ReturnUnchecked) =>
            {
                self.void(work)
            }
            _ => self.unexpected_at_coordinator(from, work),
        }
    }

    /// Closes the epoch without the newcomer that the token was given for.
    fn void(&mut self, work: &mut Work<'_, '_>) -> Next {
        let Some(Phase::Newcomer { grant, signed, .. }) = self.phase() else { return Next::Stay };
        let Change::Join(newcomer) = &grant.change else { return Next::Stay };
        let (signed, change) = (signed.clone(), Change::Void(newcomer.handle.clone()));
        self.begin_closing(signed, change, work)
    }

    /// At a coordinator the message has been overtaken; anywhere else it has no business.
    #[track_caller]
    fn unexpected_at_coordinator(&mut self, from: &Peer, work: &mut Work<'_, '_>) -> Next {
        reached(Location::caller());
        if self.coordinator.is_none() {
            return self.fault(&from.handle, ErrorCode::UnexpectedMessage, work);
        }
        work.push(Action::Late { from: from.handle.clone() });
        Next::Stay
    }

    pub(super) fn lease_ended(&mut self, work: &mut Work<'_, '_>) -> Next {
        match self.phase() {
            Some(Phase::Newcomer { .. }) => self.void(work),
            Some(Phase::Answer { .. }) => self.part_declined(work),
            Some(Phase::Request | Phase::Closed { .. } | Phase::Begin) | None => Next::Stay,
        }
    }

    // --- closing the epoch ---

    fn begin_closing(&mut self, grant: Signed<Grant>, change: Change, work: &mut Work<'_, '_>) -> Next {
        let to: Vec<UserHandle> = self.others().cloned().collect();
        let mut waiting: BTreeSet<UserHandle> = to.iter().cloned().collect();
        waiting.insert(self.me.handle.clone());
        if active(Mutant::CommitWithoutClosed) {
            waiting.clear();
        }
        work.push(Action::Disarm(Timer::Lease));
        work.push(Action::Arm { timer: Timer::Close, after: CLOSE_DEADLINE });
        self.broadcast(to, SessionBody::Close(Close { grant, change: change.clone() }), work);
        self.enter(Phase::Closed { change, waiting, sent: BTreeMap::new() });
        self.commit_if_all_closed(work);
        Next::Stay
    }

    #[track_caller]
    fn broadcast(&self, to: Vec<UserHandle>, body: SessionBody, work: &mut Work<'_, '_>) {
        reached(Location::caller());
        let message = self.message(body);
        work.to_self.push_back(message.clone());
        if !to.is_empty() {
            work.push(Action::Send { to, message: PeerMessage::Session(message) });
        }
    }

    pub(super) fn member_closed(&mut self, from: &Peer, closed: Closed, work: &mut Work<'_, '_>) -> Next {
        let Some(coordinator) = &mut self.coordinator else {
            return self.fault(&from.handle, ErrorCode::UnexpectedMessage, work);
        };
        let expected = match &mut coordinator.phase {
            Phase::Closed { waiting, sent, .. } => {
                let first = waiting.remove(&from.handle);
                if first {
                    sent.insert(from.handle.clone(), closed.sent);
                }
                first
            }
            Phase::Request | Phase::Answer { .. } | Phase::Newcomer { .. } | Phase::Begin => false,
        };
        let expected = expected || active(Mutant::CommitWithoutClosed);
        if !expected {
            return self.fault(&from.handle, ErrorCode::UnexpectedMessage, work);
        }
        self.commit_if_all_closed(work);
        Next::Stay
    }

    fn commit_if_all_closed(&mut self, work: &mut Work<'_, '_>) {
        let Some(Phase::Closed { change, waiting, sent }) = self.phase() else { return };
        if !waiting.is_empty() {
            return;
        }
        // The change was tried on this very epoch before it was granted, and again by every member that closed.
        let Ok(next) = self.epoch.next(self.hash, change.clone()) else { return };
        let sent = sent.iter().map(|(member, &count)| SentCount { count, member: member.clone() }).collect();
        let hash = work.context.crypto.hash_epoch(&next);
        let commitment = self.commitment_to(hash, change.clone(), sent);
        let commit = Commit { commitment: work.context.crypto.sign_commitment(&commitment) };
        let mut to: Vec<UserHandle> = self.others().cloned().collect();
        if let Change::Join(newcomer) = change
            && !self.lost.contains(&newcomer.handle)
        {
            to.push(newcomer.handle.clone());
        }
        work.push(Action::Disarm(Timer::Close));
        self.broadcast(to, SessionBody::Commit(commit), work);
        self.enter(Phase::Begin);
    }

    /// Members that do not close in time are lost.
    pub(super) fn close_overdue(&mut self, work: &mut Work<'_, '_>) -> Next {
        let Some(Phase::Closed { waiting, .. }) = self.phase() else { return Next::Stay };
        for member in waiting.clone() {
            let next = self.fault(&member, ErrorCode::Deadline, work);
            if !matches!(next, Next::Stay) {
                return next;
            }
        }
        Next::Stay
    }

    // --- the coordinator loses somebody ---

    pub(super) fn newcomer_lost(&mut self, newcomer: &UserHandle, work: &mut Work<'_, '_>) -> Next {
        match self.phase() {
            Some(Phase::Newcomer { grant, .. }) if matches!(&grant.change, Change::Join(member) if member.handle == *newcomer) => {
                self.void(work)
            }
            Some(_) | None => Next::Stay,
        }
    }

    pub(super) fn member_lost(&mut self, member: &UserHandle, work: &mut Work<'_, '_>) -> Next {
        let Some(coordinator) = &mut self.coordinator else { return Next::Stay };
        coordinator.forget_requests(member);
        match &mut coordinator.phase {
            Phase::Request => self.order_next_change(work),
            Phase::Answer { to, .. } if to == member => self.part_declined(work),
            Phase::Answer { .. } => Next::Stay,
            // The newcomer needs the lost member's admission, so the join cannot complete.
            Phase::Newcomer { .. } => self.void(work),
            Phase::Closed { waiting, .. } => {
                waiting.remove(member);
                self.commit_if_all_closed(work);
                Next::Stay
            }
            Phase::Begin => self.begin_epoch_if_flushed(work),
        }
    }
}

/// A wrong variant grants what cannot be.
fn tolerated(error: ImpossibleChange) -> bool {
    error == ImpossibleChange::AlreadyMember && active(Mutant::MemberInvitedAgain)
}

fn refusal(error: ImpossibleChange) -> ErrorCode {
    match error {
        ImpossibleChange::AlreadyMember => ErrorCode::AlreadyMember,
        ImpossibleChange::SessionFull => ErrorCode::SessionFull,
        ImpossibleChange::SecondCreation | ImpossibleChange::NoMember | ImpossibleChange::Coordinator => {
            ErrorCode::Forbidden
        }
    }
}
