//! One step of a model: an event goes into a machine, and its actions change the world.
//!
//! This is the caller's side of the contract of [`Session`]: which link is the machine's link to a peer, who is told
//! about the end of a link, what becomes of a second link, and that a machine that has ended is dropped with its
//! links. The algorithms are the machines' own.

use std::{collections::VecDeque, sync::Arc};

use antiphon_spec::{
    error_code::ErrorCode,
    identity::UserHandle,
    machine::{Context, Machine as _},
    message::client_client::{Content, InvitationBody, InvitationMessage, PeerMessage, Reject, SessionBody},
    policy::Verdict,
    session::{Action, Change, EndReason, Epoch, Event, LocalNumber, Member, Nonce, Notice, Session, Timer},
    time::Timestamp,
};

use crate::{
    cast::{Cast, Who},
    crypto::Hand,
    link::{End, Link, Side},
    monitor::{Monitor, Outcome, Violation},
    scenario::{Dialling, Scenario},
    shared::Shared,
    words,
    world::{Client, World},
};

/// The one instant at which everything in a model happens.
const NOW: Timestamp = Timestamp(1_000_000);

/// A step in the making.
pub(crate) struct Turn<'m> {
    scenario: &'m Scenario,
    cast: &'m Cast,
    world: World,
    monitor: Monitor,
    todo: VecDeque<(Who, Event)>,
    /// What happened, in words; only where somebody wants to read it.
    journal: Option<Vec<String>>,
}

impl<'m> Turn<'m> {
    pub(crate) fn new(scenario: &'m Scenario, cast: &'m Cast, world: World) -> Self {
        let monitor = Monitor::clone(&world.monitor);
        Self { scenario, cast, world, monitor, todo: VecDeque::new(), journal: None }
    }

    pub(crate) fn with_journal(mut self) -> Self {
        self.journal = Some(Vec::new());
        self
    }

    /// The state after the step, and the journal.
    pub(crate) fn finish(mut self) -> (World, Vec<String>) {
        if self.monitor != *self.world.monitor {
            self.world.monitor = Shared::new(self.monitor);
        }
        self.world.links.retain(|link| !link.is_gone());
        self.world.settle();
        (self.world, self.journal.unwrap_or_default())
    }

    pub(crate) fn world_mut(&mut self) -> &mut World {
        &mut self.world
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(journal) = &mut self.journal {
            journal.push(text());
        }
    }

    // --- what a step is ---

    /// A client creates the session.
    pub(crate) fn create(&mut self, who: Who) {
        let Some(me) = self.cast.member(who) else { return };
        let hand = Hand::new(me.key);
        let session = Session::create(me.clone(), Nonce([0; 16]), &context(who, &hand));
        if let Some(epoch) = session.epoch() {
            self.monitor.began(who, None, epoch);
        }
        self.put(who, Client { session: Some(session), ..Client::default() });
    }

    /// An event that needs no link: the user's, or a timer's.
    pub(crate) fn event(&mut self, who: Who, event: Event) {
        self.todo.push_back((who, event));
        self.work_off();
    }

    /// A user invites another.
    pub(crate) fn invite(&mut self, who: Who, whom: Who) {
        let Some(invitee) = self.cast.member(whom).map(|member| member.handle.clone()) else { return };
        if let Some(client) = self.world.client(who) {
            let client = Client { inviting: client.inviting | whom.bit(), ..client.clone() };
            self.put(who, client);
        }
        self.event(who, Event::Invite { invitee });
    }

    /// A user leaves.
    pub(crate) fn leave(&mut self, who: Who) {
        if let Some(client) = self.world.client(who) {
            let client = Client { leaving: true, ..client.clone() };
            self.put(who, client);
        }
        self.event(who, Event::Leave);
    }

    /// A user says something. A member always takes it: no model has as many messages as may wait.
    pub(crate) fn say(&mut self, who: Who, local: LocalNumber) {
        self.monitor.opened(who, local);
        let content = Content([who.0].into());
        self.event(who, Event::Say { local, media_type: "text/plain".into(), content });
    }

    /// A timer fires.
    pub(crate) fn fire(&mut self, who: Who, timer: &Timer) {
        if let Some(client) = self.world.client(who) {
            let mut client = client.clone();
            client.armed.retain(|armed| armed != timer);
            self.put(who, client);
        }
        self.event(who, Event::TimerFired(timer.clone()));
    }

    /// The next message on a link arrives.
    pub(crate) fn deliver(&mut self, index: usize, side: Side) {
        let Some(place) = self.world.links.get_mut(index) else { return };
        let mut link = Link::clone(place);
        let Some(message) = link.receive(side) else { return };
        let (who, from, end) = (link.client(side), link.peer(side), link.end(side));
        *place = Shared::new(link);
        match end {
            End::Attached => self.received(who, from, &message),
            End::Unheard => self.first_message(index, side, &message),
            End::Closed => {}
        }
        self.work_off();
    }

    /// This side sees the end of a link that the other side closed, or that is cut.
    pub(crate) fn link_ends(&mut self, index: usize, side: Side) {
        let Some(link) = self.world.links.get(index) else { return };
        let (who, peer, end) = (link.client(side), link.peer(side), link.end(side));
        self.change_link(index, |link| link.close(side));
        if end == End::Attached {
            self.lose(who, peer);
        }
        self.work_off();
    }

    /// A link is cut; each side will see its end.
    pub(crate) fn cut(&mut self, index: usize) {
        self.change_link(index, Link::cut);
    }

    /// A client dies: its machine is gone, and its peers will see the ends of their links.
    pub(crate) fn crash(&mut self, who: Who) {
        self.monitor.died(who);
        self.put(who, Client::default());
        self.world.dials.retain(|(from, _)| *from != who);
        for index in 0..self.world.links.len() {
            if let Some(side) = self.world.links.get(index).and_then(|link| link.side_of(who)) {
                self.change_link(index, |link| {
                    link.close(side);
                    link.cut();
                });
            }
        }
    }

    /// A dial succeeds.
    pub(crate) fn link_up(&mut self, from: Who, to: Who) {
        self.stop_dialling(from, to);
        self.open(from, to);
        self.work_off();
    }

    /// A dial fails.
    pub(crate) fn link_fails(&mut self, from: Who, to: Who) {
        self.stop_dialling(from, to);
        self.fail_dial(from, to);
        self.work_off();
    }

    // --- links ---

    fn open(&mut self, from: Who, to: Who) {
        let Some(peer) = self.cast.peer(to) else { return };
        let at = self.world.links.partition_point(|link| (link.dialler, link.acceptor) <= (from, to));
        self.world.links.insert(at, Shared::new(Link::new(from, to)));
        self.note(|| format!("{from} has a link to {to}"));
        self.todo.push_back((from, Event::LinkUp { peer }));
    }

    fn fail_dial(&mut self, from: Who, to: Who) {
        let Some(peer) = self.cast.member(to) else { return };
        self.note(|| format!("{from} cannot have a link to {to}"));
        self.todo.push_back((from, Event::LinkFailed { peer: peer.handle.clone() }));
    }

    fn lose(&mut self, who: Who, peer: Who) {
        let Some(member) = self.cast.member(peer) else { return };
        self.note(|| format!("{who} sees the end of the link to {peer}"));
        self.todo.push_back((who, Event::LinkLost { peer: member.handle.clone() }));
    }

    fn stop_dialling(&mut self, from: Who, to: Who) {
        self.world.dials.retain(|dial| *dial != (from, to));
    }

    fn change_link(&mut self, index: usize, change: impl FnOnce(&mut Link)) {
        if let Some(place) = self.world.links.get_mut(index) {
            let mut link = Link::clone(place);
            change(&mut link);
            *place = Shared::new(link);
        }
    }

    /// The accepting end reads the first message of a link.
    fn first_message(&mut self, index: usize, side: Side, message: &Arc<PeerMessage>) {
        let Some(link) = self.world.links.get(index) else { return };
        let (who, from) = (link.client(side), link.peer(side));
        let invite = matches!(&**message, PeerMessage::Invitation(_));
        if invite && self.world.client(who).is_some_and(|client| client.over) {
            // Who asks a former member back has begun the epoch without it.
            self.put(who, Client::default());
            self.drop_links(who);
        }
        let session = self.world.client(who).and_then(|client| client.session.as_ref());
        match (&**message, session) {
            (PeerMessage::Invitation(invitation), None) => self.invited(index, side, invitation),
            (PeerMessage::Invitation(invitation), Some(_)) => {
                // A client answers for itself where it is in the session already.
                self.note(|| format!("{who} has this session already and rejects"));
                let body = InvitationBody::Reject(Reject {});
                let reject = InvitationMessage { body, session: invitation.session };
                self.change_link(index, |link| link.send(side, Arc::new(PeerMessage::Invitation(reject))));
                self.change_link(index, |link| link.close(side));
            }
            (PeerMessage::Session(said), Some(session)) if matches!(said.body, SessionBody::Admit(_)) => {
                let replaces =
                    self.cast.member(from).is_some_and(|peer| session.gives_way(&peer.handle, said));
                if self.world.is_dialling(who, from) && replaces {
                    self.stop_dialling(who, from);
                    self.fail_dial(who, from);
                } else if let Some((old, old_side)) = self.world.attached(who, from) {
                    if !replaces {
                        self.refuse_link(index, side, ErrorCode::AlreadyMember);
                        return;
                    }
                    self.change_link(old, |link| link.close(old_side));
                    self.lose(who, from);
                    self.work_off();
                }
                self.change_link(index, |link| link.attach(side));
                self.received(who, from, message);
            }
            (PeerMessage::Session(_), _) => self.refuse_link(index, side, ErrorCode::NoSuchSession),
        }
    }

    fn refuse_link(&mut self, index: usize, side: Side, code: ErrorCode) {
        self.fault(index, side, code);
        self.change_link(index, |link| link.close(side));
    }

    /// An end closes with an error code. Where nobody reads it any more, it blames nobody.
    fn fault(&mut self, index: usize, side: Side, code: ErrorCode) {
        let Some(link) = self.world.links.get(index) else { return };
        let (who, peer) = (link.client(side), link.peer(side));
        let heard = self.world.client(peer).is_some_and(|client| client.session.is_some())
            && link.end(side.other()) == End::Attached;
        self.note(|| format!("{who} closes the link to {peer} with the error {code}"));
        if heard {
            self.monitor.blame(Violation::HonestFault);
        }
    }

    fn invited(&mut self, index: usize, side: Side, invitation: &InvitationMessage) {
        let Some(link) = self.world.links.get(index) else { return };
        let (who, from) = (link.client(side), link.peer(side));
        let (Some(me), Some(inviter)) = (self.cast.member(who), self.cast.peer(from)) else { return };
        let hand = Hand::new(me.key);
        let mut out = Vec::new();
        let began =
            Session::invited(me.clone(), inviter, invitation, Verdict::Allow, &context(who, &hand), &mut out);
        match began {
            Ok(session) => {
                self.change_link(index, |link| link.attach(side));
                let client = Client { session: Some(session), ..Client::default() };
                self.carry_out(who, client, None, out);
            }
            Err(code) => self.refuse_link(index, side, code),
        }
    }

    fn received(&mut self, who: Who, from: Who, message: &Arc<PeerMessage>) {
        if let Some(from) = self.cast.peer(from) {
            let message = PeerMessage::clone(message);
            self.todo.push_back((who, Event::Received { from, message }));
        }
    }

    // --- machines ---

    fn put(&mut self, who: Who, client: Client) {
        if let Some(place) = self.world.clients.get_mut(who.index()) {
            *place = Shared::new(client);
        }
    }

    fn work_off(&mut self) {
        while let Some((who, event)) = self.todo.pop_front() {
            self.handle(who, event);
        }
    }

    fn handle(&mut self, who: Who, event: Event) {
        let (Some(client), Some(me)) = (self.world.client(who), self.cast.member(who)) else { return };
        let mut client = client.clone();
        let Some(session) = client.session.as_mut() else { return };
        let before = session.epoch().cloned();
        let hand = Hand::new(me.key);
        let mut out = Vec::new();
        session.handle(event, &context(who, &hand), &mut out);
        for grant in hand.into_granted() {
            self.note(|| {
                format!(
                    "{who} grants the token to {} for {}",
                    Who::of(&grant.holder),
                    words::change(&grant.change)
                )
            });
            self.monitor.granted(grant);
        }
        self.carry_out(who, client, before.as_deref(), out);
    }

    /// Does what a machine asked for, in order.
    fn carry_out(&mut self, who: Who, mut client: Client, before: Option<&Epoch>, out: Vec<Action>) {
        // What a notice is about: the epoch that held when it was pushed.
        let mut view = before.cloned();
        for action in out {
            match action {
                Action::Connect { peer, target: _ } => self.connect(who, Who::of(&peer)),
                Action::Send { to, message } => self.send(who, &to, Arc::new(message)),
                Action::Disconnect { peer, fault } => self.disconnect(who, Who::of(&peer), fault),
                Action::Arm { timer, after: _ } => {
                    if self.scenario.has_faults()
                        && let Err(at) = client.armed.binary_search(&timer)
                    {
                        client.armed.insert(at, timer);
                    }
                }
                Action::Disarm(timer) => client.armed.retain(|armed| *armed != timer),
                Action::Tell(notice) => self.tell(who, &mut client, &mut view, notice),
                Action::Late { from } => {
                    self.note(|| format!("{who} ignores what comes late from {}", Who::of(&from)));
                }
            }
        }
        if client.session.as_ref().is_some_and(Session::is_ended) {
            client = Client::default();
            self.drop_links(who);
        }
        self.put(who, client);
    }

    fn drop_links(&mut self, who: Who) {
        self.world.dials.retain(|(from, _)| *from != who);
        for index in 0..self.world.links.len() {
            let side = self
                .world
                .links
                .get(index)
                .and_then(|link| link.side_of(who).filter(|side| link.end(*side) == End::Attached));
            if let Some(side) = side {
                self.change_link(index, |link| link.close(side));
            }
        }
    }

    fn connect(&mut self, who: Who, peer: Who) {
        self.note(|| format!("{who} dials {peer}"));
        if self.world.attached(who, peer).is_some() {
            // There is a link already, and there is one of a session to a peer at most.
            self.fail_dial(who, peer);
        } else if self.scenario.dialling == Dialling::AtOnce {
            self.open(who, peer);
        } else if let Err(at) = self.world.dials.binary_search(&(who, peer)) {
            self.world.dials.insert(at, (who, peer));
        }
    }

    fn send(&mut self, who: Who, to: &[UserHandle], message: Arc<PeerMessage>) {
        for peer in to {
            let peer = Who::of(peer);
            self.note(|| format!("{who} -> {peer}: {}", words::message(&message)));
            match self.world.attached(who, peer) {
                Some((index, side)) => self.change_link(index, |link| link.send(side, Arc::clone(&message))),
                None => self.monitor.blame(Violation::NoSuchLink),
            }
        }
    }

    fn disconnect(&mut self, who: Who, peer: Who, fault: Option<ErrorCode>) {
        self.stop_dialling(who, peer);
        let Some((index, side)) = self.world.attached(who, peer) else { return };
        match fault {
            Some(code) => self.fault(index, side, code),
            None => self.note(|| format!("{who} closes the link to {peer}")),
        }
        self.change_link(index, |link| link.close(side));
    }

    fn tell(&mut self, who: Who, client: &mut Client, view: &mut Option<Epoch>, notice: Notice) {
        self.note(|| format!("{who} is told: {}", words::notice(&notice)));
        match notice {
            Notice::Invited { .. } | Notice::NotPossible(_) | Notice::MessagePending { .. } => {}
            Notice::InvitationRejected { invitee } | Notice::InvitationFailed { invitee, code: _ } => {
                client.inviting &= !Who::of(&invitee).bit();
            }
            Notice::EpochBegan(epoch) => {
                self.monitor.began(who, view.as_ref(), &epoch);
                if let Change::Join(Member { handle, .. }) = &epoch.change {
                    client.inviting &= !Who::of(handle).bit();
                }
                *view = Some(Epoch::clone(&epoch));
            }
            Notice::MessageReceived { from, epoch, number, .. } => {
                self.monitor.delivered(who, view.as_ref(), Who::of(&from), epoch, number);
            }
            Notice::MessageSent { local, epoch, number, to } => {
                self.monitor.sent(who, epoch, number);
                let to = to.iter().map(Who::of).collect();
                self.monitor.outcome(who, local, &Outcome::Sent(to));
            }
            Notice::MessageDelivered { local, to, epoch, number } => {
                self.monitor.receipt(who, Who::of(&to), epoch, number);
                self.monitor.outcome(who, local, &Outcome::Settled(Who::of(&to)));
            }
            Notice::MessageFailed { local, to } => {
                self.monitor.outcome(who, local, &Outcome::Settled(Who::of(&to)));
            }
            Notice::MessageUnsent { local } => self.monitor.outcome(who, local, &Outcome::Unsent),
            Notice::MemberLost(_) => self.given_up(),
            Notice::Ended(reason) => {
                self.monitor.ended(who);
                client.over = true;
                client.leaving = false;
                client.inviting = 0;
                match reason {
                    EndReason::Left => {
                        if let Some(epoch) = view.as_ref() {
                            self.monitor.left_behind(who, epoch);
                        }
                    }
                    EndReason::InvitationOver | EndReason::JoinFailed => {}
                    EndReason::Removed
                    | EndReason::CoordinatorLost
                    | EndReason::MemberLost
                    | EndReason::Fork => self.given_up(),
                }
            }
        }
    }

    /// A member was given up; only a lost link or a timer excuses that.
    fn given_up(&mut self) {
        if !self.scenario.has_faults() {
            self.monitor.blame(Violation::MemberGivenUp);
        }
    }
}

/// What every event of this client comes with. The entropy is the client's own and always the same: what is drawn
/// from it names an epoch beside it.
fn context(who: Who, hand: &Hand) -> Context<'_> {
    Context { now: NOW, entropy: [who.0; 16], crypto: hand }
}
