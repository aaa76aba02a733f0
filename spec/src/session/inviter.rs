//! The inviter's part of a member: from the user's wish to the newcomer's welcome (chapter *Sessions*, section
//! *Invitation*).

use super::{
    epoch::{Change, Member, Nonce},
    event::{Action, Notice, Timer},
    machine::{Next, Work},
    member::Membership,
    ticket::Ticket,
};
use crate::{
    error_code::ErrorCode,
    identity::{Peer, UserHandle},
    limits::{INVITATION_LIFETIME, INVITATIONS_MAX},
    message::client_client::{
        Cancel, InvitationBody, Invite, Join, RequestNumber, SessionBody, TokenGrant, TokenRefused,
        TokenReturn, Welcome,
    },
    mutant::{Mutant, active},
    sites::{Location, reached},
};

/// An invitation, named by what it waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Invitation {
    /// For the link to the invitee.
    Link,
    /// For the invitee's answer.
    Answer(Peer),
    /// For the token; the invitee has accepted.
    Token(RequestNumber, Peer),
    /// For the token, although the invitee is gone: it goes back as soon as it comes.
    TokenInVain(RequestNumber),
    /// For the epoch that the newcomer's join closes.
    Commit(Peer),
    /// For the epoch that makes the join void, after the token went back.
    Void,
}

impl Membership {
    /// Whether this member holds the token for the join of this invitee, or has given it back.
    pub(super) fn awaits_commit_of(&self, invitee: &UserHandle) -> bool {
        matches!(self.invitations.get(invitee), Some(Invitation::Commit(_) | Invitation::Void))
    }

    fn has_not_answered(&self, peer: &UserHandle) -> bool {
        matches!(self.invitations.get(peer), Some(Invitation::Link | Invitation::Answer(_)))
    }

    pub(super) fn invite(&mut self, invitee: UserHandle, work: &mut Work<'_, '_>) {
        // Somebody who shows a ticket here is on the way in, over a link of its own.
        let joining = self.admission.as_ref().is_some_and(|a| a.newcomer().handle == invitee)
            || self.held.iter().any(|(from, _)| from.handle == invitee);
        let invited = self.invitations.contains_key(&invitee);
        let known = joining || invited || self.epoch.member(&invitee).is_some();
        let code = if self.leaving {
            ErrorCode::Forbidden
        } else if known && !active(Mutant::MemberInvitedAgain) {
            ErrorCode::AlreadyMember
        } else if self.invitations.len() >= INVITATIONS_MAX {
            ErrorCode::LimitReached
        } else {
            self.invitations.insert(invitee.clone(), Invitation::Link);
            work.push(Action::Connect { peer: invitee, target: None });
            return;
        };
        work.tell(Notice::InvitationFailed { invitee, code });
    }

    pub(super) fn link_up(&mut self, peer: Peer, work: &mut Work<'_, '_>) {
        if self.invitations.get(&peer.handle) != Some(&Invitation::Link) {
            work.disconnect(&peer.handle, None);
            return;
        }
        let invite = Invite { origin: self.epoch.origin, lifetime: INVITATION_LIFETIME.as_secs() };
        work.invitation(self.epoch.session, &peer.handle, InvitationBody::Invite(invite));
        let timer = Timer::Invitation(peer.handle.clone());
        work.push(Action::Arm { timer, after: INVITATION_LIFETIME });
        self.invitations.insert(peer.handle.clone(), Invitation::Answer(peer));
    }

    pub(super) fn invitee_joins(&mut self, from: &Peer, join: &Join, work: &mut Work<'_, '_>) -> Next {
        if self.invitations.get(&from.handle) != Some(&Invitation::Answer(from.clone())) {
            return self.fault(&from.handle, ErrorCode::UnexpectedMessage, work);
        }
        work.push(Action::Disarm(Timer::Invitation(from.handle.clone())));
        let newcomer = Member {
            key: from.key,
            relay: join.relay,
            handle: from.handle.clone(),
            accepts: join.accepts.clone(),
        };
        let number = self.request_token(Change::Join(newcomer), work);
        self.invitations.insert(from.handle.clone(), Invitation::Token(number, from.clone()));
        Next::Stay
    }

    pub(super) fn invitee_rejects(&mut self, from: &Peer, work: &mut Work<'_, '_>) -> Next {
        match self.invitations.get(&from.handle) {
            Some(Invitation::Answer(_) | Invitation::Token(..) | Invitation::Commit(_)) => {
                work.disconnect(&from.handle, None);
                work.tell(Notice::InvitationRejected { invitee: from.handle.clone() });
                self.invitee_gone(&from.handle, work);
                self.newcomer_unlinked(&from.handle, work)
            }
            Some(Invitation::Link | Invitation::TokenInVain(_) | Invitation::Void) | None => {
                self.fault(&from.handle, ErrorCode::UnexpectedMessage, work)
            }
        }
    }

    /// The link to an invitee cannot be had, or is lost.
    pub(super) fn invitee_unreachable(&mut self, peer: &UserHandle, work: &mut Work<'_, '_>) {
        match self.invitations.get(peer) {
            Some(
                Invitation::Link | Invitation::Answer(_) | Invitation::Token(..) | Invitation::Commit(_),
            ) => {
                let code = ErrorCode::Unavailable;
                work.tell(Notice::InvitationFailed { invitee: peer.clone(), code });
                self.invitee_gone(peer, work);
            }
            Some(Invitation::TokenInVain(_) | Invitation::Void) | None => {}
        }
    }

    /// The invitee does not come. What it was given goes back, or will as soon as it is given.
    fn invitee_gone(&mut self, invitee: &UserHandle, work: &mut Work<'_, '_>) {
        match self.invitations.remove(invitee) {
            Some(Invitation::Link) | None => {}
            Some(Invitation::Answer(_)) => {
                work.push(Action::Disarm(Timer::Invitation(invitee.clone())));
            }
            Some(Invitation::Token(number, _) | Invitation::TokenInVain(number)) => {
                self.invitations.insert(invitee.clone(), Invitation::TokenInVain(number));
            }
            Some(Invitation::Commit(_)) => {
                self.return_token(work);
                self.invitations.insert(invitee.clone(), Invitation::Void);
            }
            Some(Invitation::Void) => {
                self.invitations.insert(invitee.clone(), Invitation::Void);
            }
        }
    }

    #[track_caller]
    fn return_token(&self, work: &mut Work<'_, '_>) {
        reached(Location::caller());
        if !active(Mutant::TokenNotReturned) {
            self.send_to_coordinator(SessionBody::TokenReturn(TokenReturn {}), work);
        }
    }

    pub(super) fn invitation_expired(&mut self, invitee: &UserHandle, work: &mut Work<'_, '_>) {
        if matches!(self.invitations.get(invitee), Some(Invitation::Answer(_))) {
            self.cancel(invitee, work);
            work.tell(Notice::InvitationRejected { invitee: invitee.clone() });
            self.invitations.remove(invitee);
        }
    }

    #[track_caller]
    fn cancel(&self, invitee: &UserHandle, work: &mut Work<'_, '_>) {
        reached(Location::caller());
        work.invitation(self.epoch.session, invitee, InvitationBody::Cancel(Cancel {}));
        work.disconnect(invitee, None);
    }

    /// The user leaves: invitations that nobody has accepted are taken back, accepted ones come first.
    pub(super) fn withdraw_invitations(&mut self, work: &mut Work<'_, '_>) {
        let open: Vec<_> =
            self.invitations.keys().filter(|peer| self.has_not_answered(peer)).cloned().collect();
        for invitee in open {
            match self.invitations.remove(&invitee) {
                Some(Invitation::Answer(_)) => {
                    self.cancel(&invitee, work);
                    work.push(Action::Disarm(Timer::Invitation(invitee)));
                }
                Some(Invitation::Link) => work.disconnect(&invitee, None),
                Some(
                    Invitation::Token(..)
                    | Invitation::TokenInVain(_)
                    | Invitation::Commit(_)
                    | Invitation::Void,
                )
                | None => {}
            }
        }
    }

    /// Closes the links of all who wanted in, when the session cannot go on here.
    pub(super) fn drop_newcomers(&mut self, work: &mut Work<'_, '_>) {
        for (invitee, invitation) in std::mem::take(&mut self.invitations) {
            if matches!(invitation, Invitation::Token(..) | Invitation::Commit(_)) {
                self.cancel(&invitee, work);
            }
        }
        if let Some(admission) = self.admission.take() {
            work.disconnect(&admission.newcomer().handle, None);
        }
    }

    pub(super) fn token_granted(&mut self, granted: &TokenGrant, work: &mut Work<'_, '_>) -> Next {
        let found = self.invitations.iter().find(|(_, invitation)| {
            matches!(invitation, Invitation::Token(number, _) | Invitation::TokenInVain(number)
                if *number == granted.number)
        });
        let Some((invitee, invitation)) = found.map(|(i, n)| (i.clone(), n.clone())) else {
            return self.fault(&self.epoch.coordinator.clone(), ErrorCode::UnexpectedMessage, work);
        };
        let grant = super::admission::open_grant(&granted.grant, &self.epoch, self.hash, work.context);
        let good = grant.ok().filter(|grant| {
            let mine =
                grant.holder == self.me.handle && self.requests.get(&granted.number) == Some(&grant.change);
            mine || active(Mutant::GrantTakenUnchecked)
        });
        let Some(grant) = good else {
            return self.fault(&self.epoch.coordinator.clone(), ErrorCode::GrantRefused, work);
        };
        let Invitation::Token(_, newcomer) = invitation else {
            self.return_token(work);
            self.invitations.insert(invitee, Invitation::Void);
            return Next::Stay;
        };
        let ticket = Ticket {
            key: newcomer.key,
            epoch: self.epoch.number,
            grant: granted.grant.clone(),
            nonce: Nonce(work.context.entropy),
            issuer: self.me.handle.clone(),
            session: self.epoch.session,
            newcomer: newcomer.handle.clone(),
            not_after: grant.not_after,
        };
        let ticket = work.context.crypto.sign_ticket(&ticket);
        let welcome = Welcome { epoch: self.epoch.clone(), ticket };
        work.invitation(self.epoch.session, &newcomer.handle, InvitationBody::Welcome(welcome));
        self.invitations.insert(invitee, Invitation::Commit(newcomer));
        Next::Stay
    }

    pub(super) fn token_refused(&mut self, refused: TokenRefused, work: &mut Work<'_, '_>) {
        let Some(change) = self.requests.remove(&refused.number) else {
            work.push(Action::Late { from: self.epoch.coordinator.clone() });
            return;
        };
        let Change::Join(newcomer) = change else {
            // The coordinator does not keep anybody from leaving; if it cannot now, the user may ask again.
            self.leaving = false;
            work.tell(Notice::NotPossible(refused.code));
            return;
        };
        if let Some(Invitation::Token(..)) = self.invitations.remove(&newcomer.handle) {
            // A newcomer who is a member by now came in on another invitation, over a link of its own.
            if self.epoch.member(&newcomer.handle).is_none() {
                self.cancel(&newcomer.handle, work);
            }
            work.tell(Notice::InvitationFailed { invitee: newcomer.handle, code: refused.code });
        }
    }
}
