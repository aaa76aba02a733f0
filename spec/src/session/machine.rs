//! The machine of one session at one client: which part of the session's life it is in, and who handles an event.
//!
//! A session begins as the creator's ([`Session::create`]) or with an invitation ([`Session::invited`]). The states
//! are named by what they wait for. What the client says to itself, being coordinator and member at once, goes
//! through the same messages as what it says to others, by way of a queue that is emptied before `handle` returns.

use std::collections::{BTreeSet, VecDeque};

use super::{
    epoch::{Epoch, Member, Origin, SessionId},
    event::{Action, EndReason, Event, Notice, Timer},
    member::Membership,
    newcomer::{Invited, Joining},
};
use crate::{
    error_code::ErrorCode,
    identity::{KeyHash, Peer, UserHandle},
    limits::{INVITATION_LIFETIME, LINGER},
    machine::{Context, Machine},
    message::client_client::{
        InvitationBody, InvitationMessage, Invite, PeerMessage, Reject, SessionBody, SessionMessage,
    },
    mutant::{Mutant, active},
    policy::Verdict,
    sites::{Location, reached},
};

/// One session at one client, from the first invitation to the last link.
///
/// **Contract of the caller.** Links are named by the peer's handle: there is at most one link of a session to a peer.
/// When a second one comes up, the caller asks [`Session::gives_way`]: if the first one gives way, the caller closes it,
/// reports [`Event::LinkLost`] for it, and then hands in the `admit`; otherwise it refuses the second one with
/// `already-member`. An `invite` to a session that the client is in already is answered with `reject` without the
/// machine, unless [`Notice::Ended`] was told: then the machine is dropped, and the invitation begins a new one. When
/// [`Session::is_ended`] turns true, the caller drops the machine, its timers and its links.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Session {
    pub(super) me: Member,
    pub(super) id: SessionId,
    pub(super) origin: Origin,
    pub(super) state: State,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    /// Waits for the user's answer to the invitation.
    Invited(Invited),
    /// Waits for the inviter to get the token and send the welcome.
    AwaitingWelcome(Invited),
    /// Waits for every member's admission, and then for the coordinator's commit.
    Joining(Box<Joining>),
    /// Is a member, and may coordinate.
    Member(Box<Membership>),
    /// Is no member any more, and waits for the others to close their links.
    Leaving(BTreeSet<UserHandle>),
    /// Waits for nothing.
    Ended(EndReason),
}

/// What a handler works with: the context of the event, the actions so far, and what the client said to itself.
pub(super) struct Work<'w, 'c> {
    pub(super) context: &'w Context<'c>,
    pub(super) out: &'w mut Vec<Action>,
    pub(super) to_self: VecDeque<SessionMessage>,
}

impl Work<'_, '_> {
    #[track_caller]
    pub(super) fn push(&mut self, action: Action) {
        reached(Location::caller());
        self.out.push(action);
    }

    #[track_caller]
    pub(super) fn tell(&mut self, notice: Notice) {
        reached(Location::caller());
        self.push(Action::Tell(notice));
    }

    #[track_caller]
    pub(super) fn invitation(&mut self, session: SessionId, to: &UserHandle, body: InvitationBody) {
        reached(Location::caller());
        let message = PeerMessage::Invitation(InvitationMessage { body, session });
        self.push(Action::Send { to: vec![to.clone()], message });
    }

    #[track_caller]
    pub(super) fn disconnect(&mut self, peer: &UserHandle, fault: Option<ErrorCode>) {
        reached(Location::caller());
        self.push(Action::Disconnect { peer: peer.clone(), fault });
    }
}

/// Where a handler leaves the session.
pub(super) enum Next {
    /// In the same state.
    Stay,
    /// Waiting for the welcome.
    AwaitWelcome(Invited),
    /// Joining.
    Join(Box<Joining>),
    /// A member, with messages that came before the commit and are to be handled now.
    Become(Box<Membership>, Vec<(Peer, SessionMessage)>),
    /// No member any more; links to these peers are still open.
    Linger(BTreeSet<UserHandle>),
    /// Over.
    End(EndReason),
}

impl Session {
    /// Begins a session whose only member and coordinator is `me`.
    #[must_use]
    pub fn create(me: Member, nonce: super::Nonce, context: &Context<'_>) -> Self {
        let origin = Origin { key: me.key, nonce };
        let id = context.crypto.derive_session_id(&origin);
        let epoch = Epoch::first(id, origin, me.clone());
        let hash = context.crypto.hash_epoch(&epoch);
        let member = Membership::new(me.clone(), epoch.into(), hash);
        Self { me, id, origin, state: State::Member(Box::new(member)) }
    }

    /// Begins a session with an invitation that `inviter` sent over a verified link.
    ///
    /// `verdict` is what the user's preferences say about the inviter ([`crate::policy::Preferences::judge`]): with
    /// [`Verdict::Deny`] the invitation is rejected and the user never hears of it.
    ///
    /// # Errors
    /// The first message of the link is no invitation, or names a session ID that does not belong to its origin; the
    /// link is to be closed with the code.
    pub fn invited(
        me: Member,
        inviter: Peer,
        message: &InvitationMessage,
        verdict: Verdict,
        context: &Context<'_>,
        out: &mut Vec<Action>,
    ) -> Result<Self, ErrorCode> {
        let InvitationBody::Invite(Invite { origin, lifetime }) = &message.body else {
            return Err(ErrorCode::UnexpectedMessage);
        };
        if context.crypto.derive_session_id(origin) != message.session && !active(Mutant::SessionIdUnchecked)
        {
            return Err(ErrorCode::SessionIdForged);
        }
        let mut work = Work { context, out, to_self: VecDeque::new() };
        let state = match verdict {
            Verdict::Deny => {
                work.invitation(message.session, &inviter.handle, InvitationBody::Reject(Reject {}));
                work.disconnect(&inviter.handle, None);
                State::Ended(EndReason::Left)
            }
            Verdict::Allow => {
                let after = INVITATION_LIFETIME.min(std::time::Duration::from_secs(*lifetime));
                work.push(Action::Arm { timer: Timer::Answer, after });
                work.tell(Notice::Invited { inviter: inviter.handle.clone() });
                State::Invited(Invited { inviter })
            }
        };
        Ok(Self { me, id: message.session, origin: *origin, state })
    }

    /// The session's ID.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The epoch that this client is a member of; none before it joined and after it left.
    #[must_use]
    pub fn epoch(&self) -> Option<&std::sync::Arc<Epoch>> {
        self.membership().map(|member| &member.epoch)
    }

    /// The client's own part as a member, for those who check its properties.
    #[must_use]
    pub fn membership(&self) -> Option<&Membership> {
        match &self.state {
            State::Member(member) => Some(member),
            State::Invited(_)
            | State::AwaitingWelcome(_)
            | State::Joining(_)
            | State::Leaving(_)
            | State::Ended(_) => None,
        }
    }

    /// Whether the user has an invitation to answer.
    #[must_use]
    pub fn awaits_answer(&self) -> bool {
        matches!(self.state, State::Invited(_))
    }

    /// Whether the epoch that this client is in, or joins, names a member with this key: what that member signed may
    /// have to be verified although its link is gone.
    #[must_use]
    pub fn knows_key(&self, key: &KeyHash) -> bool {
        let epoch = match &self.state {
            State::Member(member) => &member.epoch,
            State::Joining(joining) => joining.epoch(),
            State::Invited(_) | State::AwaitingWelcome(_) | State::Leaving(_) | State::Ended(_) => {
                return false;
            }
        };
        epoch.members.iter().any(|member| member.key == *key)
    }

    /// Whether a new link of this peer, on which this message came first, takes the place of the link that stands.
    ///
    /// A newcomer that shows a ticket has given up every link that it had before. But a ticket for an epoch that is
    /// over came over a link that is itself the older one, and so did one for an epoch in which this client has admitted
    /// the newcomer already: there is one good ticket in an epoch.
    #[must_use]
    pub fn gives_way(&self, peer: &UserHandle, message: &SessionMessage) -> bool {
        self.membership().is_some_and(|member| {
            let is_outside = member.epoch.member(peer).is_none() || member.lets_go(peer);
            is_outside
                && message.epoch >= member.epoch.number
                && (message.epoch > member.epoch.number || !member.has_admitted(peer))
                && matches!(message.body, SessionBody::Admit(_))
        })
    }

    /// Whether the machine, its timers and its links can be dropped.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended(_))
    }

    fn enter(&mut self, next: Next, work: &mut Work<'_, '_>) {
        match next {
            Next::Stay => {}
            Next::AwaitWelcome(invited) => self.state = State::AwaitingWelcome(invited),
            Next::Join(joining) => self.state = State::Joining(joining),
            Next::Become(member, early) => {
                self.state = State::Member(member);
                for (from, message) in early {
                    self.step(Event::Received { from, message: PeerMessage::Session(message) }, work);
                }
            }
            Next::Linger(peers) => {
                self.settle_chat(work);
                work.tell(Notice::Ended(EndReason::Left));
                if peers.is_empty() {
                    self.state = State::Ended(EndReason::Left);
                } else {
                    work.push(Action::Arm { timer: Timer::Linger, after: LINGER });
                    self.state = State::Leaving(peers);
                }
            }
            Next::End(reason) => {
                self.settle_chat(work);
                // One that left was told so when the leave took effect.
                if !matches!(self.state, State::Leaving(_)) {
                    work.tell(Notice::Ended(reason));
                }
                self.state = State::Ended(reason);
            }
        }
    }

    //= spec/text/sessions.md#messages
    //# SESS-173: A member for which the session ends MUST tell its user that each chat message that still waits wasn't sent to anybody.
    fn settle_chat(&mut self, work: &mut Work<'_, '_>) {
        match &mut self.state {
            State::Member(member) => member.settle_chat(work),
            State::Invited(_)
            | State::AwaitingWelcome(_)
            | State::Joining(_)
            | State::Leaving(_)
            | State::Ended(_) => {}
        }
    }

    fn step(&mut self, event: Event, work: &mut Work<'_, '_>) {
        let next = match &mut self.state {
            State::Invited(invited) => invited.decide(event, self.id, &self.me, work),
            State::AwaitingWelcome(invited) => {
                invited.handle_welcome(event, self.id, &self.me, self.origin, work)
            }
            State::Joining(joining) => joining.handle(event, work),
            State::Member(member) => member.handle(event, work),
            State::Leaving(peers) => linger(peers, event, work),
            State::Ended(_) => Next::Stay,
        };
        self.enter(next, work);
    }
}

impl Machine for Session {
    type Event = Event;
    type Action = Action;
    type Context<'a> = Context<'a>;

    fn handle(&mut self, event: Event, context: &Context<'_>, out: &mut Vec<Action>) {
        let mut work = Work { context, out, to_self: VecDeque::new() };
        self.step(event, &mut work);
        let me = Peer { handle: self.me.handle.clone(), key: self.me.key };
        while let Some(message) = work.to_self.pop_front() {
            let message = PeerMessage::Session(message);
            self.step(Event::Received { from: me.clone(), message }, &mut work);
        }
    }
}

/// A member that left answers nothing and waits for the others to close.
fn linger(peers: &mut BTreeSet<UserHandle>, event: Event, work: &mut Work<'_, '_>) -> Next {
    match event {
        Event::LinkLost { peer } | Event::LinkFailed { peer } => {
            peers.remove(&peer);
        }
        Event::TimerFired(_) => {
            for peer in std::mem::take(peers) {
                work.disconnect(&peer, None);
            }
        }
        Event::LinkUp { peer } => work.disconnect(&peer.handle, None),
        Event::Received { from, message: _ } => work.push(Action::Late { from: from.handle }),
        Event::Invite { .. } | Event::Accept | Event::Refuse | Event::Say { .. } | Event::Leave => {
            work.tell(Notice::NotPossible(ErrorCode::NoSuchSession));
        }
    }
    if peers.is_empty() { Next::End(EndReason::Left) } else { Next::Stay }
}
