//! The way in: an invitation that waits for its answer, for the welcome, and for every member's admission
//! (chapter *Sessions*, sections *Invitation* and *Join*).

use std::{collections::BTreeSet, sync::Arc};

use super::{
    admission::{check_welcome, open_commitment, open_last_word},
    epoch::{Change, Epoch, EpochHash, Member, Origin, SessionId},
    event::{Action, EndReason, Event, Notice, Target, Timer},
    machine::{Next, Work},
    member::{Membership, may_hold},
    succession::Succession,
    ticket::Ticket,
};
use crate::{
    error_code::ErrorCode,
    identity::{Peer, UserHandle},
    limits::{CLOSE_DEADLINE, JOIN_DEADLINE, WELCOME_DEADLINE},
    message::client_client::{
        Admit, Admitted, Commit, Complete, Follow, InvitationBody, InvitationMessage, Join, PeerMessage,
        Reject, SessionBody, SessionMessage,
    },
    mutant::{Mutant, active},
    signed::Signed,
    sites::{Location, reached},
};

/// An invitation, before the newcomer has met the members.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Invited {
    pub(super) inviter: Peer,
}

impl Invited {
    /// The user has not answered yet.
    pub(super) fn decide(&self, event: Event, id: SessionId, me: &Member, work: &mut Work<'_, '_>) -> Next {
        match event {
            Event::Accept => {
                let join = InvitationBody::Join(Join { relay: me.relay, accepts: me.accepts.clone() });
                work.push(Action::Disarm(Timer::Answer));
                work.invitation(id, &self.inviter.handle, join);
                work.push(Action::Arm { timer: Timer::Join, after: WELCOME_DEADLINE });
                Next::AwaitWelcome(self.clone())
            }
            Event::Refuse | Event::Leave => self.reject(id, EndReason::Left, work),
            Event::TimerFired(Timer::Answer) => self.reject(id, EndReason::InvitationOver, work),
            Event::Received { from, message } => self.read(from, &message, None, work),
            Event::LinkLost { peer } if peer == self.inviter.handle => Next::End(EndReason::InvitationOver),
            Event::Invite { .. } | Event::Say { .. } => not_possible(work),
            Event::LinkUp { .. }
            | Event::LinkFailed { .. }
            | Event::LinkLost { .. }
            | Event::TimerFired(_) => Next::Stay,
        }
    }

    /// The user has accepted; the inviter asks for the token.
    pub(super) fn handle_welcome(
        &self,
        event: Event,
        id: SessionId,
        me: &Member,
        origin: Origin,
        work: &mut Work<'_, '_>,
    ) -> Next {
        match event {
            Event::Received { from, message } => self.read(from, &message, Some((id, me, origin)), work),
            Event::Leave | Event::Refuse => self.reject(id, EndReason::Left, work),
            Event::TimerFired(Timer::Join) => self.reject(id, EndReason::JoinFailed, work),
            Event::LinkLost { peer } if peer == self.inviter.handle => Next::End(EndReason::JoinFailed),
            Event::Invite { .. } | Event::Say { .. } | Event::Accept => not_possible(work),
            Event::LinkUp { .. }
            | Event::LinkFailed { .. }
            | Event::LinkLost { .. }
            | Event::TimerFired(_) => Next::Stay,
        }
    }

    /// Only the inviter may speak: it cancels, or (where `welcome` says what to hold it against) welcomes.
    fn read(
        &self,
        from: Peer,
        message: &PeerMessage,
        welcome: Option<(SessionId, &Member, Origin)>,
        work: &mut Work<'_, '_>,
    ) -> Next {
        if from != self.inviter {
            work.disconnect(&from.handle, Some(ErrorCode::NoSuchSession));
            return Next::Stay;
        }
        let reason = if welcome.is_some() { EndReason::JoinFailed } else { EndReason::InvitationOver };
        let code = match (message, welcome) {
            (PeerMessage::Invitation(InvitationMessage { body: InvitationBody::Cancel(_), .. }), _) => {
                work.disconnect(&from.handle, None);
                return Next::End(reason);
            }
            (
                PeerMessage::Invitation(InvitationMessage { body: InvitationBody::Welcome(welcome), .. }),
                Some((id, me, origin)),
            ) => match check_welcome(&welcome.epoch, id, origin, me, &self.inviter) {
                Ok(()) => {
                    return Joining::begin(self.inviter.clone(), me.clone(), welcome, work);
                }
                Err(code) => code,
            },
            _ => ErrorCode::UnexpectedMessage,
        };
        work.disconnect(&from.handle, Some(code));
        Next::End(reason)
    }

    #[track_caller]
    fn reject(&self, id: SessionId, reason: EndReason, work: &mut Work<'_, '_>) -> Next {
        reached(Location::caller());
        work.invitation(id, &self.inviter.handle, InvitationBody::Reject(Reject {}));
        work.disconnect(&self.inviter.handle, None);
        Next::End(reason)
    }
}

/// A newcomer with a ticket, on its way through the members.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Joining {
    me: Member,
    inviter: Peer,
    epoch: Arc<Epoch>,
    hash: EpochHash,
    ticket: Signed<Ticket>,
    /// Members that have not admitted the newcomer yet.
    awaited: BTreeSet<UserHandle>,
    /// Members with a link.
    linked: BTreeSet<UserHandle>,
    /// Members that were lost after all had admitted the newcomer.
    lost: BTreeSet<UserHandle>,
    /// Who has lost the coordinator of the epoch that the join closes.
    succession: Succession,
    /// The user wants to leave; from completion on that has to wait for the commit.
    leaving: bool,
    /// What members said in the epoch that the commit will begin.
    held: Vec<(Peer, SessionMessage)>,
}

impl Joining {
    fn begin(
        inviter: Peer,
        me: Member,
        welcome: &crate::message::client_client::Welcome,
        work: &mut Work<'_, '_>,
    ) -> Next {
        let epoch = Arc::clone(&welcome.epoch);
        let mut joining = Self {
            hash: work.context.crypto.hash_epoch(&epoch),
            awaited: epoch.handles().cloned().collect(),
            linked: BTreeSet::from([inviter.handle.clone()]),
            lost: BTreeSet::new(),
            succession: Succession::default(),
            ticket: welcome.ticket.clone(),
            leaving: false,
            held: Vec::new(),
            me,
            inviter,
            epoch,
        };
        work.push(Action::Arm { timer: Timer::Join, after: JOIN_DEADLINE });
        for member in joining.epoch.members.iter().filter(|m| m.handle != joining.inviter.handle) {
            let target = Some(Target { key: member.key, relay: member.relay });
            work.push(Action::Connect { peer: member.handle.clone(), target });
        }
        joining.show_ticket(&joining.inviter.handle.clone(), work);
        if active(Mutant::CompleteEarly) {
            joining.awaited.clear();
            joining.complete_if_admitted(work);
        }
        Next::Join(Box::new(joining))
    }

    /// The epoch that the join closes.
    pub(super) fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    /// Whether every member has admitted the newcomer.
    #[cfg(feature = "sites")]
    pub(super) fn is_completed(&self) -> bool {
        self.awaited.is_empty()
    }

    pub(super) fn handle(&mut self, event: Event, work: &mut Work<'_, '_>) -> Next {
        match event {
            Event::LinkUp { peer } => self.link_up(peer, work),
            Event::LinkFailed { peer } => {
                if self.epoch.member(&peer).is_some() {
                    self.fail(None, work)
                } else {
                    Next::Stay
                }
            }
            Event::LinkLost { peer } => {
                self.linked.remove(&peer);
                self.held.retain(|(from, _)| from.handle != peer);
                if self.epoch.member(&peer).is_none() {
                    Next::Stay
                } else if self.awaited.is_empty() {
                    self.member_lost(peer, work)
                } else {
                    self.fail(None, work)
                }
            }
            Event::Received { from, message } => self.read(from, message, work),
            Event::Leave if self.awaited.is_empty() => {
                self.leaving = true;
                Next::Stay
            }
            Event::Leave => {
                self.fail(None, work);
                Next::End(EndReason::Left)
            }
            Event::TimerFired(Timer::Join) => self.fail(None, work),
            Event::TimerFired(_) => Next::Stay,
            Event::Invite { .. } | Event::Accept | Event::Refuse | Event::Say { .. } => not_possible(work),
        }
    }

    /// A member is lost after the newcomer's part is done: the others may have begun the epoch with it.
    fn member_lost(&mut self, peer: UserHandle, work: &mut Work<'_, '_>) -> Next {
        self.succession.forget(&peer);
        self.lost.insert(peer);
        self.follow_successor(work)
    }

    /// A newcomer that has lost the coordinator may be a member already, or not become one: the successor has to hear
    /// from it.
    fn follow_successor(&mut self, work: &mut Work<'_, '_>) -> Next {
        let there = self.epoch.handles().filter(|member| self.linked.contains(*member));
        let Some(successor) = self.succession.successor(there.clone(), None).cloned() else {
            return self.fail(None, work);
        };
        let to: Vec<UserHandle> = there.cloned().collect();
        if self.lost.contains(&self.epoch.coordinator)
            && let Some(follow) = self.succession.follow(0, false, successor)
        {
            work.push(Action::Send { to, message: self.message(SessionBody::Follow(follow)) });
            if let Some(commit) = self.succession.shown() {
                let to = self.succession.following().into_iter().cloned().collect();
                work.push(Action::Send { to, message: self.message(SessionBody::Commit(commit)) });
            }
        }
        Next::Stay
    }

    /// The coordinator is lost, and a member shows how the epoch ends. Only from the one that the newcomer follows is
    /// that an answer; from anybody else it is news for that one.
    fn shown(&mut self, from: &Peer, commit: Commit, work: &mut Work<'_, '_>) -> Next {
        let opened = open_last_word(&commit.commitment, &self.epoch, self.hash, work.context);
        let change = match opened {
            Ok((commitment, _)) => commitment.change,
            Err(code) => return self.fault(from, code, work),
        };
        if self.succession.is_following(&from.handle) {
            let joins = change == Change::Join(self.me.clone());
            return if joins { self.commit(from, commit, work) } else { self.fail(None, work) };
        }
        if let Some(successor) = self.succession.show_first(&commit, from) {
            let message = self.message(SessionBody::Commit(commit));
            work.push(Action::Send { to: vec![successor], message });
        }
        Next::Stay
    }

    fn followed(&mut self, from: &Peer, follow: Follow, work: &mut Work<'_, '_>) -> Next {
        match self.succession.note(&from.handle, follow) {
            Err(code) => self.fault(from, code, work),
            Ok(()) if self.awaited.is_empty() => self.follow_successor(work),
            Ok(()) => Next::Stay,
        }
    }

    fn link_up(&mut self, peer: Peer, work: &mut Work<'_, '_>) -> Next {
        match self.epoch.member(&peer.handle) {
            Some(member) if member.key == peer.key => {
                self.linked.insert(peer.handle.clone());
                self.show_ticket(&peer.handle, work);
                Next::Stay
            }
            Some(_) => {
                self.linked.remove(&peer.handle);
                work.disconnect(&peer.handle, Some(ErrorCode::CertificateRefused));
                self.fail(None, work)
            }
            None => {
                work.disconnect(&peer.handle, None);
                Next::Stay
            }
        }
    }

    fn show_ticket(&self, to: &UserHandle, work: &mut Work<'_, '_>) {
        self.send(to, SessionBody::Admit(Admit { ticket: self.ticket.clone() }), work);
    }

    #[track_caller]
    fn send(&self, to: &UserHandle, body: SessionBody, work: &mut Work<'_, '_>) {
        reached(Location::caller());
        work.push(Action::Send { to: vec![to.clone()], message: self.message(body) });
    }

    fn message(&self, body: SessionBody) -> PeerMessage {
        let (chain, epoch, session) = (self.hash, self.epoch.number, self.epoch.session);
        PeerMessage::Session(SessionMessage { body, chain, epoch, session })
    }

    fn read(&mut self, from: Peer, message: PeerMessage, work: &mut Work<'_, '_>) -> Next {
        let message = match message {
            PeerMessage::Invitation(message) => {
                return match message.body {
                    InvitationBody::Cancel(_) if from == self.inviter => {
                        self.linked.remove(&from.handle);
                        work.disconnect(&from.handle, None);
                        self.fail(None, work)
                    }
                    InvitationBody::Cancel(_)
                    | InvitationBody::Invite(_)
                    | InvitationBody::Join(_)
                    | InvitationBody::Reject(_)
                    | InvitationBody::Welcome(_) => self.fault(&from, ErrorCode::UnexpectedMessage, work),
                };
            }
            PeerMessage::Session(message) => message,
        };
        // The next newcomer may be here before the commit that makes this one a member.
        let is_ticket = matches!(message.body, SessionBody::Admit(_));
        if self.epoch.member(&from.handle).is_none() && !is_ticket {
            work.disconnect(&from.handle, Some(ErrorCode::NoSuchSession));
            return Next::Stay;
        }
        if message.session != self.epoch.session {
            return self.fault(&from, ErrorCode::NoSuchSession, work);
        }
        if message.epoch == self.epoch.number.next() {
            if !may_hold(&self.held, &from, is_ticket) {
                return self.fault(&from, ErrorCode::LimitReached, work);
            }
            self.held.push((from, message));
            return Next::Stay;
        }
        if message.epoch != self.epoch.number {
            return self.fault(&from, ErrorCode::EpochImpossible, work);
        }
        if message.chain != self.hash && !active(Mutant::ChainUnchecked) {
            return self.fault(&from, ErrorCode::Fork, work);
        }
        match message.body {
            SessionBody::Admitted(Admitted {}) if self.awaited.remove(&from.handle) => {
                self.complete_if_admitted(work);
                Next::Stay
            }
            SessionBody::Commit(commit)
                if self.awaited.is_empty() && from.handle == self.epoch.coordinator =>
            {
                self.commit(&from, commit, work)
            }
            SessionBody::Commit(commit) if self.lost.contains(&self.epoch.coordinator) => {
                self.shown(&from, commit, work)
            }
            SessionBody::Follow(follow) => self.followed(&from, follow, work),
            SessionBody::Admitted(_) if active(Mutant::CompleteEarly) => Next::Stay,
            SessionBody::TokenRequest(_)
            | SessionBody::TokenRefused(_)
            | SessionBody::TokenGrant(_)
            | SessionBody::TokenReturn(_)
            | SessionBody::Admit(_)
            | SessionBody::Admitted(_)
            | SessionBody::Complete(_)
            | SessionBody::HandOver(_)
            | SessionBody::HandOverAnswer(_)
            | SessionBody::Close(_)
            | SessionBody::Closed(_)
            | SessionBody::Commit(_)
            | SessionBody::Message(_)
            | SessionBody::Received(_) => self.fault(&from, ErrorCode::UnexpectedMessage, work),
        }
    }

    fn complete_if_admitted(&self, work: &mut Work<'_, '_>) {
        if self.awaited.is_empty() {
            self.send(&self.epoch.coordinator.clone(), SessionBody::Complete(Complete {}), work);
            work.push(Action::Arm { timer: Timer::Join, after: CLOSE_DEADLINE * 2 });
        }
    }

    /// The coordinator has closed the epoch: the newcomer is a member of the next. If the coordinator is lost, another
    /// member shows its word.
    fn commit(&mut self, from: &Peer, commit: Commit, work: &mut Work<'_, '_>) -> Next {
        let change = Change::Join(self.me.clone());
        let opened = open_commitment(
            &commit.commitment,
            &self.epoch.coordinator,
            &self.epoch,
            self.hash,
            work.context,
        );
        let commitment = match opened {
            Ok(commitment) if commitment.change == change => commitment,
            Ok(_) => return self.fault(from, ErrorCode::CommitRefused, work),
            Err(code) => return self.fault(from, code, work),
        };
        let Ok(next) = self.epoch.next(self.hash, change) else {
            return self.fault(from, ErrorCode::CommitRefused, work);
        };
        let hash = work.context.crypto.hash_epoch(&next);
        if hash != commitment.hash {
            return self.fault(from, ErrorCode::Fork, work);
        }
        let unaware = self.succession.followers().filter(|peer| **peer != from.handle);
        let to: Vec<UserHandle> = unaware.cloned().collect();
        if !to.is_empty() {
            let message = self.message(SessionBody::Commit(commit.clone()));
            work.push(Action::Send { to, message });
        }
        let mut member = Membership::new(self.me.clone(), next.into(), hash);
        work.push(Action::Disarm(Timer::Join));
        work.tell(Notice::EpochBegan(Arc::clone(&member.epoch)));
        let joined = member.begin_joined(commit.commitment, std::mem::take(&mut self.lost), work);
        if !matches!(joined, Next::Stay) {
            return joined;
        }
        if self.leaving {
            member.leave(work);
        }
        Next::Become(Box::new(member), std::mem::take(&mut self.held))
    }

    /// A peer broke a rule: its link closes with the code, and if it is a member's the join is off.
    #[track_caller]
    fn fault(&self, peer: &Peer, code: ErrorCode, work: &mut Work<'_, '_>) -> Next {
        reached(Location::caller());
        if self.epoch.member(&peer.handle).is_none() {
            work.disconnect(&peer.handle, Some(code));
            return Next::Stay;
        }
        self.fail(Some((&peer.handle, code)), work)
    }

    /// The join is off: the inviter hears it, so that the token comes back, and every link closes.
    #[track_caller]
    fn fail(&self, fault: Option<(&UserHandle, ErrorCode)>, work: &mut Work<'_, '_>) -> Next {
        reached(Location::caller());
        if self.linked.contains(&self.inviter.handle) {
            let reject = InvitationBody::Reject(Reject {});
            work.invitation(self.epoch.session, &self.inviter.handle, reject);
        }
        let strangers = self.held.iter().map(|(from, _)| &from.handle);
        let peers: BTreeSet<&UserHandle> =
            self.epoch.handles().chain(strangers).chain(fault.map(|(peer, _)| peer)).collect();
        for peer in peers {
            let fault = fault.filter(|(faulty, _)| *faulty == peer).map(|(_, code)| code);
            work.disconnect(peer, fault);
        }
        Next::End(EndReason::JoinFailed)
    }
}

#[track_caller]
fn not_possible(work: &mut Work<'_, '_>) -> Next {
    reached(Location::caller());
    work.tell(Notice::NotPossible(ErrorCode::UnexpectedMessage));
    Next::Stay
}
